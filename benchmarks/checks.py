"""
How long ``airflow-toloka check`` takes for a project, a pool and 100,000 tasks, beside jsonschema for the tasks alone.

Run it by ``make bench-checks``. The command is a process of its own, with all that it imports. The peer reads the same
lines with `json` and calls `iter_errors` of one validator for each, with a schema that says of a task what the project
does; it knows nothing of duplicates, overlaps, control tasks and the mixer. Printed are the median and the smallest of
some runs in turn, of the time and of the CPU's, and the ratio to the peer's median of the same run.
"""

from __future__ import annotations

import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

RUNS = 5
TASKS = 100_000
GOAL_SECONDS = 3.0
PROJECT: dict[str, Any] = {
    "public_name": "Cats and dogs",
    "public_description": "Say what is in a picture",
    "task_spec": {
        "input_spec": {
            "image": {"type": "url"},
            "title": {"type": "string", "max_length": 200, "required": False},
            "width": {"type": "integer", "min_value": 1, "max_value": 20_000},
            "source": {"type": "string", "allowed_values": ["camera", "scan", "screen"]},
        },
        "output_spec": {"kind": {"type": "string", "allowed_values": ["cat", "dog"]}},
        "view_spec": {"type": "classic", "markup": "{{image src=image}}", "settings": {"showSkip": True}},
    },
    "assignments_issuing_type": "AUTOMATED",
}
POOL: dict[str, Any] = {
    "project_id": "1",
    "private_name": "Pictures",
    "may_contain_adult_content": False,
    "will_expire": "2099-01-01T00:00:00",
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 300,
    "mixer_config": {"real_tasks_count": 9, "golden_tasks_count": 1, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
}
PEER = """
import json, sys
from jsonschema import Draft202012Validator

KINDS = {"url": "string", "string": "string", "integer": "integer"}
LIMITS = {"min_value": "minimum", "max_value": "maximum", "max_length": "maxLength", "allowed_values": "enum"}

def schema(spec, partly):
    fields = {
        name: {"type": KINDS[field["type"]], **{LIMITS[key]: value for key, value in field.items() if key in LIMITS}}
        for name, field in spec.items()
    }
    required = [] if partly else [name for name, field in spec.items() if field.get("required", True)]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}

spec = json.loads(sys.argv[1])
solution = {
    "type": "object",
    "properties": {"output_values": schema(spec["output_spec"], True), "correctness_weight": {"type": "number"}},
    "required": ["output_values"],
}
validator = Draft202012Validator({
    "type": "object",
    "properties": {
        "input_values": schema(spec["input_spec"], False),
        "known_solutions": {"type": "array", "items": solution},
        "overlap": {"type": "integer", "minimum": 1, "maximum": 30000},
        "infinite_overlap": {"type": "boolean"},
    },
    "required": ["input_values"],
})
errors = 0
with open(sys.argv[2]) as lines:
    for line in lines:
        errors += sum(1 for _ in validator.iter_errors(json.loads(line)))
print(errors)
"""


def tasks() -> Iterator[dict[str, Any]]:
    """Iterate over tasks, of which one in a hundred is a control task."""
    for number in range(TASKS):
        values = {
            "image": f"https://example.com/pictures/{number:07}.jpg",
            "title": f"The picture {number}",
            "width": 1 + number % 20_000,
            "source": ("camera", "scan", "screen")[number % 3],
        }
        task: dict[str, Any] = {"input_values": values}
        if number % 100 == 0:
            task |= {"known_solutions": [{"output_values": {"kind": "cat"}}], "infinite_overlap": True}
        yield task


def write_files(folder: Path) -> dict[str, Path]:
    """Write a project, a pool, and the same tasks in two formats."""
    files = {name: folder / name for name in ("project.yaml", "pool.yaml", "tasks.jsonl", "tasks.csv")}
    files["project.yaml"].write_text(yaml.safe_dump(PROJECT))
    files["pool.yaml"].write_text(yaml.safe_dump(POOL))
    with files["tasks.jsonl"].open("w") as lines:
        for task in tasks():
            print(json.dumps(task), file=lines)
    with files["tasks.csv"].open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow([*(f"INPUT:{name}" for name in PROJECT["task_spec"]["input_spec"]), "GOLDEN:kind"])
        for task in tasks():
            writer.writerow([*task["input_values"].values(), "cat" if "known_solutions" in task else ""])
    return files


def cost(command: list[str], expected: str) -> tuple[float, float]:
    """
    Return the seconds and the CPU's seconds that a command takes.

    :param expected: How what it prints ends.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True)
    taken, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not result.stdout.strip().endswith(expected):
        raise AssertionError(f"{command[:4]} printed {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure all cases in turn, so that a slow moment of the machine hits all of them."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder))
        check = [sys.executable, "-m", "toloka_airflow.cli", "check", "--json", "--off", "no-quality-rule"]
        configs = [str(files["project.yaml"]), str(files["pool.yaml"])]
        peer = [sys.executable, "-c", PEER, json.dumps(PROJECT["task_spec"]), str(files["tasks.jsonl"])]
        nothing = '"problems": []\n}'
        cases = {
            "check, a project and a pool": ([*check, *configs], nothing),
            f"check, and {TASKS} tasks in JSON Lines": ([*check, *configs, str(files["tasks.jsonl"])], nothing),
            f"check, and {TASKS} tasks in CSV": ([*check, *configs, str(files["tasks.csv"])], nothing),
            "peer: jsonschema's iter_errors, JSON Lines": (peer, "0"),
        }
        measured: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
        for run in range(RUNS):
            print(f"run {run + 1} of {RUNS}", file=sys.stderr)
            for case, costs in measured.items():
                costs.append(cost(*cases[case]))
    of_peer = statistics.median(cpu for _, cpu in costs)
    print(f"{'time':>8} {'smallest':>9} {'CPU':>8} {'smallest':>9} {'to peer':>8}")
    for case, costs in measured.items():
        times, cpus = ([pair[index] for pair in costs] for index in (0, 1))
        cpu = statistics.median(cpus)
        print(
            f"{statistics.median(times):6.2f} s {min(times):7.2f} s {cpu:6.2f} s {min(cpus):7.2f} s "
            f"{cpu / of_peer:7.2f}x  {case}"
        )
    print(f"The goal is at most {GOAL_SECONDS:.0f} s for {TASKS} tasks, with all that the command imports.")


if __name__ == "__main__":
    main()
