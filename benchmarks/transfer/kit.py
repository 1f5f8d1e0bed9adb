"""The official client, toloka-kit; runs in an environment of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

from toloka.client import Assignment, Task, TolokaClient  # noqa: TID251

from benchmarks.transfer.case import CHUNK, PAGE, Job, measure


def upload(job: Job) -> None:
    """
    Upload the tasks chunk by chunk, and write down their ids.

    By the calls that ``create_tasks`` makes, but without reading back the tasks, 50 a page, as it does at the end.
    """
    client = TolokaClient("secret", url=job.url)
    with job.source.open("rb") as source, job.target.open("w") as target:
        rows = enumerate(source, 1)
        while chunk := [_task(job, number, line) for number, line in islice(rows, CHUNK)]:
            _upload_chunk(client, chunk, target)


def _task(job: Job, number: int, line: bytes) -> Task:
    task = Task(pool_id=job.pool_id, **json.loads(line))
    task._unexpected["__item_idx"] = str(number)
    return task


def _upload_chunk(client: TolokaClient, chunk: list[Task], target: IO[str]) -> None:
    operation = client.wait_operation(client.create_tasks_async(chunk, allow_defaults=True))
    for step in client.get_operation_log(operation.id):
        row = {"line": int(step.input["__item_idx"]), "task_id": step.output["task_id"]}
        target.write(json.dumps(row) + "\n")


def download(job: Job) -> None:
    """Read all answers, and write a row for each."""
    client = TolokaClient("secret", url=job.url)
    with job.target.open("w") as target:
        for assignment in client.get_assignments(pool_id=job.pool_id, status="ACCEPTED", batch_size=PAGE):
            for row in _rows(assignment):
                target.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def _rows(assignment: Assignment) -> Iterator[dict[str, Any]]:
    for task, solution in zip(assignment.tasks, assignment.solutions, strict=True):
        yield {
            "assignment_id": assignment.id,
            "task_suite_id": assignment.task_suite_id,
            "pool_id": assignment.pool_id,
            "user_id": assignment.user_id,
            "status": assignment.status.value,
            "assignment_reward": float(assignment.reward),
            "submitted": assignment.submitted.isoformat(timespec="milliseconds"),
            "accepted": assignment.accepted.isoformat(timespec="milliseconds"),
            "task_id": task.id,
            "input_values": task.input_values,
            "output_values": solution.output_values,
        }


if __name__ == "__main__":
    measure(upload=upload, download=download)
