"""The operators of this package, run as Airflow runs tasks, with a hook that reads a connection."""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

from benchmarks.transfer.case import Job, measure
from tests.support import TaskInstance, run_task


def upload(job: Job) -> None:
    """Upload the tasks, and write down their ids."""
    from toloka_airflow.operators.tasks import CreateTasksOperator

    _run(
        job, CreateTasksOperator(task_id="upload", pool_id=job.pool_id, tasks=str(job.source), ids_path=str(job.target))
    )


def download(job: Job) -> None:
    """Read all answers, and write a row for each."""
    from toloka_airflow.operators.assignments import GetAssignmentsOperator

    _run(job, GetAssignmentsOperator(task_id="download", pool_id=job.pool_id, path=str(job.target)))


def _run(job: Job, task: Any) -> None:
    connection = {"conn_type": "toloka", "host": job.url, "password": "secret"}
    os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"] = json.dumps(connection)
    # A run of its own: in a second attempt of the same one nothing would be uploaded again.
    run_task(task, TaskInstance(task_id=task.task_id, run_id=f"benchmark__{uuid.uuid4()}"))


if __name__ == "__main__":
    measure(upload=upload, download=download, parquet=download)
