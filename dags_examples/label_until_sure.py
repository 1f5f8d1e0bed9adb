"""
Label comments until the labels are sure enough, for as little money as possible.

Two people answer each task first. Then those tasks whose labels are not sure get more answers, round by round, until 9
of 10 labels are sure, or the money or the time is up. Some of the tasks are control tasks: how much a person's answers
are worth is known by how often they are right there.

Needs the connection ``toloka_default``, a triggerer, and ``pip install 'airflow-toloka[quality]'``.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from toloka_airflow.label_until import label_until
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator

FOLDER = "{{ params.output }}/{{ run_id }}"
LABELS = ["praise", "complaint", "question"]
PROJECT = {
    "public_name": "What is this comment?",
    "public_description": "Say what somebody wants with a comment",
    "public_instructions": "Choose what fits best.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"kind": {"type": "string", "allowed_values": LABELS}},
        "view_spec": {
            "type": "tb",
            "config": json.dumps(
                {
                    "view": {
                        "type": "view.list",
                        "items": [
                            {"type": "view.text", "content": {"type": "data.input", "path": "text"}},
                            {
                                "type": "field.radio-group",
                                "data": {"type": "data.output", "path": "kind"},
                                "options": [{"label": label.title(), "value": label} for label in LABELS],
                            },
                        ],
                    }
                }
            ),
        },
    },
}
POOL = {
    "private_name": "Comments",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 900,
    "auto_accept_solutions": True,
    # A mixer is what lets single tasks get more answers.
    "mixer_config": {"real_tasks_count": 9, "golden_tasks_count": 1, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 1},
}

with DAG(
    "label_until_sure",
    schedule=None,
    params={
        "comments": Param(90, type="integer", minimum=1, description="How many comments to label"),
        "max_total": Param(20, type="number", minimum=0, description="What it may cost, the fee included"),
        "output": Param("file:///tmp/label_until_sure", type="string", description="Where to write everything"),
    },
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:

    @task
    def write_tasks(folder: str, params: Any = None) -> str:
        """Write a task for each comment, and control tasks, which everybody gets; return the path."""
        ObjectStoragePath(folder).mkdir(parents=True, exist_ok=True)
        path = ObjectStoragePath(folder) / "tasks.jsonl"
        with path.open("w") as lines:
            for number in range(params["comments"]):
                print(json.dumps({"input_values": {"text": f"Comment {number}"}, "overlap": 2}), file=lines)
            for number in range(20):
                known = [{"output_values": {"kind": LABELS[number % 3]}}]
                row = {"input_values": {"text": f"Known comment {number}"}, "known_solutions": known}
                print(json.dumps({**row, "infinite_overlap": True}), file=lines)
        return str(path)

    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=7)
    ).output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=write_tasks(FOLDER))
    labels = label_until(
        pool_id="{{ ti.xcom_pull(task_ids='create_pool') }}",
        fields=["kind"],
        folder=FOLDER,
        target=0.9,
        sure_at=0.95,
        max_rounds=3,
        max_overlap=5,
        max_total="{{ params.max_total }}",
        timeout=timedelta(days=2),
        poll_interval=5,
    )
    upload >> labels
