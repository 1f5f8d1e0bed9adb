"""A DAG with a working window, and default_args that suit its other tasks only."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from toloka_airflow.windows import pool_window

UNSUITABLE = {
    "depends_on_past": True,
    "do_xcom_push": False,
    "multiple_outputs": True,
    "poll_interval": 600,
    "soft_fail": True,
    "wait_for_completion": False,
    "wait_for_downstream": True,
    # Such is for sensors, and reaches the wait.
    "timeout": 30,
}
PARAMS = {"pool_id": Param("", type="string"), "closes_at": Param("", type="string")}

with DAG("window_with_default_args", schedule=None, params=PARAMS, default_args=UNSUITABLE, max_active_runs=9) as dag:
    pool_window(
        pool_id="{{ params.pool_id }}",
        closes_at="{{ params.closes_at }}",
        poll_interval=1,
        toloka_conn_id="toloka_runs",
    )
# The real pauses are a minute.
dag.get_task("window.close").retries = 0
