"""The calls about tasks and task suites."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls.handling import Answer, Call, Handler, Routes, found, page
from toloka_airflow.emulator.forms.schema import REQUIRED
from toloka_airflow.emulator.resources import lists
from toloka_airflow.emulator.rules import pools, suites, tasks, uploads
from toloka_airflow.emulator.world.errors import Problems, invalid, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

PATCH_FLAGS = ("open_pool",)
UPLOAD_FLAGS = ("async_mode", "skip_invalid_items", "allow_defaults", "open_pool")


def _create(world: World, call: Call, *, kind: uploads.Kind) -> Answer:
    options, is_async, operation_id = read_upload(call.query, UPLOAD_FLAGS)
    if not is_async:
        return Answer(201, uploads.create(world, kind, call.body, options))
    return Answer(202, uploads.create_later(world, kind, call.body, options, operation_id).view(world.now))


def read_upload(query: Mapping[str, str], names: tuple[str, ...]) -> tuple[uploads.Options, bool, str | None]:
    """Return how items are to be created, whether as an operation, and the id that it is to have."""
    query = dict(query)
    operation_id = query.pop("operation_id", None)
    flags = _flags(query, names)
    if operation_id is not None and not _is_uuid(operation_id):
        raise invalid({"operation_id": problem("UUID_EXPECTED", "Value must be a UUID")})
    is_async = flags.pop("async_mode")
    return uploads.Options(**flags), is_async, operation_id


def _flags(query: Mapping[str, str], names: tuple[str, ...]) -> dict[str, bool]:
    problems: Problems = {}
    for name, text in query.items():
        if name not in names:
            problems[name] = problem("VALUE_NOT_ALLOWED", "Unknown parameter")
        elif text not in ("true", "false"):
            problems[name] = problem("BOOLEAN_EXPECTED", "Value must be true or false")
    if problems:
        raise invalid(problems)
    return {name: query.get(name) == "true" for name in names}


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower() or uuid.UUID(text).hex == text.lower()
    except ValueError:
        return False


Change = Callable[["World", Any, object], Any]


def _change(world: World, call: Call, *, things: str, change: Change) -> Answer:
    opens = _flags(call.query, PATCH_FLAGS)["open_pool"]
    thing = found(getattr(world, things), call.id)
    if opens:
        pools.check_can_open(world, thing.pool)
    changed = change(world, thing, call.body)
    if opens:
        pools.open_now(world, thing.pool)
    return Answer(200, changed.view())


def _get(world: World, call: Call, *, things: str) -> Answer:
    return Answer(200, found(getattr(world, things), call.id).view())


def _list_tasks(world: World, call: Call) -> Answer:
    pool = world.pools.get(call.query.get("pool_id", ""))
    return page(lists.TASKS, call, pool.tasks if pool else [], lambda task: task.view())


def _list_suites(world: World, call: Call) -> Answer:
    query = dict(call.query)
    pool_id, task_id = query.get("pool_id"), query.pop("task_id", None)
    if pool_id is None and task_id is None:
        raise invalid({"pool_id": REQUIRED})
    things = suites.of(world, pool_id, task_id)
    return page(lists.SUITES, Call(call.path, query), things, lambda suite: suite.view())


def _calls(
    prefix: str, things: str, kind: uploads.Kind, listing: Handler, change: Change, set_or_min: Change
) -> Routes:
    return {
        ("POST", prefix): partial(_create, kind=kind),
        ("GET", prefix): listing,
        ("GET", f"{prefix}/{{id}}"): partial(_get, things=things),
        ("PATCH", f"{prefix}/{{id}}"): partial(_change, things=things, change=change),
        ("PATCH", f"{prefix}/{{id}}/set-overlap-or-min"): partial(_change, things=things, change=set_or_min),
    }


UPLOAD_CALLS: Routes = {
    **_calls("/tasks", "tasks", tasks.TASKS, _list_tasks, tasks.patch, tasks.set_overlap_or_min),
    **_calls("/task-suites", "suites", suites.SUITES, _list_suites, suites.patch, suites.set_overlap_or_min),
}
