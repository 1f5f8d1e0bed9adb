"""DAGs whose runs leave pools open, or wait for them, for the tests of `airflow-toloka doctor`."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from toloka_airflow.operators.lifecycle import OpenPoolOperator, OpenTrainingOperator
from toloka_airflow.sensors import PoolSensor

PARAMS = {"pool_id": Param("", type="string")}

with DAG("left_open", schedule=None, params=PARAMS):
    OpenPoolOperator(task_id="open", pool_id="{{ params.pool_id }}")

with DAG("training_left_open", schedule=None, params=PARAMS):
    OpenTrainingOperator(task_id="open", training_id="{{ params.pool_id }}")

with DAG("waited_for", schedule=None, params=PARAMS):
    PoolSensor(task_id="wait", pool_id="{{ params.pool_id }}", poke_interval=1, deferrable=True)

with DAG("waited_for_briefly", schedule=None, params=PARAMS):
    PoolSensor(task_id="wait", pool_id="{{ params.pool_id }}", poke_interval=1, timeout=5, deferrable=True)
