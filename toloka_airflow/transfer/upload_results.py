"""What became of uploaded tasks: the list of their ids, and the report of those that were refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.uploads import ChangedError, Invalid, Outcome, Piece
from toloka_airflow.storage.row_files import RowFile

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PART_BYTES = 1024 * 1024
KEPT = 100
"""Refused fields to remember for the error message."""


class UploadResults:
    """
    Write both files, and go on behind what an earlier attempt wrote.

    :param ids_path: Where to write ids; nowhere if ``None``.
    :param invalid_path: Where to write what was refused; nowhere if ``None``.
    :param key: Tells this task's parts of files from those of others.
    :param stops_at_invalid: Whether ids behind a refused task are not wanted, because it is to be sent again.
    """

    def __init__(self, ids_path: str | None, invalid_path: str | None, *, key: str, stops_at_invalid: bool) -> None:
        self.ids_path, self.invalid_path = ids_path, invalid_path
        self._ids, self._invalid = _file(ids_path, key), _file(invalid_path, key)
        self._ids_reach, self._invalid_reach = _Reach(self._ids.cursor), _Reach(self._invalid.cursor)
        self.counts = Counter(self._ids.counts)
        self._had_invalid = bool(self._ids.counts.get("invalid"))
        self._stops_at_invalid = stops_at_invalid
        self._kept: list[Invalid] = []

    def has(self, piece: Piece) -> bool:
        """
        Return whether an earlier attempt wrote down all about a piece.

        :raises ChangedError: If what it wrote was about other tasks.
        """
        # If no task was refused so far, there is nothing that the report could lack.
        return self._ids_reach.covers(piece) and (not self._had_invalid or self._invalid_reach.covers(piece))

    def add(self, piece: Piece, outcome: Outcome | None) -> None:
        """Write down what became of a piece, as far as it is not there."""
        if outcome is None:
            return
        counts = {"created": len(outcome.created), "invalid": outcome.not_valid}
        if not self._invalid_reach.covers(piece):
            self._invalid.append(map(_invalid_line, outcome.invalid), cursor=piece.cursor, counts={})
            self._kept += outcome.invalid[: KEPT - len(self._kept)]
        if self._ids_reach.covers(piece):
            return
        self.counts.update(counts)
        if not (self._stops_at_invalid and self.counts["invalid"]):
            self._ids.append(map(_id_line, outcome.created), cursor=piece.cursor, counts=counts)

    def examples(self, limit: int) -> Iterable[str]:
        """Iterate over the first refused fields, for people."""
        for line in islice(self._kept, limit):
            yield f"{line.number}: {line.field} {line.code or ''} {line.message}".strip()

    @property
    def report_text(self) -> str:
        """Where to read about all refused tasks."""
        return f"All of them are in {self.invalid_path}." if self.invalid_path else ""

    def finish_report(self) -> None:
        """Put the report in its place; without refused tasks, there is none."""
        if self.counts["invalid"]:
            self._invalid.finish()
        elif self.invalid_path:
            storage_path(self.invalid_path).unlink(missing_ok=True)

    def finish_ids(self) -> None:
        """Put the list of ids in its place."""
        self._ids.finish()


class _Reach:
    """How far into the source a file reaches."""

    def __init__(self, cursor: str | None) -> None:
        chunk, part, self._checksum = cursor.split(".") if cursor else ("-1", "0", "")
        self._end = int(chunk), int(part)

    def covers(self, piece: Piece) -> bool:
        here = piece.chunk, piece.part
        if here == self._end and piece.cursor.rpartition(".")[2] != self._checksum:
            raise ChangedError("these tasks, or some before them, were others when their ids were written down")
        return here <= self._end


class _NoFile:
    """A file that nobody wants."""

    cursor: str | None = None
    counts: Mapping[str, int] = {}

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        pass

    def finish(self) -> dict[str, int]:
        return {}


def storage_path(path: str) -> ObjectStoragePath:
    """Return the path of an object storage."""
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(path)


def _file(path: str | None, key: str) -> Any:
    return RowFile(storage_path(path), key=key, part_bytes=PART_BYTES) if path else _NoFile()


def _id_line(created: tuple[int, str]) -> bytes:
    return b'{"line": %d, "task_id": %b}' % (created[0], json.dumps(created[1]).encode())


def _invalid_line(line: Invalid) -> bytes:
    fields = {"line": line.number, "field": line.field, "code": line.code, "message": line.message}
    return json.dumps(fields, ensure_ascii=False).encode()
