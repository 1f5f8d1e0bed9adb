"""Which answers belong to a span of time, so that the runs of a DAG neither miss one nor read one twice."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from toloka_airflow._internal.arguments import parse_optional_datetime

SETTLING = 10.0
"""Seconds after which an answer is taken to be in the list, as the clocks of Toloka and of Airflow differ a little."""

_DATES = {
    frozenset({"ACTIVE"}): "created",
    frozenset({"SUBMITTED"}): "submitted",
    frozenset({"ACCEPTED"}): "accepted",
    frozenset({"REJECTED"}): "rejected",
    frozenset({"SKIPPED"}): "skipped",
    frozenset({"EXPIRED"}): "expired",
    frozenset({"SUBMITTED", "ACCEPTED", "REJECTED"}): "submitted",
}
"""The date of an answer that says in which run it belongs, and that does not change any more."""


def period_filters(statuses: Collection[str], since: Any, until: Any) -> dict[str, datetime]:
    """
    Return the filters for what happened from ``since`` on and before ``until``; wait if that is only just over.

    :raises ValueError: If there is no such span of time, or it would miss answers of these statuses.
    """
    # What rendered as nothing is no end: the next run would read the same answers again.
    start, end = parse_optional_datetime("since", since, allow_empty=True), parse_optional_datetime("until", until)
    if start is None and end is None:
        return {}
    date = _DATES.get(frozenset(statuses))
    if date is None:
        raise ValueError(
            f"status is {', '.join(statuses)}, and with since or until it must be one status, or all of SUBMITTED, "
            "ACCEPTED and REJECTED: an answer that changes from one to another would be missed or read twice"
        )
    if start and end and start >= end:
        raise ValueError(
            f"since is {start} and until is {end}, and nothing is in between. Timetables without data intervals "
            "(the default for a cron expression) give the same moment for both: use CronDataIntervalTimetable"
        )
    if end:
        _wait_until_over(end)
    bounds = {f"{date}_gte": start, f"{date}_lt": end}
    return {name: bound for name, bound in bounds.items() if bound}


def _wait_until_over(end: datetime) -> None:
    since_then = (datetime.now(UTC) - end).total_seconds()
    if since_then < 0:
        raise ValueError(f"until is {end}, which is in the future: answers that are still to come would be missed")
    time.sleep(max(0.0, SETTLING - since_then))
