"""Aggregated solutions: one answer per task, from the accepted answers of several people."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.documents import AGGREGATION
from toloka_airflow.emulator.forms.schema import REQUIRED, checked
from toloka_airflow.emulator.rules import operations, pools
from toloka_airflow.emulator.rules.aggregation import Vote, dawid_skene, votes_by_task, weighted_majority
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, Operation, Pool
from toloka_airflow.emulator.world.errors import Refusal, invalid, problem
from toloka_airflow.emulator.world.ids import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.world import World

TYPE = "SOLUTION.AGGREGATE"
DAWID_SKENE = "DAWID_SKENE"
# A person without a single control answer counts as neither good nor bad.
GOLDEN_PRIOR = (1, 2)


def aggregate_pool(world: World, body: object) -> Operation:
    """Start aggregating the answers of a pool."""
    clean, pool = _checked(world, body)
    effect = partial(_aggregate, pool=pool, form=clean)
    return operations.start(world, TYPE, _parameters(world, clean, pool), effect, targets=(pool,), details={})


def aggregate_task(world: World, body: object) -> Json:
    """Return the aggregated answer to one task."""
    clean, pool = _checked(world, body)
    task = world.tasks.get(clean.get("task_id", ""))
    if task is None or task.pool is not pool:
        raise Refusal("DOES_NOT_EXIST")
    for solution in _solutions(pool, clean):
        if solution["task_id"] == task.id:
            return solution
    raise Refusal("CONFLICT_STATE", "The task has no accepted answer yet")


def _checked(world: World, body: object) -> tuple[Json, Pool]:
    clean = checked(body, AGGREGATION)
    pool = pools.find_for_change(world, clean["pool_id"], training=False)
    names = [field["name"] for field in clean["fields"]]
    if not names:
        raise invalid({"fields": problem("ARRAY_SIZE_LESS_THAN_MIN", "Name at least one field", [1])})
    if clean["type"] == DAWID_SKENE and len(names) > 1:
        raise invalid({"fields": problem("ARRAY_SIZE_GREATER_THAN_MAX", "DAWID_SKENE takes one field", [1])})
    if clean["type"] != DAWID_SKENE and "answer_weight_skill_id" not in clean:
        raise invalid({"answer_weight_skill_id": REQUIRED})
    spec = _spec(world, pool)["output_spec"]
    unknown = {
        f"fields.{i}.name": problem("VALUE_NOT_ALLOWED", "Unknown field name")
        for i, name in enumerate(names)
        if name not in spec
    }
    if unknown:
        raise invalid(unknown)
    return clean, pool


def _spec(world: World, pool: Pool) -> Json:
    spec: Json = world.projects[pool.body["project_id"]].body["task_spec"]
    return spec


def _parameters(world: World, form: Json, pool: Pool) -> Json:
    common = {
        "pool_id": pool.id,
        "algorithm": form["type"],
        "pool_name": pool.body["private_name"],
        "project_id": pool.body["project_id"],
        "requester_id": world.requester_id,
    }
    if form["type"] == DAWID_SKENE:
        return common | {
            "input_fields": list(_spec(world, pool)["input_spec"]),
            "missing_output_fields": [],
            "aggregated_output_fields": [field["name"] for field in form["fields"]],
        }
    skill = form["answer_weight_skill_id"]
    weight = int(skill) if DIGITS.fullmatch(skill) else skill
    return common | {"aggregated_fields": form["fields"], "answer_weight_skill_id": weight}


def _aggregate(world: World, operation: Operation, *, pool: Pool, form: Json) -> None:
    operation.results = _solutions(pool, form)


def _solutions(pool: Pool, form: Json) -> list[Json]:
    fields = [field["name"] for field in form["fields"]]
    weights = {} if form["type"] == DAWID_SKENE else _golden_weights(pool)
    by_field = {name: _labels(pool, name, form["type"], weights) for name in fields}
    answered = {task for labels in by_field.values() for task in labels}
    return [_solution(pool, task, by_field) for task in pool.tasks if task.id in answered]


def _solution(pool: Pool, task: Task, by_field: dict[str, dict[str, tuple[str, float]]]) -> Json:
    labels = {name: found[task.id] for name, found in by_field.items() if task.id in found}
    return {
        "confidence": round(min(confidence for _, confidence in labels.values()), 6),
        "output_values": {name: json.loads(label) for name, (label, _) in labels.items()},
        "pool_id": pool.id,
        "task_id": task.id,
    }


def _labels(pool: Pool, name: str, type: str, weights: dict[str, float]) -> dict[str, tuple[str, float]]:
    votes = list(_votes(pool, name))
    if type == DAWID_SKENE:
        return dawid_skene(votes)
    return {task: weighted_majority(group, weights) for task, group in votes_by_task(votes).items()}


def _votes(pool: Pool, name: str) -> Iterable[Vote]:
    for assignment, task, values in _accepted(pool):
        if name in values:
            yield Vote(task.id, assignment.user_id, json.dumps(values[name], sort_keys=True))


def _accepted(pool: Pool) -> Iterable[tuple[Assignment, Task, Json]]:
    for assignment in pool.assignments:
        if assignment.status is AssignmentStatus.ACCEPTED:
            for task, values in zip(assignment.tasks, assignment.solutions or [], strict=True):
                yield assignment, task, values


def _golden_weights(pool: Pool) -> dict[str, float]:
    """Return each person's share of right control answers: it stands for the skill, which is not modelled."""
    right: defaultdict[str, int] = defaultdict(int)
    seen: defaultdict[str, int] = defaultdict(int)
    for assignment, task, values in _accepted(pool):
        known: list[Any] = [solution["output_values"] for solution in task.body.get("known_solutions", [])]
        if known:
            seen[assignment.user_id] += 1
            right[assignment.user_id] += any(values.items() >= solution.items() for solution in known)
    prior, strength = GOLDEN_PRIOR
    people = {assignment.user_id for assignment in pool.assignments}
    return {person: (right[person] + prior) / (seen[person] + strength) for person in people}
