"""How far a pool is, without an API operation at every poll."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import read_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation

METRICS = {
    "percent": "completion_percentage",
    "answers": "submitted_assignments_count",
    "spent": "spent_budget",
}
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

    @property
    def spent(self) -> float | None:
        """US dollars that are known to be spent."""
        return self.facts["spent"] if self.facts else None

    def due_in(self) -> float:
        """Return in how many seconds a poll would start or read a measurement."""
        if self.interval is None:
            return float("inf")
        return 0.0 if self._operation is not None else max(0.0, self._due - time.monotonic())

    def poll(self, client: TolokaClient) -> None:
        """Start or read a measurement if it is time, and log what changed."""
        if self.interval is None:
            return
        try:
            facts = self._next(client, self.interval)
        except (TolokaError, ValueError) as exc:
            self._operation = None
            self.log.warning("The progress of pool %s is not known: %s", self.pool_id, exc)
            return
        if facts and facts != self.facts:
            self.facts = facts
            self.log.info("Progress of pool %s: %s", self.pool_id, in_words(facts))

    def _next(self, client: TolokaClient, interval: float) -> Facts | None:
        if self._operation is not None:
            self._operation = client.get_operation(self._operation.id)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + interval
            self._operation = client.start_analytics(self.pool_id, list(METRICS.values()))
        if self._operation is None or not self._operation.is_done:
            return None
        done, self._operation = client.ensure_success(self._operation), None
        return _facts(read_metrics(done))


def measure(client: TolokaClient, pool_id: str, log: Any) -> Facts | None:
    """Return how far a pool is, or ``None`` if that does not become known in a few seconds."""
    try:
        return _facts(client.measure(pool_id, list(METRICS.values()), timeout=MEASURE_TIMEOUT))
    except (TolokaError, ValueError) as exc:
        log.warning("The progress of pool %s is not known: %s", pool_id, exc)
        return None


def in_words(facts: Facts) -> str:
    """Return facts as a line of a log."""
    percent, answers, spent = ("?" if facts[fact] is None else facts[fact] for fact in METRICS)
    return f"{percent} %, {answers} answers, {spent} USD spent"


def _facts(metrics: Mapping[str, float | None]) -> Facts:
    """Return ``percent``, ``answers`` and ``spent`` (US dollars); ``None`` for what the answer does not hold."""
    return {fact: metrics.get(metric) for fact, metric in METRICS.items()}
