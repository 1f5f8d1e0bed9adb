"""The table of all calls: of every noun the routes, what the document tells of them, and its schemas."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls.handling import Answer, Call, Later, Routes, found, page
from toloka_airflow.emulator.courier import TIMEOUT
from toloka_airflow.emulator.resources import (
    attachments,
    descriptions,
    lists,
    message_threads,
    projects,
    skills,
    user_bonuses,
    user_metadata,
    user_restrictions,
    user_skills,
)
from toloka_airflow.emulator.resources.task_calls import UPLOAD_CALLS
from toloka_airflow.emulator.rules import analytics, assignments, operations, pools, solutions, webhooks
from toloka_airflow.emulator.world.entities import Json, OperationStatus
from toloka_airflow.emulator.world.errors import Refusal

if TYPE_CHECKING:
    from toloka_airflow.emulator.calls.describing import Descriptions
    from toloka_airflow.emulator.world.world import World


def _get_requester(world: World, call: Call) -> Answer:
    body = {
        "id": world.requester_id,
        "balance": float(world.account.balance),
        "public_name": {"EN": "Emulator"},
    }
    return Answer(200, body)


def _create_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    return Answer(201, pools.create(world, call.body, training=training).view(world.owner))


def _list_pools(world: World, call: Call, *, training: bool = False) -> Answer:
    things = (pool for pool in world.pools.values() if pool.is_training is training)
    return page(lists.POOLS, call, things, lambda pool: pool.view(world.owner))


def _get_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find(world, call.id, training=training)
    shown = pool.view(world.owner)
    if pool.is_training and not training:
        shown["type"] = "TRAINING"
    return Answer(200, shown)


def _put_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find_for_change(world, call.id, training=training)
    return Answer(200, pools.update(world, pool, call.body).view(world.owner))


def _patch_pool(world: World, call: Call) -> Answer:
    pool = pools.find_for_change(world, call.id, training=False)
    return Answer(200, pools.patch(world, pool, call.body).view(world.owner))


def _move_pool(world: World, call: Call, *, to: str, training: bool = False) -> Answer:
    operation = pools.move(world, pools.find_for_change(world, call.id, training=training), to)
    return Answer(204) if operation is None else Answer(202, operation.view(world.now))


def _clone_pool(world: World, call: Call, *, training: bool = False) -> Answer:
    pool = pools.find_for_change(world, call.id, training=training)
    return Answer(202, pools.clone(world, pool).view(world.now))


def _list_operations(world: World, call: Call) -> Answer:
    return page(lists.OPERATIONS, call, world.operations_by_id, lambda operation: operation.view(world.now))


def _get_operation(world: World, call: Call) -> Answer:
    operation = operations.look(world, found(world.operations, call.id))
    return Answer(200, operation.view(world.now))


def _get_operation_log(world: World, call: Call) -> Answer:
    operation = found(world.operations, call.id)
    if not operation.type.endswith(".BATCH_CREATE"):
        raise Refusal("INVALID_OPERATION_TYPE")
    return Answer(200, operation.log or [])


def _list_assignments(world: World, call: Call) -> Answer:
    query = dict(call.query)
    things = assignments.of(world, query.get("pool_id"), query.pop("task_id", None), query.get("task_suite_id"))
    return page(lists.ASSIGNMENTS, Call(call.path, query), things, lambda item: item.view(world.owner))


def _get_assignment(world: World, call: Call) -> Answer:
    return Answer(200, found(world.assignments, call.id).view(world.owner))


def _patch_assignment(world: World, call: Call) -> Answer:
    assignment = assignments.patch(world, found(world.assignments, call.id), call.body)
    return Answer(200, assignment.view(world.owner))


def _aggregate_by_pool(world: World, call: Call) -> Answer:
    return Answer(202, solutions.aggregate_pool(world, call.body).view(world.now))


def _aggregate_by_task(world: World, call: Call) -> Answer:
    return Answer(200, solutions.aggregate_task(world, call.body))


def _list_solutions(world: World, call: Call) -> Answer:
    operation = found(world.operations, call.id)
    if operation.type != solutions.TYPE:
        raise Refusal("INVALID_OPERATION_TYPE")
    if operation.status is not OperationStatus.SUCCESS:
        raise Refusal("CONFLICT_STATE", "The aggregation has not ended with SUCCESS")
    return page(lists.SOLUTIONS, call, operation.results, lambda solution: solution)


def _put_webhooks(world: World, call: Call) -> Answer:
    if isinstance(call.body, list):
        return Answer(200, webhooks.put_all(world, call.body))
    subscription, is_new = webhooks.put(world, call.body)
    return Answer(201 if is_new else 200, subscription.view())


def _list_webhooks(world: World, call: Call) -> Answer:
    things = world.subscriptions.values()
    return page(lists.WEBHOOKS, call, things, lambda subscription: subscription.view())


def _get_webhook(world: World, call: Call) -> Answer:
    return Answer(200, found(world.subscriptions, call.id).view())


def _delete_webhook(world: World, call: Call) -> Answer:
    del world.subscriptions[found(world.subscriptions, call.id).id]
    return Answer(204)


def _test_webhook(world: World, call: Call) -> Later:
    results: list[Json] = []
    event_id = webhooks.test(world, found(world.subscriptions, call.id), results.append)
    given_up = {"success": False, "errorType": "REQUEST_TIMEOUT", "uuids": [event_id]}
    return Later(lambda: bool(results), 2 * TIMEOUT, lambda: Answer(200, results[0] if results else given_up))


def _start_analytics(world: World, call: Call) -> Answer:
    return Answer(200, analytics.start(world, call.body).view(world.now))


def _lifecycle(prefix: str, *, training: bool) -> Routes:
    routes: Routes = {
        ("POST", f"{prefix}/{{id}}/{call}"): partial(_move_pool, to=call, training=training)
        for call in pools.TRANSITIONS
    }
    return routes | {
        ("POST", prefix): partial(_create_pool, training=training),
        ("GET", prefix): partial(_list_pools, training=training),
        ("GET", f"{prefix}/{{id}}"): partial(_get_pool, training=training),
        ("PUT", f"{prefix}/{{id}}"): partial(_put_pool, training=training),
        ("POST", f"{prefix}/{{id}}/clone"): partial(_clone_pool, training=training),
    }


# Modules with ROUTES, DESCRIPTIONS and SCHEMAS.
NOUNS = (
    projects,
    skills,
    user_skills,
    user_restrictions,
    user_bonuses,
    attachments,
    message_threads,
    user_metadata,
)

HANDLERS: Routes = {
    **{route: handler for noun in NOUNS for route, handler in noun.ROUTES.items()},
    ("GET", "/requester"): _get_requester,
    **_lifecycle("/pools", training=False),
    ("PATCH", "/pools/{id}"): _patch_pool,
    **_lifecycle("/trainings", training=True),
    **UPLOAD_CALLS,
    ("GET", "/operations"): _list_operations,
    ("GET", "/operations/{id}"): _get_operation,
    ("GET", "/operations/{id}/log"): _get_operation_log,
    ("GET", "/assignments"): _list_assignments,
    ("GET", "/assignments/{id}"): _get_assignment,
    ("PATCH", "/assignments/{id}"): _patch_assignment,
    ("POST", "/aggregated-solutions/aggregate-by-pool"): _aggregate_by_pool,
    ("POST", "/aggregated-solutions/aggregate-by-task"): _aggregate_by_task,
    ("GET", "/aggregated-solutions/{id}"): _list_solutions,
    ("PUT", "/webhook-subscriptions"): _put_webhooks,
    ("GET", "/webhook-subscriptions"): _list_webhooks,
    ("GET", "/webhook-subscriptions/{id}"): _get_webhook,
    ("DELETE", "/webhook-subscriptions/{id}"): _delete_webhook,
    ("POST", "/webhook-subscriptions/{id}/test"): _test_webhook,
}

DESCRIPTIONS: Descriptions = descriptions.DESCRIPTIONS | {
    route: description for noun in NOUNS for route, description in noun.DESCRIPTIONS.items()
}
SCHEMAS: Json = descriptions.SCHEMAS | {name: schema for noun in NOUNS for name, schema in noun.SCHEMAS.items()}

# Outside of the prefix of all the others.
STAGING_HANDLERS: Routes = {("POST", "/api/staging/analytics-2"): _start_analytics}
