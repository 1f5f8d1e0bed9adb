"""
Have people say which of two models they like better, text by text.

Of each text there are two summaries, by two models. Which of them stands on the left is decided by chance, as people
prefer what comes first. Five people compare each pair; the last task says how often each model won.

The files are in ``summaries``. Needs the connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

SUMMARIES = Path(__file__).parent / "summaries"
FOLDER = "{{ params.output }}/{{ run_id }}"
MODELS = ("short", "long")

with DAG(
    "compare_side_by_side",
    schedule=None,
    params={
        "output": Param("file:///tmp/compare_side_by_side", type="string", description="Where to write everything")
    },
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:

    @task
    def pair() -> list[dict[str, Any]]:
        """Return a task for each text, the two summaries in an order that a retry repeats."""
        dice = random.Random("side by side")
        tasks = []
        with (SUMMARIES / "summaries.csv").open() as file:
            for row in csv.DictReader(file):
                left, right = dice.sample(MODELS, 2)
                values = {"text": row["text"], "left": row[left], "right": row[right]}
                tasks.append({"input_values": {**values, "left_model": left, "right_model": right}})
        return tasks

    @task
    def count_wins(path: str) -> dict[str, int]:
        """Return how many comparisons each model won."""
        wins = Counter(dict.fromkeys(MODELS, 0))
        with ObjectStoragePath(path).open() as file:
            for label in map(json.loads, file.read().splitlines()):
                better = label["output_values"]["better"]
                wins[label["input_values"][f"{better}_model"]] += 1
        return dict(wins)

    project_id = CreateProjectOperator(task_id="create_project", config=SUMMARIES / "project.yaml").output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=SUMMARIES / "pool.yaml", project_id=project_id, expires_in=timedelta(days=7)
    ).output
    upload = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=pair())
    # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=10, close_on_kill=True)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload, open_pool], on_failure_fail_dagrun=True
    )
    download = GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=f"{FOLDER}/answers.jsonl")
    aggregate = AggregateAnswersOperator(
        task_id="aggregate", answers=f"{FOLDER}/answers.jsonl", fields=["better"], path=f"{FOLDER}/labels.jsonl"
    )

    upload >> open_pool >> wait >> close_pool
    [wait, close_pool] >> download >> aggregate >> count_wins(f"{FOLDER}/labels.jsonl")
