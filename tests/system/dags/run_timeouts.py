"""DAGs whose runs have a ``dagrun_timeout``, after which Airflow starts nothing of them, not even a teardown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from toloka_airflow.operators.lifecycle import (
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.sensors import PoolSensor

TIMEOUT = timedelta(hours=1)
EXPIRES_IN = timedelta(hours=2)
IDS = {"pool_id": "{{ params.pool_id }}", "training_id": "{{ params.training_id }}"}
PARAMS = {name: Param("", type="string") for name in IDS}


def dag_with_timeout(dag_id: str, **arguments: Any) -> DAG:
    """Return a DAG that waits for its pool for longer than its runs may last."""
    pool_id, training_id = IDS.values()
    default_args = {"toloka_conn_id": "toloka_timeouts"}
    with DAG(dag_id, schedule=None, params=PARAMS, dagrun_timeout=TIMEOUT, default_args=default_args) as dag:
        open_pool = OpenPoolOperator(task_id="open", pool_id=pool_id, expires_in=EXPIRES_IN)
        open_training = OpenTrainingOperator(task_id="open_training", training_id=training_id)
        wait = PoolSensor(task_id="wait", **IDS, close_on_kill=True, poke_interval=1, **arguments)
        close = ClosePoolOperator(task_id="close", pool_id=pool_id).as_teardown(setups=open_pool)
        close_training = CloseTrainingOperator(task_id="close_training", training_id=training_id)
        open_pool >> open_training >> wait >> close >> close_training.as_teardown(setups=open_training)
    return dag


deferred = dag_with_timeout("timeout_deferred", deferrable=True)
in_worker = dag_with_timeout("timeout_in_worker", deferrable=False)
