"""Files of rows, written in parts so that a writer that was killed resumes where it stopped."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from threading import Lock
from typing import IO, TYPE_CHECKING, NamedTuple

from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.paths import check_rows_name
from toloka_airflow.storage.replacing import OBJECT_STORES, StoragePath, check_replaceable, path_errors, replacing

if TYPE_CHECKING:
    from toloka_airflow.storage.row_writers import RowWriter

PART_BYTES = 8 * 1024 * 1024
BLOCK_ROWS, BLOCK_BYTES = 32, 256 * 1024
"""How many rows to write, and bytes to read, at once: more memory at a time than the page of a list is never taken."""
GZIP_LEVEL = 3
"""Half the time that the default level takes, for a tenth more bytes."""


@dataclass(frozen=True)
class _Part:
    """A complete part of a range: its rows behind the position ``after``, up to ``cursor``; it ended at ``end``."""

    began: float
    data: str
    size: int
    after: str | None
    cursor: str | None
    counts: dict[str, int]
    end: str | None = None
    split_off: tuple[_SplitOff, ...] = ()
    """What of the range behind the cursor has become ranges of their own since the part before."""


class _SplitOff(NamedTuple):
    name: str
    after: str
    end: str | None


class RowRange:
    """
    A stretch of a file, written by one thread at a time: what is behind a position, up to the end.

    :param file: The file.
    :param name: Distinguishes its parts from those of other ranges.
    :param after: The position behind which it begins; ``None`` is the beginning of the file.
    :param end: The last position that is in it; ``None`` for all that come.
    :param split_from: The range whose parts say that there is this one.
    """

    def __init__(
        self,
        file: RowFile,
        name: str = "",
        after: str | None = None,
        end: str | None = None,
        *,
        split_from: RowRange | None = None,
    ) -> None:
        self._file, self._name, self._split_from = file, name, split_from
        self.cursor, self.end = after, end
        self.following: list[RowRange] = []
        self.parts: list[_Part] = []
        self.size, self._rows, self._counts = 0, list[bytes](), Counter[str]()
        self._split_off: list[_SplitOff] = []
        self._put_up_to: tuple[str | None, str | None] = after, end
        self._lock = Lock()

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        """
        Add rows, all or none.

        :param lines: Rows without line ends.
        :param cursor: After what to resume, should the writer be killed later.
        :param counts: Numbers to be added up, such as how many rows these are.
        """
        rows = list(lines)
        with self._lock:
            self._rows += rows
            self.size += sum(map(len, rows)) + len(rows)
            self.cursor = cursor
            self._counts.update(counts)
        self._file.has_grown(counts)

    def split(self, positions: Sequence[str]) -> list[RowRange]:
        """
        Let the range end at the first of some positions, and return the ranges from each to the next.

        :param positions: In order; all of them behind whatever is appended to this range from now on.
        """
        ends = [*positions[1:], self.end]
        with self._lock:
            new = [_SplitOff(f"{uuid.uuid4().hex[:8]}-", *each) for each in zip(positions, ends, strict=True)]
            self._split_off[:0] = new
            return self._follow(new)

    def put_part(self) -> None:
        """Write what is in memory as a part; before it, that of the range that this one was split from."""
        if self._split_from is not None and self._split_from.is_to_put(self._name):
            self._split_from.put_part()
        with self._lock:
            after, end = self._put_up_to
            if self.cursor == after and not self._split_off:
                return  # another thread was faster
            data = f"{self._name}{len(self.parts):06}-{uuid.uuid4().hex[:8]}"
            part = _Part(
                began=self._file.began,
                data=data,
                size=self._file.write(self._rows, data),
                after=after,
                cursor=self.cursor,
                counts=dict(self._counts),
                end=end,
                split_off=tuple(self._split_off),
            )
            self._file.describe(part, self._description(len(self.parts)))
            self.parts.append(part)
            self._put_up_to = self.cursor, self.end
            self.size, self._rows, self._counts, self._split_off = 0, [], Counter(), []

    def load(self) -> None:
        """Find the parts that are there, and the ranges that were split off with theirs."""
        while part := self._file.read_part(self._description(len(self.parts))):
            # Another attempt that was still alive may have left a part that does not follow ours.
            if (part.after, part.end) != (self.cursor, self.end):
                break
            self.parts.append(part)
            self._file.counts.update(part.counts)
            self.cursor = part.cursor
            if part.split_off:
                self._follow(part.split_off)
            self._put_up_to = self.cursor, self.end
        for each in self.following:
            each.load()

    def ranges(self) -> Iterator[RowRange]:
        """Iterate over this range and those that were split off, in the order of their rows."""
        yield self
        for each in self.following:
            yield from each.ranges()

    def contents(self) -> Iterator[bytes]:
        """Iterate over the bytes of the range, as they are stored."""
        for part in self.parts:
            yield from self._file.read(part)
        if self._rows:
            yield from self._file.packed(self._rows)

    def is_to_put(self, name: str) -> bool:
        """Return whether no part says yet that there is a range of this name."""
        return any(each.name == name for each in self._split_off)

    def _follow(self, split_off: Sequence[_SplitOff]) -> list[RowRange]:
        new = [RowRange(self._file, *each, split_from=self) for each in split_off]
        # What is split off later is nearer: it is behind the rows that are there, and before the end.
        self.following[:0] = new
        self.end = new[0].cursor
        return new

    def _description(self, number: int) -> str:
        return f"{self._name}{number:06}.json"


class RowFile:
    """
    Write rows to a file that appears when it is finished, and survive being killed at any moment.

    Rows are kept in a folder beside the target, ``<path>.<key>.parts``, until they are joined. Parts are neither
    appended to nor renamed, as object stores can do neither. A part counts once the small file that describes it is
    there; whatever else a killed writer left behind is ignored.

    Rows are in the order of positions, such as ids, which only the writer can compare. A file that several threads
    write is split into ranges: a part of a range says what else was split off from it, so every position is in one
    range at any time, and whoever follows the parts from the first one on finds each range with its rows, or the place
    to resume at. What is in memory is limited for all ranges together.

    :param path: The file; gzip if its name ends with ``.gz``. One that is there is replaced at the end.
    :param key: Distinguishes the writer's parts from those of others; the same in every attempt.
    :param part_bytes: Bytes of rows to keep in memory; with 0, every page is a part.
    :param max_age: Seconds since its first part was put, by the writer's clock, after which a file is begun anew.
    :param is_converted: Whether the file is to be in another format than JSON Lines, by the writer that `finish` gets.
    :param name: The argument that gives the path, to name in errors.
    :raises ValueError: If the path's name is that of another format, it is a folder, it cannot be written to, or the
        store cannot put a file in its place as a whole.
    """

    def __init__(
        self,
        path: StoragePath,
        *,
        key: str,
        part_bytes: int = PART_BYTES,
        max_age: float = float("inf"),
        is_converted: bool = False,
        name: str = "path",
    ) -> None:
        self._path, self._target, self._name = path, path.path, name
        self._is_converted = is_converted
        if not is_converted:
            check_rows_name(name, path)
        check_replaceable(path, name=name)
        self._fs = path.fs
        if path.protocol not in OBJECT_STORES and self._fs.isdir(self._target):
            raise ValueError(f"{name} is {str(path)!r}, which is a folder; name a file")
        self._folder = f"{self._target}.{key}.parts"
        self._part_bytes = part_bytes
        self._lock = Lock()
        self._root, self.counts = RowRange(self), Counter[str]()
        self._root.load()
        if self._root.parts and time.time() - self.began > max_age:
            self.discard()

    @property
    def cursor(self) -> str | None:
        """After what to resume a file that is not split."""
        return self._root.cursor

    @property
    def ranges(self) -> list[RowRange]:
        """The ranges that the file is split into, in order; one, if it is not."""
        return list(self._root.ranges())

    @property
    def began(self) -> float:
        """When the first part was put, or now."""
        return self._root.parts[0].began if self._root.parts else time.time()

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        """Add rows to a file that is not split; see `RowRange.append`."""
        self._root.append(lines, cursor=cursor, counts=counts)

    def put_parts(self) -> None:
        """Write what is in memory as parts, so that an attempt that ends here loses nothing."""
        for each in self.ranges:
            each.put_part()

    def discard(self) -> None:
        """Remove the parts and begin anew."""
        with suppress(FileNotFoundError):
            self._fs.rm(self._folder, recursive=True)
        self._root, self.counts = RowRange(self), Counter()

    def finish(self, open_writer: Callable[[IO[bytes]], RowWriter] | None = None) -> dict[str, int]:
        """
        Put the file in its place, remove the parts, and return the counts.

        :param open_writer: Returns what writes the rows to an open file, if they are to be converted.
        """
        self._ensure_all_are_there()
        # A name of its own, as another attempt may still be alive.
        with replacing(self._path, f"{self._folder}/joined-{uuid.uuid4().hex[:8]}", name=self._name) as file:
            if open_writer is None:
                self._join(file)
            else:
                with open_writer(file) as writer:
                    self._join(writer)
        report_written(self._path)
        counts = dict(self.counts)
        # In any order: parts that are left by a kill are either a beginning of the file or no part of it.
        self.discard()
        return counts

    # What the ranges need

    def has_grown(self, counts: Mapping[str, int]) -> None:
        """Count what was added, and put the largest part that can be put if there is too much in memory."""
        with self._lock:
            self.counts.update(counts)
            ranges = self.ranges
        if sum(each.size for each in ranges) >= self._part_bytes:
            max(ranges, key=lambda each: each.size).put_part()

    def read_part(self, description: str) -> _Part | None:
        """Return a part, if it is complete."""
        try:
            said = json.loads(self._fs.cat_file(f"{self._folder}/{description}"))
            part = _Part(**{**said, "split_off": tuple(_SplitOff(*each) for each in said.get("split_off", ()))})
            return part if self._fs.size(f"{self._folder}/{part.data}") == part.size else None
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return None  # not there, half written, or by another version

    def write(self, rows: Sequence[bytes], data: str) -> int:
        """Write the rows of a part, and return how many bytes they are as they are stored."""
        size = 0
        with path_errors(self._path, self._name):
            if self._path.protocol not in OBJECT_STORES:
                self._fs.makedirs(self._folder, exist_ok=True)
            with self._fs.open(f"{self._folder}/{data}", "wb") as file:
                for content in self.packed(rows):
                    file.write(content)
                    size += len(content)
        return size

    def describe(self, part: _Part, description: str) -> None:
        """Write what a part is; it is there once this is."""
        with path_errors(self._path, self._name):
            self._fs.pipe_file(f"{self._folder}/{description}", json.dumps(asdict(part)).encode())

    def read(self, part: _Part) -> Iterator[bytes]:
        """Iterate over the bytes of a part, some lines at a time."""
        start = b""
        with self._fs.open(f"{self._folder}/{part.data}", "rb") as file:
            while block := file.read(BLOCK_BYTES):
                if end := block.rfind(b"\n") + 1:
                    yield start + block[:end]
                    start = block[end:]
                else:
                    start += block
        if start:
            yield start

    def packed(self, rows: Sequence[bytes]) -> Iterator[bytes]:
        """Iterate over rows as they are stored, some of them at a time."""
        blocks = (rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS))
        lines = (b"".join([part for row in block for part in (row, b"\n")]) for block in blocks)
        if self._is_converted or not self._target.lower().endswith(".gz"):
            yield from lines
            return
        import gzip

        yield gzip.compress(b"".join(lines), GZIP_LEVEL, mtime=0)

    def _ensure_all_are_there(self) -> None:
        """Find out before a file is touched: another attempt may have finished it, and removed the parts."""
        for part in (part for each in self.ranges for part in each.parts):
            if not self._fs.exists(f"{self._folder}/{part.data}"):
                raise FileNotFoundError(
                    f"{self._folder}/{part.data} is gone: another attempt has finished {self._target}, or begun it anew"
                )

    def _join(self, file: IO[bytes] | RowWriter) -> None:
        contents = chain.from_iterable(each.contents() for each in self.ranges)
        # An empty file of gzip is not a file without bytes.
        for content in chain([first] if (first := next(contents, None)) is not None else self.packed([]), contents):
            file.write(content)
