"""Operations: they take their time, then their effect happens, or not."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, closed, enum, list_of, many, ref
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import Attribute, Listing, moments
from toloka_airflow.emulator.world.clock import SECOND
from toloka_airflow.emulator.world.entities import Json, Operation, OperationStatus, Pool
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.ids import id_key
from toloka_airflow.emulator.world.progression import DEFAULT

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

MOMENTS = moments("submitted", "finished")
LISTING = Listing(
    exact={
        "type": Attribute(lambda operation: operation.type),
        "status": Attribute(lambda operation: operation.status, OperationStatus),
    },
    ranges=MOMENTS,
    sorts=MOMENTS,
    many=frozenset({"status", "type"}),
    maximum=500,
)

Effect = Callable[["World", Operation], None]


def start(
    world: World,
    type: str,
    parameters: Json,
    effect: Effect,
    *,
    targets: tuple[Pool, ...] = (),
    details: Json | None = None,
    details_if_failed: Json | None = None,
    operation_id: str | None = None,
) -> Operation:
    """Create an operation and plan its end; one that takes no time has ended on return."""
    if any(pool.unfinished for pool in targets):
        raise Refusal("POOL_LOCKED_BY_ANOTHER_OPERATION")
    operation = Operation(
        operation_id or world.ids.uuid(),
        type,
        parameters,
        world.now,
        effect,
        targets,
        details=details,
        details_if_failed=details_if_failed,
    )
    world.operations[operation.id] = operation
    insort(world.operations_by_id, operation, key=lambda kept: id_key(kept.id))
    for pool in targets:
        pool.unfinished.append(operation)
    world.emit("operation.created", operation_id=operation.id, type=type, **_target(operation))
    _plan(world, operation)
    return operation


def _plan(world: World, operation: Operation) -> None:
    pool_id = operation.targets[0].id if operation.targets else None
    progression = world.progressions.find(operation.type, pool_id)
    operation.fail = progression.fail
    operation.looks_wanted = progression.looks
    if progression.looks is not None:
        return
    seconds = DEFAULT.seconds if progression.seconds is None else progression.seconds
    duration = round((seconds or 0) * SECOND)
    operation.due = world.now + duration
    if duration == 0:
        finish(world, operation)
        return
    world.at(world.now + duration // 5, _run, operation=operation)
    world.at(operation.due, finish, operation=operation)


def _run(world: World, operation: Operation) -> None:
    if operation.status is OperationStatus.PENDING:
        operation.status, operation.started = OperationStatus.RUNNING, world.now


def look(world: World, operation: Operation) -> Operation:
    """Return the operation; its progression may wait for exactly this."""
    operation.looks += 1
    if operation.looks_wanted is not None and not operation.status.is_final:
        _run(world, operation)
        if operation.looks >= operation.looks_wanted:
            finish(world, operation)
    return operation


def finish(world: World, operation: Operation) -> None:
    """End the operation and let its effect happen."""
    _run(world, operation)
    operation.finished = world.now
    for pool in operation.targets:
        pool.unfinished.remove(operation)
    operation.status = OperationStatus.SUCCESS
    if operation.fail is not None:
        fail(operation, operation.fail)
    else:
        operation.effect(world, operation)
    facts = {"operation_id": operation.id, "type": operation.type, **_target(operation)}
    world.emit("operation.finished", **facts, status=operation.status)


def fail(operation: Operation, reason: Json) -> None:
    """Make the operation a failed one. That `details` tells why is the emulator's addition."""
    operation.status = OperationStatus.FAIL
    operation.details = {**(operation.details or operation.details_if_failed or {}), **reason}


def _target(operation: Operation) -> Json:
    return {"pool_id": operation.targets[0].id} if operation.targets else {}


def _list_operations(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.operations_by_id, lambda operation: operation.view(world.now))


def _get_operation(world: World, call: Call) -> Answer:
    operation = look(world, found(world.operations, call.id))
    return Answer(200, operation.view(world.now))


def _get_operation_log(world: World, call: Call) -> Answer:
    operation = found(world.operations, call.id)
    if not operation.type.endswith(".BATCH_CREATE"):
        raise Refusal("INVALID_OPERATION_TYPE")
    return Answer(200, operation.log or [])


ROUTES: Routes = {
    ("GET", "/operations"): _list_operations,
    ("GET", "/operations/{id}"): _get_operation,
    ("GET", "/operations/{id}/log"): _get_operation_log,
}

DESCRIPTIONS: Descriptions = {
    ("GET", "/operations"): list_of("Operation", LISTING),
    ("GET", "/operations/{id}"): Description({200: ref("Operation")}),
    ("GET", "/operations/{id}/log"): Description({200: many(ref("LogStep"))}),
}

SCHEMAS: Json = {
    "Operation": closed(
        {
            "id": describing.TEXT,
            "type": describing.TEXT,
            "status": enum(OperationStatus),
            "submitted": describing.DATE,
            "started": describing.DATE,
            "finished": describing.DATE,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "parameters": describing.ANY_OBJECT,
            "details": describing.ANY_OBJECT,
        },
        ("id", "type", "status", "submitted", "progress", "parameters"),
    ),
    "LogStep": closed(
        {"type": describing.TEXT, "success": describing.FLAG, "input": {}, "output": describing.ANY_OBJECT}
    ),
}
