"""The configurations that Toloka's documentation shows, each as a document that could be sent."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "unit" / "checks" / "documented"
PLACEHOLDERS = {"{project_id}": "83859", "{close_date}": "2030-01-01T00:00:00"}

# What a part is put into, so that nothing is wrong with the rest: the smallest pool that is documented, with a review,
# enough answers for a majority, and people with a skill, which they may lose.
SMALLEST_POOL = "pools.create.request.pool_minimal"
REVIEWED = {"auto_accept_solutions": False, "auto_accept_period_day": 7}
OVERLAP = {"defaults": {"default_overlap_for_new_task_suites": 4}}
QUALITY_CONTROL = "pools.quality_control.completed"
SKILLED = {"filter": {"and": [{"category": "skill", "key": "2626", "operator": "GT", "value": 50}]}}


class Example(NamedTuple):
    """
    One example.

    :param name: The name of its file.
    :param kind: What it is.
    :param value: The configuration; a part, such as a filter, is in a whole pool.
    :param inside: The keys that lead to the part that the example is; empty if it is a whole.
    """

    name: str
    kind: str
    value: dict[str, Any]
    inside: tuple[str, ...] = ()

    @property
    def day_before(self) -> datetime:
        """Return the day before the pool expires; of what does not, some day."""
        expiry = datetime.fromisoformat(self.value.get("will_expire", "2030-01-01"))
        return expiry.replace(tzinfo=UTC) - timedelta(days=1)


def examples() -> Iterator[Example]:
    """Iterate over all of them."""
    for file in sorted(FOLDER.glob("*.json")):
        value = documented(file.stem)
        noun, part = file.stem.split(".")[:2]
        if part == "quality_control":
            yield Example(file.stem, "pool", {**_whole(), **SKILLED, part: value}, (part,))
        elif part == "filter":
            yield Example(
                file.stem, "pool", {**_whole(), "quality_control": documented(QUALITY_CONTROL), **value}, (part,)
            )
        else:
            yield Example(file.stem, noun[:-1], value)


def documented(name: str) -> dict[str, Any]:
    """Return what is in a file, with its placeholders filled."""
    text = (FOLDER / f"{name}.json").read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    config: dict[str, Any] = json.loads(text)
    return config


def _whole() -> dict[str, Any]:
    return documented(SMALLEST_POOL) | REVIEWED | copy.deepcopy(OVERLAP)
