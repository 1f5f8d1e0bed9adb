"""Ours: open many pools at once, each by an operation of a second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from toloka_airflow.operators.lifecycle import OpenPoolOperator


@task
def given(params: Any = None) -> list[str]:
    """Return the pools that the run is to open."""
    pools: list[str] = params["pools"]
    return pools


with DAG("many_openings", schedule=None, params={"pools": Param([], type="array")}):
    OpenPoolOperator.partial(
        task_id="open", deferrable=True, retries=10, retry_delay=timedelta(0), retry_exponential_backoff=False
    ).expand(pool_id=given())
