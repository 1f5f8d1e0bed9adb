"""Assignments: what happens to a suite from being handed out to being paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import (
    Description,
    Descriptions,
    closed,
    enum,
    list_of,
    many,
    parameter,
    ref,
    request,
)
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import MANY, Attribute, Listing, moments
from toloka_airflow.emulator.forms.fields import TEXT
from toloka_airflow.emulator.forms.schema import Field, Form, checked
from toloka_airflow.emulator.resources import dynamic_overlap, overlaps, pricing
from toloka_airflow.emulator.resources.pools import pools, trainings
from toloka_airflow.emulator.world.clock import DAY
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json, PoolStatus
from toloka_airflow.emulator.world.errors import Refusal, invalid, problem, wrong_status
from toloka_airflow.emulator.world.items import Assignment, Suite

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

PATCH: Form = {
    "status": Field("string", choices=("ACCEPTED", "REJECTED")),
    "public_comment": TEXT,
}

MOMENTS = moments("created", "submitted", "accepted", "rejected", "skipped", "expired")
LISTING = Listing(
    exact={
        "pool_id": Attribute(lambda assignment: assignment.pool.id),
        "task_suite_id": Attribute(lambda assignment: assignment.suite.id),
        "user_id": Attribute(lambda assignment: assignment.user_id),
        "status": Attribute(lambda assignment: assignment.status, AssignmentStatus),
    },
    ranges=MOMENTS,
    sorts=MOMENTS,
    many=frozenset({"status"}),
    maximum=MANY,
)

ACTIVE, SUBMITTED, ACCEPTED = AssignmentStatus.ACTIVE, AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED
REJECTED, SKIPPED, EXPIRED = AssignmentStatus.REJECTED, AssignmentStatus.SKIPPED, AssignmentStatus.EXPIRED

# What the requester may change an answer to, and from which statuses.
DECISIONS: dict[AssignmentStatus, tuple[AssignmentStatus, ...]] = {
    ACCEPTED: (SUBMITTED, REJECTED),
    REJECTED: (SUBMITTED,),
}
# Inferred: the longest period that can be asked for.
REVIEW_DAYS = 21


def hand_out(world: World, suite: Suite, user_id: str) -> Assignment:
    """Give a person a suite; its price is reserved."""
    pool = suite.pool
    reward, price = pricing.offer(world, pool, user_id)
    assignment = Assignment(
        id=world.ids.in_pool(pool.id, world.now),
        suite=suite,
        user_id=user_id,
        created=world.now,
        reward=reward,
        price=price,
    )
    for item in suite.items:
        overlaps.take(item)
    for had in (suite, *suite.tasks):
        had.assignments.append(assignment)
    world.assignments[assignment.id] = assignment
    pool.add(assignment)
    pool.active += 1
    world.account.reserve(assignment.price)
    _emit(world, "created", assignment)
    pools.check_assignments_limit(world, pool)
    return assignment


def submit(world: World, assignment: Assignment, solutions: list[Json]) -> None:
    """Take the answers in; pay at once if the pool accepts by itself."""
    pool = assignment.pool
    assignment.solutions, assignment.submitted, assignment.status = solutions, world.now, SUBMITTED
    pool.active -= 1
    pool.answers += sum(task.is_real for task in assignment.tasks)
    pool.answers_counted += sum(item.answers_each for item in assignment.suite.items if item.overlap is not None)
    pool.people[assignment.user_id] = None
    _emit(world, "submitted", assignment)
    if pool.is_training:
        trainings.record(assignment)
    if pool.body.get("auto_accept_solutions", True):
        _accept_by_default(world, assignment)
    else:
        days = pool.body.get("auto_accept_period_day", REVIEW_DAYS)
        world.at(world.now + days * DAY, _accept_by_default, assignment=assignment)
    dynamic_overlap.consider(world, assignment)
    pools.check_complete(world, pool)


def skip(world: World, assignment: Assignment) -> None:
    """Let the person leave the suite; somebody else gets its tasks."""
    assignment.status, assignment.skipped = SKIPPED, world.now
    _give_back(world, assignment)
    _emit(world, "skipped", assignment)


def expire(world: World, assignment: Assignment) -> None:
    """End a suite that was not answered in time; somebody else gets its tasks."""
    assignment.status, assignment.expired = EXPIRED, world.now
    _give_back(world, assignment)
    _emit(world, "expired", assignment)


def patch(world: World, assignment: Assignment, body: object) -> Assignment:
    """Accept or reject an answer."""
    clean = checked(body, PATCH)
    if assignment.pool.status is PoolStatus.ARCHIVED:
        raise wrong_status(PoolStatus.OPEN, PoolStatus.CLOSED)
    if "status" in clean:
        _decide(world, assignment, AssignmentStatus(clean["status"]))
    assignment.public_comment = clean.get("public_comment", assignment.public_comment)
    return assignment


def _decide(world: World, assignment: Assignment, status: AssignmentStatus) -> None:
    if assignment.status not in DECISIONS[status]:
        raise wrong_status(*DECISIONS[status])
    if status is REJECTED:
        _reject(world, assignment)
        return
    if assignment.status is REJECTED:
        if not world.account.can_pay(assignment.price):
            raise Refusal("NOT_ENOUGH_BALANCE")
        world.account.reserve(assignment.price)
    _accept(world, assignment)


def _accept(world: World, assignment: Assignment) -> None:
    world.account.release(assignment.price)
    world.account.pay(assignment.price)
    assignment.pool.spent += assignment.price
    assignment.status, assignment.accepted = ACCEPTED, world.now
    _emit(world, "accepted", assignment)


def _accept_by_default(world: World, assignment: Assignment) -> None:
    if assignment.status is SUBMITTED:
        _accept(world, assignment)


def _reject(world: World, assignment: Assignment) -> None:
    world.account.release(assignment.price)
    assignment.status, assignment.rejected = REJECTED, world.now
    assignment.pool.last_rejected = world.now
    _emit(world, "rejected", assignment)


def _give_back(world: World, assignment: Assignment) -> None:
    assignment.pool.active -= 1
    world.account.release(assignment.price)
    for item in assignment.suite.items:
        overlaps.give_back(item)


def _emit(world: World, what: str, assignment: Assignment) -> None:
    world.emit(
        f"assignment.{what}",
        project_id=assignment.pool.body["project_id"],
        pool_id=assignment.pool.id,
        task_suite_id=assignment.suite.id,
        assignment_id=assignment.id,
        user_id=assignment.user_id,
    )


def of(world: World, pool_id: str | None, task_id: str | None, suite_id: str | None) -> Sequence[Assignment]:
    """Return the assignments of a task, a suite or a pool, in the order of creation."""
    if task_id is not None:
        return world.tasks[task_id].assignments if task_id in world.tasks else []
    if suite_id is not None:
        return world.suites[suite_id].assignments if suite_id in world.suites else []
    if pool_id is not None:
        return world.pools[pool_id].assignments if pool_id in world.pools else []
    required = problem("VALUE_REQUIRED", "One of pool_id, task_id, task_suite_id must be present")
    raise invalid({"pool_id": required})


def _list_assignments(world: World, call: Call) -> Answer:
    query = dict(call.query)
    things = of(world, query.get("pool_id"), query.pop("task_id", None), query.get("task_suite_id"))
    return page(LISTING, Call(call.path, query), things, lambda item: item.view(world.owner))


def _get_assignment(world: World, call: Call) -> Answer:
    return Answer(200, found(world.assignments, call.id).view(world.owner))


def _patch_assignment(world: World, call: Call) -> Answer:
    assignment = patch(world, found(world.assignments, call.id), call.body)
    return Answer(200, assignment.view(world.owner))


ROUTES: Routes = {
    ("GET", "/assignments"): _list_assignments,
    ("GET", "/assignments/{id}"): _get_assignment,
    ("PATCH", "/assignments/{id}"): _patch_assignment,
}

DESCRIPTIONS: Descriptions = {
    ("GET", "/assignments"): list_of("Assignment", LISTING, parameter("task_id", describing.TEXT)),
    ("GET", "/assignments/{id}"): Description({200: ref("Assignment")}),
    ("PATCH", "/assignments/{id}"): Description({200: ref("Assignment")}, body=request(PATCH)),
}

SCHEMAS: Json = {
    "Assignment": closed(
        describing.READ_ONLY
        | dict.fromkeys(("submitted", "accepted", "rejected", "skipped", "expired"), describing.DATE)
        | {
            "task_suite_id": describing.TEXT,
            "pool_id": describing.TEXT,
            "user_id": describing.TEXT,
            "status": enum(AssignmentStatus),
            "reward": describing.NUMBER,
            "tasks": many(ref("Task")),
            "solutions": many(closed({"output_values": describing.ANY_OBJECT})),
            "public_comment": describing.TEXT,
            "bonus_ids": many(describing.TEXT),
            "mixed": describing.FLAG,
            "automerged": describing.FLAG,
            "owner": ref("Owner"),
        },
        ("id", "created", "task_suite_id", "pool_id", "user_id", "status", "reward", "tasks", "owner"),
    ),
}
