"""How far a pool is, without an API operation at every poll."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import plural
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import read_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Pool

FACTS = {
    "percent": "completion_percentage",
    "assignments": "submitted_assignments_count",
    "spent": "spent_budget",
}
"""What is the number of a metric."""
SUBMITTED, APPROVED, REJECTED = UNDECIDED = (
    "submitted_assignments_count",
    "approved_assignments_count",
    "rejected_assignments_count",
)
"""From what follows how many assignments are neither accepted nor rejected."""
METRICS = tuple(dict.fromkeys((*FACTS.values(), *UNDECIDED)))
MEASURE_TIMEOUT = 10.0
"""Seconds to wait for the last measurement, when nothing else is left to wait for."""

Facts = dict[str, Any]


class Progress:
    """
    Measure a pool now and then, beside the polls of a wait.

    A measurement is an operation: one poll starts it, a later one reads it. What goes wrong with it is logged and
    harms nothing.

    :param interval: Seconds between two measurements; ``None`` for none at all.
    """

    def __init__(self, pool_id: str, interval: float | None, log: Any) -> None:
        self.pool_id, self.interval, self.log = pool_id, interval, log
        self._due = time.monotonic()
        self._operation: Operation | None = None
        self.facts: Facts | None = None
        """The last measurement."""
        self.measured = 0
        """How many measurements there were."""

    def due_in(self) -> float:
        """Return in how many seconds a poll would start or read a measurement."""
        if self.interval is None:
            return float("inf")
        return 0.0 if self._operation is not None else max(0.0, self._due - time.monotonic())

    def poll(self, client: TolokaClient, pool: Pool) -> None:
        """Start or read a measurement if it is time, and log what changed."""
        if self.interval is None:
            return
        try:
            facts = self._next(client, pool, self.interval)
        except (TolokaError, ValueError) as exc:
            self._operation = None
            self.log.warning("The progress of pool %s is not known: %s", self.pool_id, exc)
            return
        self._note(facts)

    def take(self, result: Mapping[str, float | None] | Exception, pool: Pool) -> None:
        """Take the metrics that others have measured, or the reason why they are not known, and log what changed."""
        if isinstance(result, Exception):
            self.log.warning("The progress of pool %s is not known: %s", self.pool_id, str(result) or repr(result))
        else:
            self._note(_facts(result, lambda: pool))

    def _note(self, facts: Facts | None) -> None:
        self.measured += facts is not None
        if facts and facts != self.facts:
            self.facts = facts
            self.log.info("Progress of pool %s: %s", self.pool_id, in_words(facts))

    def _next(self, client: TolokaClient, pool: Pool, interval: float) -> Facts | None:
        if self._operation is not None:
            self._operation = client.get_operation(self._operation.id)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + interval
            self._operation = client.start_analytics(self.pool_id, METRICS)
        if self._operation is None or not self._operation.is_done:
            return None
        done, self._operation = client.ensure_success(self._operation), None
        return _facts(read_metrics(done), lambda: pool)


def measure(client: TolokaClient, pool_id: str, log: Any) -> Facts | None:
    """Return how far a pool is, or ``None`` if that does not become known in a few seconds."""
    try:
        metrics = client.measure(pool_id, METRICS, timeout=MEASURE_TIMEOUT)
        return _facts(metrics, partial(client.get_pool, pool_id))
    except (TolokaError, ValueError) as exc:
        log.warning("The progress of pool %s is not known: %s", pool_id, exc)
        return None


def had_answers(
    client: TolokaClient, pool_id: str, since: datetime | None, log: Any, *, before: datetime | None = None
) -> bool | None:
    """
    Return whether anybody has answered between two times, and log a warning if nobody has.

    ``None`` if that does not become known; without a time, there is no such limit.
    """
    try:
        found = client.has_answers(pool_id, since=since, before=before)
    except TolokaError as exc:
        log.warning("Whether pool %s has answers is not known: %s", pool_id, exc)
        return None
    if not found:
        log.warning("Pool %s got no answers at all%s", pool_id, f" since {since}" if since else "")
    return found


def cost(facts: Mapping[str, Any] | None) -> float | None:
    """
    Return the money that is spent or committed; ``None`` if it is not known what is spent.

    What is committed counts as nothing where Toloka does not say it.
    """
    if not facts or facts["spent"] is None:
        return None
    return round(float(facts["spent"]) + float(facts.get("committed") or 0), 6)


def in_words(facts: Facts) -> str:
    """Return facts as a line of a log."""
    percent, assignments, spent, committed = (
        "?" if facts[fact] is None else facts[fact] for fact in ("percent", "assignments", "spent", "committed")
    )
    return f"{percent} %, {assignments} {plural(assignments, 'assignment')}, {spent} spent, {committed} committed"


def _facts(metrics: Mapping[str, float | None], get_pool: Callable[[], Pool]) -> Facts:
    """
    Return ``percent``, ``assignments``, ``spent`` and ``committed`` (money); ``None`` for what is not known.

    Spent are the rewards of accepted assignments. Committed are those of what was submitted and neither accepted nor
    rejected yet, each at the highest reward of the pool. What was decided counts as submitted, too: the example of
    the official client's ``BaseMetric.get_lines`` has 75 submitted and the same 75 accepted.
    """
    facts = {fact: metrics.get(metric) for fact, metric in FACTS.items()}
    submitted, approved, rejected = (metrics.get(metric) for metric in UNDECIDED)
    committed: float | None = None
    if submitted is not None and approved is not None and rejected is not None:
        # Toloka may count them one after another, while answers come in.
        undecided = max(0, int(submitted - approved - rejected))
        committed = float(undecided * get_pool().highest_reward) if undecided else 0.0
    return {**facts, "answers": facts["assignments"], "committed": committed}  # as older versions called it
