"""
How far a pool is, what it costs and what it has cost over time: from what waits have measured.

Nothing is measured for the page: a measurement is an operation at Toloka. What is read was written by tasks and their
triggers, but an XCom may hold anything, so each value is checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.trails import FACTS, MEASURED, TRAIL
from toloka_airflow.api.models import read_date
from toloka_airflow.records.pools import PROGRESS, read_xcoms

if TYPE_CHECKING:
    from toloka_airflow.records.pools import PoolRecord

RATES = "answers_per_hour", "cost_per_hour"
TIMES = "ends_at", "last_answer_at"
MAX_POINTS = 1000


def last_measurement(pool: PoolRecord) -> dict[str, Any]:
    """
    Return the last measurement of a pool, with ``measured_at``; ``None`` for what is not known.

    Rates and estimates are of the wait that measured last.
    """
    for task in pool.tasks:
        measured, progress = task.xcoms.get(MEASURED), task.xcoms.get(PROGRESS)
        if isinstance(progress, Mapping) and task.ended is not None:
            known = measured if isinstance(measured, Mapping) else {}
            facts = {name: number(progress.get(name)) for name in FACTS}
            return {
                **_nothing(),
                **facts,
                "last_answer_at": in_utc(read_date(known.get("last_answer_at"))),
                "measured_at": in_utc(task.ended),
            }
        if isinstance(measured, Mapping):
            facts = {name: number(measured.get(name)) for name in (*FACTS, *RATES)}
            times = {name: in_utc(read_date(measured.get(name))) for name in TIMES}
            return {**facts, **times, "measured_at": in_utc(read_date(measured.get("at")))}
    return _nothing()


def history(pool: PoolRecord) -> list[dict[str, Any]]:
    """Return all measurements of a pool that are kept, the oldest first."""
    points: dict[float, dict[str, Any]] = {}
    for _, trail in read_xcoms(pool.tasks, TRAIL) if pool.tasks else ():
        for point in trail if isinstance(trail, list) else ():
            if isinstance(point, list) and len(point) == 1 + len(FACTS) and (at := _time(point[0])) is not None:
                facts = dict(zip(FACTS, map(number, point[1:]), strict=True))
                points[at.timestamp()] = {"at": in_utc(at), **facts}
    for task in pool.tasks:
        # What a wait has measured at its end is its result, and in no trail.
        progress = task.xcoms.get(PROGRESS)
        if isinstance(progress, Mapping) and task.ended is not None:
            facts = {name: number(progress.get(name)) for name in FACTS}
            points[task.ended.timestamp()] = {"at": in_utc(task.ended), **facts}
    return [points[at] for at in sorted(points)][-MAX_POINTS:]


def number(value: object) -> float | int | None:
    """Return a finite number, money to four places; ``None`` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return round(value, 4) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float can hold
        return None


def in_utc(time: datetime | None) -> str | None:
    """Return a time as the page takes it."""
    if time is None:
        return None
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _nothing() -> dict[str, Any]:
    return dict.fromkeys((*FACTS, *RATES, *TIMES, "measured_at"))


def _time(seconds: object) -> datetime | None:
    given = number(seconds)
    try:
        return None if given is None else datetime.fromtimestamp(given, UTC)
    except (OverflowError, OSError, ValueError):
        return None
