"""
Upload tasks: send what is missing, fetch what became of it, write it down.

`Upload.send` and `Upload.collect` do all of the work. Both yield every operation that blocks them and continue when
they are iterated further, so it is the operator that decides where to wait: in the worker, or deferred.

- A batch is the unit of everything: it is sent, fetched and written down in the order of the tasks.
- The main thread reads tasks and writes results. Threads do nothing but requests, at most ``in_flight`` at a time.
- The results of the first batches are fetched while later ones are sent. That stops at the first operation that is not
  done in time: then `collect` reads the source again, as it does after a deferral.
- After a previous attempt, nothing is sent before all that it sent is known to be what the source says now.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError, TolokaTimeoutError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, Training
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.links import store_link
from toloka_airflow.transfer.client_threads import ClientThreads
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.upload.batch_operations import BatchResult, ChangedError, PreviousUploads, Uploader
from toloka_airflow.transfer.upload.batches import (
    Batch,
    EncodedTask,
    FindPrevious,
    encode_task,
    find_nothing,
    split_into_batches,
)
from toloka_airflow.transfer.upload.sent_batches import SentBatches
from toloka_airflow.transfer.upload.task_files import SourceError, TaskSource, task_source
from toloka_airflow.transfer.upload.upload_results import UploadResults

if TYPE_CHECKING:
    from concurrent.futures import Future

    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.transfer.values import Specs

SHOWN_INVALID = 5
OWN_POLL_INTERVAL = 0.25
"""Seconds between two polls of an own operation, at the most, while the next batch waits for its end."""
_ADVICE = (
    "Repair them in their place and clear this task, or set skip_invalid_items=True to continue without them; "
    "a line that is removed, or emptied, would move all lines behind it"
)
_SENT = "Sent %s, %.1f MB, in %s"


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
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


@contextmanager
def open_upload(
    options: UploadOptions, client: TolokaClient, context: Context, *, deadline: float, log: Any
) -> Iterator[Upload]:
    """
    Open what an upload reads and writes, and run its threads; nothing is sent.

    :param deadline: Unix time at which to wait no longer.
    :raises ValueError: If the pool's id cannot be one.
    :raises SourceError: If a path cannot be used.
    """
    pool_id = checked_id("pool_id", options.pool_id)
    identity = TaskIdentity.of(context)
    source = task_source(options.tasks)
    try:
        results = UploadResults.open(
            options.ids_path,
            options.invalid_path,
            source=source.name if source.is_file else None,
            name=identity.key,
            # With the pool: if that was made anew, what was written about the old one is of no use.
            key=identity.uuid("results", pool_id)[:8],
            stops_at_invalid=not options.skip_invalid_items,
        )
    except ValueError as exc:
        raise SourceError(str(exc)) from exc
    uploader = Uploader(
        partial(identity.uuid, "tasks", pool_id),
        {"skip_invalid_items": options.skip_invalid_items, "allow_defaults": options.allow_defaults},
    )
    with ClientThreads(client, options.in_flight) as threads:
        yield Upload(
            options=options,
            pool_id=pool_id,
            client=client,
            source=source,
            results=results,
            uploader=uploader,
            threads=threads,
            deadline=deadline,
            log=log,
        )


@dataclass(kw_only=True)
class Upload:
    """
    What `CreateTasksOperator` does on a worker; it begins anew whenever the task does.

    Made by `open_upload`.
    """

    options: UploadOptions
    pool_id: str
    client: TolokaClient
    source: TaskSource
    results: UploadResults
    uploader: Uploader
    threads: ClientThreads
    deadline: float
    log: Any

    def __post_init__(self) -> None:
        self._find_previous: FindPrevious = find_nothing
        self._is_one_at_a_time = False
        self._sent = SentBatches(self.threads, self.uploader, self.results, keep=2 * self.options.in_flight)
        # What threads have sent: the numbers of tasks, and the operations that were not done.
        self._sizes: deque[int] = deque()
        self._unfinished: deque[Operation] = deque()
        self._tasks = self._bytes = self._operations = 0
        self._is_complete = False
        self._pace, self._began = Pace(), time.monotonic()

    def check_pool(self, context: Context) -> None:
        """Fail before anything is sent to an archived pool."""
        pool = self.client.get_pool(self.pool_id)
        is_training = pool.raw.get("type") == "TRAINING"
        store_link(context, self.client, Training.from_api(pool.raw) if is_training else pool)
        if is_archived(pool):
            raise TolokaError(
                f"Pool {pool.id} is ARCHIVED, so it takes no tasks; nothing was sent. Create another pool",
                topic="archived",
            )

    def send(self, *, is_retry: bool) -> Iterator[Operation]:
        """
        Send every batch, and yield each operation that must be done before the next one can be sent.

        :param is_retry: Whether something may have been sent before; if the first batch is there, it was.
        :raises TolokaError: Before anything is sent, if what was uploaded is not what the source says now.
        """
        with self._counting_uploaded(), self._naming_changes():
            if is_retry or not self.uploader.is_new(self.client):
                yield from self._verify()
            if not self._is_complete:
                yield from self._send_batches()

    def collect(self) -> Iterator[Operation]:
        """Write down what became of every task, and yield each operation of this upload that must be done before."""
        if self._is_complete:
            return
        if self._unfinished:
            # The last one first: when it is done, most of the others are.
            yield self._unfinished[-1]
        with self._naming_changes():
            if not self._sent.write_all():
                yield from self._collect_from_source()
        self._is_complete = True

    def result(self) -> dict[str, Any]:
        """
        Put the files of results in their places, and return the counts and paths.

        :raises TolokaError: If tasks were invalid that are not to be skipped.
        """
        results, total = self.results, self._tasks
        created, invalid = results.counts["created"], results.counts["invalid"]
        if invalid and not (self.options.skip_invalid_items and created):
            shown = "; ".join(f"{self.source.unit} {line}" for line in results.examples(SHOWN_INVALID))
            raise TolokaError(
                f"{self.source.name}: the API found {invalid} of {counted(total, 'task')} invalid, and "
                f"{counted(created, 'was', 'were')} created. "
                f"{shown}. {' '.join(filter(None, (results.report(), _ADVICE)))}",
                topic="invalid-tasks",
            )
        if created + invalid != total:
            raise TolokaError(
                f"{self.source.name} has {counted(total, 'task')}, but {created} created and {invalid} invalid were "
                "counted"
            )
        results.finish()
        self.log.info(
            "Created %d of %s in pool %s; invalid: %d", created, counted(total, "task"), self.pool_id, invalid
        )
        return {
            "pool_id": self.pool_id,
            "total": total,
            "created": created,
            "invalid": invalid,
            "ids_path": results.ids_path,
            "invalid_path": results.invalid_path if invalid else None,
        }

    # Reading

    def _batches(self, find_previous: FindPrevious) -> Iterator[Batch | Operation]:
        """Read the source from its beginning, and cut the tasks into batches."""
        self._tasks = self._bytes = self._operations = 0
        self._began = time.monotonic()
        return split_into_batches(self._encoded(), self.options.chunk_size, find_previous)

    def _encoded(self) -> Iterator[EncodedTask]:
        for number, task, text in self.source.rows(self._specs, self._is_training):
            try:
                yield encode_task(number, task, self.pool_id, text)
            except ValueError as exc:
                raise self.source.error(number, str(exc)) from exc

    def _is_training(self) -> bool:
        return self.client.get_pool(self.pool_id).raw.get("type") == "TRAINING"

    def _specs(self) -> Specs:
        project_id = self.client.get_pool(self.pool_id).project_id
        spec = self.client.get_project(project_id).raw["task_spec"]
        return spec["input_spec"], spec["output_spec"]

    def _previous_uploads(self) -> PreviousUploads:
        submit, find = self.threads.submit, self.uploader.find_previous
        return PreviousUploads(lambda key: submit(find, key), ahead=self.options.in_flight)

    # Sending

    def _send_batches(self) -> Generator[Operation]:
        sending: deque[tuple[Batch, Future[Operation | None]]] = deque()
        last: Batch | None = None
        self._sent.begin()
        for batch in self._batches(self._find_previous):
            if isinstance(batch, Operation):
                yield batch
                continue
            sending.append((batch, self.threads.submit(self._try_to_send, batch)))
            last = batch
            if len(sending) >= self.options.in_flight:
                yield from self._take_sent(*sending.popleft())
        while sending:
            yield from self._take_sent(*sending.popleft())
        if last is None:
            raise self._no_tasks()
        if self._find_previous is find_nothing:
            # Of what ended in the same try, the first batch may be missing, by which it is known, but not the others.
            self.uploader.check_end(self.client, last)
        self.log.info(_SENT, *self._sent_in_words())

    def _take_sent(self, batch: Batch, sending: Future[Operation | None]) -> Generator[Operation]:
        try:
            operation = sending.result() or (yield from self._send_in_turn(batch))
        except TolokaError:
            self.log.error("%s: not uploaded", self._where(batch))
            raise
        self._tasks += len(batch.tasks)
        self._bytes += batch.size
        self._operations += 1
        self._report(_SENT, *self._sent_in_words())
        self._sent.add(batch, operation)

    def _try_to_send(self, client: TolokaClient, batch: Batch) -> Operation | None:
        """Send a batch, unless another operation blocks the pool."""
        if self._is_one_at_a_time:
            return None
        answer = send_if_free(partial(self._send, client, batch))
        if isinstance(answer, Blocked):
            # The API says to wait for an operation before starting the next, but does not always insist.
            self._is_one_at_a_time = True
            return None
        return answer

    def _send(self, client: TolokaClient, batch: Batch) -> Operation:
        operation = self.uploader.send(client, batch)
        self._sizes.append(len(batch.tasks))
        if not operation.is_done:
            self._unfinished.append(operation)
        return operation

    def _send_in_turn(self, batch: Batch) -> Generator[Operation, None, Operation]:
        """Send a batch when no other operation blocks the pool any more; yield what does."""
        while True:
            self._await_own_operations()
            answer = send_if_free(partial(self._send, self.client, batch))
            if not isinstance(answer, Blocked):
                return answer
            if time.time() >= self.deadline:
                raise TolokaTimeoutError(f"Pool {self.pool_id} was still locked when the time was up: {answer.refusal}")
            blocking = self.client.find_unfinished_operation(pool_id=self.pool_id)
            if blocking is not None:
                self.log.info(
                    "Pool %s is locked by operation %s (%s): waiting for it", self.pool_id, blocking.id, blocking.type
                )
                yield blocking
            else:
                # It ended since the refusal, or it is an upload, and those do not say to which pool.
                time.sleep(min(self.options.poll_interval, 1.0))

    def _await_own_operations(self) -> None:
        """Wait for all operations that were sent before, in the worker, which has the next batch ready."""
        interval = min(self.options.poll_interval, OWN_POLL_INTERVAL)
        while self._unfinished:
            left = max(0.0, self.deadline - time.time())
            self.client.wait_operation(self._unfinished[0], timeout=left, poll_interval=interval)
            self._unfinished.popleft()

    # What became of it

    def _fetch_previous(self, client: TolokaClient, batch: Batch) -> BatchResult | None:
        """Return what became of a batch that was sent before; nothing if it is written down."""
        return None if self.results.has(batch) else self.uploader.previous_result(client, batch)

    def _collect_from_source(self) -> Generator[Operation]:
        """Write down what became of every batch of the source, all of which were sent."""
        # Half as many as there are requests: the log of a batch may take several times its memory.
        width = max(1, self.options.in_flight // 2)
        yield from self._fetch_all(self._fetch_previous, self.results.add, width, self._previous_uploads())

    def _verify(self) -> Generator[Operation]:
        """
        Fail if anything that was sent is not what the source says now: sending the rest could create tasks twice.

        What became of the batches before the first that is missing is written down.
        """
        is_complete = True

        def write(batch: Batch, result: BatchResult | None) -> None:
            nonlocal is_complete
            is_complete = is_complete and result is not None
            if is_complete:
                self.results.add(batch, result)

        self._find_previous = self._previous_uploads()
        yield from self._fetch_all(self.uploader.check, write, self.options.in_flight, self._find_previous)
        self._is_complete = is_complete
        self._sizes.clear()

    def _fetch_all(
        self,
        fetch: Callable[[TolokaClient, Batch], BatchResult | None],
        write: Callable[[Batch, BatchResult | None], None],
        width: int,
        find_previous: FindPrevious,
    ) -> Generator[Operation]:
        """Fetch the results of all batches, and yield each operation that must be done before the next one is known."""
        window: deque[tuple[Batch, Future[BatchResult | None]]] = deque()
        last: Batch | None = None

        def write_first() -> None:
            batch, result = window.popleft()
            write(batch, result.result())
            self._tasks += len(batch.tasks)
            self._report("Fetched what became of %s", counted(self._tasks, "task"))

        for batch in self._batches(find_previous):
            if isinstance(batch, Operation):
                while window:
                    write_first()
                yield batch
                continue
            if batch.previous.kept is not None:
                self._sizes.append(len(batch.tasks))
            window.append((batch, self.threads.submit(fetch, batch)))
            if len(window) >= width:
                write_first()
            last = batch
        while window:
            write_first()
        if last is None:
            raise self._no_tasks()
        self.uploader.check_end(self.client, last)

    # What is said

    @contextmanager
    def _naming_changes(self) -> Iterator[None]:
        """Say where the source was changed, and what to do."""
        try:
            yield
        except ChangedError as exc:
            raise TolokaError(
                f"{self._where(exc.batch)}: not what a previous attempt of this task uploaded: {exc}. Nothing is "
                "uploaded twice: restore what was uploaded and chunk_size, and give what is new, and repaired what was "
                "skipped as invalid, to a task of its own",
                topic="changed-since-the-first-attempt",
            ) from exc

    @contextmanager
    def _counting_uploaded(self) -> Iterator[None]:
        """Add to the error of a task that cannot be read how many others are in the pool already."""
        try:
            yield
        except SourceError as exc:
            self.threads.stop()
            if not self._sizes:
                raise
            raise SourceError(
                f"{exc}. {counted(sum(self._sizes), 'task before it is', 'tasks before it are')} uploaded and stay so: "
                "repair it in its place and clear this task"
            ) from exc

    def _no_tasks(self) -> SourceError:
        return SourceError(f"{self.source.name}: there are no tasks in it, and an empty pool cannot be opened")

    def _where(self, batch: Batch) -> str:
        return self.source.where(f"{batch.tasks[0].number} to {batch.tasks[-1].number}")

    def _sent_in_words(self) -> tuple[str, float, str]:
        return counted(self._tasks, "task"), self._bytes / 1e6, counted(self._operations, "operation")

    def _report(self, text: str, *facts: Any) -> None:
        if self._pace.is_due():
            seconds, done = time.monotonic() - self._began, self.source.share_read()
            left = f"; about {done:.0%}, {seconds * (1 - done) / done:.0f} s left" if done and done < 1 else ""
            self.log.info(f"{text}%s", *facts, left)
