"""The shortest useful DAG: open a pool that has tasks, wait until it is open, close it, archive it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from toloka_airflow.operators.lifecycle import ArchivePoolOperator, ClosePoolOperator, OpenPoolOperator
from toloka_airflow.sensors import OperationSensor

with DAG("pool_lifecycle", schedule=None, params={"pool_id": Param("", type="string")}, tags=["toloka"]) as dag:
    # Should Airflow end the run without its teardown, the pool expires.
    open_pool = OpenPoolOperator(
        task_id="open_pool", pool_id="{{ params.pool_id }}", expires_in=timedelta(hours=1), wait_for_completion=False
    )
    wait_until_open = OperationSensor(task_id="wait_until_open", operation_id=open_pool.output, deferrable=True)
    # A teardown: it closes the pool also when the wait fails.
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id="{{ params.pool_id }}", deferrable=True).as_teardown(
        on_failure_fail_dagrun=True
    )
    archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id="{{ params.pool_id }}", deferrable=True)

    open_pool >> wait_until_open >> close_pool
    [wait_until_open, close_pool] >> archive_pool
