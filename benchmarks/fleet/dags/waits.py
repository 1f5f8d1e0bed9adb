"""Many mapped waits: some in a pool of no slots, where nothing resumes, and some that workers defer and resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Param, task

from toloka_airflow.sensors import OperationSensor

POLL_INTERVAL = 5


@task
def listed(params: Any = None) -> list[str]:
    """Return what is waited for."""
    waited_for: list[str] = json.loads(Path(params["file"]).read_text())
    return waited_for


def waits(dag_id: str, **arguments: Any) -> None:
    """Make a DAG of one mapped `OperationSensor`."""
    with DAG(
        dag_id,
        schedule=None,
        params={"file": Param("", type="string"), "toloka_conn_id": Param("toloka_default", type="string")},
        max_active_tasks=32,
    ):
        OperationSensor.partial(
            task_id="wait",
            deferrable=True,
            poke_interval=POLL_INTERVAL,
            toloka_conn_id="{{ params.toloka_conn_id }}",
            **arguments,
        ).expand(operation_id=listed())


waits("bench_in_database", retries=0, pool="bench_no_slots")
waits("bench_real", defer_after=0)
with DAG("bench_real_date_time", schedule=None, params={"file": Param("", type="string")}, max_active_tasks=32):
    DateTimeSensorAsync.partial(task_id="wait").expand(target_time=listed())
