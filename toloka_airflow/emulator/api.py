"""The calls of the API: from a request to what the world has to do, and back to a body."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator import assignments, lists, operations, pools, projects, solutions, tasks
from toloka_airflow.emulator.entities import Json, OperationStatus
from toloka_airflow.emulator.errors import Problems, Refusal, invalid, problem
from toloka_airflow.emulator.listing import Listing, select

if TYPE_CHECKING:
    from toloka_airflow.emulator.world import World


@dataclass(frozen=True)
class Call:
    """A request, as far as a handler has to know it."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None

    @property
    def id(self) -> str:
        """Return the id in the path."""
        return self.path["id"]


@dataclass(frozen=True)
class Answer:
    """A status and a body; None means an empty body."""

    status: int
    body: Any = None


Handler = Callable[["World", Call], Answer]


def page(listing: Listing, call: Call, things: Iterable[Any], view: Callable[[Any], Json]) -> Answer:
    """Answer a list."""
    chosen, has_more = select(listing, call.query, things)
    return Answer(200, {"items": [view(thing) for thing in chosen], "has_more": has_more})


def found(things: Mapping[str, Any], thing_id: str) -> Any:
    """Return the thing of that id; refuse if there is none."""
    if thing_id not in things:
        raise Refusal("DOES_NOT_EXIST")
    return things[thing_id]


def _get_requester(world: World, call: Call) -> Answer:
    body = {
        "id": world.requester_id,
        "balance": float(world.account.balance),
        "public_name": {"EN": "Emulator"},
    }
    return Answer(200, body)


def _create_project(world: World, call: Call) -> Answer:
    return Answer(201, projects.create(world, call.body).view())


def _list_projects(world: World, call: Call) -> Answer:
    return page(lists.PROJECTS, call, world.projects.values(), lambda project: project.view())


def _get_project(world: World, call: Call) -> Answer:
    return Answer(200, found(world.projects, call.id).view())


def _put_project(world: World, call: Call) -> Answer:
    project = projects.update(world, found(world.projects, call.id), call.body)
    return Answer(200, project.view())


def _archive_project(world: World, call: Call) -> Answer:
    return Answer(202, projects.archive(world, found(world.projects, call.id)).view(world.now))


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


def _create_tasks(world: World, call: Call) -> Answer:
    flags, operation_id = _upload_query(call.query)
    wait = not flags.pop("async_mode")
    options = tasks.Options(**flags)
    if wait:
        return Answer(201, tasks.create(world, call.body, options))
    return Answer(202, tasks.create_later(world, call.body, options, operation_id).view(world.now))


UPLOAD_FLAGS = ("async_mode", "skip_invalid_items", "allow_defaults", "open_pool")


def _upload_query(query: Mapping[str, str]) -> tuple[dict[str, bool], str | None]:
    problems: Problems = {}
    for name, text in query.items():
        if name in UPLOAD_FLAGS:
            if text not in ("true", "false"):
                problems[name] = problem("BOOLEAN_EXPECTED", "Value must be true or false")
        elif name != "operation_id":
            problems[name] = problem("VALUE_NOT_ALLOWED", "Unknown parameter")
        elif not _is_uuid(text):
            problems[name] = problem("UUID_EXPECTED", "Value must be a UUID")
    if problems:
        raise invalid(problems)
    return {name: query.get(name) == "true" for name in UPLOAD_FLAGS}, query.get("operation_id")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower() or uuid.UUID(text).hex == text.lower()
    except ValueError:
        return False


def _list_tasks(world: World, call: Call) -> Answer:
    pool = world.pools.get(call.query.get("pool_id", ""))
    return page(lists.TASKS, call, pool.tasks if pool else [], lambda task: task.view())


def _get_task(world: World, call: Call) -> Answer:
    return Answer(200, found(world.tasks, call.id).view())


def _list_operations(world: World, call: Call) -> Answer:
    things = world.operations.values()
    return page(lists.OPERATIONS, call, things, lambda operation: operation.view(world.now))


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


def _lifecycle(prefix: str, *, training: bool) -> dict[tuple[str, str], Handler]:
    routes: dict[tuple[str, str], Handler] = {
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


HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/requester"): _get_requester,
    ("POST", "/projects"): _create_project,
    ("GET", "/projects"): _list_projects,
    ("GET", "/projects/{id}"): _get_project,
    ("PUT", "/projects/{id}"): _put_project,
    ("POST", "/projects/{id}/archive"): _archive_project,
    **_lifecycle("/pools", training=False),
    ("PATCH", "/pools/{id}"): _patch_pool,
    **_lifecycle("/trainings", training=True),
    ("POST", "/tasks"): _create_tasks,
    ("GET", "/tasks"): _list_tasks,
    ("GET", "/tasks/{id}"): _get_task,
    ("GET", "/operations"): _list_operations,
    ("GET", "/operations/{id}"): _get_operation,
    ("GET", "/operations/{id}/log"): _get_operation_log,
    ("GET", "/assignments"): _list_assignments,
    ("GET", "/assignments/{id}"): _get_assignment,
    ("PATCH", "/assignments/{id}"): _patch_assignment,
    ("POST", "/aggregated-solutions/aggregate-by-pool"): _aggregate_by_pool,
    ("POST", "/aggregated-solutions/aggregate-by-task"): _aggregate_by_task,
    ("GET", "/aggregated-solutions/{id}"): _list_solutions,
}

# Documented, but not modelled: answered with 501 instead of pretending that there is no such call.
NOT_EMULATED: dict[str, tuple[str, ...]] = {
    "/api/staging/analytics-2": ("POST",),
    "/api/v1/attachments": ("GET",),
    "/api/v1/attachments/{id}": ("GET",),
    "/api/v1/attachments/{id}/download": ("GET",),
    "/api/v1/message-threads": ("GET",),
    "/api/v1/message-threads/compose": ("POST",),
    "/api/v1/message-threads/{id}/reply": ("POST",),
    "/api/v1/message-threads/{id}/add-to-folders": ("POST",),
    "/api/v1/message-threads/{id}/remove-from-folders": ("POST",),
    "/api/v1/skills": ("GET", "POST"),
    "/api/v1/skills/{id}": ("GET", "PUT"),
    "/api/v1/task-suites": ("GET", "POST"),
    "/api/v1/task-suites/{id}": ("GET", "PATCH"),
    "/api/v1/task-suites/{id}/set-overlap-or-min": ("PATCH",),
    "/api/v1/tasks/{id}": ("PATCH",),
    "/api/v1/tasks/{id}/set-overlap-or-min": ("PATCH",),
    "/api/v1/user-bonuses": ("GET", "POST"),
    "/api/v1/user-bonuses/{id}": ("GET",),
    "/api/v1/user-metadata/{id}": ("GET",),
    "/api/v1/user-restrictions": ("GET", "PUT"),
    "/api/v1/user-restrictions/{id}": ("GET", "DELETE"),
    "/api/v1/user-skills": ("GET", "PUT"),
    "/api/v1/user-skills/{id}": ("GET", "DELETE"),
    "/api/v1/webhook-subscriptions": ("GET", "PUT"),
    "/api/v1/webhook-subscriptions/{id}": ("GET", "DELETE"),
    "/api/v1/webhook-subscriptions/{id}/test": ("POST",),
}
