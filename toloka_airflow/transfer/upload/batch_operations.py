"""
Uploads of any size, each task created exactly once.

Tasks are sent in batches. A batch has an operation id that follows from who uploads what, so it cannot be created
twice, and whoever comes later finds what became of it. An operation that failed has created nothing and its id is
used up; the next generation of the same batch has another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow.api.client.operations import read_steps
from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaOperationError
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.transport import parse_json
from toloka_airflow.transfer.invalid_fields import InvalidField, read_invalid_fields
from toloka_airflow.transfer.upload.batches import MARK, Batch, BatchKey, PreviousUpload, own_fields

if TYPE_CHECKING:
    from concurrent.futures import Future

    from toloka_airflow.api.client import TolokaClient


class ChangedError(TolokaError):
    """
    Report that what was uploaded before is not what is to be uploaded now.

    :param batch: The batch where it shows.
    """

    def __init__(self, batch: Batch, problem: str) -> None:
        super().__init__(problem)
        self.batch = batch


@dataclass(frozen=True)
class BatchResult:
    """
    What became of the tasks of a batch.

    :param created: Number and task id of each.
    :param invalid: What was wrong with the others; one entry per field.
    :param invalid_count: How many tasks have such entries.
    """

    created: list[tuple[int, str]]
    invalid: list[InvalidField]
    invalid_count: int


@dataclass(frozen=True)
class Uploader:
    """
    Send batches and read what became of them.

    :param operation_id: Makes a UUID from numbers; equal numbers give equal UUIDs in every attempt.
    :param options: Arguments for `TolokaClient.create_tasks_async`.
    """

    operation_id: Callable[..., str]
    options: Mapping[str, bool]

    def is_new(self, client: TolokaClient) -> bool:
        """Return whether nothing was sent yet, as the first batch shows."""
        return client.find_operation(self._id((0, 0, 0), 0)) is None

    def find_previous(self, client: TolokaClient, key: BatchKey) -> PreviousUpload:
        """Return what was sent as a batch before."""
        previous = PreviousUpload()
        while (operation := client.find_operation(self._id(key, previous.generation))) is not None:
            size = _task_count(operation)
            if not _created_nothing(client, operation):
                return replace(previous, operation=operation, size=size, created_nothing=False)
            previous = PreviousUpload(operation, previous.generation + 1, size, previous.first_size or size)
        return previous

    def send(self, client: TolokaClient, batch: Batch) -> Operation:
        """Return the operation that creates a batch: one that is there already, or a new one."""
        if batch.previous.kept is not None:
            return batch.previous.kept
        operation_id = self._id(batch.key, batch.previous.generation)
        try:
            return client.create_tasks_async(batch.body, operation_id=operation_id, **self.options)
        except TolokaConflictError:
            # Refused because of the operation that blocks the pool, which may be this one if an answer was lost.
            if (operation := client.find_operation(operation_id)) is None:
                raise
            return operation

    def check(self, client: TolokaClient, batch: Batch) -> BatchResult | None:
        """
        Make sure that what was uploaded as this batch before is what it is now, and return it; ``None`` if nothing was.

        :raises ChangedError: If it is not. Sending other batches then may create a task for the second time.
        """
        kept = batch.previous.kept
        result = None if kept is None else self.batch_result(client, batch, kept)
        # Behind a batch that was not sent, others may have been; it must not have grown by their tasks.
        chunk, part, overflow = batch.key
        if batch.max_tasks and (batch.ends_chunk or not batch.remaining):
            self._ensure_not_sent(client, batch, (chunk, part, overflow + 1))
        if batch.ends_chunk:
            self._ensure_not_sent(client, batch, (chunk, part + 1, 0))
        return result

    def previous_result(self, client: TolokaClient, batch: Batch) -> BatchResult:
        """
        Return what became of a batch that was sent.

        :raises ChangedError: If there is no operation for it, or it was for other tasks.
        :raises TolokaOperationError: If it failed, but not because of the tasks.
        """
        if batch.previous.operation is None:
            raise ChangedError(batch, "there is no operation for these tasks")
        return self.batch_result(client, batch, batch.previous.operation)

    def check_end(self, client: TolokaClient, last: Batch) -> None:
        """
        Make sure that nothing was uploaded before that came behind what is the last batch now.

        :raises ChangedError: If something was.
        """
        chunk, part, overflow = last.key
        for key in ((chunk, part, overflow + 1), (chunk, part + 1, 0), (chunk + 1, 0, 0)):
            self._ensure_not_sent(client, last, key)

    def _ensure_not_sent(self, client: TolokaClient, batch: Batch, key: BatchKey) -> None:
        operation = client.find_operation(self._id(key, 0))
        if operation is not None:
            raise ChangedError(batch, f"operation {operation.id} is about tasks that came behind these")

    def batch_result(self, client: TolokaClient, batch: Batch, operation: Operation) -> BatchResult:
        """
        Return what an operation that is done made of a batch, in the order of the tasks.

        :raises ChangedError: If it was for other tasks.
        :raises TolokaOperationError: If it failed, but not because of the tasks.
        """
        if operation.status not in (OperationStatus.SUCCESS, OperationStatus.FAIL):
            raise TolokaOperationError(operation)
        log = client.read_operation_log(operation.id, partial(_read_log, batch, operation))
        if isinstance(log, BatchResult):
            return log
        steps = read_steps(operation.id, log)
        unread = _UnreadTasks(batch)
        created: list[tuple[int, str]] = []
        invalid: list[InvalidField] = []
        invalid_count = 0
        for step in steps:
            number = unread.take(step)
            if number is None:
                continue
            if step.get("success"):
                created.append((number, _task_id(operation, step)))
            else:
                invalid_count += 1
                invalid += read_invalid_fields(number, step.get("output"))
        if operation.status == OperationStatus.FAIL and (created or not invalid):
            raise TolokaOperationError(operation, steps)
        skips = self.options.get("skip_invalid_items")
        if unread.remaining and (operation.status == OperationStatus.SUCCESS or skips):
            number = min(unread.remaining.values())
            raise ChangedError(batch, f"operation {operation.id} does not say what became of task {number}")
        return BatchResult(sorted(created), sorted(invalid), invalid_count)

    def _id(self, key: BatchKey, generation: int) -> str:
        return self.operation_id(*key, generation)


class _CreatedInput(msgspec.Struct, gc=False):
    input_values: msgspec.Raw
    mark: str = msgspec.field(name=MARK)


class _CreatedOutput(msgspec.Struct, gc=False):
    task_id: str


class _CreatedStep(msgspec.Struct, gc=False):
    success: bool
    input: _CreatedInput
    output: _CreatedOutput


_CREATED = msgspec.json.Decoder(list[_CreatedStep])


def _read_log(batch: Batch, operation: Operation, content: bytes) -> Any:
    """Return the result of a batch if all its tasks were created, as in nearly every log; else the JSON of the log."""
    try:
        steps = _CREATED.decode(content)
    except (ValueError, RecursionError):
        return parse_json(content)
    numbers = {task.mark: task.number for task in batch.tasks}
    created = [(numbers.pop(step.input.mark, 0), step.output.task_id) for step in steps if step.success]
    is_plain = len(created) == len(steps) and all(map(all, created)) and not numbers
    if operation.status == OperationStatus.SUCCESS and is_plain:
        return BatchResult(sorted(created), [], 0)
    return parse_json(content)


class PreviousUploads:
    """
    Find what was sent as batches before, a few ahead of the one that is requested.

    What was found once is known from then on, as it only changes by what is sent now.

    :param find: Begins to find what was sent as a batch.
    :param ahead: How many to find ahead.
    """

    def __init__(self, find: Callable[[BatchKey], Future[PreviousUpload]], *, ahead: int) -> None:
        self._find, self._ahead = find, ahead
        self._found: dict[BatchKey, Future[PreviousUpload]] = {}
        self._parts = 1

    def __call__(self, key: BatchKey) -> PreviousUpload:
        """Return what was sent as a batch before; it is known for long only once its operation is done."""
        self._parts = max(self._parts, key[1] + 1)
        for expected in islice(self._keys_from(key), 1 + self._ahead):
            if expected not in self._found:
                self._found[expected] = self._find(expected)
        if self._found[key].result().unfinished is not None:
            self._found[key] = self._find(key)
        return self._found[key].result()

    def _keys_from(self, key: BatchKey) -> Iterator[BatchKey]:
        """Iterate over the keys that are expected next: most chunks have as many parts as others had."""
        yield key
        chunk, part, _ = key
        while True:
            chunk, part = (chunk, part + 1) if part + 1 < self._parts else (chunk + 1, 0)
            yield chunk, part, 0


class _UnreadTasks:
    """The tasks of a batch that have not been found in the log yet."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.remaining = {task.mark: task.number for task in batch.tasks}

    def take(self, step: Mapping[str, Any]) -> int | None:
        """
        Return the number of the task that a step is about; ``None`` if it is about something else.

        :raises ChangedError: If it is about a task that is not in the batch.
        """
        given = step.get("input")
        if not isinstance(given, dict) or "input_values" not in given:
            return None
        number = self.remaining.pop(str(given.get(MARK)), None)
        return self._take_equal(given) if number is None else number

    def _take_equal(self, given: Mapping[str, Any]) -> int:
        """Find a task that is written in another way, such as with other white space."""
        number = str(given.get(MARK, "")).partition(".")[0]
        for mark in self.remaining:
            if (not number or mark.startswith(f"{number}.")) and self._fields[mark] == own_fields(given):
                return self.remaining.pop(mark)
        what = f"task {number or given['input_values']}"
        raise ChangedError(self._batch, f"{what} was another one when it was uploaded")

    @cached_property
    def _fields(self) -> dict[str, dict[str, Any]]:
        return {task.mark: own_fields(json.loads(task.body)) for task in self._batch.tasks}


def _task_id(operation: Operation, step: Mapping[str, Any]) -> str:
    output = step.get("output")
    if not isinstance(output, dict) or not output.get("task_id"):
        raise TolokaError(f"The log of operation {operation.id} has a created task without an id")
    return str(output["task_id"])


def _created_nothing(client: TolokaClient, operation: Operation) -> bool:
    if operation.status != OperationStatus.FAIL:
        return False
    created = operation.details.get("success_count")
    if created is None:
        return not any(step.get("success") for step in client.get_operation_log(operation.id))
    return bool(created == 0)


def _task_count(operation: Operation) -> int | None:
    """Return how many tasks an operation is for, if it says so."""
    total = operation.details.get("total_count") or operation.details.get("items_count")
    return int(total) if total else None
