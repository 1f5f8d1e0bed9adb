"""Tasks: upload in one go or as an operation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator import operations, pools
from toloka_airflow.emulator.entities import Json, Operation, Pool, PoolStatus, Task
from toloka_airflow.emulator.errors import Problems, Refusal, invalid, problem, wrong_status
from toloka_airflow.emulator.forms import TASK
from toloka_airflow.emulator.schema import REQUIRED, examine
from toloka_airflow.emulator.values import check_values

if TYPE_CHECKING:
    from toloka_airflow.emulator.world import World

MAX_SYNCHRONOUS = 5000


@dataclass(frozen=True)
class Options:
    """The switches of an upload, as in the query."""

    skip_invalid_items: bool = False
    allow_defaults: bool = False
    open_pool: bool = False

    def view(self) -> Json:
        """Return the parameters of the operation."""
        return {
            "open_pool": self.open_pool,
            "allow_defaults": self.allow_defaults,
            "skip_invalid_items": self.skip_invalid_items,
        }


@dataclass(frozen=True)
class Checked:
    """The items of an upload: what can be created and what is wrong with the rest, by position."""

    items: list[Json]
    valid: dict[int, Json]
    problems: dict[int, Problems]

    def may_go_on(self, options: Options) -> bool:
        """Say whether anything is to be created."""
        return bool(self.valid) and (options.skip_invalid_items or not self.problems)


def create(world: World, body: object, options: Options) -> Json:
    """Create tasks and return the answer: a task for an object, maps by position for a list."""
    items = _items(body)
    if len(items) > MAX_SYNCHRONOUS:
        raise Refusal("ENTITY_TOO_LARGE")
    targets = _check_pools(world, items)
    # Before anything is created: an error after it would invite a second upload.
    if options.open_pool:
        for pool in targets:
            pools.check_can_open(world, pool)
    done = _check_items(world, items, options)
    if not done.may_go_on(options):
        raise invalid(done.problems[0] if isinstance(body, dict) else _by_position(done.problems))
    created = _create_valid(world, done)
    if options.open_pool:
        for pool in targets:
            pools.open_now(world, pool)
    if isinstance(body, dict):
        return created[0].view()
    answer: Json = {"items": {str(position): task.view() for position, task in created.items()}}
    if options.skip_invalid_items:
        answer["validation_errors"] = _by_position(done.problems)
    return answer


def create_later(world: World, body: object, options: Options, operation_id: str | None) -> Operation:
    """Start an operation that creates the tasks; nothing is created if its id was used before."""
    items = _items(body)
    if operation_id is not None and operation_id in world.operations:
        raise Refusal("OPERATION_ALREADY_EXISTS")
    targets = _check_pools(world, items)
    effect = partial(_create_batch, items=items, options=options)
    return operations.start(
        world,
        "TASK.BATCH_CREATE",
        options.view(),
        effect,
        targets=targets,
        details_if_failed=_counters(Checked(items, {}, {}), 0),
        operation_id=operation_id,
    )


def _items(body: object) -> list[Any]:
    items = body if isinstance(body, list) else [body]
    if not items:
        raise invalid({"body": problem("ARRAY_SIZE_LESS_THAN_MIN", "There must be at least one task", [1])})
    return items


def _check_pools(world: World, items: list[Any]) -> tuple[Pool, ...]:
    ids = {str(item.get("pool_id")): None for item in items if isinstance(item, dict)}
    targets = tuple(world.pools[pool_id] for pool_id in ids if pool_id in world.pools)
    for pool in targets:
        if pool.status is PoolStatus.ARCHIVED:
            raise wrong_status(PoolStatus.OPEN, PoolStatus.CLOSED)
        if not pool.is_training and "mixer_config" not in pool.body:
            raise Refusal("MIXER_CONFIG_REQUIRED")
    return targets


def _check_items(world: World, items: list[Any], options: Options) -> Checked:
    done = Checked(items, {}, {})
    for position, item in enumerate(items):
        clean, problems = _check_item(world, item, options)
        if problems:
            done.problems[position] = problems
        else:
            done.valid[position] = clean
    return done


def _check_item(world: World, item: Any, options: Options) -> tuple[Json, Problems]:
    if isinstance(item, dict):
        # The official client numbers its items with a key of its own, which it reads back from the log.
        item = {name: value for name, value in item.items() if not name.startswith("__")}
    clean, problems = examine(item, TASK)
    if problems:
        return clean, problems
    pool = world.pools.get(clean["pool_id"])
    if pool is None:
        return clean, {"pool_id": problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")}
    problems = _check_values(world, pool, clean) | _settle_overlap(pool, clean, options)
    return clean, problems


def _check_values(world: World, pool: Pool, item: Json) -> Problems:
    spec = world.projects[pool.body["project_id"]].body["task_spec"]
    problems = check_values(item["input_values"], spec["input_spec"], at="input_values")
    for key in ("known_solutions", "baseline_solutions"):
        for i, solution in enumerate(item.get(key, [])):
            at = f"{key}.{i}.output_values"
            problems |= check_values(solution["output_values"], spec["output_spec"], at=at, partly=True)
    return problems


def _settle_overlap(pool: Pool, item: Json, options: Options) -> Problems:
    if item.get("infinite_overlap"):
        unwanted = problem("VALUE_NOT_ALLOWED", "A task of infinite overlap has no overlap")
        return {"overlap": unwanted} if "overlap" in item else {}
    if "overlap" in item:
        return {}
    default = pool.body.get("defaults", {}).get("default_overlap_for_new_tasks")
    if not options.allow_defaults or not (default or pool.is_training):
        return {"overlap": REQUIRED}
    item.update({"overlap": default} if default else {"infinite_overlap": True})
    return {}


def _create_valid(world: World, done: Checked) -> dict[int, Task]:
    created = {position: _create_one(world, item) for position, item in done.valid.items()}
    for pool_id, count in Counter(task.pool.id for task in created.values()).items():
        world.emit("tasks.created", pool_id=pool_id, count=count)
    return created


def _create_one(world: World, item: Json) -> Task:
    pool = world.pools[item["pool_id"]]
    item.pop("infinite_overlap", None)
    overlap = item.pop("overlap", None)
    is_real = pool.is_training or "known_solutions" not in item
    task = Task(world.ids.in_pool(pool.id, world.now), pool, item, world.now, overlap, overlap, is_real)
    world.tasks[task.id] = task
    pool.tasks.append(task)
    pool.supply(task).add(task)
    if is_real and overlap is not None:
        pool.wanted += overlap
        pool.remaining += overlap
    return task


def _create_batch(world: World, operation: Operation, *, items: list[Any], options: Options) -> None:
    done = _check_items(world, items, options)
    created = _create_valid(world, done) if done.may_go_on(options) else {}
    operation.details = _counters(done, len(created))
    operation.log = [_step(done, created, i) for i in range(len(items)) if i in created or i in done.problems]
    if not created:
        operations.fail(operation, {})
    elif options.open_pool:
        operation.log += [_open_step(world, pool) for pool in operation.targets]


def _counters(done: Checked, created: int) -> Json:
    return {
        "total_count": len(done.items),
        "valid_count": len(done.valid),
        "not_valid_count": len(done.problems),
        "success_count": created,
        "failed_count": len(done.items) - created,
    }


def _step(done: Checked, created: dict[int, Task], position: int) -> Json:
    if position in created:
        output: Json = {"task_id": created[position].id}
        return {"type": "TASK_CREATE", "success": True, "input": done.items[position], "output": output}
    output = done.problems[position]
    return {"type": "TASK_VALIDATE", "success": False, "input": done.items[position], "output": output}


def _open_step(world: World, pool: Pool) -> Json:
    step: Json = {"type": "POOL_OPEN", "success": True, "input": {"pool_id": pool.id}, "output": {}}
    try:
        pools.check_can_open(world, pool)
        pools.open_now(world, pool)
    except Refusal as refusal:
        step |= {"success": False, "output": refusal.body(f"ao_{world.ids.request()}")}
    return step


def _by_position(problems: dict[int, Problems]) -> Json:
    return {str(position): by_field for position, by_field in problems.items()}
