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
    # How Airflow itself knows a first attempt: `RuntimeTaskInstance.get_first_reschedule_date`.
    first = ti.max_tries - retries + 1
    if (store := task_state_store(context)) is None:
        return context["dag_run"].start_date if ti.try_number > first else None
    noted: Any = store.get(KEY)
    if noted is not None and noted["try_number"] >= first:
        return datetime.fromisoformat(noted["began"])
    store.set(KEY, {"try_number": ti.try_number, "began": datetime.now(UTC).isoformat()})
    return None
