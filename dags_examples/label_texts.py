"""
The shortest safe labelling DAG: texts in, labels out.

Needs the connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, literal

from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

FOLDER = "{{ params.output }}/{{ run_id }}"
TEXTS = ["Works as described.", "Broke on the first day.", "Best I ever had."]
PROJECT = {
    "public_name": "Is the review positive or negative?",
    "public_description": "Read a short review and say whether its author is content",
    "public_instructions": "Read the whole review, then choose.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"sentiment": {"type": "string", "allowed_values": ["positive", "negative"]}},
        "view_spec": {
            "type": "classic",
            # literal: the braces are Toloka's, not Airflow's.
            "markup": literal(
                "<p>{{text}}</p>"
                '{{field type="radio" name="sentiment" value="positive" label="Positive"}}'
                '{{field type="radio" name="sentiment" value="negative" label="Negative"}}'
            ),
        },
    },
}
POOL = {
    "private_name": "Reviews, {{ run_id }}",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.03,
    "assignment_max_duration_seconds": 600,
    "auto_accept_solutions": True,
    "mixer_config": {"real_tasks_count": 3, "golden_tasks_count": 0, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
}

with DAG(
    "label_texts",
    schedule=None,
    params={"output": Param("file:///tmp/label_texts", type="string")},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
) as dag:
    project_id = CreateProjectOperator(task_id="create_project", config=PROJECT).output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=POOL, project_id=project_id, expires_in=timedelta(days=7)
    ).output
    upload = CreateTasksOperator(
        task_id="upload", pool_id=pool_id, tasks=[{"input_values": {"text": text}} for text in TEXTS]
    )
    # Whatever becomes of Airflow, Toloka closes the pool a day after the opening.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    # If the wait is killed, it closes the pool.
    wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=5, close_on_kill=True)
    # A teardown: it closes the pool however the wait ends, also if an opening that failed here succeeds at Toloka.
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload, open_pool], on_failure_fail_dagrun=True
    )
    download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl")
    aggregate = AggregateAnswersOperator(
        task_id="aggregate", answers=f"{FOLDER}/answers.jsonl", fields=["sentiment"], path=f"{FOLDER}/labels.jsonl"
    )

    upload >> open_pool >> wait >> close_pool
    # Behind both: a run whose wait failed is no success.
    [wait, close_pool] >> download >> aggregate
