"""Files of what became of the rows that a task sent, beside the file that they came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile

PART_BYTES = 1024 * 1024


class NoFile:
    """A file that nobody wants."""

    cursor: str | None = None
    counts: Mapping[str, int] = {}

    def append(self, lines: Iterable[bytes], *, cursor: str, counts: Mapping[str, int]) -> None:
        """Write nothing."""

    def discard(self) -> None:
        """Forget nothing."""

    def finish(self) -> dict[str, int]:
        """Return no counts."""
        return {}


def ensure_distinct(paths: Mapping[str, str | None]) -> None:
    """
    Make sure that no file is to be written over another one.

    :param paths: By the names of the arguments that give them.
    :raises ValueError: If two are the same.
    """
    names: dict[str, str] = {}
    for name, path in paths.items():
        other = names.setdefault(_full(str(path)), name) if path else name
        if other != name:
            raise ValueError(f"{name} is {str(path)!r}, as {other} is; name another file")


def _full(path: str) -> str:
    path = path.removeprefix("file://")
    return path if "://" in path else os.path.realpath(path)


def result_file(name: str, path: str | None, key: str) -> RowFile | NoFile:
    """
    Return a file to write, as far as can be said before anything is sent.

    :param name: The argument that gives the path.
    :param path: Nowhere if ``None``.
    :param key: Distinguishes this task's parts of files from those of others.
    :raises ValueError: If it cannot be written to.
    """
    if not path:
        return NoFile()
    return RowFile(storage_path(name, path), key=key, part_bytes=PART_BYTES, name=name)
