"""
Uploads of any size, each task created exactly once.

Tasks are sent in pieces. A piece has an operation id that follows from who uploads what, so it cannot be created
twice, and whoever comes later finds what became of it. An operation that failed has created nothing and its id is
used up; the next generation of the same piece has another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaOperationError
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.pieces import MARK, Earlier, Piece, Place, own_fields

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient


class ChangedError(TolokaError):
    """Report that what was uploaded earlier is not what is to be uploaded now."""


class Invalid(NamedTuple):
    """Something that the API found wrong with a task."""

    number: int
    field: str
    code: str | None
    message: str


@dataclass(frozen=True)
class Outcome:
    """
    What became of the tasks of a piece.

    :param created: Number and task id.
    :param invalid: What was wrong; one entry per field.
    :param not_valid: How many tasks that are.
    """

    created: list[tuple[int, str]]
    invalid: list[Invalid]
    not_valid: int


@dataclass(frozen=True)
class Uploader:
    """
    Send pieces and find out what became of them.

    :param operation_id: Makes a UUID from numbers; equal numbers give equal UUIDs in every attempt.
    :param options: Arguments for `TolokaClient.create_tasks_async`.
    """

    operation_id: Callable[..., str]
    options: Mapping[str, bool]

    def is_new(self, client: TolokaClient) -> bool:
        """Return whether nothing was sent yet, judging by the first piece."""
        return client.find_operation(self._id((0, 0, 0), 0)) is None

    def look(self, client: TolokaClient, place: Place) -> Earlier:
        """Return what was sent as a piece before."""
        earlier = Earlier()
        while (operation := client.find_operation(self._id(place, earlier.generation))) is not None:
            size = _task_count(operation)
            if not _created_nothing(client, operation):
                return replace(earlier, operation=operation, size=size, created_nothing=False)
            earlier = Earlier(operation, earlier.generation + 1, size, earlier.reach or size)
        return earlier

    def send(self, client: TolokaClient, piece: Piece) -> Operation:
        """Return the operation that creates a piece: one that is there already, or a new one."""
        if piece.earlier.kept is not None:
            return piece.earlier.kept
        operation_id = self._id(piece.place, piece.earlier.generation)
        try:
            return client.create_tasks_async(piece.body, operation_id=operation_id, **self.options)
        except TolokaConflictError:
            # Refused because of the operation that holds the pool, which may be this one if an answer was lost.
            if (operation := client.find_operation(operation_id)) is None:
                raise
            return operation

    def check(self, client: TolokaClient, piece: Piece) -> None:
        """
        Make sure that what was uploaded as this piece earlier is what it is now.

        :raises ChangedError: If it is not. Sending other pieces then may create a task for the second time.
        """
        if piece.earlier.kept is not None:
            self.outcome(client, piece, piece.earlier.kept)
        # Behind a piece that was not sent, others may have been; it must not have grown by their tasks.
        chunk, part, overflow = piece.place
        if piece.reach and (piece.ends_chunk or not piece.left):
            self._check_nothing(client, (chunk, part, overflow + 1))
        if piece.ends_chunk:
            self._check_nothing(client, (chunk, part + 1, 0))

    def earlier_outcome(self, client: TolokaClient, piece: Piece) -> Outcome:
        """
        Return what became of a piece that was sent.

        :raises ChangedError: If there is no operation for it, or it was for other tasks.
        :raises TolokaOperationError: If it failed, but not because of the tasks.
        """
        if piece.earlier.operation is None:
            raise ChangedError("there is no operation for these tasks")
        return self.outcome(client, piece, piece.earlier.operation)

    def check_end(self, client: TolokaClient, last: Piece) -> None:
        """
        Make sure that nothing was uploaded earlier that came behind what is the last piece now.

        :raises ChangedError: If something was.
        """
        chunk, part, overflow = last.place
        for place in ((chunk, part, overflow + 1), (chunk, part + 1, 0), (chunk + 1, 0, 0)):
            self._check_nothing(client, place)

    def _check_nothing(self, client: TolokaClient, place: Place) -> None:
        operation = client.find_operation(self._id(place, 0))
        if operation is not None:
            raise ChangedError(f"operation {operation.id} is about tasks that came behind these")

    def outcome(self, client: TolokaClient, piece: Piece, operation: Operation) -> Outcome:
        """
        Return what an operation that is done made of a piece, in the order of the tasks.

        :raises ChangedError: If it was for other tasks.
        :raises TolokaOperationError: If it failed, but not because of the tasks.
        """
        if operation.status not in (OperationStatus.SUCCESS, OperationStatus.FAIL):
            raise TolokaOperationError(operation)
        steps = client.get_operation_log(operation.id)
        unread = _Unread(piece)
        created: list[tuple[int, str]] = []
        invalid: list[Invalid] = []
        not_valid = 0
        for step in steps:
            number = unread.take(step)
            if number is None:
                continue
            if step.get("success"):
                created.append((number, _task_id(operation, step)))
            else:
                not_valid += 1
                invalid += _invalid(number, step.get("output"))
        if operation.status == OperationStatus.FAIL and (created or not invalid):
            raise TolokaOperationError(operation, steps)
        skips = self.options.get("skip_invalid_items")
        if unread.left and (operation.status == OperationStatus.SUCCESS or skips):
            raise ChangedError(
                f"operation {operation.id} does not tell what became of task {min(unread.left.values())}"
            )
        return Outcome(sorted(created), sorted(invalid), not_valid)

    def _id(self, place: Place, generation: int) -> str:
        return self.operation_id(*place, generation)


class _Unread:
    """The tasks of a piece that the log has not told about yet."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self.left = {task.mark: task.number for task in piece.tasks}

    def take(self, step: Mapping[str, Any]) -> int | None:
        """
        Return the number of the task that a step is about; ``None`` if it is about something else.

        :raises ChangedError: If it is about a task that is not in the piece.
        """
        given = step.get("input")
        if not isinstance(given, dict) or "input_values" not in given:
            return None
        number = self.left.pop(str(given.get(MARK)), None)
        return self._take_equal(given) if number is None else number

    def _take_equal(self, given: Mapping[str, Any]) -> int:
        """Look for a task that says the same in another way, such as with other white space."""
        number = str(given.get(MARK, "")).partition(".")[0]
        for mark in self.left:
            if (not number or mark.startswith(f"{number}.")) and self._fields[mark] == own_fields(given):
                return self.left.pop(mark)
        raise ChangedError(f"task {number or given['input_values']} was another one when it was uploaded")

    @cached_property
    def _fields(self) -> dict[str, dict[str, Any]]:
        return {task.mark: own_fields(json.loads(task.body)) for task in self._piece.tasks}


def _task_id(operation: Operation, step: Mapping[str, Any]) -> str:
    output = step.get("output")
    if not isinstance(output, dict) or not output.get("task_id"):
        raise TolokaError(f"The log of operation {operation.id} has a created task without an id")
    return str(output["task_id"])


def _invalid(number: int, output: Any) -> Iterator[Invalid]:
    """Iterate over the fields in the output of a step: a map of fields, or an error with that map as its payload."""
    output = output if isinstance(output, dict) else {}
    fields = output.get("payload", output)
    if not fields or not isinstance(fields, dict) or not all(isinstance(problem, dict) for problem in fields.values()):
        fields = {"": output}
    for name, problem in fields.items():
        yield Invalid(number, name, problem.get("code"), str(problem.get("message") or ""))


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
