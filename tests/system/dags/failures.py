"""DAGs with a working window that the tests disturb, and a wait in a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from toloka_airflow.sensors import PoolSensor
from toloka_airflow.windows import pool_window

TOLOKA = "toloka_disturbed"
PARAMS = {"pool_id": Param("", type="string"), "closes_at": Param("", type="string")}
IMPATIENT = {"execution_timeout": timedelta(seconds=20), "timeout": 20}


def window_dag(dag_id: str, **default_args: Any) -> DAG:
    """Return a DAG with a window only, for a pool and a closing time that a run is told."""
    # Of many runs, those that began first are to be done first, and not the first tasks of all.
    default_args |= {"weight_rule": "upstream"}
    with DAG(dag_id, schedule=None, params=PARAMS, default_args=default_args, max_active_runs=50) as dag:
        pool_window(
            pool_id="{{ params.pool_id }}",
            closes_at="{{ params.closes_at }}",
            min_open=timedelta(seconds=1),
            poll_interval=1,
            toloka_conn_id=TOLOKA,
        )
    # The real pauses are a minute and half a minute, which a test need not wait for.
    for task_id in ("window.wait", "window.close"):
        dag.get_task(task_id).retry_delay = timedelta(seconds=3)
    return dag


window = window_dag("window")
retried = window_dag("window_with_retries", retries=1, retry_delay=timedelta(seconds=1))
impatient = window_dag("window_with_timeouts", **IMPATIENT)
paused = window_dag("window_to_pause")
deleted = window_dag("window_to_delete")
forgotten = window_dag("window_to_forget")

with DAG("impatient_wait", schedule=None, params=PARAMS) as in_worker:
    PoolSensor(
        task_id="wait",
        pool_id="{{ params.pool_id }}",
        poke_interval=1,
        close_on_kill=True,
        execution_timeout=IMPATIENT["execution_timeout"],
        toloka_conn_id=TOLOKA,
    )
