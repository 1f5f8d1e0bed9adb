"""
Tasks as they are sent, cut into batches of the size of a request.

Where a batch begins must stay so when tasks before it are repaired, or a task could get into two of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from toloka_airflow.api.models import Operation

MAX_BYTES = 1_048_576
"""Bytes of input values in one request; here of tasks with all their fields, which are always more."""

MARK = "__item_idx"
"""Comes back in the operation's log, as the API keeps keys that it does not know; the official client's name for it."""

BatchKey = tuple[int, int, int]
"""
Of a batch: which chunk of the source; which part of it, if it was too large for one request; and which part of that,
if it became too large when it was repaired.
"""

FindPrevious = Callable[[BatchKey], "PreviousUpload"]
"""Returns what was sent as a batch before."""


class EncodedTask(NamedTuple):
    """
    A task as it is sent.

    :param mark: Its number and a checksum of its fields; it comes back in the log.
    """

    number: int
    mark: str
    body: bytes


@dataclass(frozen=True)
class PreviousUpload:
    """
    What was sent as a batch before.

    :param operation: The last operation; ``None`` if there was none.
    :param generation: How many operations created nothing.
    :param size: How many tasks the last operation had, if it says so. The batch ends there, whatever the length of its
        tasks or the next one is since they were repaired.
    :param first_size: How many tasks the first had of those that created nothing. If they became too large for one
        request, the rest is sent under keys of their own before the next part.
    """

    operation: Operation | None = None
    generation: int = 0
    size: int | None = None
    first_size: int | None = None
    created_nothing: bool = True

    @property
    def kept(self) -> Operation | None:
        """The operation that is not to be repeated, if there is one."""
        return None if self.created_nothing else self.operation

    @property
    def unfinished(self) -> Operation | None:
        """The operation whose end decides which tasks the batch has, if it is not done."""
        return None if self.operation is None or self.operation.is_done else self.operation


@dataclass
class Batch:
    """
    Tasks that are sent in one request.

    :param checksum: Of all tasks up to here, to notice a source that changed.
    :param max_tasks: How many tasks it may have, if it has a limit.
    :param ends_chunk: Whether the next batch is of another chunk.
    :param size: Bytes of its tasks.
    """

    key: BatchKey
    checksum: int = 0
    previous: PreviousUpload = field(default_factory=PreviousUpload)
    max_tasks: int | None = None
    ends_chunk: bool = False
    tasks: list[EncodedTask] = field(default_factory=list)
    size: int = 0

    def add(self, task: EncodedTask) -> None:
        """Add a task."""
        self.tasks.append(task)
        self.size += len(task.body) + 1
        self.checksum = zlib.crc32(task.body, self.checksum)

    def is_full(self, task: EncodedTask, find_previous: FindPrevious) -> bool:
        """Return whether another task of the chunk belongs into the next batch."""
        count = len(self.tasks)
        if count == self.max_tasks or (count and self.size + len(task.body) > MAX_BYTES):
            return True
        if count != self.previous.size:
            return False
        # It would fit, but it did not before if there is something behind.
        return self.previous.created_nothing or find_previous(self.next_key).operation is not None

    @property
    def remaining(self) -> int:
        """How many tasks must be sent after this batch before the next part begins."""
        return self.max_tasks - len(self.tasks) if self.max_tasks else 0

    @property
    def next_key(self) -> BatchKey:
        """The key of the next batch of the chunk."""
        chunk, part, overflow = self.key
        return (chunk, part, overflow + 1) if self.remaining else (chunk, part + 1, 0)

    @property
    def cursor(self) -> str:
        """How far into the source this batch reaches."""
        return ".".join([*map(str, self.key), f"{self.checksum:08x}"])

    @property
    def body(self) -> bytes:
        """The JSON list of the tasks."""
        return b"[%b]" % b",".join(task.body for task in self.tasks)


def encode_task(number: int, task: Mapping[str, Any], pool_id: str, text: bytes | None = None) -> EncodedTask:
    """
    Return a task as JSON, with its pool and its number.

    :param text: The JSON object that it was read from; used as it is if nothing in it is to be replaced.
    :raises ValueError: If it belongs to another pool, is too large, or is not JSON.
    """
    given = task.get("pool_id")
    if given is not None and str(given) != pool_id:
        raise ValueError(f"pool_id is {given!r}, but the tasks are for {pool_id}; leave it out")
    if text is None or "pool_id" in task or MARK in task:
        text = _dumped(own_fields(task))
    mark = f"{number}.{zlib.crc32(text):08x}"
    # Not dumped again: that would take as long as all the rest.
    body = f'{{"pool_id":"{pool_id}","{MARK}":"{mark}",'.encode() + text[1:]
    if len(body) > MAX_BYTES:
        _check_size(task["input_values"])
    return EncodedTask(number, mark, body)


def own_fields(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a task has in its source, without those that are added to send it."""
    return {name: value for name, value in task.items() if name not in ("pool_id", MARK)}


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""
Not by msgspec: it writes sets, bytes and dates as something, and NaN as null, where this refuses them. And the checksum
of a task with a float, by which the next attempt knows it again, would not survive an upgrade.
"""


def _dumped(value: Any) -> bytes:
    try:
        return _encode(value).encode()
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


def find_nothing(key: BatchKey) -> PreviousUpload:
    """Return that nothing was sent as a batch before, whichever it is."""
    return PreviousUpload()


def split_into_batches(
    tasks: Iterable[EncodedTask], chunk_size: int, find_previous: FindPrevious = find_nothing
) -> Iterator[Batch | Operation]:
    """
    Cut tasks into batches.

    Chunks are counted, so that a repaired task changes no other chunk than its own; a chunk with too many bytes
    for one request is cut into parts.

    Of an operation that still runs nobody knows yet which tasks it creates. It comes instead of a batch, as often as
    the iteration is continued, until it is done.

    :param find_previous: It is called for each batch when that begins.
    """
    batch: Batch | None = None
    for position, task in enumerate(tasks):
        chunk = position // chunk_size
        if batch is None:
            batch = yield from _new_batch((chunk, 0, 0), find_previous)
        elif chunk != batch.key[0]:
            batch.ends_chunk = True
            yield batch
            batch = yield from _new_batch((chunk, 0, 0), find_previous, batch.checksum)
        elif batch.is_full(task, find_previous):
            yield batch
            batch = yield from _new_batch(batch.next_key, find_previous, batch.checksum, batch.remaining)
        batch.add(task)
    if batch is not None:
        batch.ends_chunk = True
        yield batch


def _new_batch(
    key: BatchKey, find_previous: FindPrevious, checksum: int = 0, remaining: int = 0
) -> Generator[Operation, None, Batch]:
    while (unfinished := (previous := find_previous(key)).unfinished) is not None:
        yield unfinished
    return Batch(key, checksum, previous, remaining or previous.first_size)
