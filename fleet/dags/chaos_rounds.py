"""
Labelling rounds for a fleet that is disturbed while many of them run: whole, as a user would write them.

``round_plain`` keeps its pool open until people are done, ``round_large`` has more tasks, ``round_window`` has a
training and is closed when its time is up, whether people are done or not. The configuration of a run says in
``folder`` where its results go. One of three answers, as it is with three labels, gets a bonus.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, ObjectStoragePath, task

from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.lifecycle import (
    ArchivePoolOperator,
    ArchiveTrainingOperator,
    ClosePoolOperator,
    OpenPoolOperator,
)
from toloka_airflow.operators.pools import CreatePoolOperator, CreateTrainingOperator
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.windows import pool_window

if TYPE_CHECKING:
    from toloka_airflow.api.models import Assignment

CONNECTION = "toloka_chaos"
FOLDER = "{{ dag_run.conf.folder }}/{{ run_id }}"
NAME = "Round {{ run_id }}"
OVERLAP = 2
GRACE = timedelta(minutes=3)
LABELS = ["a", "b", "c"]
BONUS_LABEL = "a"
PROJECT = {
    "public_name": NAME,
    "public_description": "Which one is it?",
    "public_instructions": "Choose one.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"label": {"type": "string", "allowed_values": LABELS}},
        "view_spec": {"type": "tb", "config": json.dumps({"view": {"type": "view.text", "content": "?"}})},
    },
}
TRAINING = {
    "private_name": NAME,
    "may_contain_adult_content": False,
    "inherited_instructions": True,
    "assignment_max_duration_seconds": 60,
    "training_tasks_in_task_suite_count": 1,
    "task_suites_required_to_pass": 1,
    "retry_training_after_days": 30,
}
LESSON = {
    "input_values": {"text": "a"},
    "known_solutions": [{"output_values": {"label": label}} for label in LABELS],
    "message_on_unknown_solution": "Whatever you choose is right.",
    "infinite_overlap": True,
}
POOL = {
    "private_name": NAME,
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.01,
    "assignment_max_duration_seconds": 60,
    "auto_accept_solutions": False,
    "auto_accept_period_day": 7,
    "mixer_config": {"real_tasks_count": 10, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {
        "default_overlap_for_new_task_suites": OVERLAP,
        "default_overlap_for_new_tasks": OVERLAP,
    },
}
DEFAULTS = {
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "deferrable": True,
    "poll_interval": 2,
    "toloka_conn_id": CONNECTION,
}
CLOSING = {"retries": 20, "retry_delay": timedelta(seconds=20)}


def accept(answers: Assignment) -> dict[str, str]:
    """Pay for every answer."""
    return {"status": "ACCEPTED", "public_comment": "Thank you!"}


def bonus(answer: dict[str, Any]) -> str | None:
    """Give a bonus for one of the labels."""
    return "0.005" if answer["output_values"]["label"] == BONUS_LABEL else None


@task
def write_tasks(folder: str, count: int, run_id: Any = None) -> str:
    """Write the file that is uploaded, and return where it is."""
    ObjectStoragePath(folder).mkdir(parents=True, exist_ok=True)
    path = ObjectStoragePath(folder) / "tasks.jsonl"
    with path.open("w") as lines:
        for number in range(count):
            print(json.dumps({"input_values": {"text": f"{run_id} {number}"}, "overlap": OVERLAP}), file=lines)
    return str(path)


@task
def choose_end(run_id: Any = None) -> str:
    """Return when the window is to be closed: sometimes before people can be done, sometimes after."""
    return (datetime.now(UTC) + timedelta(seconds=random.Random(run_id).uniform(60, 150))).isoformat()


def upload(pool_id: Any, count: int) -> CreateTasksOperator:
    """Upload tasks in small batches, so that some of them meet a disturbance."""
    return CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=write_tasks(FOLDER, count), chunk_size=100)


def results(pool_id: Any) -> tuple[ReviewAssignmentsOperator, AggregateSolutionsOperator]:
    """Review and download the answers, pay bonuses, aggregate; return the first and the last of these tasks."""
    review = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decide=accept)
    download = GetAssignmentsOperator(
        task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl", status="ACCEPTED"
    )
    pay = PayBonusesOperator(
        task_id="pay", answers=download.output["path"], bonus=bonus, max_total=20, daily_quota=1_000_000
    )
    aggregate = AggregateSolutionsOperator(
        task_id="aggregate", pool_id=pool_id, fields=["label"], path=f"{FOLDER}/labels.jsonl"
    )
    review >> download >> pay >> aggregate
    return review, aggregate


def until_done(dag_id: str, count: int) -> DAG:
    """Return a DAG whose pool is open until all of its tasks are answered."""
    with DAG(dag_id, schedule=None, max_active_runs=16, default_args=DEFAULTS, tags=["chaos"]) as dag:
        project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
        pool_id = CreatePoolOperator(
            task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=1)
        ).output
        uploaded = upload(pool_id, count)
        open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(minutes=30))
        wait = PoolSensor(task_id="wait", pool_id=pool_id, poke_interval=2, close_on_kill=True)
        close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id, **CLOSING).as_teardown(
            setups=[uploaded, open_pool], on_failure_fail_dagrun=True
        )
        review, aggregate = results(pool_id)
        archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id=pool_id)
        archive_project = ArchiveProjectOperator(task_id="archive_project", project_id=project_id)
        uploaded >> open_pool >> wait >> close_pool
        [wait, close_pool] >> review
        aggregate >> archive_pool >> archive_project
    return dag


round_plain = until_done("round_plain", 500)
round_large = until_done("round_large", 1_500)

with DAG("round_window", schedule=None, max_active_runs=16, default_args=DEFAULTS, tags=["chaos"]) as round_window:
    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    training_id = CreateTrainingOperator(task_id="create_training", config=TRAINING, project_id=project_id).output
    pool_id = CreatePoolOperator(
        task_id="create_pool",
        config=POOL,
        project_id=project_id,
        training_id=training_id,
        training_passing_skill_value=0,
        expires_in=timedelta(days=1),
    ).output
    upload_training = CreateTasksOperator(task_id="upload_training", pool_id=training_id, tasks=[LESSON])
    end = choose_end()
    window = pool_window(
        pool_id=pool_id,
        training_id=training_id,
        closes_at="{{ ti.xcom_pull(task_ids='choose_end') }}",
        min_open=timedelta(seconds=5),
        grace=GRACE,
        poll_interval=2,
        toloka_conn_id=CONNECTION,
    )
    review, aggregate = results(pool_id)
    archive_pool = ArchivePoolOperator(task_id="archive_pool", pool_id=pool_id)
    archive_training = ArchiveTrainingOperator(task_id="archive_training", training_id=training_id)
    archive_project = ArchiveProjectOperator(task_id="archive_project", project_id=project_id)
    [upload(pool_id, 500), upload_training] >> end >> window >> review
    aggregate >> archive_pool >> archive_training >> archive_project
