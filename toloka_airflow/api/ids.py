"""Ids from templates and upstream tasks, checked before they get into the path of a URL."""

from __future__ import annotations

import re
import uuid


def checked_id(name: str, value: object) -> str:
    """
    Return an id that is safe inside a URL path.

    :param name: The argument to name in the error.
    :raises ValueError: If it is anything but letters, digits and hyphens, or a template that rendered nothing.
    """
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text in ("", "None") or value is None:
        raise ValueError(
            f"{name} is {value!r}: a template or an upstream task gave no id. "
            "Pass an id, or the output of the task that makes it (`task.output`)"
        )
    if not re.fullmatch(r"[0-9A-Za-z-]+", text):
        raise ValueError(f"{name} is {value!r}, which is no id: only letters, digits and hyphens are allowed")
    return text


def checked_uuid(name: str, value: object) -> str:
    """
    Return a UUID in its usual form.

    :param name: The argument to name in the error.
    :raises ValueError: If it is none.
    """
    try:
        return str(uuid.UUID(checked_id(name, value)))
    except ValueError:
        raise ValueError(f"{name} is {value!r}; it must be a UUID") from None
