"""The first and the last task of a `toloka_airflow.windows.pool_window`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)

from toloka_airflow._internal.airflow_internals import task_states
from toloka_airflow._internal.arguments import parse_datetime
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.pool_rules import PoolOpening, why_not_closed, why_unknown
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.triggers.progress import measure

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool


class CheckWindowOperator(BaseOperator):
    """
    Decide whether to open a window, and compute its times; the first task of a `pool_window`.

    It is skipped if it is too late, and then nothing was sent that changes anything. The times are its XComs
    ``not_after``, ``closes_at`` and ``over_at``; so is ``spent``, what was paid for the pool before, if it is measured.
    """

    template_fields: Sequence[str] = ("pool_id", "closes_at", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str,
        closes_at: datetime | str,
        min_open: timedelta,
        grace: timedelta,
        measure_spending: bool,
        toloka_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, span in {"min_open": min_open, "grace": grace}.items():
            if not isinstance(span, timedelta) or span < timedelta(0):
                raise ValueError(f"{name} is {span!r}; it must be a timedelta that is not negative")
        self.pool_id = pool_id
        self.closes_at = closes_at
        self.min_open = min_open
        self.grace = grace
        self.measure_spending = measure_spending
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> None:
        """Compare the window with the clock and with the pool."""
        closes_at = parse_datetime("closes_at", self.closes_at)
        pool_id = checked_id("pool_id", self.pool_id)
        times = {"not_after": closes_at - self.min_open, "closes_at": closes_at, "over_at": closes_at + self.grace}
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_settled_pool(pool_id)
            store_link(context, client, pool)
            self._skip_if_late(pool, **times)
            facts: dict[str, Any] = {name: time.isoformat() for name, time in times.items()}
            if self.measure_spending:
                facts["spent"] = self._spent(client, pool_id)
        for name, value in facts.items():
            context["ti"].xcom_push(key=name, value=value)

    def _skip_if_late(self, pool: Pool, *, not_after: datetime, closes_at: datetime, over_at: datetime) -> None:
        if PoolOpening(began_before=over_at).was_followed_by(pool):
            raise AirflowSkipException(
                f"The window was not opened: it was over at {closes_at}, and another run opened pool {pool.id} again "
                f"at {pool.last_started}"
            )
        if datetime.now(UTC) <= not_after:
            return
        if (why := why_not_closed(pool)) is None:
            raise AirflowSkipException(
                f"Pool {pool.id} was not opened: it is too late, as the window closes at {closes_at}"
            )
        self.log.warning("Pool %s has to be closed, as it is %s, although it is too late to open it", pool.id, why)

    def _spent(self, client: TolokaClient, pool_id: str) -> float:
        facts = measure(client, pool_id, self.log)
        if facts is None or facts["spent"] is None:
            raise AirflowException(
                f"Pool {pool_id} was not opened: what was spent for it until now did not become known"
            )
        return float(facts["spent"])


class WindowResultOperator(BaseOperator):
    """
    Return how a window ended, the last task of a `pool_window`; skipped or failed as the waiting was.

    :param check_task_id: The task that decided whether to open the window; see `CheckWindowOperator`.
    :param wait_task_id: The task that waited.
    """

    template_fields: Sequence[str] = ("pool_id", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self, *, pool_id: str, check_task_id: str, wait_task_id: str, toloka_conn_id: str, **kwargs: Any
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pool_id = pool_id
        self.check_task_id = check_task_id
        self.wait_task_id = wait_task_id
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Put together what the tasks of the window found out."""
        ti = context["ti"]
        waited = ti.xcom_pull(task_ids=self.wait_task_id)
        if waited is None:
            self._follow(task_states(ti, [self.wait_task_id]).get(self.wait_task_id))
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_pool(checked_id("pool_id", self.pool_id))
        if unknown := why_unknown(pool):
            raise AirflowFailException(f"The window has no result: pool {pool.id} is {unknown}")
        store_link(context, client, pool)
        started = pool.last_started
        return {
            **pool.summary(),
            "opened_at": started.isoformat() if started else None,
            "stopped_by": waited["stopped_by"] if waited else "person",
            "spent": _difference(waited, ti.xcom_pull(task_ids=self.check_task_id, key="spent")),
        }

    def _follow(self, state: str | None) -> None:
        """End as the waiting did, unless a person made it a success."""
        if state == "skipped":
            raise AirflowSkipException("The window was not opened")
        if state != "success":
            raise AirflowFailException(f"The window has no result: the task {self.wait_task_id} is {state}")


def _difference(waited: dict[str, Any] | None, before: float | None) -> float | None:
    """Return what was spent since the window began, if that is known."""
    progress = (waited or {}).get("progress")
    if not progress or progress["spent"] is None or before is None:
        return None
    return round(float(progress["spent"]) - before, 6)
