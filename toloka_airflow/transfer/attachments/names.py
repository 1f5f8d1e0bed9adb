"""
What an attachment is called in a folder: a name that every store takes, and that no other attachment has.

It begins with two ids, so it is no reserved name of Windows (``CON.txt``), has no dot in front, and cannot lead out of
the folder. It is ASCII, as stores spell other letters in several ways. It is no longer than 143 bytes, which is all
that an encrypted disk of Linux takes.
"""

from __future__ import annotations

import hashlib
import re

_ID_LENGTH, _NAME_LENGTH, _SUFFIX_LENGTH = 40, 44, 16
_PLAIN_ID = re.compile(rf"[0-9a-z][0-9a-z-]{{0,{_ID_LENGTH - 1}}}")
_OTHERS = re.compile(r"[^0-9A-Za-z]+")
_PARTS = re.compile(r"[/\\]")


def file_name(assignment_id: str, attachment_id: str, name: str) -> str:
    """
    Return what to call an attachment: ``<assignment id>_<attachment id>_<its name>``.

    :param name: The name that the file had on the device of the person; anything may be in it.
    """
    return f"{_unique(assignment_id)}_{_unique(attachment_id)}_{_cleaned(name)}"


def _unique(name: str) -> str:
    """Return an id that differs from all others, also for a store to which upper and lower case are the same."""
    if _PLAIN_ID.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()
    start = _OTHERS.sub("-", name[: _ID_LENGTH - 17].lower()).strip("-") or "id"
    return f"{start}-{digest[:16]}"


def _cleaned(name: str) -> str:
    stem, _, suffix = _PARTS.split(name)[-1].rpartition(".")
    if not stem:  # no suffix, or a dot in front
        stem, suffix = suffix, ""
    stem = _OTHERS.sub("-", stem).strip("-")[:_NAME_LENGTH].strip("-") or "file"
    suffix = _OTHERS.sub("", suffix)[:_SUFFIX_LENGTH].lower()
    return f"{stem}.{suffix}" if suffix else stem
