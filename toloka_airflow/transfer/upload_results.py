"""What became of uploaded tasks: the list of their ids, and the report of those that were refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.batch_operations import BatchResult, ChangedError, InvalidField

if TYPE_CHECKING:
    from toloka_airflow.transfer.batches import Batch

LOCAL = ("file", "local", "")
PART_BYTES = 1024 * 1024
KEPT = 100
"""Refused fields to remember for the error message."""


class UploadResults:
    """
    Write both files, and go on behind what an earlier attempt wrote.

    :param ids_path: Where to write ids; beside the source if ``None``, or nowhere if that is no file.
    :param invalid_path: Where to write what was refused; beside the ids if ``None``.
    :param source: The path of the file of tasks, if it is one.
    :param name: Goes into the names of files that are beside others.
    :param key: Tells this task's parts of files from those of others.
    :param stops_at_invalid: Whether ids behind a refused task are not wanted, because it is to be sent again.
    :raises ValueError: If a path cannot be written to.
    """

    def __init__(
        self,
        ids_path: str | None,
        invalid_path: str | None,
        *,
        source: str | None,
        name: str,
        key: str,
        stops_at_invalid: bool,
    ) -> None:
        beside = ids_path or source
        self.ids_path = ids_path or (source and f"{source}.{name}.ids.jsonl")
        self.invalid_path = invalid_path or (beside and f"{beside}.{name}.invalid.jsonl")
        _check_differ({"tasks": source, "ids_path": self.ids_path, "invalid_path": self.invalid_path})
        self._ids, self._invalid = _file("ids_path", self.ids_path, key), _file("invalid_path", self.invalid_path, key)
        self._ids_reach, self._invalid_reach = _Reach(self._ids.cursor), _Reach(self._invalid.cursor)
        self.counts = Counter(self._ids.counts)
        self._had_invalid = bool(self._ids.counts.get("invalid"))
        self._stops_at_invalid = stops_at_invalid
        self._kept: list[InvalidField] = []

    def has(self, piece: Batch) -> bool:
        """
        Return whether an earlier attempt wrote down all about a piece.

        :raises ChangedError: If what it wrote was about other tasks.
        """
        # If no task was refused so far, there is nothing that the report could lack.
        return self._ids_reach.covers(piece) and (not self._had_invalid or self._invalid_reach.covers(piece))

    def add(self, piece: Batch, outcome: BatchResult | None) -> None:
        """Write down what became of a piece, as far as it is not there."""
        if outcome is None:
            return
        counts = {"created": len(outcome.created), "invalid": outcome.invalid_count}
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

    def report(self) -> str:
        """Put the report in its place, and say where it is; what is wrong matters more than where to read it."""
        if not self.invalid_path:
            return ""
        try:
            self._invalid.finish()
        except OSError as exc:
            return f"The report could not be written to {self.invalid_path} ({exc})."
        return f"All of them are in {self.invalid_path}."

    def finish(self) -> None:
        """Put both files in their places; without refused tasks, there is no report."""
        if self.counts["invalid"]:
            self._invalid.finish()
        elif self.invalid_path and (old := storage_path("invalid_path", self.invalid_path)).exists():
            old.unlink()
        self._ids.finish()


class _Reach:
    """How far into the source a file reaches."""

    def __init__(self, cursor: str | None) -> None:
        *place, self._checksum = cursor.split(".") if cursor else ("-1", "")
        self._end = tuple(map(int, place))

    def covers(self, piece: Batch) -> bool:
        if piece.key == self._end and f"{piece.checksum:08x}" != self._checksum:
            raise ChangedError("these tasks, or some before them, were others when their ids were written down")
        return piece.key <= self._end


class _NoFile:
    """A file that nobody wants."""

    cursor: str | None = None
    counts: Mapping[str, int] = {}

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        pass

    def finish(self) -> dict[str, int]:
        return {}


def _check_differ(paths: Mapping[str, str | None]) -> None:
    names: dict[str, str] = {}
    for name, path in paths.items():
        other = names.setdefault(_full(str(path)), name) if path else name
        if other != name:
            raise ValueError(f"{name} is {str(path)!r}, as {other} is; name another file")


def _full(path: str) -> str:
    path = path.removeprefix("file://")
    return path if "://" in path else os.path.realpath(path)


def _file(name: str, path: str | None, key: str) -> Any:
    if not path:
        return _NoFile()
    target = storage_path(name, path)
    if target.protocol in LOCAL:
        _check_writable(name, target.path)
    try:
        return RowFile(target, key=key, part_bytes=PART_BYTES)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc


def _check_writable(name: str, path: str) -> None:
    """Make sure of what else would come out when all is uploaded; object stores do not tell before."""
    folder = next(folder for folder in Path(path).absolute().parents if folder.exists())
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{name} is {path!r}, and {folder} cannot be written to; name another file as {name}")


def _id_line(created: tuple[int, str]) -> bytes:
    return b'{"line": %d, "task_id": %b}' % (created[0], json.dumps(created[1]).encode())


def _invalid_line(line: InvalidField) -> bytes:
    fields = {"line": line.number, "field": line.field, "code": line.code, "message": line.message}
    return json.dumps(fields, ensure_ascii=False).encode()
