"""Calls that measure pools; they are not in the API reference, but the official client has them."""

from __future__ import annotations

from collections.abc import Sequence

from toloka_airflow.api.client.operations import OperationCalls
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, read_metrics

MAX_METRICS = 10
"""Of one operation of analytics; so the official client."""


class AnalyticsCalls(OperationCalls):
    """Calls that measure pools."""

    def start_analytics(self, pool_id: str, metrics: Sequence[str]) -> Operation:
        """
        Start an operation that measures a pool, such as its ``completion_percentage``.

        The results are in the ``details`` of the operation once it succeeded; `read_metrics` reads them.

        :param metrics: Names of up to `MAX_METRICS` metrics.
        """
        return self.start_analytics_of([checked_id("pool_id", pool_id)], metrics)

    def start_analytics_of(self, pool_ids: Sequence[str], metrics: Sequence[str]) -> Operation:
        """
        Start an operation that measures several pools; see `start_analytics`.

        :param metrics: Their names; times the number of pools, they are `MAX_METRICS` at the most.
        """
        subjects = [{"subject": "POOL", "subject_id": checked_id("pool_ids", pool_id)} for pool_id in pool_ids]
        body = [{"name": metric, **subject} for subject in subjects for metric in metrics]
        # Sent again if need be: measuring twice changes nothing.
        return Operation.from_api(self._transport.request("POST", "/api/staging/analytics-2", body=body))

    def measure(self, pool_id: str, metrics: Sequence[str], *, timeout: float) -> dict[str, float | None]:
        """
        Measure a pool, and return the number for each metric; ``None`` where Toloka gives none.

        :param metrics: Names of up to 10 metrics.
        :param timeout: Seconds to wait for the operation at the most.
        :raises TolokaOperationError: If the operation failed.
        :raises TolokaTimeoutError: If it is not done in time.
        """
        operation = self.wait_operation(self.start_analytics(pool_id, metrics), timeout=timeout)
        measured = read_metrics(self.ensure_success(operation))
        return {metric: measured.get(metric) for metric in metrics}
