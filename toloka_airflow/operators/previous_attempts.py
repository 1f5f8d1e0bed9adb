"""
Since when attempts of a task may have opened its pool.

An attempt that opens a pool may be lost before Airflow hears of it. If people complete the pool, or somebody closes it,
before the next attempt, that one finds a pool that is closed, as if it had never been open, and would open it again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import task_state_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

KEY = "toloka_opening"
"""What the first attempt keeps in the state store of its task instance, which outlives it."""


def attempts_began(context: Context, retries: int) -> datetime | None:
    """
    Return when the first attempt of this task began; ``None`` if this is the first one.

    A task that was cleared begins anew. Airflow before 3.3 keeps nothing from one attempt to the next: there, an
    attempt that is not the first takes the start of its run for it.

    :param retries: Those of the task.
    """
    ti = context["ti"]
    if (store := task_state_store(context)) is None:
        # Exactly the first after a clear; another number would be due to `retries` that were edited meanwhile.
        is_first = ti.try_number in (1, ti.max_tries - retries + 1)
        return None if is_first else context["dag_run"].start_date
    noted: Any = store.get(KEY)
    # Airflow raises it when a task is cleared, and leaves it as it is for a retry.
    if noted is not None and noted["max_tries"] == ti.max_tries:
        return datetime.fromisoformat(noted["began"])
    store.set(KEY, {"max_tries": ti.max_tries, "began": datetime.now(UTC).isoformat()})
    return None
