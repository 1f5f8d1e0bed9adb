"""What a file of rows that are no JSON Lines is written by, once all its rows are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

_BLOCK_BYTES = 1024 * 1024


class RowWriter:
    """Writes rows in a format of its own to an open file, which is complete but not closed at the end of the block."""

    def __init__(self) -> None:
        self._rows = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        is_complete = False
        try:
            if kind is None:
                self._write_blocks(bytes(self._rows))
                self.close()
                is_complete = True
        finally:
            if not is_complete:
                self.abandon()

    def write(self, rows: bytes) -> None:
        """Write some rows, given as JSON Lines, with those that were too few before."""
        if len(self._rows) + len(rows) < _BLOCK_BYTES:
            self._rows += rows
            return
        before, self._rows = bytes(self._rows), bytearray()
        self._write_blocks(before)
        self._write_blocks(rows)

    def _write_blocks(self, rows: bytes) -> None:
        for lines in line_blocks(rows):
            self.write_lines(lines)

    def write_lines(self, lines: list[bytes]) -> None:
        """Write some rows, each of which is JSON."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what ends the file."""

    def abandon(self) -> None:
        """Leave the file as it is, as an error ended it."""


def line_blocks(rows: bytes) -> Iterator[list[bytes]]:
    """Iterate over lines, some of them at a time, so that what is made of them takes little memory."""
    start = 0
    while start < len(rows):
        end = rows.find(b"\n", start + _BLOCK_BYTES)
        end = len(rows) if end < 0 else end + 1
        yield [line for line in rows[start:end].split(b"\n") if line]
        start = end
