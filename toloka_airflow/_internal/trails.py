"""
What a wait has measured of its pool: the XComs of the waiting task that keep it for people, and what follows from them.

A trail is written by triggers (`toloka_airflow.triggers.trail`) and read by the page in Airflow's UI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

MEASURED = "toloka_measured"
"""The XCom with the last measurement, the rates and the estimate."""
TRAIL = "toloka_progress"
"""The XCom with all that are kept: lists of the Unix time, percent, answers, spent and committed."""
FACTS = "percent", "answers", "spent", "committed"
MAX_POINTS = 200
RATE_SPAN = 3600.0
"""Seconds over which rates are worked out."""

Point = list[float | None]


class Trail:
    """Measurements of one pool, the oldest first."""

    def __init__(self, points: Sequence[Point] = ()) -> None:
        self.points: list[Point] = list(points)

    @classmethod
    def read(cls, value: object) -> Trail:
        """Return the trail that an XCom holds; an empty one if it holds something else."""
        given = value if isinstance(value, list) else []
        points = [point for point in given if isinstance(point, list) and len(point) == 1 + len(FACTS)]
        return cls([point for point in points if all(_is_number(number) for number in point) and point[0] is not None])

    def add(self, facts: Mapping[str, Any], at: float) -> None:
        """Add a measurement; if there are too many, drop every second one of the older half."""
        self.points.append([round(at, 1), *(facts.get(name) for name in FACTS)])
        if len(self.points) > MAX_POINTS:
            half = MAX_POINTS // 2
            self.points = self.points[:half:2] + self.points[half:]

    def summary(self) -> dict[str, Any]:
        """Return the last measurement, the rates of the last hour, and when the pool will be done at that rate."""
        last = self.points[-1]
        at = last[0] or 0.0
        first = next(point for point in self.points if at - (point[0] or 0.0) <= RATE_SPAN)
        percent = _per_hour(first, last, (1,))
        left = None if last[1] is None else 100.0 - last[1]
        ends_at = at + 3600.0 * left / percent if percent and left is not None and percent > 0 else None
        return {
            "at": _text(at),
            **dict(zip(FACTS, last[1:], strict=True)),
            "answers_per_hour": _per_hour(first, last, (2,)),
            "cost_per_hour": _per_hour(first, last, (3, 4)),
            "ends_at": _text(ends_at),
            "last_answer_at": _text(self._last_answer_at()),
        }

    def _last_answer_at(self) -> float | None:
        """Return when answers were first counted that are the last; ``None`` if their number has never changed."""
        for older, newer in zip(reversed(self.points[:-1]), reversed(self.points[1:]), strict=True):
            if older[2] is not None and newer[2] is not None and newer[2] > older[2]:
                return newer[0]
        return None


def _per_hour(first: Point, last: Point, facts: Sequence[int]) -> float | None:
    """Return by how much the sum of some facts grew in an hour; ``None`` if that is not known."""
    numbers = [point[fact] for point in (first, last) for fact in facts]
    hours = ((last[0] or 0.0) - (first[0] or 0.0)) / 3600.0
    if hours <= 0 or any(number is None for number in numbers):
        return None
    before, after = (sum(point[fact] or 0.0 for fact in facts) for point in (first, last))
    return round((after - before) / hours, 4)


def _text(seconds: float | None) -> str | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return None


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
