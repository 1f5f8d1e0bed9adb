"""How fast people were in previous pools of a project."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import read_date
from toloka_airflow.api.pool_rules import is_idle
from toloka_airflow.checks.duration import HOUR, Pace

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool

ANSWERS, MILLISECONDS, PEOPLE = METRICS = (
    "submitted_assignments_count",
    "avg_submit_assignment_millis",
    "unique_submitters_count",
)
POOLS = 5
"""How many of the newest pools are measured, an operation each."""
MEASURE_TIMEOUT = 60.0
"""Seconds to wait for the measures of one pool."""
NEVER = datetime.min.replace(tzinfo=UTC)


def fetch_paces(client: TolokaClient, project_id: str, log: Any, *, besides: str | None = None) -> list[Pace]:
    """
    Return how fast people were in the newest pools of a project that have been open and are closed.

    An estimate of time is nothing that a task must fail for: a pool that cannot be measured is left out, with a
    warning.

    :param besides: A pool that does not count.
    :raises TolokaError: If the pools of the project cannot be listed.
    """
    pools = [
        pool
        for pool in client.list_pools(project_id=project_id)
        if is_idle(pool) and pool.last_started and pool.last_stopped and pool.id != besides
    ]
    paces = []
    for pool in sorted(pools, key=lambda pool: pool.last_started or NEVER, reverse=True)[:POOLS]:
        try:
            paces.append(_pace(client, pool))
        except TolokaError as exc:
            log.warning("How fast people were in pool %s did not become known: %s", pool.id, exc)
    return [pace for pace in paces if pace.answers]


def _pace(client: TolokaClient, pool: Pool) -> Pace:
    measured = client.measure(pool.id, METRICS, timeout=MEASURE_TIMEOUT)
    answers, people = int(measured[ANSWERS] or 0), measured[PEOPLE]
    return Pace(
        pool.id,
        answers,
        (measured[MILLISECONDS] or 0) / 1000,
        _hours(client, pool) if answers else None,
        None if people is None else int(people),
    )


def _hours(client: TolokaClient, pool: Pool) -> float | None:
    """Return how long the pool was open; of one that was opened more than once, only the last opening is known."""
    if pool.last_started is None or pool.last_stopped is None or pool.last_stopped <= pool.last_started:
        return None
    first = next(iter(client.assignment_pages(pool.id, page_size=1)), [])
    began = read_date(first[0].get("created")) if first else None
    if began is None or began < pool.last_started:
        return None
    return (pool.last_stopped - pool.last_started).total_seconds() / HOUR
