"""Run an upload on a worker: send what is missing, look up what became of it, write it down."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from toloka_airflow.api.errors import LOCKED, TolokaConflictError, TolokaError, TolokaTimeoutError
from toloka_airflow.api.models import Operation, PoolStatus, Training
from toloka_airflow.api.transport import checked_id
from toloka_airflow.api.uploads import ChangedError, Outcome, Piece, Uploader, encoded, pieces
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.identity import TaskIdentity
from toloka_airflow.links import store_link
from toloka_airflow.storage.task_files import FileSource, SourceError, Specs, task_source
from toloka_airflow.transfer.heap import frozen_heap
from toloka_airflow.transfer.upload_results import UploadResults

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.operators.tasks import CreateTasksOperator

PROGRESS_INTERVAL = 10.0
SHOWN_INVALID = 5

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Upload:
    """What `CreateTasksOperator` does on a worker; begins anew whenever the task does."""

    def __init__(self, operator: CreateTasksOperator, context: Context, *, wait: Callable[..., Operation]) -> None:
        self._operator, self._context, self._wait, self.log = operator, context, wait, operator.log
        self._pool_id = checked_id("pool_id", operator.pool_id)
        self._identity = TaskIdentity.of(context)
        self._source = task_source(operator.tasks)
        self.client = TolokaHook(operator.toloka_conn_id).get_conn()
        self._clients: SimpleQueue[TolokaClient] = SimpleQueue()
        for _ in range(operator.in_flight):
            self._clients.put(self.client.with_own_session())
        options = {"skip_invalid_items": operator.skip_invalid_items, "allow_defaults": operator.allow_defaults}
        self._uploader = Uploader(partial(self._identity.uuid, "tasks", self._pool_id), options)
        self._one_at_a_time = False
        self._unfinished: deque[Operation] = deque()
        self._next_report = time.monotonic() + PROGRESS_INTERVAL

    def check_pool(self) -> None:
        """Fail before anything is sent to an archived pool."""
        pool = self.client.get_pool(self._pool_id)
        is_training = pool.raw.get("type") == "TRAINING"
        store_link(self._context, self.client, Training.from_api(pool.raw) if is_training else pool)
        if pool.status == PoolStatus.ARCHIVED:
            raise TolokaError(f"Pool {pool.id} is archived, so it takes no tasks; nothing was sent")

    def check_earlier(self) -> None:
        """Fail before anything is sent if what an earlier attempt uploaded is not what the source says now."""
        piece = None
        with self._threads() as threads:
            for piece, future in self._ahead(threads, self._uploader.check, self._pieces()):
                with self._changes(piece):
                    future.result()
        if piece is not None:
            with self._changes(piece):
                self._uploader.check_end(self.client, piece)

    def send(self, deadline: float) -> Operation:
        """Send every piece and return an operation that is not done; if all are, any."""
        operation: Operation | None = None
        tasks = size = number = 0
        with self._threads() as threads:
            for number, (piece, future) in enumerate(self._ahead(threads, self._try_to_send, self._pieces()), 1):
                try:
                    operation = future.result() or self._send_in_turn(piece, deadline)
                except TolokaError:
                    self.log.error("%s: not uploaded", self._place(piece))
                    raise
                deadline = time.time() + self._operator.timeout
                tasks, size = tasks + len(piece.bodies), size + piece.size
                self._report("Sent %d tasks, %.1f MB, in %d operations", tasks, size / 1e6, number)
        if operation is None:
            raise SourceError(f"{self._source.name}: there are no tasks in it, and an empty pool cannot be opened")
        self.log.info("Sent %d tasks, %.1f MB, in %d operations", tasks, size / 1e6, number)
        return self._unfinished[-1] if self._unfinished else operation

    def collect(self, deadline: float) -> dict[str, Any]:
        """Write down what became of every task, and return the counts and paths."""
        results = self._results()
        total: Counter[str] = Counter()
        with self._threads() as threads:
            for piece, future in self._ahead(threads, partial(self._outcome, results), self._pieces()):
                total.update(tasks=len(piece.bodies))
                with self._changes(piece):
                    outcome = self._settled(piece, future.result(), deadline)
                    results.add(piece, outcome)
                self._report("Looked up what became of %d tasks", total["tasks"])
        return self._end(results, total["tasks"])

    def _end(self, results: UploadResults, total: int) -> dict[str, Any]:
        created, invalid = results.counts["created"], results.counts["invalid"]
        skips = self._operator.skip_invalid_items
        fails = invalid and not (skips and created)
        results.finish_report()
        if fails:
            shown = "; ".join(f"{self._source.unit} {line}" for line in results.examples(SHOWN_INVALID))
            raise AirflowFailException(
                f"{self._source.name}: the API found {invalid} of {total} tasks invalid, and {created} were created. "
                f"{shown}. {results.report_text} Repair them in their place and clear this task"
            )
        if created + invalid != total:
            raise TolokaError(
                f"{self._source.name} has {total} tasks, but {created} created and {invalid} invalid ones were counted"
            )
        results.finish_ids()
        self.log.info("Created %d of %d tasks in pool %s, %d were invalid", created, total, self._pool_id, invalid)
        return {
            "pool_id": self._pool_id,
            "total": total,
            "created": created,
            "invalid": invalid,
            "ids_path": results.ids_path,
            "invalid_path": results.invalid_path if invalid else None,
        }

    def _results(self) -> UploadResults:
        source, key = self._source, self._identity.key
        beside = f"{source.name}.{key}" if isinstance(source, FileSource) else None
        return UploadResults(
            self._operator.ids_path or (beside and f"{beside}.ids.jsonl"),
            self._operator.invalid_path or (beside and f"{beside}.invalid.jsonl"),
            key=key,
            stops_at_invalid=not self._operator.skip_invalid_items,
        )

    # Sending

    def _pieces(self) -> Iterator[Piece]:
        return pieces(self._encoded(), self._operator.chunk_size)

    def _encoded(self) -> Iterator[tuple[int, bytes]]:
        for number, task, text in self._source.rows(self._specs):
            try:
                yield number, encoded(number, task, self._pool_id, text)
            except ValueError as exc:
                raise self._source.error(number, str(exc)) from exc

    def _specs(self) -> Specs:
        project_id = self.client.get_pool(self._pool_id).project_id
        spec = self.client.get_project(project_id).raw["task_spec"]
        return spec["input_spec"], spec["output_spec"]

    def _try_to_send(self, client: TolokaClient, piece: Piece) -> Operation | None:
        """Send a piece, unless another operation holds the pool."""
        if self._one_at_a_time:
            return None
        try:
            return self._sent(client, piece)
        except TolokaConflictError as exc:
            if exc.code != LOCKED:
                raise
            # The API says to wait for an operation before starting the next, but does not always insist.
            self._one_at_a_time = True
            return None

    def _sent(self, client: TolokaClient, piece: Piece) -> Operation:
        operation = self._uploader.send(client, piece)
        if not operation.is_done:
            self._unfinished.append(operation)
        return operation

    def _send_in_turn(self, piece: Piece, deadline: float) -> Operation:
        """Send a piece when no other operation holds the pool any more."""
        while True:
            self._await_turn(deadline)
            try:
                return self._sent(self.client, piece)
            except TolokaConflictError as exc:
                if exc.code != LOCKED:
                    raise
                if time.time() >= deadline:
                    raise TolokaTimeoutError(
                        f"The pool was still held after {self._operator.timeout:.0f} s: {exc}"
                    ) from exc
            holder = self.client.find_unfinished_operation(pool_id=self._pool_id)
            if holder is not None:
                self.log.info("The pool is held by operation %s (%s); waiting for it", holder.id, holder.type)
                self._wait(self.client, holder, deadline, self._operator.holder_finished)
            else:
                # It ended since the refusal, or it is an upload, and those do not say to which pool.
                time.sleep(min(self._operator.poll_interval, 1.0))

    def _await_turn(self, deadline: float) -> None:
        """Wait for all own operations that were sent before, in the worker, which has the next one ready."""
        interval = min(self._operator.poll_interval, 1.0)
        while self._unfinished:
            left = max(0.0, deadline - time.time())
            self.client.wait_operation(self._unfinished[0], timeout=left, poll_interval=interval)
            self._unfinished.popleft()

    # Looking up

    def _outcome(self, results: UploadResults, client: TolokaClient, piece: Piece) -> Outcome | Operation | None:
        """Return what became of a piece; its operation if that is not done; nothing if it is written down."""
        if results.has(piece):
            return None
        operation = self._uploader.find(client, piece)
        return self._uploader.outcome(client, piece, operation) if operation.is_done else operation

    def _settled(self, piece: Piece, outcome: Outcome | Operation | None, deadline: float) -> Outcome | None:
        """Return what became of a piece, as soon as its operation is done."""
        if isinstance(outcome, Operation):
            operation = self._wait(self.client, outcome, deadline, self._operator.operations_finished)
            outcome = self._uploader.outcome(self.client, piece, operation)
        return outcome

    # Both

    @contextmanager
    def _threads(self) -> Iterator[Executor]:
        threads = ThreadPoolExecutor(self._operator.in_flight)
        try:
            with frozen_heap():
                yield threads
        finally:
            threads.shutdown(cancel_futures=True)

    def _ahead(
        self, threads: Executor, act: Callable[[TolokaClient, ItemT], ResultT], items: Iterable[ItemT]
    ) -> Iterator[tuple[ItemT, Future[ResultT]]]:
        """Act on items in threads, a few ahead of the one that is asked for, and iterate over them in order."""

        def act_with_a_client(item: ItemT) -> ResultT:
            client = self._clients.get()
            try:
                return act(client, item)
            finally:
                self._clients.put(client)

        window: deque[tuple[ItemT, Future[ResultT]]] = deque()
        for item in items:
            window.append((item, threads.submit(act_with_a_client, item)))
            if len(window) >= self._operator.in_flight:
                yield window.popleft()
        yield from window

    @contextmanager
    def _changes(self, piece: Piece) -> Iterator[None]:
        try:
            yield
        except ChangedError as exc:
            raise AirflowFailException(
                f"{self._place(piece)}: not what an earlier attempt of this task uploaded: {exc}. Nothing is uploaded "
                "twice: restore what was uploaded and chunk_size, and give what is new to a task of its own"
            ) from exc

    def _place(self, piece: Piece) -> str:
        return self._source.where(f"{piece.first} to {piece.last}")

    def _report(self, text: str, *facts: Any) -> None:
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + PROGRESS_INTERVAL
            self.log.info(text, *facts)


@contextmanager
def upload_errors() -> Iterator[None]:
    """Raise what goes wrong with an upload as Airflow's exceptions; tasks that cannot be read are not tried again."""
    with task_errors():
        try:
            yield
        except SourceError as exc:
            raise AirflowFailException(str(exc)) from exc
