"""The DAGs that ``make chaos`` runs are what its judgement takes them for."""

from __future__ import annotations

import runpy

import pytest
from airflow.sdk import DAG

from fleet.chaos.collection import PREFIX
from fleet.chaos.disturbances import CONNECTION
from fleet.chaos.judgement import GRACE
from fleet.chaos.rounds import BONUS_LABEL, ORDER, TASKS
from fleet.settings import ROOT
from toloka_airflow.operators.lifecycle import OpenPoolOperator, OpenTrainingOperator
from toloka_airflow.sensors import PoolSensor


@pytest.fixture(scope="module")
def module():
    return runpy.run_path(str(ROOT / "fleet" / "dags" / "chaos_rounds.py"))


@pytest.fixture(scope="module")
def dags(module):
    return {name: found for name, found in module.items() if isinstance(found, DAG)}


def test_every_round_has_its_dag(dags):
    rounds = {dag.dag_id for name, dag in dags.items() if name.startswith("round_")}
    assert rounds == set(TASKS) == set(ORDER)


def test_the_judgement_knows_them(module, dags):
    assert module["GRACE"].total_seconds() == GRACE
    assert module["NAME"].startswith(PREFIX)
    assert module["BONUS_LABEL"] == BONUS_LABEL in module["LABELS"]
    assert module["CONNECTION"] == CONNECTION
    assert {"choose_end", "window.check"} <= set(dags["round_window"].task_ids)
    ids = {str(task.toloka_conn_id) for dag in dags.values() for task in dag.tasks if hasattr(task, "toloka_conn_id")}
    assert ids == {CONNECTION}


def test_no_round_leaves_anything_open_when_its_run_ends_without_its_teardowns(dags):
    for dag in dags.values():
        for task in dag.tasks:
            if isinstance(task, OpenPoolOperator):
                assert task.expires_in or task.will_expire
            if isinstance(task, PoolSensor):
                assert task.close_on_kill
        opened = {str(task.training_id) for task in dag.tasks if isinstance(task, OpenTrainingOperator)}
        assert opened <= {str(task.training_id) for task in dag.tasks if isinstance(task, PoolSensor)}
        assert any(task.is_teardown for task in dag.tasks)
