"""Parts of pages that are made: by code or a measurement, each between two comments that say by which command."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

Parts = Mapping[str, str]
"""The text of each part of a page, by the name in its comments; it ends with the end of a line."""


def part(page: str, name: str) -> tuple[str, str, str]:
    """
    Return what is before a part of a page, with the comment that begins it, the part, and what is behind it.

    :raises ValueError: If its comments are not there.
    """
    found = re.search(rf"<!-- {name}: begin \([^)]*\) -->\n(.*?)<!-- {name}: end -->", page, re.DOTALL)
    if not found:
        raise ValueError(f"the page has lost the markers of its {name}")
    return page[: found.start(1)], found[1], page[found.end(1) :]


def updated(page: str, parts: Parts) -> str:
    """
    Return a page with its parts as they should be.

    :raises ValueError: If the comments of a part are not there.
    """
    for name, text in parts.items():
        before, _, after = part(page, name)
        page = f"{before}{text}{after}"
    return page


def write(path: Path, parts: Parts) -> None:
    """
    Write parts of a page anew.

    :raises ValueError: If the comments of a part are not there; then nothing is written.
    """
    path.write_text(updated(path.read_text(), parts))


def write_or_check(path: Path, parts: Parts) -> int:
    """Write parts of a page, or, with ``--check``, say whether they are up to date; return the exit code."""
    if "--check" not in sys.argv:
        write(path, parts)
        return 0
    if is_old := path.read_text() != updated(path.read_text(), parts):
        print(f"docs/{path.name} is not up to date: run make docs", file=sys.stderr)
    return int(is_old)
