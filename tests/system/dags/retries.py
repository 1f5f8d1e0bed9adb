"""A task that comes back when its quota does, on Airflow 3.3, and one that never will, as a file is not there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import airflow.sdk
from airflow.sdk import DAG, Param

from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.retries import QuotaRetryPolicy

DEFAULTS: dict[str, Any] = {
    "retries": 100,
    "retry_delay": timedelta(hours=1),
    "toloka_conn_id": "toloka_retries",
}

if hasattr(airflow.sdk, "RetryPolicy"):
    policy: dict[str, Any] = {"retry_policy": QuotaRetryPolicy()}
    with DAG(
        "spent_quota", schedule=None, params={"pool_id": Param("", type="string")}, default_args=DEFAULTS | policy
    ):
        OpenPoolOperator(task_id="open", pool_id="{{ params.pool_id }}")

with DAG("mistake", schedule=None, default_args=DEFAULTS):
    CreatePoolOperator(task_id="create", config="/no/such/pool.yaml", expires_in=timedelta(days=1))
