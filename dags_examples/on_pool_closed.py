"""
Download the answers when a pool closes, without a task that waits for it.

Set the Airflow variable ``toloka_pool`` to the id of the pool; until then the DAG has no schedule. Needs the
connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetWatcher, Param, Variable, dag, task

from toloka_airflow.assets import pool_asset
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.triggers import PoolClosedTrigger


def when_closed(pool_id: str | None) -> Any:
    """Return the asset that changes whenever the pool closes, as a schedule."""
    if not pool_id:
        return None
    # Triggers take no templates: which pool it is must be known when this file is read.
    watcher = AssetWatcher(name="pool_closed", trigger=PoolClosedTrigger(pool_id=pool_id, poll_interval=30))
    return [pool_asset(pool_id, watchers=[watcher])]


@dag(
    schedule=when_closed(Variable.get("toloka_pool", default=None)),
    params={"output": Param("file:///tmp/on_pool_closed", type="string", description="Where to write the answers")},
    tags=["toloka"],
    doc_md=__doc__,
)
def on_pool_closed() -> None:
    @task
    def closed_pool(triggering_asset_events: Any = None) -> str:
        """Return the pool of the last event, in which are ``status``, ``close_reason`` and ``closed_at``, too."""
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        # A run that a person starts has no event.
        return str(payloads[-1]["pool_id"] if payloads else Variable.get("toloka_pool"))

    GetAssignmentsOperator(
        task_id="download_answers",
        pool_id=closed_pool(),
        path="{{ params.output }}/{{ run_id }}.jsonl.gz",
        status=("SUBMITTED", "ACCEPTED"),
    )


on_pool_closed_dag = on_pool_closed()
