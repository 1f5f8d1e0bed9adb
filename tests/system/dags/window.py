"""A DAG with a working window, and tasks before, inside and behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from toloka_airflow.windows import pool_window

PARAMS = {
    "pool_id": Param("", type="string"),
    "training_id": Param("", type="string"),
    "seconds": Param(5, type="number", description="From the end of the first task to the end of the window"),
    "inside": Param("", type="string"),
}


@task
def before(params: dict[str, Any] | None = None) -> str:
    """Return when the window closes."""
    return (datetime.now(UTC) + timedelta(seconds=(params or {})["seconds"])).isoformat()


@task(retries=0)
def inside(params: dict[str, Any] | None = None) -> None:
    if (params or {})["inside"] == "fail":
        raise RuntimeError("as the test wants it")


@task
def behind(ended: dict[str, Any]) -> dict[str, Any]:
    return ended


with DAG("window_with_training", schedule=None, params=PARAMS) as dag:
    with pool_window(
        pool_id="{{ params.pool_id }}",
        training_id="{{ params.training_id }}",
        closes_at="{{ ti.xcom_pull(task_ids='before') }}",
        min_open=timedelta(seconds=1),
        progress_interval=2,
        poll_interval=0.2,
        toloka_conn_id="toloka_windows",
    ) as window:
        inside()
    before() >> window
    behind(window.result)
