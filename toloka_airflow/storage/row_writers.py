"""What a file of rows that are no JSON Lines is written by, once all its rows are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

_BLOCK_BYTES = 1024 * 1024


class RowWriter(Protocol):
    """Writes rows to a file in a format of its own. It does not close the file, and is not closed after an error."""

    def write(self, rows: bytes) -> None:
        """Write some rows, given as JSON Lines."""

    def close(self) -> None:
        """Write what ends the file."""


def line_blocks(rows: bytes) -> Iterator[list[bytes]]:
    """Iterate over lines, some of them at a time, so that what is made of them takes little memory."""
    start = 0
    while start < len(rows):
        end = rows.find(b"\n", start + _BLOCK_BYTES)
        end = len(rows) if end < 0 else end + 1
        yield [line for line in rows[start:end].split(b"\n") if line]
        start = end
