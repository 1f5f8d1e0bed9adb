"""A DAG with a working window by a timetable, and what starts it in other ways than by its schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import airflow.sdk
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, Param
from airflow.timetables import assets

from toloka_airflow.timetables import DAYS, PoolWindowTimetable
from toloka_airflow.windows import pool_window

NOW = datetime.now(UTC)
# Not today, as a window that is open now gets a run by the schedule. It closes in some hours, whenever that is.
IN_SOME_DAYS = DAYS[(NOW + timedelta(days=3)).weekday()]
CLOSES = "21:00" if 6 <= NOW.hour < 18 else "09:00"
PARAMS = {"pool_id": Param("", type="string")}
# From Airflow 3.2 on, DAGs have one of their own.
AssetOrTimeSchedule: Any = getattr(airflow.sdk, "AssetOrTimeSchedule", assets.AssetOrTimeSchedule)


def window() -> None:
    pool_id = "{{ params.pool_id or (triggering_asset_events.values() | first | first).extra.pool_id }}"
    pool_window(pool_id=pool_id, poll_interval=1, toloka_conn_id="toloka_runs")


timetable = PoolWindowTimetable(opens="04:00", closes=CLOSES, days=IN_SOME_DAYS, timezone="UTC")
schedule = AssetOrTimeSchedule(timetable=timetable, assets=[Asset("started_window")])
with DAG("started_window", schedule=schedule, params=PARAMS, max_active_runs=10) as started:
    window()

with DAG("window_without_timetable", schedule=None, params=PARAMS) as without_timetable:
    window()

with DAG(
    "window_of_next_year", schedule=None, params=PARAMS, start_date=datetime(NOW.year + 2, 1, 1, tzinfo=UTC)
) as of_next_year:
    window()

with DAG("starts_windows", schedule=None, params={"pools": Param([], type="array")}) as starts:
    for dag_id in ("started_window", "window_of_next_year", "window_without_timetable"):
        TriggerDagRunOperator(task_id=dag_id, trigger_dag_id=dag_id, conf={"pool_id": "{{ params.pools[0] }}"})
    TriggerDagRunOperator(
        task_id="without_a_date",
        trigger_dag_id="started_window",
        conf={"pool_id": "{{ params.pools[1] }}"},
        logical_date=None,
    )
