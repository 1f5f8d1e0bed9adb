"""Run an upload on a worker: send what is missing, look up what became of it, write it down."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaTimeoutError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, Training
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.links import store_link
from toloka_airflow.transfer.batch_operations import BatchResult, ChangedError, Uploader
from toloka_airflow.transfer.batches import Batch, BatchKey, PreviousUpload, encode_task, split_into_batches
from toloka_airflow.transfer.client_threads import ClientThreads
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.task_files import FileSource, SourceError, Specs, task_source
from toloka_airflow.transfer.upload_results import UploadResults

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.transfer.batches import EncodedTask

SHOWN_INVALID = 5
_ADVICE = (
    "Repair them in their place and clear this task, or set skip_invalid_items=True to go on without them; "
    "a line that is removed, or emptied, would move all lines behind it"
)

Wait = Callable[[Operation], Operation]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to upload where, and how; see `CreateTasksOperator`."""

    pool_id: str
    tasks: Any
    ids_path: str | None
    invalid_path: str | None
    skip_invalid_items: bool
    allow_defaults: bool
    chunk_size: int
    in_flight: int
    poll_interval: float


class Upload:
    """
    What `CreateTasksOperator` does on a worker; begins anew whenever the task does.

    :param deadline: Unix time at which to wait no longer.
    :raises ValueError: If the pool's id cannot be one.
    :raises SourceError: If a path cannot be used.
    """

    def __init__(self, order: Order, client: TolokaClient, context: Context, *, deadline: float, log: Any) -> None:
        self._order, self.client, self._context = order, client, context
        self._deadline, self._log = deadline, log
        self._pool_id = checked_id("pool_id", order.pool_id)
        self._identity = TaskIdentity.of(context)
        self._source = task_source(order.tasks)
        self._results = self._result_files()
        self._threads = ClientThreads(client, order.in_flight)
        options = {"skip_invalid_items": order.skip_invalid_items, "allow_defaults": order.allow_defaults}
        self._uploader = Uploader(partial(self._identity.uuid, "tasks", self._pool_id), options)
        self._one_at_a_time = False
        self._unfinished: deque[Operation] = deque()
        self._sizes: deque[int] = deque()
        self._pace = Pace()

    def check_pool(self) -> None:
        """Fail before anything is sent to an archived pool."""
        pool = self.client.get_pool(self._pool_id)
        is_training = pool.raw.get("type") == "TRAINING"
        store_link(self._context, self.client, Training.from_api(pool.raw) if is_training else pool)
        if is_archived(pool):
            raise TolokaError(f"Pool {pool.id} is archived, so it takes no tasks; nothing was sent")

    def send(self, *, is_retry: bool, wait: Wait) -> Operation:
        """
        Send every piece and return an operation that is not done; if all are, any.

        :param is_retry: Whether an earlier attempt may have sent something; if the first piece is there, one did.
        :param wait: Waits for an operation that holds the pool.
        :raises TolokaError: Before anything is sent, if what was uploaded is not what the source says now.
        """
        is_retry = is_retry or not self._uploader.is_new(self.client)
        with self._uploads_told():
            if is_retry:
                self._check_earlier(wait)
            return self._send_all(self._pieces(wait) if is_retry else self._pieces(), wait)

    def collect(self, *, wait: Wait) -> dict[str, Any]:
        """
        Write down what became of every task, and return the counts and paths.

        :param wait: Waits for an operation of this upload.
        """
        total: Counter[str] = Counter()
        piece = None
        with self._threads.running():
            # Half as many as there are requests: the log of a piece takes several times its memory.
            width = max(1, self._order.in_flight // 2)
            for piece, future in self._threads.map(self._outcome, self._pieces(wait), width):
                total.update(tasks=len(piece.tasks))
                with self._changes(piece):
                    self._results.add(piece, future.result())
                self._report("Looked up what became of %d tasks", total["tasks"])
        self._check_end(piece)
        return self._end(total["tasks"])

    def _end(self, total: int) -> dict[str, Any]:
        results, skips = self._results, self._order.skip_invalid_items
        created, invalid = results.counts["created"], results.counts["invalid"]
        if invalid and not (skips and created):
            shown = "; ".join(f"{self._source.unit} {line}" for line in results.examples(SHOWN_INVALID))
            raise TolokaError(
                f"{self._source.name}: the API found {invalid} of {total} tasks invalid, and {created} were created. "
                f"{shown}. {results.report()} {_ADVICE}"
            )
        if created + invalid != total:
            raise TolokaError(
                f"{self._source.name} has {total} tasks, but {created} created and {invalid} invalid ones were counted"
            )
        results.finish()
        self._log.info("Created %d of %d tasks in pool %s, %d were invalid", created, total, self._pool_id, invalid)
        return {
            "pool_id": self._pool_id,
            "total": total,
            "created": created,
            "invalid": invalid,
            "ids_path": results.ids_path,
            "invalid_path": results.invalid_path if invalid else None,
        }

    def _result_files(self) -> UploadResults:
        try:
            return UploadResults(
                self._order.ids_path,
                self._order.invalid_path,
                source=self._source.name if isinstance(self._source, FileSource) else None,
                name=self._identity.key,
                # With the pool: if that was made anew, what was written about the old one is of no use.
                key=self._identity.uuid("results", self._pool_id)[:8],
                stops_at_invalid=not self._order.skip_invalid_items,
            )
        except ValueError as exc:
            raise SourceError(str(exc)) from exc

    # Cutting

    def _pieces(self, wait: Wait | None = None) -> Iterator[Batch]:
        """Iterate over the pieces; with what was sent of them before, if it is said how to wait for that."""
        if wait is None:
            return split_into_batches(self._encoded(), self._order.chunk_size)
        return split_into_batches(self._encoded(), self._order.chunk_size, partial(self._look, wait))

    def _encoded(self) -> Iterator[EncodedTask]:
        for number, task, text in self._source.rows(self._specs, self._is_training):
            try:
                yield encode_task(number, task, self._pool_id, text)
            except ValueError as exc:
                raise self._source.error(number, str(exc)) from exc

    def _is_training(self) -> bool:
        return self.client.get_pool(self._pool_id).raw.get("type") == "TRAINING"

    def _specs(self) -> Specs:
        project_id = self.client.get_pool(self._pool_id).project_id
        spec = self.client.get_project(project_id).raw["task_spec"]
        return spec["input_spec"], spec["output_spec"]

    def _look(self, wait: Wait, place: BatchKey) -> PreviousUpload:
        """Return what was sent as a piece before, once it is known what became of it."""
        earlier = self._uploader.find_previous(self.client, place)
        while earlier.operation is not None and not earlier.operation.is_done:
            wait(earlier.operation)
            earlier = self._uploader.find_previous(self.client, place)
        return earlier

    # Sending

    def _check_earlier(self, wait: Wait) -> None:
        """Fail if what was uploaded is not what the source says now; sending the rest could create tasks twice."""
        piece = None
        with self._threads.running():
            for piece, future in self._threads.map(self._uploader.check, map(self._counted, self._pieces(wait))):
                with self._changes(piece):
                    future.result()
        self._check_end(piece)
        self._sizes.clear()

    def _counted(self, piece: Batch) -> Batch:
        if piece.previous.kept is not None:
            self._sizes.append(len(piece.tasks))
        return piece

    def _check_end(self, last: Batch | None) -> None:
        """Fail if the source ends earlier than it did."""
        if last is None:
            raise SourceError(f"{self._source.name}: there are no tasks in it, and an empty pool cannot be opened")
        with self._changes(last):
            self._uploader.check_end(self.client, last)

    def _send_all(self, pieces: Iterator[Batch], wait: Wait) -> Operation:
        operation: Operation | None = None
        tasks = size = number = 0
        with self._threads.running():
            for number, (piece, future) in enumerate(self._threads.map(self._try_to_send, pieces), 1):
                try:
                    operation = future.result() or self._send_in_turn(piece, wait)
                except TolokaError:
                    self._log.error("%s: not uploaded", self._place(piece))
                    raise
                tasks, size = tasks + len(piece.tasks), size + piece.size
                self._report("Sent %d tasks, %.1f MB, in %d operations", tasks, size / 1e6, number)
        if operation is None:
            raise SourceError(f"{self._source.name}: there are no tasks in it, and an empty pool cannot be opened")
        self._log.info("Sent %d tasks, %.1f MB, in %d operations", tasks, size / 1e6, number)
        return self._unfinished[-1] if self._unfinished else operation

    def _try_to_send(self, client: TolokaClient, piece: Batch) -> Operation | None:
        """Send a piece, unless another operation holds the pool."""
        if self._one_at_a_time:
            return None
        try:
            return self._sent(client, piece)
        except TolokaConflictError as exc:
            if not exc.is_blocked:
                raise
            # The API says to wait for an operation before starting the next, but does not always insist.
            self._one_at_a_time = True
            return None

    def _sent(self, client: TolokaClient, piece: Batch) -> Operation:
        operation = self._uploader.send(client, piece)
        self._sizes.append(len(piece.tasks))
        if not operation.is_done:
            self._unfinished.append(operation)
        return operation

    def _send_in_turn(self, piece: Batch, wait: Wait) -> Operation:
        """Send a piece when no other operation holds the pool any more."""
        while True:
            self._await_turn()
            answer = send_if_free(partial(self._sent, self.client, piece))
            if not isinstance(answer, Blocked):
                return answer
            if time.time() >= self._deadline:
                raise TolokaTimeoutError(
                    f"Pool {self._pool_id} was still locked when the time was up: {answer.refusal}"
                )
            blocking = self.client.find_unfinished_operation(pool_id=self._pool_id)
            if blocking is not None:
                self._log.info(
                    "Pool %s is locked by operation %s (%s): waiting for it", self._pool_id, blocking.id, blocking.type
                )
                wait(blocking)
            else:
                # It ended since the refusal, or it is an upload, and those do not say to which pool.
                time.sleep(min(self._order.poll_interval, 1.0))

    def _await_turn(self) -> None:
        """Wait for all own operations that were sent before, in the worker, which has the next one ready."""
        interval = min(self._order.poll_interval, 1.0)
        while self._unfinished:
            left = max(0.0, self._deadline - time.time())
            self.client.wait_operation(self._unfinished[0], timeout=left, poll_interval=interval)
            self._unfinished.popleft()

    # Looking up

    def _outcome(self, client: TolokaClient, piece: Batch) -> BatchResult | None:
        """Return what became of a piece; nothing if it is written down."""
        return None if self._results.has(piece) else self._uploader.previous_result(client, piece)

    # What is said

    @contextmanager
    def _changes(self, piece: Batch) -> Iterator[None]:
        try:
            yield
        except ChangedError as exc:
            raise TolokaError(
                f"{self._place(piece)}: not what an earlier attempt of this task uploaded: {exc}. Nothing is uploaded "
                "twice: restore what was uploaded and chunk_size, and give what is new, and repaired what was skipped "
                "as invalid, to a task of its own"
            ) from exc

    @contextmanager
    def _uploads_told(self) -> Iterator[None]:
        """Add to what is said of a task that cannot be read how many others are in the pool already."""
        try:
            yield
        except SourceError as exc:
            if not self._sizes:
                raise
            raise SourceError(
                f"{exc}. {sum(self._sizes)} tasks before it are uploaded and stay so: "
                "repair it in its place and clear this task"
            ) from exc

    def _place(self, piece: Batch) -> str:
        return self._source.where(f"{piece.tasks[0].number} to {piece.tasks[-1].number}")

    def _report(self, text: str, *facts: Any) -> None:
        if self._pace.is_due():
            self._log.info(text, *facts)
