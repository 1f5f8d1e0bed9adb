"""DAGs that wait for a pool and are disturbed, and DAGs that its closing starts."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, AssetAlias, AssetWatcher, Param, task

from toloka_airflow.assets import pool_asset
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.watchers import PoolClosedTrigger

WAIT: dict[str, Any] = {
    "task_id": "wait",
    "pool_id": "{{ params.pool_id }}",
    "poke_interval": 1,
    "expected_reasons": ["COMPLETED", "MANUAL"],
    "close_on_kill": True,
    "outlets": [AssetAlias("closed_pool")],
}
PARAMS = {"pool_id": Param("", type="string")}


@task
def tell(triggering_asset_events: Any = None) -> list[Any]:
    """Return what the events that started this run say; Airflow lists one below its alias as well."""
    extras = [event.extra for events in triggering_asset_events.values() for event in events]
    return [extra for number, extra in enumerate(extras) if extra not in extras[:number]]


with DAG("wait_deferred", schedule=None, params=PARAMS):
    PoolSensor(deferrable=True, **WAIT)

with DAG("wait_in_worker", schedule=None, params=PARAMS):
    PoolSensor(mode="poke", **WAIT)

with DAG("after_any_pool", schedule=AssetAlias("closed_pool")):
    tell()

watcher = AssetWatcher(
    name="closing", trigger=PoolClosedTrigger(pool_id=os.environ["TOLOKA_TEST_POOL"], poll_interval=0.5)
)
with DAG("after_one_pool", schedule=pool_asset(os.environ["TOLOKA_TEST_POOL"], watchers=[watcher])):
    tell()
