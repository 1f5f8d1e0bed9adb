"""Dynamic overlap: a task is given to more people until its answer is certain enough."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.resources import overlaps
from toloka_airflow.emulator.world.entities import AssignmentStatus

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.world import World

# Inferred: the skill that weighs answers is not modelled, so everybody is taken to be right this often.
TRUST = 0.8


def consider(world: World, assignment: Assignment) -> None:
    """Give tasks that are fully answered, but not certainly enough, to one more person each."""
    config: Json | None = assignment.pool.body.get("dynamic_overlap_config")
    if config is None or not assignment.suite.mixed:
        return
    for task in assignment.tasks:
        answers = _answers(task)
        if task.is_real and task.overlap is not None and len(answers) >= task.overlap:
            _settle(world, task, config, answers)


def _answers(task: Task) -> dict[str, Json]:
    answers: dict[str, Json] = {}
    for assignment in task.assignments:
        if assignment.status in (AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED) and assignment.solutions:
            answers[assignment.id] = assignment.solutions[assignment.tasks.index(task)]
    return answers


def _settle(world: World, task: Task, config: Json, answers: dict[str, Json]) -> None:
    names = [field["name"] for field in config["fields"]]
    labels = {name: most_certain([values.get(name) for values in answers.values()]) for name in names}
    confidence = min(certainty for _, certainty in labels.values())
    if confidence < config["min_confidence"] and len(answers) < config["max_overlap"]:
        overlaps.change(world, task, len(answers) + 1)
        return
    world.emit(
        "dynamic_overlap.completed",
        project_id=task.pool.body["project_id"],
        pool_id=task.pool.id,
        task_id=task.id,
        confidence=round(confidence, 6),
        assignment_ids=list(answers),
        output_values={name: value for name, (value, _) in labels.items()},
    )


def most_certain(values: list[Any]) -> tuple[Any, float]:
    """Return the value most probably right and how probable that is; a wrong answer is any of the others."""
    counts: defaultdict[str, int] = defaultdict(int)
    for value in values:
        counts[json.dumps(value, sort_keys=True)] += 1
    odds = math.log(TRUST / (1 - TRUST))
    best = max(counts, key=lambda label: counts[label])
    # A label that everybody chose is still weighed against one that nobody chose.
    others = [count for label, count in counts.items() if label != best] or [0]
    return json.loads(best), 1 / (1 + sum(math.exp(odds * (count - counts[best])) for count in others))
