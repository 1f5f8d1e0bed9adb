"""When the window of a run is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException

from toloka_airflow._internal.troubleshooting import with_link

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.common.compat.sdk import BaseOperator, Context


def with_interval(task: BaseOperator, context: Context) -> Context:
    """
    Return the context of a task with a data interval, also in a run that was started without a date, and has none.

    That gets the interval which it would have got with a date: what the timetable of the DAG infers from when the run
    was due. So it is the same for all tasks. Without such a timetable the context is returned as it is.
    """
    timetable = getattr(task.get_dag(), "timetable", None)
    # That of an AssetOrTimeSchedule is a part of it; on Airflow 3.3 the whole does not infer anything in a worker.
    infer = getattr(getattr(timetable, "timetable", timetable), "infer_manual_data_interval", None)
    if context.get("data_interval_end") is not None or infer is None or "dag_run" not in context:
        return context
    start, end = infer(run_after=pendulum.instance(context["dag_run"].run_after))
    return cast("Context", {**context, "data_interval_start": start, "data_interval_end": end})


def ensure_window(closes_at: datetime, context: Context) -> None:
    """
    Raise if the window is a data interval that is over before its run can begin.

    So it is with every run of a DAG whose schedule has no windows; it would always be late, and be skipped.
    """
    if closes_at == context.get("data_interval_end") and "dag_run" in context:
        due = context["dag_run"].run_after
        if closes_at <= due:
            raise AirflowFailException(
                with_link(
                    f"closes_at is the end of the data interval, {closes_at}, but this run was due at {due} only. The "
                    "schedule of the DAG has no windows: give it a PoolWindowTimetable, or closes_at another time",
                    "window-times",
                )
            )
