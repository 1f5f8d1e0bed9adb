"""Paths among the arguments of tasks; from templates they come as text."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_OTHER_FORMATS = (".bz2", ".xz", ".zst", ".zip", ".parquet", ".csv", ".tsv", ".xls", ".xlsx", ".ods")
NO_SUCH_FILE = "and there is no such file where this runs; give the path of one that is there"


def refuse_rows_as_text(name: str, value: object) -> None:
    """
    Refuse the text of a list or an object in the place of a path, which templates make of what a task returned.

    :raises ValueError: If it is that.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] + text[-1:] in ("[]", "{}"):
        raise ValueError(
            f"{name} is the text {text!r:.100}, and no path. A template makes text of what a task returned: "
            "give the output of that task instead (`task.output`)"
        )


def local_path(value: Any) -> Path | None:
    """Return the path of a local file, or ``None`` for one in another storage and for what is no path."""
    if isinstance(value, Path):
        return value
    return Path(value) if isinstance(value, str) and value not in ("", "None") and "://" not in value else None


@dataclass(frozen=True)
class LocalFile:
    """
    A local file in a process without Airflow, which takes a second and more to import.

    It has of `ObjectStoragePath` what reading needs.
    """

    path: str
    protocol = "file"

    @property
    def fs(self) -> Any:
        """Return the file system, the same that `ObjectStoragePath` uses."""
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        return LocalFileSystem()

    def read_bytes(self) -> bytes:
        """Return what is in the file."""
        return Path(self.path).read_bytes()

    def __str__(self) -> str:
        return self.path


def local_file(value: Any) -> LocalFile | None:
    """Return a local file if nothing has imported Airflow yet; else ``None``, as for one in another storage."""
    path = None if "airflow" in sys.modules else local_path(value)
    return None if path is None else LocalFile(str(path))


def is_path(value: Any) -> bool:
    """Return whether a value is the path of a file on any object storage, also as text."""
    if isinstance(value, (str, os.PathLike)) or "airflow" not in sys.modules:
        return isinstance(value, (str, os.PathLike))
    from airflow.sdk import ObjectStoragePath

    return isinstance(value, ObjectStoragePath)


def storage_path(name: str, value: Any) -> ObjectStoragePath:
    """
    Return the path of a file on any object storage.

    :param name: The argument to name in the error.
    :raises ValueError: If it is no path, or a template that rendered nothing.
    """
    from airflow.sdk import ObjectStoragePath

    if isinstance(value, ObjectStoragePath):
        return value
    if value is None or str(value) in ("", "None"):
        raise ValueError(f"{name} is {value!r}: a template or an upstream task gave no path")
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} is {value!r:.100}; it must be the path of a file")
    try:
        # Of `~`, the local file system makes the home folder when it creates a folder, but not when it moves a file.
        value = os.path.expanduser(value)
        path = ObjectStoragePath(value)
        local = local_path(os.fspath(value))
        # The universal-pathlib of Airflow 3.1 takes a relative path for one below the root.
        is_rooted = local is not None and not local.is_absolute() and path.path.startswith("/")
        return ObjectStoragePath(Path(value).absolute()) if is_rooted else path
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{name} is {str(value)!r}, which cannot be opened: {exc}") from exc


def refuse_same_file(path: ObjectStoragePath, **sources: Any) -> None:
    """
    Refuse to write a file over one that it is made of.

    :param path: What is to be written, the argument ``path``.
    :param sources: What is read, by the names of the arguments: paths, or anything else.
    :raises ValueError: If one of them is the same file.
    """
    for name, source in sources.items():
        if is_path(source) and str(source).strip() and _location(storage_path(name, source)) == _location(path):
            raise ValueError(f"path is {str(path)!r}, and so is {name}, which would be overwritten; name another file")


def _location(path: ObjectStoragePath) -> tuple[str, str]:
    return path.protocol or "file", path.path


def check_rows_name(name: str, path: object) -> None:
    """
    Check that the name of a file is not that of another format than JSON Lines.

    :param name: The argument to name in the error.
    :raises ValueError: If it is.
    """
    if str(path).lower().removesuffix(".gz").endswith(_OTHER_FORMATS):
        raise ValueError(f"{name} is {str(path)!r}; rows are JSON Lines: name the file *.jsonl or *.jsonl.gz")
