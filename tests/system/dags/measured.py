"""A wait that measures its pool."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from toloka_airflow.sensors import PoolSensor

with DAG("wait_measured", schedule=None, params={"pool_id": Param("", type="string")}):
    PoolSensor(
        task_id="wait",
        pool_id="{{ params.pool_id }}",
        poke_interval=1,
        progress_interval=1,
        expected_reasons=["COMPLETED", "MANUAL"],
        toloka_conn_id="toloka_measured",
        deferrable=True,
    )
