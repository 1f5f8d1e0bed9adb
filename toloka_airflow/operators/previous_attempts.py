"""
What previous attempts of a task may have opened.

An attempt that opens a pool may be lost before Airflow hears of it. If people complete the pool, or somebody closes it,
before the next attempt, that one finds a pool that is closed, as if it had never been open, and would open it again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import task_state_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Training

KEY = "toloka_before_opening"
"""What the first attempt keeps in the state store of its task instance, which outlives it."""
NEVER = datetime.min.replace(tzinfo=UTC)


def last_started_before(
    context: Context, retries: int, client: TolokaClient, fetch: Callable[[], Training]
) -> datetime | None:
    """
    Return when the pool had last been opened before the first attempt of this task; ``None`` if this is that attempt.

    What was opened later, an attempt of this task may have opened. It is what Toloka said of the pool then, and so
    depends on no clock: that of Toloka may be set, and each worker has another one.

    A task that was cleared begins anew. Airflow before 3.3 keeps nothing from one attempt to the next: there, an
    attempt that is not the first takes the start of its run for it, by Toloka's clock of today.

    :param retries: Those of the task.
    :param fetch: Fetches the pool or training.
    """
    ti = context["ti"]
    if (store := task_state_store(context)) is None:
        # Exactly the first after a clear; another number would be due to `retries` that were edited meanwhile.
        if ti.try_number in (1, ti.max_tries - retries + 1) or (began := context["dag_run"].start_date) is None:
            return None
        fetch()  # so that an answer tells Toloka's time
        return began + ((client.server_time() or datetime.now(UTC)) - datetime.now(UTC))
    noted: Any = store.get(KEY)
    # Airflow raises it when a task is cleared, and leaves it as it is for a retry.
    if noted is not None and noted["max_tries"] == ti.max_tries:
        return datetime.fromisoformat(noted["last_started"])
    last_started = fetch().last_started or NEVER
    store.set(KEY, {"max_tries": ti.max_tries, "last_started": last_started.isoformat()})
    return None
