"""Single tasks, which the pool mixes into suites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Descriptions, list_of, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, MANY, Attribute, Listing
from toloka_airflow.emulator.forms.fields import ID, OBJECT, READ_ONLY, STRINGS, TEXT, must
from toloka_airflow.emulator.forms.schema import Field, Form, checked, examine
from toloka_airflow.emulator.forms.values import check_values
from toloka_airflow.emulator.resources import overlaps, uploads
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.resources.uploads import Kind, Options
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem
from toloka_airflow.emulator.world.items import Suite, Task

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.world import World

WEIGHT = Field("number", minimum=0, maximum=1)

SOLUTION_FIELDS: Form = {
    "known_solutions": Field(
        "array", each=Field("object", fields={"output_values": must(OBJECT), "correctness_weight": WEIGHT})
    ),
    "message_on_unknown_solution": TEXT,
}
BASELINE: Form = {
    "baseline_solutions": Field(
        "array", each=Field("object", fields={"output_values": must(OBJECT), "confidence_weight": WEIGHT})
    ),
}

FORM: Form = {
    "pool_id": must(ID),
    "input_values": must(OBJECT),
    **SOLUTION_FIELDS,
    **BASELINE,
    **overlaps.FIELDS,
    "reserved_for": STRINGS,
    "unavailable_for": STRINGS,
    "localization_config": OBJECT,
    "traits_all_of": STRINGS,
    "traits_any_of": STRINGS,
    "traits_none_of_any": STRINGS,
    "id": READ_ONLY,
    "created": READ_ONLY,
    "origin_task_id": READ_ONLY,
    "remaining_overlap": READ_ONLY,
}
PATCH: Form = {**SOLUTION_FIELDS, **BASELINE, **overlaps.FIELDS}

OVERLAP = Attribute(lambda task: task.overlap, int)
LISTING = Listing(
    exact={"pool_id": Attribute(lambda task: task.pool.id), "overlap": OVERLAP},
    ranges=ID_AND_CREATED | {"overlap": OVERLAP},
    sorts=ID_AND_CREATED,
    required=("pool_id",),
    maximum=MANY,
)

SOLUTIONS = ("known_solutions", "baseline_solutions")


def _check_mixer(pool: Pool) -> None:
    if not pool.is_training and "mixer_config" not in pool.body:
        raise Refusal("MIXER_CONFIG_REQUIRED")


def _check(world: World, item: Any, options: Options) -> tuple[Json, Problems]:
    clean, problems = examine(item, FORM)
    if problems:
        return clean, problems
    pool = world.pools.get(clean["pool_id"])
    if pool is None:
        return clean, {"pool_id": problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")}
    default = pool.body.get("defaults", {}).get("default_overlap_for_new_tasks") if options.allow_defaults else None
    infinite = options.allow_defaults and pool.is_training
    return clean, check_task(world, pool, clean) | overlaps.settle(clean, default, infinite_by_default=infinite)


def check_task(world: World, pool: Pool, item: Json, *, at: str = "") -> Problems:
    """Return what is wrong with the values of a task, by field path."""
    spec = world.projects[pool.body["project_id"]].body["task_spec"]
    problems = check_values(item["input_values"], spec["input_spec"], at=f"{at}input_values")
    return problems | _check_solutions(item, spec["output_spec"], at)


def _check_solutions(item: Json, spec: Json, at: str) -> Problems:
    problems: Problems = {}
    for key in SOLUTIONS:
        for i, solution in enumerate(item.get(key, [])):
            path = f"{at}{key}.{i}.output_values"
            problems |= check_values(solution["output_values"], spec, at=path, partly=True)
    return problems


def _create(world: World, item: Json) -> Task:
    pool = world.pools[item.pop("pool_id")]
    return add(world, pool, item, overlaps.take_from(item))


def add(world: World, pool: Pool, body: Json, overlap: int | None, suite: Suite | None = None) -> Task:
    """Put a task into the pool."""
    task = Task(world.ids.in_pool(pool.id, world.now), pool, body, world.now, overlap, suite=suite)
    world.tasks[task.id] = task
    pool.tasks.append(task)
    return task


def _tasks_of(item: Json) -> list[Any]:
    return [item]


TASKS = Kind("TASK", _check_mixer, _check, _create, _tasks_of)


def patch(world: World, task: Task, body: object) -> Task:
    """Change the overlap, the solutions or the hint."""
    clean = checked(body, PATCH)
    overlaps.check_changeable(task.pool)
    spec = world.projects[task.pool.body["project_id"]].body["task_spec"]
    problems = _check_solutions(clean, spec["output_spec"], "")
    if problems:
        raise invalid(problems)
    _check_single(task, clean)
    overlaps.change_if_possible(world, task, clean)
    _rewrite(world, task, {name: value for name, value in clean.items() if name not in ("overlap", "infinite_overlap")})
    return task


def _rewrite(world: World, task: Task, changes: Json) -> None:
    """Change the body; with its known solutions a task may become a control task, or cease to be one."""
    if not changes:
        return
    counted = task.suite or task
    task.pool.count(counted, -1)
    task.body = task.body | changes
    task.pool.count(counted, +1)
    if task.suite is None and task.remaining != 0:
        overlaps.offer(task)
    world.emit("task.changed", pool_id=task.pool.id, task_id=task.id)
    pools.check_complete(world, task.pool)


def set_overlap_or_min(world: World, task: Task, body: object) -> Task:
    """Stop handing out the task beyond the overlap, or at once."""
    clean = checked(body, overlaps.SET_OR_LEAST)
    overlaps.check_changeable(task.pool)
    _check_single(task, clean)
    overlaps.change_or_least(world, task, clean)
    return task


def _check_single(task: Task, clean: Json) -> None:
    if task.suite is not None and {"overlap", "infinite_overlap"} & set(clean):
        message = f"The task is part of suite {task.suite.id}, which has the overlap"
        raise invalid({"overlap": problem("VALUE_NOT_ALLOWED", message)})


def _list_tasks(world: World, call: Call) -> Answer:
    pool = world.pools.get(call.query.get("pool_id", ""))
    return page(LISTING, call, pool.tasks if pool else [], lambda task: task.view())


ROUTES: Routes = uploads.routes("/tasks", "tasks", TASKS, _list_tasks, patch, set_overlap_or_min)

DESCRIPTIONS: Descriptions = uploads.descriptions("/tasks", "Task", FORM, PATCH, list_of("Task", LISTING))

SCHEMAS: Json = {
    # The tasks of a suite have no overlap of their own.
    "Task": view(
        FORM,
        ("id", "created", "reserved_for", "unavailable_for"),
        **describing.READ_ONLY,
        **overlaps.SHOWN,
    ),
}
