"""Aggregated solutions: one answer per task, from the accepted answers of several people."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, closed, list_of, ref, request
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import MANY, Attribute, Listing
from toloka_airflow.emulator.forms.fields import FIELD_NAMES, ID, must
from toloka_airflow.emulator.forms.schema import REQUIRED, Field, Form, checked
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.resources.aggregation import Vote, dawid_skene, votes_by_task, weighted_majority
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, Operation, OperationStatus, Pool
from toloka_airflow.emulator.world.errors import Refusal, invalid, problem
from toloka_airflow.emulator.world.ids import DIGITS, id_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.world import World

FORM: Form = {
    "type": Field("string", required=True, choices=("WEIGHTED_DYNAMIC_OVERLAP", "DAWID_SKENE")),
    "pool_id": must(ID),
    "task_id": ID,
    "answer_weight_skill_id": ID,
    "fields": FIELD_NAMES,
}

TASK_ID = Attribute(lambda solution: id_key(solution["task_id"]), id_key)
LISTING = Listing(ranges={"task_id": TASK_ID}, sorts={"task_id": TASK_ID}, maximum=MANY, key="task_id")

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
    clean = checked(body, FORM)
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


def _aggregate_by_pool(world: World, call: Call) -> Answer:
    return Answer(202, aggregate_pool(world, call.body).view(world.now))


def _aggregate_by_task(world: World, call: Call) -> Answer:
    return Answer(200, aggregate_task(world, call.body))


def _list_solutions(world: World, call: Call) -> Answer:
    operation = found(world.operations, call.id)
    if operation.type != TYPE:
        raise Refusal("INVALID_OPERATION_TYPE")
    if operation.status is not OperationStatus.SUCCESS:
        raise Refusal("CONFLICT_STATE", "The aggregation has not ended with SUCCESS")
    return page(LISTING, call, operation.results, lambda solution: solution)


ROUTES: Routes = {
    ("POST", "/aggregated-solutions/aggregate-by-pool"): _aggregate_by_pool,
    ("POST", "/aggregated-solutions/aggregate-by-task"): _aggregate_by_task,
    ("GET", "/aggregated-solutions/{id}"): _list_solutions,
}

DESCRIPTIONS: Descriptions = {
    ("POST", "/aggregated-solutions/aggregate-by-pool"): Description({202: ref("Operation")}, body=request(FORM)),
    ("POST", "/aggregated-solutions/aggregate-by-task"): Description(
        {200: ref("AggregatedSolution")}, body=request(FORM)
    ),
    ("GET", "/aggregated-solutions/{id}"): list_of("AggregatedSolution", LISTING),
}

SCHEMAS: Json = {
    "AggregatedSolution": closed(
        {
            "pool_id": describing.TEXT,
            "task_id": describing.TEXT,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "output_values": describing.ANY_OBJECT,
        }
    ),
}
