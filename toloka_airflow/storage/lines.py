"""Files of lines, read as a stream."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.paths import NO_SUCH_FILE

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_BLOCK = 256 * 1024


def read_lines(name: str, path: ObjectStoragePath, *, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """
    Iterate over the lines of a file with their numbers, from 1; never much more than one is in memory.

    :param name: The argument to name in an error.
    :param path: The file; gzip if its name ends with ``.gz``.
    :param max_bytes: How long a line may be.
    :raises ValueError: If there is no such file, it is damaged, or a line is longer.
    """
    compression = "gzip" if path.path.lower().endswith(".gz") else None
    try:
        file = path.fs.open(path.path, "rb", compression=compression)
    except (FileNotFoundError, IsADirectoryError):
        raise ValueError(f"{name} is {str(path)!r}, {NO_SUCH_FILE}") from None
    report_read(path)
    with file if compression else buffered(file) as lines:
        for number in count(1):
            where = f"{name}: {path}, line {number}"
            try:
                line = lines.readline(max_bytes + 1)
            except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
                raise ValueError(f"{where}: the compressed file breaks off or is damaged: {exc}") from None
            if not line:
                return
            if len(line) > max_bytes:
                raise ValueError(f"{where}: it is longer than {max_bytes} bytes")
            yield number, line


def buffered(file: Any) -> io.BufferedReader:
    """Return an open file with a buffer around it."""
    return io.BufferedReader(_Unbuffered(file), _BLOCK)


def not_utf8(exc: UnicodeDecodeError) -> str:
    """Return what is wrong with a text that cannot be read."""
    return (
        f"it is not UTF-8: byte {exc.start + 1} is {exc.object[exc.start]:#04x}. Save the file as UTF-8; in Excel that "
        "is CSV UTF-8, while Unicode Text is UTF-16"
    )


class _Unbuffered(io.RawIOBase):
    """A file to put a buffer around: that of sshfs has none, and requests every byte of a line from its server."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        super().close()
        self._file.close()
