"""A whole labelling round, whose workers `test_killed_workers.py` kills."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, literal

from tests.worlds import POOL, PROJECT
from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

ONE_ANSWER = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1}
MIXER = {"real_tasks_count": 10, "golden_tasks_count": 0, "training_tasks_count": 0}


def accept(assignment: Any) -> dict[str, str]:
    return {"status": "ACCEPTED", "public_comment": "Thank you"}


with DAG(
    "labelling_round",
    schedule=None,
    params={"tasks": Param("", type="string"), "answers": Param("", type="string")},
    default_args={"retries": 50, "retry_delay": timedelta(0), "toloka_conn_id": "toloka_round"},
):
    create_project = CreateProjectOperator(task_id="create_project", config=literal(PROJECT))
    create_pool = CreatePoolOperator(
        task_id="create_pool",
        project_id=create_project.output,
        config={**POOL, "auto_accept_solutions": False, "defaults": ONE_ANSWER, "mixer_config": MIXER},
    )
    pool_id = create_pool.output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks="{{ params.tasks }}", chunk_size=250)
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, poll_interval=1)
    wait = PoolSensor(task_id="wait", pool_id=pool_id, poke_interval=1, deferrable=True)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(setups=[upload, open_pool])
    review = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decide=accept)
    download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path="{{ params.answers }}", page_size=20)

    upload >> open_pool >> wait >> close_pool
    [wait, close_pool] >> review >> download
