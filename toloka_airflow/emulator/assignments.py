"""Assignments: what happens to a suite from being handed out to being paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator import pools
from toloka_airflow.emulator.clock import DAY
from toloka_airflow.emulator.entities import Assignment, AssignmentStatus, Json, Pool, PoolStatus, Task
from toloka_airflow.emulator.errors import Refusal, invalid, problem, wrong_status
from toloka_airflow.emulator.forms import ASSIGNMENT_PATCH
from toloka_airflow.emulator.schema import checked

if TYPE_CHECKING:
    from toloka_airflow.emulator.world import World

ACTIVE, SUBMITTED, ACCEPTED = AssignmentStatus.ACTIVE, AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED
REJECTED, SKIPPED, EXPIRED = AssignmentStatus.REJECTED, AssignmentStatus.SKIPPED, AssignmentStatus.EXPIRED

# What the requester may change an answer to, and from which statuses.
DECISIONS: dict[AssignmentStatus, tuple[AssignmentStatus, ...]] = {
    ACCEPTED: (SUBMITTED, REJECTED),
    REJECTED: (SUBMITTED,),
}
# Inferred: the longest period that can be asked for.
REVIEW_DAYS = 21


def hand_out(world: World, pool: Pool, user_id: str, tasks: list[Task]) -> Assignment:
    """Give a person a suite; its price is reserved."""
    for task in tasks:
        _count(task, -1)
    suite_id = world.ids.in_pool(pool.id, world.now)
    assignment = Assignment(
        id=world.ids.in_pool(pool.id, world.now),
        suite_id=suite_id,
        pool=pool,
        user_id=user_id,
        tasks=tasks,
        created=world.now,
        reward=pool.body.get("reward_per_assignment", 0),
        price=pool.price,
    )
    world.assignments[assignment.id] = assignment
    pool.assignments.append(assignment)
    pool.active += 1
    world.account.reserve(assignment.price)
    return assignment


def submit(world: World, assignment: Assignment, solutions: list[Json]) -> None:
    """Take the answers in; pay at once if the pool accepts by itself."""
    pool = assignment.pool
    assignment.solutions, assignment.submitted, assignment.status = solutions, world.now, SUBMITTED
    pool.active -= 1
    pool.answers += sum(task.is_real for task in assignment.tasks)
    pool.answers_counted += sum(task.is_real and task.overlap is not None for task in assignment.tasks)
    pool.people.add(assignment.user_id)
    if pool.body.get("auto_accept_solutions", True):
        _accept(world, assignment)
    else:
        days = pool.body.get("auto_accept_period_day", REVIEW_DAYS)
        world.at(world.now + days * DAY, _accept_by_default, assignment)
    _emit(world, "submitted", assignment)
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
    clean = checked(body, ASSIGNMENT_PATCH)
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
    _emit(world, "accepted", assignment)


def _accept(world: World, assignment: Assignment) -> None:
    world.account.release(assignment.price)
    world.account.pay(assignment.price)
    assignment.pool.spent += assignment.price
    assignment.status, assignment.accepted = ACCEPTED, world.now


def _accept_by_default(world: World, assignment: Assignment) -> None:
    if assignment.status is SUBMITTED:
        _accept(world, assignment)
        _emit(world, "accepted", assignment)


def _reject(world: World, assignment: Assignment) -> None:
    world.account.release(assignment.price)
    assignment.status, assignment.rejected = REJECTED, world.now
    assignment.pool.last_rejected = world.now
    _emit(world, "rejected", assignment)


def _give_back(world: World, assignment: Assignment) -> None:
    assignment.pool.active -= 1
    world.account.release(assignment.price)
    for task in assignment.tasks:
        _count(task, +1)
        assignment.pool.supply(task).add(task)


def _count(task: Task, change: int) -> None:
    if task.remaining is None:
        return
    task.remaining += change
    if task.is_real:
        task.pool.remaining += change


def _emit(world: World, what: str, assignment: Assignment) -> None:
    facts = {"assignment_id": assignment.id, "pool_id": assignment.pool.id, "user_id": assignment.user_id}
    world.emit(f"assignment.{what}", **facts, status=assignment.status)


def of(world: World, pool_id: str | None, task_id: str | None, suite_id: str | None) -> list[Assignment]:
    """Return the assignments of a pool, a task or a suite, in the order of creation."""
    if task_id is not None:
        task = world.tasks.get(task_id)
        in_pool = task.pool.assignments if task else []
        return [assignment for assignment in in_pool if task in assignment.tasks]
    if pool_id is not None:
        return world.pools[pool_id].assignments if pool_id in world.pools else []
    if suite_id is not None:
        return [assignment for assignment in world.assignments.values() if assignment.suite_id == suite_id]
    required = problem("VALUE_REQUIRED", "One of pool_id, task_id, task_suite_id must be present")
    raise invalid({"pool_id": required})
