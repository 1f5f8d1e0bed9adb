"""DAGs that wait for a pool and are disturbed, and a DAG that the end of such a wait starts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetAlias, Param, task

from toloka_airflow.sensors import PoolSensor

WAIT: dict[str, Any] = {
    "task_id": "wait",
    "pool_id": "{{ params.pool_id }}",
    "poke_interval": 1,
    "expected_reasons": ["COMPLETED", "MANUAL"],
    "close_on_kill": True,
    "outlets": [AssetAlias("closed_pool")],
    "toloka_conn_id": "toloka_waiting",
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
