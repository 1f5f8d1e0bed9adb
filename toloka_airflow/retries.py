"""When to try a task again that Toloka has no quota for just now; for Airflow 3.3 and newer."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import RetryPolicy, retry_decision
from toloka_airflow.api.errors import QUOTA_INTERVALS, TolokaApiError, quota_interval

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import RetryDecision

__all__ = ["QuotaRetryPolicy"]

MAX_SPREAD = timedelta(minutes=1)
"""How much later than the others a task comes back, at the most, lest all that share a quota spend it at once again."""


class QuotaRetryPolicy(RetryPolicy):
    """
    Try a task again when its quota is back: in a minute, an hour or a day, or when Toloka wants the next request.

    Give it to a task, or to the ``default_args`` of a DAG, on Airflow 3.3 and newer; older ones have no argument for
    it::

        CreateTasksOperator(..., retries=3, retry_policy=QuotaRetryPolicy())

    It needs ``retries``, which it does not exceed. For everything else that fails a task, and for tasks that close a
    pool or a training, which never wait so long, the task's own ``retry_delay`` counts.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return when the task is tried again."""
        delay = None if _closes(exception, context) else _delay(exception)
        if delay is None:
            return retry_decision()
        return retry_decision(delay + random.uniform(0, 1) * min(MAX_SPREAD, 0.1 * delay), _reason(exception))

    def serialize(self) -> dict[str, Any]:
        """Return nothing, as there is nothing to set."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> QuotaRetryPolicy:
        """Return a policy."""
        return cls()


def _closes(exception: BaseException, context: Context | None) -> bool:
    task: Any = (context or {}).get("task")
    return getattr(task, "must_be_done", False) or str(getattr(exception, "request", "")).endswith("/close")


def _delay(exception: BaseException) -> timedelta | None:
    """Return in what time Toloka will answer otherwise, if it said so."""
    if not isinstance(exception, TolokaApiError) or not exception.is_transient:
        return None
    if exception.retry_after:
        return timedelta(seconds=exception.retry_after)
    return QUOTA_INTERVALS.get(quota_interval(exception.payload) or "")


def _reason(exception: BaseException) -> str:
    interval = quota_interval(getattr(exception, "payload", None))
    return f"Toloka has no quota left for this {interval.lower()}" if interval else "Toloka said when to come back"
