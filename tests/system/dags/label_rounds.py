"""Three rounds of `label_until`, whose workers `test_killed_labelling.py` kills."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from toloka_airflow.label_until import label_until

with DAG(
    "label_rounds",
    schedule=None,
    params={name: Param("", type="string") for name in ("pool_id", "folder", "toloka")},
    # As many retries as the group's own, but sooner.
    default_args={"retries": 1200, "retry_delay": timedelta(seconds=1)},
    max_active_runs=2,
):
    label_until(
        pool_id="{{ params.pool_id }}",
        fields=["answer"],
        folder="{{ params.folder }}",
        # So many labels are never so sure: all rounds are needed.
        target=1,
        sure_at=0.97,
        max_rounds=3,
        timeout=timedelta(days=30),
        # One at a time: so people find the tasks in the same order, whatever is killed.
        in_flight=1,
        poll_interval=1,
        toloka_conn_id="{{ params.toloka }}",
    )
