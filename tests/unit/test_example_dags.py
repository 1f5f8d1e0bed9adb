"""No example leaves anything open when its run ends without its teardowns, as after ``dagrun_timeout``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from airflow.sdk import DAG

from toloka_airflow.operators.lifecycle import OpenPoolOperator, OpenTrainingOperator
from toloka_airflow.sensors import PoolSensor

EXAMPLES = sorted(path.stem for path in (Path(__file__).parents[2] / "dags_examples").glob("*.py"))


@pytest.fixture(params=EXAMPLES)
def dag(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DAG:
    monkeypatch.setenv("AIRFLOW_VAR_TOLOKA_POOL", "21")
    names = vars(import_module(f"dags_examples.{request.param}")).values()
    return next(each for each in names if isinstance(each, DAG))


@pytest.mark.filterwarnings("ignore:The `airflow.operators.branch")  # of the standard provider, on Airflow 3.1
def test_every_pool_expires_and_every_wait_closes_what_its_run_has_opened(dag: DAG) -> None:
    for task in dag.tasks:
        if isinstance(task, OpenPoolOperator):
            assert task.expires_in or task.will_expire, f"{task.task_id} sets no expiry date"
        if isinstance(task, PoolSensor):
            assert task.close_on_kill, f"{task.task_id} leaves its pool open when it is killed"
    opened = {str(task.training_id) for task in dag.tasks if isinstance(task, OpenTrainingOperator)}
    watched = {str(task.training_id) for task in dag.tasks if isinstance(task, PoolSensor)}
    assert opened <= watched, "a training stays open when the wait is killed"
