"""A labelling round as the tests disturb it: what it writes tells afterwards whether anything is doubled or missing."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.lifecycle import ArchivePoolOperator, ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

FOLDER = "file://" + os.environ.get("FLEET_FILES", "/nowhere") + "/{{ run_id }}"
PROJECT = {
    "public_name": "Round {{ run_id }}",
    "public_description": "Which one is it?",
    "public_instructions": "Choose one.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"label": {"type": "string", "allowed_values": ["a", "b", "c"]}},
        "view_spec": {"type": "tb", "config": json.dumps({"view": {"type": "view.text", "content": "?"}})},
    },
}
POOL = {
    "private_name": "Round {{ run_id }}",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.01,
    "assignment_max_duration_seconds": 600,
    "auto_accept_solutions": False,
    "auto_accept_period_day": 7,
    "mixer_config": {"real_tasks_count": 10, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 2},
}


def accept(answers: Any) -> dict[str, str]:
    return {"status": "ACCEPTED", "public_comment": "Thank you!"}


with DAG(
    "labelling_round",
    schedule=None,
    max_active_runs=6,
    params={"tasks": Param(500, type="integer", minimum=1)},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=5), "deferrable": True, "poll_interval": 2},
) as dag:

    @task
    def write_tasks(folder: str, run_id: Any = None, params: Any = None) -> str:
        ObjectStoragePath(folder).mkdir(parents=True, exist_ok=True)
        path = ObjectStoragePath(folder) / "tasks.jsonl"
        with path.open("w") as lines:
            for number in range(params["tasks"]):
                print(json.dumps({"input_values": {"text": f"{run_id} {number}"}, "overlap": 2}), file=lines)
        return str(path)

    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=30)
    ).output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=write_tasks(FOLDER), chunk_size=100)
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id)
    wait = PoolSensor(task_id="wait", pool_id=pool_id, poke_interval=2)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload, open_pool], on_failure_fail_dagrun=True
    )
    review = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decide=accept)
    download = GetAssignmentsOperator(
        task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl", status="ACCEPTED"
    )
    aggregate = AggregateSolutionsOperator(
        task_id="aggregate", pool_id=pool_id, fields=["label"], path=f"{FOLDER}/labels.jsonl"
    )
    archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id=pool_id)
    archive_project = ArchiveProjectOperator(task_id="archive_project", project_id=project_id)

    upload >> open_pool >> wait >> close_pool
    [wait, close_pool] >> review >> download >> aggregate >> archive_pool >> archive_project
