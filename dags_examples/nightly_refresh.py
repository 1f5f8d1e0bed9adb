"""
Keep a pool open every night, for a reward that depends on how much is left to do.

The reward is changed before the window. If somebody has left the pool open, it is closed for update meanwhile, so that
nobody begins with the old reward. Set the Airflow variable ``toloka_pool`` to the id of the pool. Needs the connection
``toloka_default`` and a triggerer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from toloka_airflow.hooks import TolokaHook
from toloka_airflow.operators.updates import UpdatePoolOperator
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import pool_window

POOL_ID = "{{ var.value.toloka_pool }}"


@task
def choose_reward(pool_id: str, params: dict[str, Any] | None = None) -> dict[str, float]:
    """Return what to change in the pool: many tasks that nobody answered are worth more."""
    params = params or {}
    left = sum(1 for item in TolokaHook().get_conn().list_tasks(pool_id) if item.remaining_overlap)
    return {"reward_per_assignment": params["reward"] * (1.5 if left > params["many"] else 1)}


with DAG(
    "nightly_refresh",
    schedule=PoolWindowTimetable(opens="22:00", closes="06:00", days="daily", timezone="Europe/Berlin"),
    max_active_runs=1,
    params={
        "closes_at": Param("", type="string", description="When to close, such as 2030-01-31T06:00:00+01:00"),
        "reward": Param(0.02, type="number", description="US dollars for a page of tasks"),
        "many": Param(10_000, type="integer", description="With more tasks than that to do, the reward is higher"),
    },
    tags=["toloka"],
    doc_md=__doc__,
) as dag:
    refresh = UpdatePoolOperator(task_id="refresh", pool_id=POOL_ID, changes=choose_reward(POOL_ID))
    window = pool_window(
        pool_id=POOL_ID,
        closes_at="{{ params.closes_at or data_interval_end }}",
        min_open=timedelta(hours=1),
        check_budget=True,
    )
    refresh >> window
