"""
How much memory it takes to aggregate a file of many answers, in a process of its own; printed as JSON, in MB.

    python -m benchmarks.quality.memory 1000000 folder
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def resident(name: str) -> float:
    """Return what Linux says of this process: VmRSS is what it has now, VmHWM the most it has had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


INTERPRETER = resident("VmRSS")  # before anything else is imported


def write_answers(answers: int, path: Path) -> None:
    """Write rows as a download has them."""
    from benchmarks.quality.fit import many_votes

    _, (tasks, people, labels), truth = many_votes(answers)
    with path.open("w") as file:
        for number, (task, person, label) in enumerate(zip(*map(list, (tasks, people, labels)), strict=True)):
            row = {
                "assignment_id": f"0002b1c4--{number:024x}",
                "task_id": f"0002b1c4--{int(task):024x}",
                "task_suite_id": f"0002b1c4--{number // 5:024x}",
                "pool_id": "2820548",
                "user_id": f"{int(person):032x}",
                "status": "ACCEPTED",
                "assignment_reward": 0.05,
                "submitted": "2026-11-28T09:30:00.123",
                "accepted": "2026-11-28T09:30:00.123",
                "input_values": {"image": f"https://example.com/images/{int(task):09}.jpg"},
                "output_values": {"label": f"class {int(label)}"},
            }
            if task % 20 == 0:
                row["known_solutions"] = [{"output_values": {"label": f"class {int(truth[task])}"}}]
            file.write(json.dumps(row) + "\n")


def main(answers: str, folder: str) -> None:
    """Aggregate the file, which another process has written."""
    path = Path(folder) / "answers.jsonl"
    began = time.perf_counter()
    from toloka_airflow.quality.aggregating import aggregate_field
    from toloka_airflow.quality.answers import read_answers

    table = read_answers(str(path), fields=["label"], inputs=True)
    read = time.perf_counter()
    aggregate_field(table, "label")
    figures = {"columns": resident("VmHWM") - INTERPRETER, "read": read - began, "map": time.perf_counter() - read}
    assert int(answers) - len(table) < 3  # there are three to each task
    del table

    from airflow.sdk import ObjectStoragePath  # what a worker has in memory anyway

    from toloka_airflow.quality.aggregating import aggregate_answers

    worker = resident("VmRSS")
    began = time.perf_counter()
    aggregate_answers(ObjectStoragePath(str(path)), Path(folder) / "labels.jsonl", fields=["label"])
    print(
        json.dumps(
            figures
            | {
                "all": resident("VmHWM") - INTERPRETER,
                "seconds": time.perf_counter() - began,
                "worker": worker - INTERPRETER,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_answers(int(sys.argv[2]), Path(sys.argv[3]) / "answers.jsonl")
    else:
        main(*sys.argv[1:])
