"""The teardowns of a `toloka_airflow.windows.pool_window`: they close what the window opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from toloka_airflow._internal.airflow_internals import ENDED, states_in_other_runs
from toloka_airflow._internal.arguments import parse_datetime
from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.api.pool_rules import may_have_been_opened_since, why_not_closed
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.operators.close_operator import CloseOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, CloseTrainingOperator
from toloka_airflow.operators.window_end import log_end, pull, stopped_by, window_cost
from toloka_airflow.operators.window_times import with_interval

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Training


class _CloseWindowOperator(CloseOperator):
    """
    Close what a window has opened, and nothing that another run opened.

    What decides is when the window is over, which `CheckWindowOperator` has left. If it cannot be read, it is worked
    out anew. If that fails, too, only an opening since the run began is closed, and only while no other run of the DAG
    has a window that is not closed.

    :param closes_at: When the window closes; a template that is rendered if it is needed.
    :param grace: How long after that the window is over.
    :param check_task_id: The task that decided whether to open the window; see `CheckWindowOperator`.
    :param open_task_id: The task that opened the pool.
    :param wait_task_id: The task that waited.
    """

    def __init__(
        self,
        *,
        closes_at: datetime | str,
        grace: timedelta,
        check_task_id: str,
        open_task_id: str,
        wait_task_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Not a template field: rendering that fails would keep the task from closing.
        self.closes_at = closes_at
        self.grace = grace
        self.check_task_id = check_task_id
        self.open_task_id = open_task_id
        self.wait_task_id = wait_task_id

    def execute(self, context: Context) -> str | None:
        """Close the pool or training, unless another run opened it."""
        limit = self._limit(context)
        if limit is None and not self._is_own(context):
            return None
        self.opened_before = limit
        return super().execute(context)

    def _limit(self, context: Context) -> datetime | None:
        """Return when the window is over; ``None`` if that is not known."""
        ti = context["ti"]
        try:
            return parse_datetime("over_at", pull(ti, self.check_task_id, "over_at"))
        except Exception as exc:  # whatever it is, it must not keep the pool open
            self.log.warning("Working out anew when the window is over, as it cannot be read: %r", exc)
        try:
            closes_at = self.render_template(self.closes_at, with_interval(self, context))
            return parse_datetime("closes_at", closes_at) + self.grace
        except Exception as exc:
            self.log.warning("Nobody knows when the window is over: %r", exc)
            return None

    def _is_own(self, context: Context) -> bool:
        """
        Return whether there is nothing to close but what this run may have opened.

        :raises AirflowException: If another run may have, too.
        """
        ti, dag_run = context["ti"], context["dag_run"]
        began = dag_run.start_date or dag_run.run_after
        with task_errors(must_be_done=self.must_be_done):
            subject = self._fetch(TolokaHook(self.toloka_conn_id).get_conn())
        if why_not_closed(subject) is None:
            return True
        if not may_have_been_opened_since(subject, began):
            self.log.warning(
                "%s was not closed: it was opened at %s, before this run began", self._name, subject.last_started
            )
            return False
        states = states_in_other_runs(ti, [self.check_task_id, ti.task_id])
        if others := [run_id for run_id, found in states.items() if self._has_open_window(found)]:
            raise AirflowException(
                with_link(
                    f"{self._name} was not closed: it was opened at {subject.last_started} by this run or by another "
                    f"one ({', '.join(others)}), and nobody knows when the window of this run is over",
                    "pool-not-closed",
                )
            )
        return True

    def _has_open_window(self, states: dict[str, str | None]) -> bool:
        """Return whether a run has opened a window, also one of a mapped task, and not closed it."""
        opened = [name for name, state in states.items() if state == "success" and name.startswith(self.check_task_id)]
        closes = [self.task_id + name.removeprefix(self.check_task_id) for name in opened]
        return any(states.get(name) not in ENDED for name in closes)

    def _fetch(self, client: TolokaClient) -> Training:
        raise NotImplementedError


class CloseWindowPoolOperator(_CloseWindowOperator, ClosePoolOperator):
    """Close the pool of a window, unless another run opened it, and log the end; the teardown of a `pool_window`."""

    def execute(self, context: Context) -> str | None:
        """Close the pool, wait until it is closed, and log how it came to that and what it cost."""
        operation_id = super().execute(context)
        try:
            self._log_end(context["ti"])
        except Exception as exc:  # the pool is closed, whatever is known of its window
            self.log.warning("How the window of pool %s ended did not become known: %r", self._id(), exc)
        return operation_id

    def _log_end(self, ti: Any) -> None:
        waited = pull(ti, self.wait_task_id)
        connect = TolokaHook(self.toloka_conn_id).get_conn
        spent = window_cost(ti, connect, self._id(), check_task_id=self.check_task_id, waited=waited, log=self.log)
        log_end(self.log, self._id(), stopped_by(ti, self.open_task_id, self.wait_task_id, waited), spent)

    def _fetch(self, client: TolokaClient) -> Training:
        return client.get_pool(self._id())


class CloseWindowTrainingOperator(_CloseWindowOperator, CloseTrainingOperator):
    """Close the training of a window, unless another run opened it; the second teardown of a `pool_window`."""

    def _fetch(self, client: TolokaClient) -> Training:
        return client.get_training(self._id())
