"""DAGs for the page: one opens a pool and waits for it, one has windows, and is paused so that they stay planned."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.timetables import PoolWindowTimetable

POOL = {"pool_id": "{{ params.pool_id }}", "toloka_conn_id": "toloka_page"}

with DAG("page_pool", schedule=None, params={"pool_id": Param("", type="string")}):
    wait = PoolSensor(
        task_id="wait",
        poke_interval=1,
        deferrable=True,
        progress_interval=1,
        expected_reasons=["COMPLETED", "MANUAL"],
        **POOL,
    )
    OpenPoolOperator(task_id="open", **POOL) >> wait

with DAG(
    "page_windows",
    schedule=PoolWindowTimetable(opens="09:00", closes="17:00", days="mon-sun", timezone="UTC"),
    is_paused_upon_creation=True,
):

    @task
    def work() -> None:
        """Do nothing: the DAG never runs."""

    work()
