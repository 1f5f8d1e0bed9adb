"""Paths among the arguments of tasks; from templates they come as text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


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
        return ObjectStoragePath(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{name} is {str(value)!r}, which cannot be opened: {exc}") from exc
