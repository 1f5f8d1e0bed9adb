"""What became of uploaded tasks: the list of their ids, and the report of those that were refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.paths import storage_path
from toloka_airflow.transfer.result_files import ensure_distinct, result_file
from toloka_airflow.transfer.upload.batch_operations import BatchResult, ChangedError

if TYPE_CHECKING:
    from toloka_airflow.transfer.invalid_fields import InvalidField
    from toloka_airflow.transfer.upload.batches import Batch

KEPT = 100
"""Refused fields to remember for the error message."""


class UploadResults:
    """
    Write both files, and continue behind what a previous attempt wrote.

    :param ids_path: Where ids are written; nowhere if ``None``.
    :param invalid_path: Where it is written what was refused; nowhere if ``None``.
    :param ids: The file of ids.
    :param invalid: The file of what was refused.
    :param stops_at_invalid: Whether ids behind a refused task are not wanted, because it is to be sent again.
    """

    def __init__(
        self, ids_path: str | None, invalid_path: str | None, *, ids: Any, invalid: Any, stops_at_invalid: bool
    ) -> None:
        self.ids_path, self.invalid_path = ids_path, invalid_path
        self._ids, self._invalid = ids, invalid
        self._ids_end, self._invalid_end = _End(ids.cursor), _End(invalid.cursor)
        self._added_end = _End(None)
        self.counts = Counter(ids.counts)
        self._had_invalid = bool(ids.counts.get("invalid"))
        self._stops_at_invalid = stops_at_invalid
        self._kept: list[InvalidField] = []

    @classmethod
    def open(
        cls,
        ids_path: str | None,
        invalid_path: str | None,
        *,
        source: str | None,
        name: str,
        key: str,
        stops_at_invalid: bool,
    ) -> UploadResults:
        """
        Read what a previous attempt wrote.

        :param ids_path: Beside the source if ``None``, or nowhere if that is no file.
        :param invalid_path: Beside the ids if ``None``.
        :param source: The path of the file of tasks, if it is one.
        :param name: Goes into the names of files that are beside others.
        :param key: Distinguishes this task's parts of files from those of others.
        :raises ValueError: If a path cannot be written to.
        """
        beside = ids_path or source
        ids_path = ids_path or (source and f"{source}.{name}.ids.jsonl")
        invalid_path = invalid_path or (beside and f"{beside}.{name}.invalid.jsonl")
        ensure_distinct({"tasks": source, "ids_path": ids_path, "invalid_path": invalid_path})
        ids, invalid = result_file("ids_path", ids_path, key), result_file("invalid_path", invalid_path, key)
        if _End(invalid.cursor).key > _End(ids.cursor).key:
            # It is about tasks whose ids are not written down: they are fetched again, and may be repaired by now.
            invalid.discard()
        return cls(ids_path, invalid_path, ids=ids, invalid=invalid, stops_at_invalid=stops_at_invalid)

    def has(self, batch: Batch) -> bool:
        """
        Return whether all about a batch is written down, by this attempt or a previous one.

        :raises ChangedError: If what was written was about other tasks.
        """
        if self._added_end.covers(batch):
            return True
        # If no task was refused so far, there is nothing that the report could lack.
        return self._ids_end.covers(batch) and (not self._had_invalid or self._invalid_end.covers(batch))

    def add(self, batch: Batch, result: BatchResult | None) -> None:
        """Write down what became of the next batch, as far as it is not there; ``None`` if all of it is."""
        if result is None or self._added_end.covers(batch):
            return
        self._added_end = _End(batch.cursor)
        counts = {"created": len(result.created), "invalid": result.invalid_count}
        if not self._invalid_end.covers(batch):
            self._invalid.append(map(_invalid_line, result.invalid), cursor=batch.cursor, counts={})
            self._kept += result.invalid[: KEPT - len(self._kept)]
        if self._ids_end.covers(batch):
            return
        self.counts.update(counts)
        if not (self._stops_at_invalid and self.counts["invalid"]):
            self._ids.append(map(_id_line, result.created), cursor=batch.cursor, counts=counts)

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
            # The plain reason: how to name files is not what matters here.
            return f"The report could not be written to {self.invalid_path} ({exc.__cause__ or exc})."
        return f"All of them are in {self.invalid_path}."

    def finish(self) -> None:
        """Put both files in their places; without refused tasks, there is no report."""
        if self.counts["invalid"]:
            self._invalid.finish()
        elif self.invalid_path and (old := storage_path("invalid_path", self.invalid_path)).exists():
            old.unlink()
        self._ids.finish()


class _End:
    """How far into the source something reaches."""

    def __init__(self, cursor: str | None) -> None:
        *key, self._checksum = cursor.split(".") if cursor else ("-1", "")
        self.key = tuple(map(int, key))

    def covers(self, batch: Batch) -> bool:
        if batch.key == self.key and f"{batch.checksum:08x}" != self._checksum:
            raise ChangedError(batch, "these tasks, or some before them, were others when their ids were written down")
        return batch.key <= self.key


def _id_line(created: tuple[int, str]) -> bytes:
    return b'{"line": %d, "task_id": %b}' % (created[0], json.dumps(created[1]).encode())


def _invalid_line(line: InvalidField) -> bytes:
    fields = {"line": line.number, "field": line.field, "code": line.code, "message": line.message}
    return json.dumps(fields, ensure_ascii=False).encode()
