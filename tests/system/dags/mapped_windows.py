"""A DAG with a working window for each of some pools."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task, task_group

from toloka_airflow.windows import pool_window

PARAMS = {"pools": Param([], type="array"), "closes_at": Param("", type="string")}


@task
def pools(params: dict[str, Any] | None = None) -> list[str]:
    found: list[str] = (params or {})["pools"]
    return found


@task_group
def each(pool_id: str) -> None:
    pool_window(
        pool_id=pool_id,
        closes_at="{{ params.closes_at }}",
        min_open=timedelta(seconds=1),
        poll_interval=1,
        toloka_conn_id="toloka_runs",
    )


with DAG("mapped_windows", schedule=None, params=PARAMS, max_active_runs=10) as dag:
    each.expand(pool_id=pools())
