"""Files of rows, written in parts so that a writer that was killed resumes where it stopped."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.replacing import LOCAL, OBJECT_STORES, StoragePath, check_replaceable, replacing

if TYPE_CHECKING:
    from toloka_airflow.storage.row_writers import RowWriter

PART_BYTES = 8 * 1024 * 1024
GZIP_LEVEL = 3
"""Half the time that the default level takes, for a tenth more bytes."""

_OTHER_FORMATS = (".bz2", ".xz", ".zst", ".zip", ".parquet", ".csv", ".tsv")


@dataclass(frozen=True)
class _Part:
    """A complete part; its rows are those behind the cursor ``after``, up to ``cursor``."""

    began: float
    data: str
    size: int
    after: str | None
    cursor: str
    counts: dict[str, int]


class RowFile:
    """
    Write rows to a file that appears when it is finished, and survive being killed at any moment.

    Rows are kept in a folder beside the target, ``<path>.<key>.parts``, until they are joined. Parts are neither
    appended to nor renamed, as object stores can do neither. A part counts once the small file that describes it is
    there; whatever else a killed writer left behind is ignored.

    :param path: The file; gzip if its name ends with ``.gz``. One that is there is replaced at the end.
    :param key: Distinguishes the writer's parts from those of others; the same in every attempt.
    :param part_bytes: Bytes of rows to keep in memory; with 0, every page is a part.
    :param max_age: Seconds since its first part was put, by the writer's clock, after which a file is begun anew.
    :param is_converted: Whether the file is to be in another format than JSON Lines, by the writer that `finish` gets.
    :raises ValueError: If the path's name is that of another format, it is a folder, or the store cannot put a file
        in its place as a whole.
    """

    def __init__(
        self,
        path: StoragePath,
        *,
        key: str,
        part_bytes: int = PART_BYTES,
        max_age: float = float("inf"),
        is_converted: bool = False,
    ) -> None:
        self._path, self._target = path, path.path
        self._is_converted = is_converted
        if not is_converted and self._target.lower().endswith(_OTHER_FORMATS):
            raise ValueError(f"path is {str(path)!r}; rows are JSON Lines: name the file *.jsonl or *.jsonl.gz")
        check_replaceable(path)
        self._fs = path.fs
        if path.protocol in LOCAL and self._fs.isdir(self._target):
            raise ValueError(f"path is {str(path)!r}, which is a folder; name a file")
        self._folder = f"{self._target}.{key}.parts"
        self._part_bytes = part_bytes
        self._parts = self._complete_parts()
        if self._parts and time.time() - self._parts[0].began > max_age:
            self.discard()
        self._buffer, self._buffered = bytearray(), Counter[str]()
        self.cursor: str | None = self._parts[-1].cursor if self._parts else None
        self.counts = Counter[str]()
        for part in self._parts:
            self.counts.update(part.counts)

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        """
        Add rows, all or none.

        :param lines: Rows without line ends.
        :param cursor: After what to resume, should the writer be killed later.
        :param counts: Numbers to be added up, such as how many rows these are.
        """
        rows = b"\n".join(lines)
        if rows:
            self._buffer += rows
            self._buffer += b"\n"
        self.cursor = cursor
        self._buffered.update(counts)
        self.counts.update(counts)
        if len(self._buffer) >= self._part_bytes:
            self._put_part(cursor)

    def discard(self) -> None:
        """Remove the parts and begin anew."""
        with suppress(FileNotFoundError):
            self._fs.rm(self._folder, recursive=True)
        self._parts, self._buffer, self._buffered = [], bytearray(), Counter()
        self.cursor, self.counts = None, Counter()

    def finish(self, open_writer: Callable[[IO[bytes]], RowWriter] | None = None) -> dict[str, int]:
        """
        Put the file in its place, remove the parts, and return the counts.

        :param open_writer: Returns what writes the rows to an open file, if they are to be converted.
        """
        self._ensure_all_are_there()
        # A name of its own, as another attempt may still be alive.
        with replacing(self._path, f"{self._folder}/joined-{uuid.uuid4().hex[:8]}") as file:
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

    def _complete_parts(self) -> list[_Part]:
        """Return the parts that make up the beginning of the file."""
        parts: list[_Part] = []
        while part := self._read_part(len(parts)):
            # Another attempt that was still alive may have left a part that does not follow ours.
            if part.after != (parts[-1].cursor if parts else None):
                break
            parts.append(part)
        return parts

    def _read_part(self, number: int) -> _Part | None:
        try:
            part = _Part(**json.loads(self._fs.cat_file(self._description(number))))
            return part if self._fs.size(f"{self._folder}/{part.data}") == part.size else None
        except (FileNotFoundError, ValueError, TypeError):  # not there, half written, or by another version
            return None

    def _put_part(self, cursor: str) -> None:
        content = self._packed(self._buffer)
        part = _Part(
            began=self._parts[0].began if self._parts else time.time(),
            data=f"{len(self._parts):06}-{uuid.uuid4().hex[:8]}",
            size=len(content),
            after=self._parts[-1].cursor if self._parts else None,
            cursor=cursor,
            counts=dict(self._buffered),
        )
        if self._path.protocol not in OBJECT_STORES:
            self._fs.makedirs(self._folder, exist_ok=True)
        self._fs.pipe_file(f"{self._folder}/{part.data}", content)
        self._fs.pipe_file(self._description(len(self._parts)), json.dumps(asdict(part)).encode())
        self._parts.append(part)
        self._buffer, self._buffered = bytearray(), Counter()

    def _ensure_all_are_there(self) -> None:
        """Find out before a file is touched: another attempt may have finished it, and removed the parts."""
        for part in self._parts:
            if not self._fs.exists(f"{self._folder}/{part.data}"):
                raise FileNotFoundError(f"{self._folder}/{part.data}")

    def _join(self, file: IO[bytes] | RowWriter) -> None:
        for part in self._parts:
            file.write(self._fs.cat_file(f"{self._folder}/{part.data}"))
        if self._buffer or not self._parts:
            file.write(self._packed(self._buffer))

    def _packed(self, rows: bytearray) -> bytes:
        if self._is_converted or not self._target.lower().endswith(".gz"):
            return bytes(rows)
        import gzip

        return gzip.compress(rows, GZIP_LEVEL, mtime=0)

    def _description(self, number: int) -> str:
        return f"{self._folder}/{number:06}.json"
