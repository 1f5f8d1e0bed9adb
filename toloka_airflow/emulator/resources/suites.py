"""Suites: tasks that one person gets together, uploaded so or mixed from single tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Descriptions, list_of, many, parameter, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, MANY, Attribute, Listing
from toloka_airflow.emulator.forms.fields import ID, OBJECT, READ_ONLY, STRINGS, must
from toloka_airflow.emulator.forms.schema import REQUIRED, Field, Form, checked, examine
from toloka_airflow.emulator.resources import overlaps, tasks, uploads
from toloka_airflow.emulator.resources.uploads import Kind, Options
from toloka_airflow.emulator.world.errors import Problems, invalid, problem
from toloka_airflow.emulator.world.items import Suite, Task

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.world import World

TASK_IN_SUITE: Form = {
    "input_values": must(OBJECT),
    **tasks.SOLUTION_FIELDS,
    "id": READ_ONLY,
    "created": READ_ONLY,
    "origin_task_id": READ_ONLY,
    "pool_id": READ_ONLY,
}

# Negative: after the suites that say nothing.
PLACE = Field("number", minimum=-99_999.99999, maximum=99_999.99999)

FORM: Form = {
    "pool_id": must(ID),
    "tasks": Field("array", required=True, each=Field("object", fields=TASK_IN_SUITE)),
    **overlaps.FIELDS,
    "reserved_for": STRINGS,
    "unavailable_for": STRINGS,
    "issuing_order_override": PLACE,
    "longitude": Field("number", minimum=-180, maximum=180),
    "latitude": Field("number", minimum=-90, maximum=90),
    "id": READ_ONLY,
    "created": READ_ONLY,
    "remaining_overlap": READ_ONLY,
    "mixed": READ_ONLY,
    "automerged": READ_ONLY,
}
PATCH: Form = {**overlaps.FIELDS, "issuing_order_override": PLACE}

OVERLAP = Attribute(lambda suite: suite.overlap, int)
# Which tasks a suite has is looked up before the list is asked.
LISTING = Listing(
    exact={"pool_id": Attribute(lambda suite: suite.pool.id), "overlap": OVERLAP},
    ranges=ID_AND_CREATED | {"overlap": OVERLAP},
    sorts=ID_AND_CREATED,
    maximum=MANY,
)


def _any_pool(pool: Pool) -> None:
    """Suites need no mixer."""


def _check(world: World, item: Any, options: Options) -> tuple[Json, Problems]:
    clean, problems = examine(item, FORM)
    if problems:
        return clean, problems
    pool = world.pools.get(clean["pool_id"])
    if pool is None:
        return clean, {"pool_id": problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")}
    if not clean["tasks"]:
        return clean, {"tasks": problem("ARRAY_SIZE_LESS_THAN_MIN", "There must be at least one task", [1])}
    for i, task in enumerate(clean["tasks"]):
        problems |= tasks.check_task(world, pool, task, at=f"tasks.{i}.")
    default = pool.body.get("defaults", {}).get("default_overlap_for_new_task_suites")
    infinite = options.allow_defaults and pool.is_training
    settled = overlaps.settle(clean, default if options.allow_defaults else None, infinite_by_default=infinite)
    return clean, problems | settled


def _create(world: World, item: Json) -> Suite:
    pool = world.pools[item.pop("pool_id")]
    bodies = item.pop("tasks")
    suite = _add(world, pool, item, overlaps.take_from(item))
    suite.tasks = [tasks.add(world, pool, body, None, suite) for body in bodies]
    return suite


def mix(world: World, pool: Pool, chosen: Sequence[Task]) -> Suite:
    """Put single tasks together for one person."""
    suite = _add(world, pool, MIXED_BODY, 1)
    suite.tasks, suite.mixed, suite.taken = chosen, True, 1
    return suite


# Shared by all of them, and never changed.
MIXED_BODY: Json = {}


def _add(world: World, pool: Pool, body: Json, overlap: int | None) -> Suite:
    suite = Suite(world.ids.in_pool(pool.id, world.now), pool, body, world.now, overlap)
    world.suites[suite.id] = suite
    pool.suites.append(suite)
    return suite


def _tasks_of(item: Json) -> list[Any]:
    found = item.get("tasks")
    return found if isinstance(found, list) else []


SUITES = Kind("TASK_SUITE", _any_pool, _check, _create, _tasks_of)


def patch(world: World, suite: Suite, body: object) -> Suite:
    """Change the overlap or the place among the suites of the pool."""
    clean = checked(body, PATCH)
    _check_changeable(suite)
    if not clean:
        raise invalid({"infinite_overlap": REQUIRED})
    overlaps.change_if_possible(world, suite, clean)
    if "issuing_order_override" in clean:
        suite.body = suite.body | {"issuing_order_override": clean["issuing_order_override"]}
        overlaps.offer(suite)
    return suite


def set_overlap_or_min(world: World, suite: Suite, body: object) -> Suite:
    """Stop handing out the suite beyond the overlap, or at once."""
    clean = checked(body, overlaps.SET_OR_LEAST)
    _check_changeable(suite)
    overlaps.change_or_least(world, suite, clean)
    return suite


def _check_changeable(suite: Suite) -> None:
    overlaps.check_changeable(suite.pool)
    if suite.mixed:
        message = "The suite was mixed for one person; change the overlap of its tasks"
        raise invalid({"overlap": problem("VALUE_NOT_ALLOWED", message)})


def of(world: World, pool_id: str | None, task_id: str | None) -> Sequence[Suite]:
    """Return the suites of a pool, or those that have a task."""
    if task_id is not None:
        task = world.tasks.get(task_id)
        if task is None:
            return []
        return [task.suite] if task.suite else [assignment.suite for assignment in task.assignments]
    pool = world.pools.get(pool_id or "")
    return pool.suites if pool else []


def _list_suites(world: World, call: Call) -> Answer:
    query = dict(call.query)
    pool_id, task_id = query.get("pool_id"), query.pop("task_id", None)
    if pool_id is None and task_id is None:
        raise invalid({"pool_id": REQUIRED})
    things = of(world, pool_id, task_id)
    return page(LISTING, Call(call.path, query), things, lambda suite: suite.view())


ROUTES: Routes = uploads.routes("/task-suites", "suites", SUITES, _list_suites, patch, set_overlap_or_min)

DESCRIPTIONS: Descriptions = uploads.descriptions(
    "/task-suites", "TaskSuite", FORM, PATCH, list_of("TaskSuite", LISTING, parameter("task_id", describing.TEXT))
)

SCHEMAS: Json = {
    "TaskSuite": view(
        FORM,
        ("id", "created", "infinite_overlap", "reserved_for", "unavailable_for", "mixed", "automerged"),
        **describing.READ_ONLY,
        **overlaps.SHOWN,
        tasks=many(view(TASK_IN_SUITE, ("id",), id=describing.TEXT)),
        mixed=describing.FLAG,
        automerged=describing.FLAG,
    ),
}
