"""
Tasks as they are sent, cut into pieces of the size of a request.

Where a piece begins must stay so when tasks before it are repaired, or a task could get into two of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from toloka_airflow.api.models import Operation

MAX_BYTES = 1_048_576
"""Bytes of input values in one request; here of whole tasks, which are always more."""

MARK = "__item_idx"
"""Comes back in the operation's log, as the API keeps keys that it does not know; the official client's name for it."""

Place = tuple[int, int, int]
"""
Of a piece: which chunk of the source; which part of it, if it was too large for one request; and which part of that,
if it became too large when it was repaired.
"""


Look = Callable[[Place], "Earlier"]


class EncodedTask(NamedTuple):
    """
    A task as it is sent.

    :param mark: Its number and a checksum of what it says; it comes back in the log.
    """

    number: int
    mark: str
    body: bytes


@dataclass(frozen=True)
class Earlier:
    """
    What was sent as a piece before.

    :param operation: The last operation; ``None`` if there was none.
    :param generation: How many operations created nothing.
    :param size: How many tasks the last operation had, if it says so. The piece ends there, whatever the length of its
        tasks or the next one is since they were repaired.
    :param reach: How many tasks the first had of those that created nothing. If they became too large for one request,
        the rest is sent as places of their own before the next part.
    """

    operation: Operation | None = None
    generation: int = 0
    size: int | None = None
    reach: int | None = None
    created_nothing: bool = True

    @property
    def kept(self) -> Operation | None:
        """The operation that is not to be repeated, if there is one."""
        return None if self.created_nothing else self.operation


@dataclass
class Piece:
    """
    Tasks that are sent in one request.

    :param checksum: Of all tasks up to here, to notice a source that changed.
    :param reach: How many tasks it may have, if it has a limit.
    :param ends_chunk: Whether the next piece is of another chunk.
    """

    place: Place
    checksum: int = 0
    earlier: Earlier = field(default_factory=Earlier)
    reach: int | None = None
    ends_chunk: bool = False
    tasks: list[EncodedTask] = field(default_factory=list)
    size: int = 0

    def add(self, task: EncodedTask) -> None:
        """Add a task."""
        self.tasks.append(task)
        self.size += len(task.body) + 1
        self.checksum = zlib.crc32(task.body, self.checksum)

    def is_full(self, task: EncodedTask, look: Look) -> bool:
        """Return whether another task of the chunk belongs into the next piece."""
        count = len(self.tasks)
        if count == self.reach or (count and self.size + len(task.body) > MAX_BYTES):
            return True
        if count != self.earlier.size:
            return False
        # It would fit, but it did not before if there is something behind.
        return self.earlier.created_nothing or look(self.behind).operation is not None

    @property
    def left(self) -> int:
        """How many tasks must be sent before the next part, behind this piece."""
        return self.reach - len(self.tasks) if self.reach else 0

    @property
    def behind(self) -> Place:
        """The place of the next piece of the chunk."""
        chunk, part, overflow = self.place
        return (chunk, part, overflow + 1) if self.left else (chunk, part + 1, 0)

    @property
    def cursor(self) -> str:
        """How far into the source this piece reaches."""
        return ".".join([*map(str, self.place), f"{self.checksum:08x}"])

    @property
    def body(self) -> bytes:
        """The JSON list of the tasks."""
        return b"[%b]" % b",".join(task.body for task in self.tasks)


def encoded(number: int, task: Mapping[str, Any], pool_id: str, text: bytes | None = None) -> EncodedTask:
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
    """Return what a task says itself, without what is added to send it."""
    return {name: value for name, value in task.items() if name not in ("pool_id", MARK)}


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


def pieces(tasks: Iterable[EncodedTask], chunk_size: int, look: Look = lambda place: Earlier()) -> Iterator[Piece]:
    """
    Cut tasks into pieces.

    Chunks are counted, so that a repaired task changes no other chunk than its own; a chunk with too many bytes
    for one request is cut into parts.

    :param look: Tells what was sent at a place before; by default, nothing was.
    """
    piece: Piece | None = None
    for position, task in enumerate(tasks):
        chunk = position // chunk_size
        if piece is None:
            piece = _begun((chunk, 0, 0), look)
        elif chunk != piece.place[0]:
            piece.ends_chunk = True
            yield piece
            piece = _begun((chunk, 0, 0), look, piece.checksum)
        elif piece.is_full(task, look):
            yield piece
            piece = _begun(piece.behind, look, piece.checksum, piece.left)
        piece.add(task)
    if piece is not None:
        piece.ends_chunk = True
        yield piece


def _begun(place: Place, look: Look, checksum: int = 0, left: int = 0) -> Piece:
    earlier = look(place)
    return Piece(place, checksum, earlier, left or earlier.reach)
