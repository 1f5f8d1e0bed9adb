"""
Have a few reviews labelled first; spend the budget only if people agree, and if somebody in charge approves.

The pilot is a pool of twelve reviews. Its answers must pass a gate: three for each review, and an agreement that is far
from chance. Then the pool of all other reviews is created and estimated, but not opened: Airflow waits until somebody
approves, in its user interface under Required Actions, with the figures of the gate and the estimate before them. Who
rejects, or says nothing for three days, spends nothing.

Needs the connection ``toloka_default``, a triggerer, and ``airflow-toloka[quality]``.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, TaskGroup

from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.estimates import EstimateOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.quality import QualityGateOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

REVIEWS = Path(__file__).parent / "reviews"
FOLDER = "{{ params.output }}/{{ run_id }}"
PILOT, OVERLAP = 12, 3
POOL = {
    "private_name": "Reviews",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 600,
    "auto_accept_solutions": True,
    "mixer_config": {"real_tasks_count": 4, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": OVERLAP, "default_overlap_for_new_tasks": OVERLAP},
}


def reviews(first: int, end: int | None = None) -> list[dict[str, Any]]:
    """Return some of the reviews whose sentiment is not known, as tasks."""
    with (REVIEWS / "tasks.csv").open() as file:
        texts = [row["INPUT:text"] for row in csv.DictReader(file) if not row["GOLDEN:sentiment"]]
    return [{"input_values": {"text": text}} for text in texts[first:end]]


def collect_answers(pool_id: Any, path: str) -> tuple[OpenPoolOperator, GetAssignmentsOperator]:
    """Return the tasks that open a pool, and that have downloaded what people answered."""
    # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=10, close_on_kill=True)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=open_pool, on_failure_fail_dagrun=True
    )
    download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=path)
    open_pool >> wait >> close_pool
    [wait, close_pool] >> download
    return open_pool, download


with DAG(
    "approve_budget",
    schedule=None,
    params={"output": Param("file:///tmp/approve_budget", type="string", description="Where to write everything")},
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:
    project_id = CreateProjectOperator(task_id="create_project", config=REVIEWS / "project.yaml").output
    with TaskGroup("pilot"):
        pilot_id = CreatePoolOperator(
            task_id="create_pool",
            config={**POOL, "private_name": "Reviews: pilot"},
            project_id=project_id,
            expires_in=timedelta(days=7),
        ).output
        upload_pilot = CreateTasksOperator(task_id="upload", pool_id=pilot_id, tasks=reviews(0, PILOT))
        open_pilot, answers = collect_answers(pilot_id, f"{FOLDER}/pilot.jsonl")
        upload_pilot >> open_pilot
    gate = QualityGateOperator(
        task_id="gate",
        answers=f"{FOLDER}/pilot.jsonl",
        fields=["sentiment"],
        min_agreement=0.6,
        min_answers=OVERLAP,
        min_tasks=PILOT,
        on_failure="fail",
    )
    pool_id = CreatePoolOperator(
        task_id="create_pool",
        config=POOL,
        project_id=project_id,
        expires_in=timedelta(days=14),
    ).output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=reviews(PILOT))
    estimate = EstimateOperator(task_id="estimate", pool_id=pool_id)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Have all reviews labelled?",
        body="""
They will cost up to {{ ti.xcom_pull(task_ids="estimate")["total"]["most"] }}, the fee included.

{% for check in ti.xcom_pull(task_ids="gate")["checks"] -%}
- {{ check.name }}: {{ check.value }} (wanted: {{ check.limit }})
{% endfor %}""",
        response_timeout=timedelta(days=3),
        # An approval that nobody gave is none, and a second attempt would wait for three more days.
        retries=0,
    )
    open_pool, _ = collect_answers(pool_id, f"{FOLDER}/answers.jsonl")
    answers >> gate >> upload >> estimate >> approve >> open_pool
