"""
Uploads of any size, each task created exactly once.

Tasks are sent in pieces. A piece has an operation id that follows from who uploads what, so it cannot be created
twice, and whoever comes later finds what became of it. An operation that failed has created nothing and its id is
used up; the next generation of the same piece has another.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaOperationError
from toloka_airflow.api.models import Operation, OperationStatus

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_BYTES = 1_048_576
"""Bytes of input values in one request; here of whole tasks, which are always more."""

_MARK = "__item_idx"
"""Comes back in the operation's log, as the API keeps keys that it does not know; the official client's name for it."""


class ChangedError(TolokaError):
    """Report that what was uploaded earlier is not what is to be uploaded now."""


class Invalid(NamedTuple):
    """Something that the API found wrong with a task."""

    number: int
    field: str
    code: str | None
    message: str


@dataclass
class Piece:
    """
    Tasks that are sent in one request.

    :param chunk: Which chunk of the source it belongs to.
    :param part: Which part of that, if it was too large for one request.
    :param checksum: Of all tasks up to here, to notice a source that changed.
    """

    chunk: int
    part: int
    checksum: int = 0
    first: int = 0
    last: int = 0
    bodies: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, number: int, body: bytes) -> None:
        """Add a task."""
        self.first, self.last = self.first or number, number
        self.bodies.append(body)
        self.size += len(body) + 1
        self.checksum = zlib.crc32(body, self.checksum)

    @property
    def cursor(self) -> str:
        """How far into the source this piece reaches."""
        return f"{self.chunk}.{self.part}.{self.checksum:08x}"

    @property
    def body(self) -> bytes:
        """The JSON list of the tasks."""
        return b"[%b]" % b",".join(self.bodies)


def encoded(number: int, task: Mapping[str, Any], pool_id: str, text: bytes | None = None) -> bytes:
    """
    Return a task as JSON, with its pool and its number.

    :param text: The JSON object that it was read from; used as it is if nothing in it is to be replaced.
    :raises ValueError: If it belongs to another pool, is too large, or is not JSON.
    """
    given = task.get("pool_id")
    if given is not None and str(given) != pool_id:
        raise ValueError(f"pool_id is {given!r}, but the tasks are for {pool_id}; leave it out")
    if text is None or "pool_id" in task or _MARK in task:
        text = _dumped({**task, "pool_id": pool_id, _MARK: str(number)})
    else:
        # Not dumped again: that would take as long as all the rest.
        text = f'{{"pool_id":"{pool_id}","{_MARK}":"{number}",'.encode() + text[1:]
    if len(text) > MAX_BYTES:
        _check_size(task["input_values"])
    return text


def _dumped(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(f"it cannot be written as JSON: {exc}") from exc


def _check_size(values: Mapping[str, Any]) -> None:
    sizes = {name: len(_dumped(value)) for name, value in values.items()}
    if len(_dumped(values)) > MAX_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ValueError(
            f"the input values are too large: the API takes {MAX_BYTES} bytes, "
            f"and input_values.{largest} alone has {sizes[largest]}"
        )


def pieces(tasks: Iterable[tuple[int, bytes]], chunk_size: int) -> Iterator[Piece]:
    """
    Cut numbered tasks into pieces.

    Chunks are counted, so that a repaired task changes no other chunk than its own; a chunk with too many bytes
    for one request is cut into parts.
    """
    piece = Piece(0, 0)
    for position, (number, body) in enumerate(tasks):
        chunk = position // chunk_size
        is_full = bool(piece.bodies) and piece.size + len(body) > MAX_BYTES
        if chunk != piece.chunk or is_full:
            yield piece
            part = 0 if chunk != piece.chunk else piece.part + 1
            piece = Piece(chunk, part, piece.checksum)
        piece.add(number, body)
    if piece.bodies:
        yield piece


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

    def send(self, client: TolokaClient, piece: Piece) -> Operation:
        """Return the operation that creates a piece: one that is there already, or a new one."""
        generation, operation = self._latest(client, piece)
        if operation is not None:
            if not _created_nothing(client, operation):
                return operation
            generation += 1
        operation_id = self._id(piece, generation)
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
        _, operation = self._latest(client, piece)
        if operation is not None and operation.is_done and not _created_nothing(client, operation):
            self.outcome(client, piece, operation)

    def check_end(self, client: TolokaClient, last: Piece) -> None:
        """
        Make sure that nothing was uploaded earlier that came behind what is the last piece now.

        :raises ChangedError: If something was.
        """
        for piece in (Piece(last.chunk, last.part + 1), Piece(last.chunk + 1, 0)):
            _, operation = self._latest(client, piece)
            if operation is not None and not _created_nothing(client, operation):
                raise ChangedError(f"operation {operation.id} created tasks that come behind these")

    def find(self, client: TolokaClient, piece: Piece) -> Operation:
        """
        Return the operation of a piece that was sent.

        :raises ChangedError: If there is none.
        """
        _, operation = self._latest(client, piece)
        if operation is None:
            raise ChangedError("there is no operation for these tasks")
        return operation

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
            raise ChangedError(f"operation {operation.id} does not tell what became of task {next(iter(unread.left))}")
        return Outcome(sorted(created), sorted(invalid), not_valid)

    def _latest(self, client: TolokaClient, piece: Piece) -> tuple[int, Operation | None]:
        """Return the operation of the last generation that there is, and its number."""
        latest = None
        for generation in count():
            operation = client.find_operation(self._id(piece, generation))
            if operation is None:
                return max(0, generation - 1), latest
            if operation.status != OperationStatus.FAIL:
                return generation, operation
            latest = operation
        raise AssertionError("unreachable")

    def _id(self, piece: Piece, generation: int) -> str:
        return self.operation_id(piece.chunk, piece.part, generation)


class _Unread:
    """The tasks of a piece that the log has not told about yet."""

    def __init__(self, piece: Piece) -> None:
        self.left = {task[_MARK]: task["input_values"] for task in json.loads(piece.body)}

    def take(self, step: Mapping[str, Any]) -> int | None:
        """
        Return the number of the task that a step is about; ``None`` if it is about something else.

        :raises ChangedError: If it is about a task that is not in the piece.
        """
        given = step.get("input")
        if not isinstance(given, dict) or "input_values" not in given:
            return None
        mark = str(given[_MARK]) if _MARK in given else self._equal(given["input_values"])
        if self.left.pop(mark, None) != given["input_values"]:
            raise ChangedError(f"task {mark} was another one when it was uploaded")
        return int(mark)

    def _equal(self, values: Any) -> str:
        return next((mark for mark, other in self.left.items() if other == values), "without number")


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
