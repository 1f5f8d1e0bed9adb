"""The tasks of a `toloka_airflow.windows.pool_window` that open no pool and close none: the first and the last."""

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

from toloka_airflow._internal.airflow_internals import task_state_store
from toloka_airflow._internal.arguments import parse_datetime, parse_optional_datetime
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.pool_rules import PoolOpening, may_have_been_opened_since, why_not_closed, why_unknown
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.operators.guards import fail_if_over
from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.operators.window_end import log_end, pull, stopped_by, window_cost
from toloka_airflow.operators.window_times import ensure_window, with_interval
from toloka_airflow.triggers.progress import cost, had_answers, measure

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool


class CheckWindowOperator(LineageMixin, BaseOperator):
    """
    Decide whether to open a window, and compute its times; the first task of a `pool_window`.

    It is skipped if it is too late, and then nothing was sent that changes anything. The times are its XComs
    ``not_after``, ``closes_at`` and ``over_at``, and ``began_at``, when it was checked, by Toloka's clock. ``min_open``
    is what must be left, in words, which is why ``not_after`` is before ``closes_at``. If it is
    measured, there are also ``spent`` and ``committed``, money of before (see `PoolSensor`), and their sum,
    ``spent_before``.

    :param closes_at: When the window closes (templated). A run without a data interval has in this template the one
        that the timetable of the DAG infers from when the run was due, as for a run that is started with a date.
    """

    template_fields: Sequence[str] = ("pool_id", "closes_at", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        closes_at: datetime | str | XComArg,
        min_open: timedelta,
        grace: timedelta,
        measure_spending: bool,
        toloka_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, span in {"min_open": min_open, "grace": grace}.items():
            if not isinstance(span, timedelta) or span < timedelta(0):
                raise argument_error(f"{name} is {span!r}; it must be a timedelta that is not negative")
        self.pool_id = as_rendered(pool_id)
        self.closes_at = as_rendered(closes_at)
        self.min_open = min_open
        self.grace = grace
        self.measure_spending = measure_spending
        self.toloka_conn_id = toloka_conn_id
        check_known(self, closes_at=parse_datetime)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the templates with a data interval, whether the run has one or not."""
        try:
            super().render_template_fields(with_interval(self, context), jinja_env)
        except Exception as exc:
            if "'data_interval_" not in str(exc):
                raise
            raise AirflowFailException(
                with_link(
                    f"closes_at is {self.closes_at!r}, but this run was started without a date and has no data "
                    "interval, nor does the timetable of its DAG infer one: give it a PoolWindowTimetable, or "
                    "closes_at another time",
                    "window-times",
                )
            ) from exc

    def execute(self, context: Context) -> None:
        """Compare the window with the clock and with the pool."""
        with task_errors():
            closes_at = parse_datetime("closes_at", self.closes_at)
            ensure_window(closes_at, with_interval(self, context))
            pool_id = checked_id("pool_id", self.pool_id)
            times = {"not_after": closes_at - self.min_open, "closes_at": closes_at, "over_at": closes_at + self.grace}
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_settled_pool(pool_id)
            store_link(context, client, pool)
            self._skip_if_late(pool, client, **times)
            times["began_at"] = client.server_time() or datetime.now(UTC)
            facts: dict[str, Any] = {name: time.isoformat() for name, time in times.items()}
            if self.measure_spending:
                facts |= self._spent(client, pool_id)
        facts["min_open"] = str(self.min_open)
        self._lineage_facts = facts
        for name, value in facts.items():
            context["ti"].xcom_push(key=name, value=value)

    def _skip_if_late(
        self, pool: Pool, client: TolokaClient, *, not_after: datetime, closes_at: datetime, over_at: datetime
    ) -> None:
        if PoolOpening(began_before=over_at).was_followed_by(pool):
            raise AirflowSkipException(
                f"The window was not opened: it was over at {closes_at}, and another run opened pool {pool.id} again "
                f"at {pool.last_started}"
            )
        is_late, why = datetime.now(UTC) > not_after, why_not_closed(pool)
        if why is None and is_late:
            raise AirflowSkipException(
                f"Pool {pool.id} was not opened: it is too late, as the window closes at {closes_at} and "
                f"{self.min_open} of it must be left (min_open)"
            )
        if why is None:
            last = f"the last time to open it, which is closes_at less min_open ({self.min_open}),"
            fail_if_over(f"Pool {pool.id}", last, not_after, client)
        elif is_late:
            self.log.warning(
                "Pool %s has to be closed, as it is %s, although less than %s (min_open) is left until %s, too late to "
                "open it",
                *(pool.id, why, self.min_open, closes_at),
            )

    def _spent(self, client: TolokaClient, pool_id: str) -> dict[str, Any]:
        facts = measure(client, pool_id, self.log)
        if facts is None or (spent_before := cost(facts)) is None:
            raise AirflowException(
                with_link(
                    f"Pool {pool_id} was not opened: what was spent for it until now did not become known", "no-answer"
                )
            )
        return {"spent": facts["spent"], "committed": facts["committed"], "spent_before": spent_before}


class OpenWindowPoolOperator(OpenPoolOperator):
    """
    Open the pool of a window.

    Before Airflow 3.3, a further attempt takes the time of the check for the one before which the pool had last been
    opened by others. The start of the run would be too early: one run may have several windows for a pool, such as the
    rounds of a `toloka_airflow.label_until.label_until`.

    :param min_open: Why ``not_after`` is before the end of the window, to say so if it is too late.
    :param check_task_id: The task that decided whether to open the window; see `CheckWindowOperator`.
    """

    def __init__(self, *, min_open: timedelta, check_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_open = min_open
        self.check_task_id = check_task_id

    def _last_started_before(self, context: Context, client: TolokaClient) -> datetime | None:
        before = super()._last_started_before(context, client)
        if before is None or task_state_store(context) is not None:
            return before
        began_at = parse_optional_datetime("began_at", pull(context["ti"], self.check_task_id, "began_at"))
        return began_at or before

    @property
    def name_of_not_after(self) -> str:
        """What messages call the last time to open the pool, with the reason for it."""
        return f"not_after, which is closes_at less min_open ({self.min_open}),"


class WindowResultOperator(LineageMixin, BaseOperator):
    """
    Return how a window ended, the last task of a `pool_window`; skipped or failed as the waiting was.

    It fails if the pool is not closed, unless another run opened it. Then ``opened_at``, ``closed_at`` and
    ``close_reason`` are ``None``: what the pool says of them is not about this window, or mixed.

    :param check_task_id: The task that decided whether to open the window; see `CheckWindowOperator`.
    :param open_task_id: The task that opened the pool.
    :param wait_task_id: The task that waited.
    """

    template_fields: Sequence[str] = ("pool_id", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        check_task_id: str,
        open_task_id: str,
        wait_task_id: str,
        toloka_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pool_id = as_rendered(pool_id)
        self.check_task_id = check_task_id
        self.open_task_id = open_task_id
        self.wait_task_id = wait_task_id
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Put together what the tasks of the window found out."""
        ti = context["ti"]
        waited = pull(ti, self.wait_task_id)
        ended = reason, state = stopped_by(ti, self.open_task_id, self.wait_task_id, waited)
        if reason is None:
            self._follow(ti, state)
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_pool(checked_id("pool_id", self.pool_id))
        if unknown := why_unknown(pool):
            raise AirflowFailException(
                with_link(f"The window has no result: pool {pool.id} is {unknown}", "unexpected-answer")
            )
        store_link(context, client, pool)
        over_at = parse_optional_datetime("over_at", pull(ti, self.check_task_id, "over_at"))
        self._ensure_closed(pool, over_at)
        spent = window_cost(ti, lambda: client, pool.id, check_task_id=self.check_task_id, waited=waited, log=self.log)
        log_end(self.log, pool.id, ended, spent)
        began = parse_optional_datetime("began_at", pull(ti, self.check_task_id, "began_at"))
        started = pool.last_started
        ends = {**pool.summary(), "opened_at": started.isoformat() if started else None}
        if over_at is not None and started is not None and may_have_been_opened_since(pool, over_at):
            self.log.info("How the window was closed is not known: another run opened pool %s at %s", pool.id, started)
            ends |= dict.fromkeys(("opened_at", "closed_at", "close_reason"))
        self._lineage_facts = {
            **ends,
            "stopped_by": reason,
            **spent,
            # Not those of the next window, which may be open by now.
            "has_answers": had_answers(client.without_retries(), pool.id, began or started, self.log, before=over_at),
        }
        return self._lineage_facts

    def _follow(self, ti: Any, state: str | None) -> None:
        """End as the waiting did."""
        if state == "skipped":
            not_after, closes_at, min_open = (
                pull(ti, self.check_task_id, key) for key in ("not_after", "closes_at", "min_open")
            )
            limit = f"; it is not opened after {not_after}, as {min_open} must be left until {closes_at} (min_open)"
            raise AirflowSkipException(
                f"The window was not opened, the log of the task {self.open_task_id} says why"
                f"{limit if min_open else ''}"
            )
        raise AirflowFailException(
            with_link(f"The window has no result: the task {self.wait_task_id} is {state}", "window-times")
        )

    def _ensure_closed(self, pool: Pool, over_at: datetime | None) -> None:
        opening = PoolOpening(began_before=over_at)
        if (why := why_not_closed(pool)) and not opening.was_followed_by(pool):
            raise AirflowFailException(
                with_link(
                    f"The window is over, but pool {pool.id} is not closed: it is {why}, opened at "
                    f"{pool.last_started}. Close it by hand",
                    "pool-not-closed",
                )
            )
