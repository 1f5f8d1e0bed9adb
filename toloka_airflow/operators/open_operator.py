"""
Opening, once however often the task is tried: what its previous attempts may have opened.

An attempt that opens a pool may be lost before Airflow hears of it. If people complete the pool, or somebody closes it,
before the next attempt, that one finds a pool that is closed, as if it had never been open, and would open it again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import task_state_store
from toloka_airflow.api.pool_rules import was_opened_and_closed_after
from toloka_airflow.operators.lifecycle_base import FirstStep, LifecycleOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Training

KEY = "toloka_before_opening"
"""What the first attempt keeps in the state store of its task instance, which outlives it."""
NEVER = datetime.min.replace(tzinfo=UTC)


class OpenOperator(LifecycleOperator):
    """
    Open something, once however often the task is tried.

    What a previous attempt has opened, and what was closed since, by people who completed it or by whomever, is not
    opened again. Clear the task to have it opened again.
    """

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        before = self._last_started_before(context, client)
        if before is not None and self._was_opened_after(client, before):
            return None
        return super()._submit(context, client)

    def _last_started_before(self, context: Context, client: TolokaClient) -> datetime | None:
        """Return when it had last been opened before the first attempt of this task; ``None`` if this is that one."""
        return last_started_before(context, self.retries or 0, client, partial(self._fetch, client))

    def _was_opened_after(self, client: TolokaClient, before: datetime) -> bool:
        pool = self._fetch_settled(client)
        if not was_opened_and_closed_after(pool, before):
            return False
        self.log.warning(
            "%s is not opened again: since the first attempt of this task it was opened, at %s, and closed, at %s. "
            "Clear the task to have it opened again",
            *(self._name, pool.last_started, pool.last_stopped),
        )
        return True

    @abstractmethod
    def _fetch(self, client: TolokaClient) -> Training:
        """Return what is to be opened."""

    def _fetch_settled(self, client: TolokaClient) -> Training:
        """Return it as LOCKED while an operation that opens it is under way, where the API says so."""
        return self._fetch(client)


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
