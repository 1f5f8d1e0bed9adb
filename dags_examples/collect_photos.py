"""
Collect photos, and pay for each photo once.

People photograph what the tasks name and attach the photo. All files are downloaded with a table of them, which has
their checksums: who sent a file that somebody else had sent before is not paid, and reads why.

The files are in ``photos``. Needs the connection ``toloka_default`` and a triggerer.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from toloka_airflow.operators.assignments import ReviewAssignmentsOperator
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor

PHOTOS = Path(__file__).parent / "photos"
FOLDER = "{{ params.output }}/{{ run_id }}"

with DAG(
    "collect_photos",
    schedule=None,
    params={"output": Param("file:///tmp/collect_photos", type="string", description="Where to write everything")},
    # Any task may be tried again: nothing is created, uploaded or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "deferrable": True},
    tags=["toloka"],
    doc_md=__doc__,
) as dag:

    @task
    def decide(manifest: str, path: str) -> str:
        """Write a decision on each page: the first of equal files is paid; return the path."""
        with ObjectStoragePath(manifest).open() as file:
            rows = sorted(map(json.loads, file.read().splitlines()), key=lambda row: row["created"])
        decisions, known = {}, set()
        for row in rows:
            is_new = row["sha256"] not in known
            known.add(row["sha256"])
            decisions[row["assignment_id"]] = (
                {"status": "ACCEPTED", "public_comment": "Thank you!"}
                if is_new
                else {"status": "REJECTED", "public_comment": "This photo had been sent before."}
            )
        with ObjectStoragePath(path).open("w") as file:
            for assignment_id, decision in decisions.items():
                print(json.dumps({"assignment_id": assignment_id, **decision}), file=file)
        return path

    project_id = CreateProjectOperator(task_id="create_project", config=PHOTOS / "project.yaml").output
    pool_id = CreatePoolOperator(
        task_id="create_pool", config=PHOTOS / "pool.yaml", project_id=project_id, expires_in=timedelta(days=7)
    ).output
    # The list of ids would be written beside the tasks.
    upload = CreateTasksOperator(
        task_id="upload", pool_id=pool_id, tasks=PHOTOS / "tasks.csv", ids_path=f"{FOLDER}/tasks.jsonl"
    )
    # Should Airflow end the run without its teardown, the wait closes the pool, and in any case Toloka after a day.
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=pool_id, expires_in=timedelta(days=1))
    wait = PoolSensor(task_id="wait_for_people", pool_id=pool_id, poke_interval=10, close_on_kill=True)
    close_pool = ClosePoolOperator(task_id="close_pool", pool_id=pool_id).as_teardown(
        setups=[upload, open_pool], on_failure_fail_dagrun=True
    )
    download = DownloadAttachmentsOperator(
        task_id="download", pool_id=pool_id, folder=f"{FOLDER}/photos", status="SUBMITTED"
    )
    review = ReviewAssignmentsOperator(
        task_id="review", pool_id=pool_id, decisions=decide(download.output["manifest"], f"{FOLDER}/decisions.jsonl")
    )

    upload >> open_pool >> wait >> close_pool
    [wait, close_pool] >> download >> review
