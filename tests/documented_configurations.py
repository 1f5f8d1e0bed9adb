"""The configurations that Toloka's documentation shows, each as a document that could be sent."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "unit" / "checks" / "documented"
PLACEHOLDERS = {"{project_id}": "83859", "{close_date}": "2030-01-01T00:00:00"}
SMALLEST_POOL = "pools.create.request.pool_minimal"


class Example(NamedTuple):
    """
    One example.

    :param name: The name of its file.
    :param kind: What it is.
    :param value: The configuration; a part, such as a filter, is in the smallest pool that is documented.
    :param inside: The keys that lead to the part that the example is; empty if it is a whole.
    """

    name: str
    kind: str
    value: dict[str, Any]
    inside: tuple[str, ...] = ()


def examples() -> Iterator[Example]:
    """Iterate over all of them."""
    for file in sorted(FOLDER.glob("*.json")):
        text = file.read_text()
        for placeholder, value in PLACEHOLDERS.items():
            text = text.replace(placeholder, value)
        noun, part = file.stem.split(".")[:2]
        value = json.loads(text)
        if part == "quality_control":
            yield Example(file.stem, "pool", {**_smallest_pool(), part: value}, (part,))
        elif part == "filter":
            yield Example(file.stem, "pool", {**_smallest_pool(), **value}, (part,))
        else:
            yield Example(file.stem, noun[:-1], value)


def _smallest_pool() -> dict[str, Any]:
    pool: dict[str, Any] = json.loads((FOLDER / f"{SMALLEST_POOL}.json").read_text())
    return copy.deepcopy(pool)
