"""
Waits that end before they are worth deferring.

Most operations of Toloka take seconds. A task that is deferred for so short a time costs two more starts of a process,
and may lose an attempt: Airflow takes a task that resumes before it has handled its deferral for one that was lost.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import conf

from toloka_airflow._internal.arguments import parse_seconds

DEFER_BY_DEFAULT = conf.getboolean("operators", "default_deferrable", fallback=False)
"""Whether a task waits in the triggerer if nothing else is said; Airflow's own option."""
BRIEF_POLL_INTERVAL = 1.0
"""Seconds between two polls, at the most, before the task is deferred."""


def parse_defer_after(value: float | timedelta | None) -> float:
    """
    Return for how many seconds a deferrable task waits in the worker before it is deferred; 0 for not at all.

    :param value: What the argument ``defer_after`` gives; ``None`` for the option of that name in the section
        ``[toloka]`` of the Airflow configuration.
    :raises ValueError: If it is no such number.
    """
    if value is None:
        option = conf.get("toloka", "defer_after", fallback="5")
        return parse_seconds("The option [toloka] defer_after", option, allow_zero=True)
    return parse_seconds("defer_after", value, allow_zero=True)
