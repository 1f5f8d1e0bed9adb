"""
How long a rehearsal takes: 20 runs of 1,000 tasks, each in a Toloka of its own, in virtual time.

Run it by ``make bench-rehearsal``. Each case has a process of its own. The seconds are those of the machine as it is,
with whatever else runs on it; the CPU seconds are those of the process. ``--write`` puts the figures and the picture of
one of the cases into ``docs/``.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.emulator import in_fresh_process, progress
from docs import made_parts
from toloka_airflow.rehearsal import Crowd, rehearse
from toloka_airflow.rehearsal.chart import draw
from toloka_airflow.rehearsal.results import table

GOAL_SECONDS = 30
RUNS = 20
DOCS = Path(__file__).resolve().parents[1] / "docs"
NOT_RUN = "<!-- not run: what it prints for one pool; tests/unit/rehearsal/test_output.py holds the form -->"

PROJECT: dict[str, Any] = {
    "public_name": "Animals",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}},
        "output_spec": {"animal": {"type": "string", "allowed_values": ["cat", "dog", "horse", "none"]}},
    },
}
RULES = [
    {
        "collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": 10}},
        "rules": [
            {
                "conditions": [
                    {"key": "golden_set_answers_count", "operator": "GTE", "value": 3},
                    {"key": "golden_set_correct_answers_rate", "operator": "LT", "value": 60},
                ],
                "action": {
                    "type": "RESTRICTION_V2",
                    "parameters": {"scope": "PROJECT", "duration": 10, "duration_unit": "DAYS"},
                },
            }
        ],
    },
    {
        "collector_config": {"type": "USERS_ASSESSMENT"},
        "rules": [
            {
                "conditions": [{"key": "pool_access_revoked_reason", "operator": "EQ", "value": "RESTRICTION"}],
                "action": {"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": True}},
            }
        ],
    },
]
TRAINING: dict[str, Any] = {
    "private_name": "Animals: training",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 5,
    "task_suites_required_to_pass": 1,
    "assignment_max_duration_seconds": 600,
}


def pool(real: int, golden: int, quality_control: dict[str, Any]) -> dict[str, Any]:
    """Return a pool that three people answer."""
    return {
        "private_name": "Animals",
        "may_contain_adult_content": False,
        "reward_per_assignment": 0.03,
        "assignment_max_duration_seconds": 600,
        "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
        "mixer_config": {"real_tasks_count": real, "golden_tasks_count": golden, "training_tasks_count": 0},
        "quality_control": quality_control,
    }


REQUIREMENT = {"training_pool_id": "1", "training_passing_skill_value": 60}
SINGLE = "one task on a page, no rules"
CONTROLLED = "9 tasks and a control task, who fails is banned"
CASES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    SINGLE: (pool(1, 0, {}), None),
    CONTROLLED: (pool(9, 1, {"configs": RULES}), None),
    "the same behind a training": (pool(9, 1, {"configs": RULES, "training_requirement": REQUIREMENT}), TRAINING),
}


@dataclass(frozen=True)
class Taken:
    """What a rehearsal took, and what users get from it."""

    seconds: float
    cpu: float
    peak: int
    table: tuple[str, ...]
    picture: tuple[str, ...]


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(prog="benchmarks.rehearsal", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000, help="how many tasks the pool has")
    parser.add_argument("--write", action="store_true", help="write the figures and the picture in docs/")
    options = parser.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    results = dict[str, Taken]()
    for name in CASES:
        progress(name)
        results[name] = in_fresh_process(measure, name, options.tasks)
    lines = list(figures(results, options.tasks))
    print("\n".join(lines))
    print("\n".join(("", CONTROLLED, *results[CONTROLLED].table)))
    if options.write:
        write(lines, results[CONTROLLED])
    if options.tasks <= 1_000 and any(taken.seconds > GOAL_SECONDS for taken in results.values()):
        sys.exit(f"a rehearsal took more than {GOAL_SECONDS} s")


def measure(name: str, count: int) -> Taken:
    """Rehearse a case in this process."""
    config, training = CASES[name]
    tasks: list[dict[str, Any]] = [{"input_values": {"image": f"https://example.com/{i}.jpg"}} for i in range(count)]
    tasks += [
        {
            "input_values": {"image": f"https://example.com/known-{i}.jpg"},
            "known_solutions": [{"output_values": {"animal": "cat"}}],
            "infinite_overlap": True,
        }
        for i in range(count // 10)
    ]
    start, cpu = time.perf_counter(), time.process_time()
    rehearsal = rehearse(
        PROJECT,
        config,
        training,
        tasks,
        crowd=Crowd(accuracy=0.8),
        runs=RUNS,
        start=datetime(2030, 1, 1, tzinfo=UTC),
        on_run=lambda number: progress(f"  run {number} of {RUNS}"),
    )
    return Taken(
        time.perf_counter() - start,
        time.process_time() - cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        tuple(table(rehearsal)),
        tuple(draw(rehearsal, f"{count:,} tasks, 40 people, right in 80% of the cases: {CONTROLLED}")),
    )


def figures(results: dict[str, Taken], count: int) -> Iterator[str]:
    """Yield the figures as a table of Markdown."""
    yield f"| {RUNS} runs of {count:,} tasks, three answers each | Seconds | CPU seconds | Peak memory |"
    yield "| --- | --- | --- | --- |"
    for name, taken in results.items():
        yield f"| {name} | {taken.seconds:.1f} | {taken.cpu:.1f} | {taken.peak / 1e6:.0f} MB |"


def write(lines: list[str], shown: Taken) -> None:
    """Write the figures, the table of one case and its picture."""
    example = [NOT_RUN, "```text", *shown.table, "```"]
    made_parts.write(DOCS / "estimates.md", {"rehearsal": "\n".join(("", *example, "", *lines, "", ""))})
    (DOCS / "images" / "rehearsal.svg").write_text("\n".join(shown.picture) + "\n")


if __name__ == "__main__":
    main()
