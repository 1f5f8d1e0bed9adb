"""The peer that does the least: `requests` and the standard library, one request after the other."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import requests

from benchmarks.transfer.case import CHUNK, PAGE, Job, measure

# Made once, as making an encoder for every row takes long.
DUMPS = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def upload(job: Job) -> None:
    """Upload the tasks chunk by chunk, and write down their ids."""
    with requests.Session() as session, job.source.open("rb") as source, job.target.open("w") as target:
        session.headers["Authorization"] = "OAuth secret"
        rows = enumerate(source, 1)
        while chunk := [_task(job, number, line) for number, line in islice(rows, CHUNK)]:
            _upload_chunk(session, f"{job.url}/api/v1", chunk, target)


def _task(job: Job, number: int, line: bytes) -> dict[str, Any]:
    return {**json.loads(line), "pool_id": job.pool_id, "__item_idx": number}


def _upload_chunk(session: requests.Session, api: str, chunk: list[dict[str, Any]], target: IO[str]) -> None:
    operation_id = str(uuid.uuid4())
    query = {"async_mode": "true", "allow_defaults": "true", "operation_id": operation_id}
    _read(session.post(f"{api}/tasks", params=query, json=chunk))
    while _read(session.get(f"{api}/operations/{operation_id}"))["status"] != "SUCCESS":
        pass
    for step in _read(session.get(f"{api}/operations/{operation_id}/log")):
        row = {"line": step["input"]["__item_idx"], "task_id": step["output"]["task_id"]}
        target.write(json.dumps(row) + "\n")


def download(job: Job) -> None:
    """Read all pages of answers, and write a row for each."""
    with requests.Session() as session, job.target.open("w") as target:
        session.headers["Authorization"] = "OAuth secret"
        for assignment in _assignments(session, job):
            for row in _rows(assignment):
                target.write(DUMPS(row) + "\n")


def _assignments(session: requests.Session, job: Job) -> Iterator[dict[str, Any]]:
    query = {"pool_id": job.pool_id, "status": "ACCEPTED", "sort": "id", "limit": PAGE}
    more = True
    while more:
        page = _read(session.get(f"{job.url}/api/v1/assignments", params=query))
        yield from page["items"]
        query["id_gt"], more = page["items"][-1]["id"], page["has_more"]


def _rows(assignment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for task, solution in zip(assignment["tasks"], assignment["solutions"], strict=True):
        yield {
            "assignment_id": assignment["id"],
            "task_suite_id": assignment["task_suite_id"],
            "pool_id": assignment["pool_id"],
            "user_id": assignment["user_id"],
            "status": assignment["status"],
            "assignment_reward": assignment["reward"],
            "submitted": assignment["submitted"],
            "accepted": assignment["accepted"],
            "task_id": task["id"],
            "input_values": task["input_values"],
            "output_values": solution["output_values"],
        }


def _read(answer: requests.Response) -> Any:
    answer.raise_for_status()
    return json.loads(answer.content)


if __name__ == "__main__":
    measure(upload=upload, download=download)
