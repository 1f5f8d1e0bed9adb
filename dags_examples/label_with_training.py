"""
Have reviews labelled by people who passed a training, and pay for answers only if they pass a check, too.

The training has hints and is open as long as the pool is. Two of six reviews on a page are golden: their sentiment is
known, and who gets both wrong is not paid. The files of the project, the training, the pool and the reviews are in
``reviews``, in the format of Toloka's upload page.

Needs the connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.estimates import EstimateOperator
from toloka_airflow.operators.lifecycle import (
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.operators.pools import CreatePoolOperator, CreateTrainingOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

if TYPE_CHECKING:
    from toloka_airflow.api.models import Assignment

REVIEWS = Path(__file__).parent / "reviews"
FOLDER = "{{ params.output }}/{{ run_id }}"


def pay_unless_all_golden_are_wrong(answers: Assignment) -> dict[str, str]:
    """Return the decision on one person's page of answers."""
    golden = [
        solution == task.raw["known_solutions"][0]["output_values"]
        for task, solution in zip(answers.tasks, answers.solutions, strict=True)
        if task.raw.get("known_solutions")
    ]
    if golden and not any(golden):
        return {"status": "REJECTED", "public_comment": f"All {len(golden)} answers that we could check are wrong."}
    return {"status": "ACCEPTED", "public_comment": "Thank you!"}


with DAG(
    "label_with_training",
    schedule=None,
    params={"output": Param("file:///tmp/label_with_training", type="string", description="Where to write everything")},
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:
    # Nothing is created if the pool may cost more than a dollar, Toloka's fee included.
    estimate = EstimateOperator(
        task_id="estimate",
        config=REVIEWS / "pool.yaml",
        project_config=REVIEWS / "project.yaml",
        tasks=REVIEWS / "tasks.csv",
        max_total=1,
    )
    create_project = CreateProjectOperator(task_id="create_project", config=REVIEWS / "project.yaml")
    project_id = create_project.output
    training_id = CreateTrainingOperator(
        task_id="create_training", config=REVIEWS / "training.yaml", project_id=project_id
    ).output
    pool_id = CreatePoolOperator(
        task_id="create_pool",
        config=REVIEWS / "pool.yaml",
        project_id=project_id,
        training_id=training_id,
        training_passing_skill_value=60,
        expires_in=timedelta(days=7),
    ).output
    # The lists of ids would be written beside the reviews.
    upload_training = CreateTasksOperator(
        task_id="upload_training",
        pool_id=training_id,
        tasks=REVIEWS / "training.csv",
        ids_path=f"{FOLDER}/training.jsonl",
    )
    upload_tasks = CreateTasksOperator(
        task_id="upload_tasks", pool_id=pool_id, tasks=REVIEWS / "tasks.csv", ids_path=f"{FOLDER}/tasks.jsonl"
    )
    open_training = OpenTrainingOperator(task_id="open_training", training_id=training_id)
    # Should Airflow end the run without its teardowns, the wait closes both, and the pool expires, too.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait_for_people = PoolSensor(
        task_id="wait_for_people", pool_id=pool_id, training_id=training_id, poke_interval=10, close_on_kill=True
    )
    # Teardowns: they close the pool and then the training, whatever happens before. The uploads are setups beside the
    # openings, because an opening that failed here may still succeed at Toloka.
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload_tasks, open_pool], on_failure_fail_dagrun=True
    )
    close_training = CloseTrainingOperator(task_id="close_training", training_id=training_id).as_teardown(
        setups=[upload_training, open_training], on_failure_fail_dagrun=True
    )
    review = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decide=pay_unless_all_golden_are_wrong)
    download = GetAssignmentsOperator(
        task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl.gz", status="ACCEPTED"
    )

    estimate >> create_project
    [upload_training, upload_tasks] >> open_training >> open_pool >> wait_for_people >> close_pool >> close_training
    # Not archived: answers can be reviewed until the pool is, and Toloka allows it nine days after the last rejection.
    [wait_for_people, close_pool] >> review >> download
