"""Pools and trainings: creation, change, and the transitions between their statuses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.schema import UNKNOWN, checked
from toloka_airflow.emulator.resources import known_skills, operations
from toloka_airflow.emulator.resources.pools import trainings
from toloka_airflow.emulator.resources.pools.form import POOL, POOL_PATCH, TRAINING
from toloka_airflow.emulator.world.account import price_of
from toloka_airflow.emulator.world.clock import DAY, MINUTE, SECOND, format_date, parse_date
from toloka_airflow.emulator.world.entities import Json, Operation, Pool, PoolStatus, ProjectStatus
from toloka_airflow.emulator.world.errors import Refusal, SilentRefusal, invalid, problem, wrong_status
from toloka_airflow.emulator.world.quotas import OVERLAP_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_airflow.emulator.world.world import World

OPEN, CLOSED, ARCHIVED = PoolStatus.OPEN, PoolStatus.CLOSED, PoolStatus.ARCHIVED

REOPEN_AFTER = 15 * MINUTE
APPEAL_PERIOD = 9 * DAY
MIN_REWARD = 0.005
MAX_ASSIGNMENTS = 2_000_000

POOL_DEFAULTS: Json = {
    "auto_close_after_complete_delay_seconds": 0,
    "auto_accept_solutions": True,
    "priority": 0,
    "type": "REGULAR",
}
TRAINING_DEFAULTS: Json = {"mix_tasks_in_creation_order": True, "shuffle_tasks_in_task_suite": True}


def find(world: World, pool_id: str, *, training: bool = False) -> Pool:
    """Return a pool or, if `training`, a training; refuse if there is none of that id."""
    pool = world.pools.get(pool_id)
    if pool is None or (training and not pool.is_training):
        raise Refusal("DOES_NOT_EXIST")
    return pool


def find_for_change(world: World, pool_id: str, *, training: bool) -> Pool:
    """Return the pool for a call that changes it: a training is not changed through /pools."""
    pool = find(world, pool_id, training=training)
    if pool.is_training and not training:
        raise Refusal("POOL_IS_TRAINING")
    return pool


def create(world: World, body: object, *, training: bool) -> Pool:
    """Create a pool, closed and empty."""
    clean = _checked_body(world, body, training=training)
    return _add(world, clean, training=training)


def _add(world: World, body: Json, *, training: bool) -> Pool:
    pool = Pool(world.ids.number(), training, body, world.now, price_of(body.get("reward_per_assignment", 0)))
    world.pools[pool.id] = pool
    world.emit("training.created" if training else "pool.created", pool_id=pool.id)
    return pool


def _checked_body(world: World, body: object, *, training: bool) -> Json:
    clean = checked(body, TRAINING if training else POOL)
    project = world.projects.get(clean["project_id"])
    if project is None:
        raise invalid({"project_id": problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")})
    if project.status is not ProjectStatus.ACTIVE:
        raise wrong_status(ProjectStatus.ACTIVE)
    if training:
        return TRAINING_DEFAULTS | clean
    _check_pool(world, clean)
    clean["will_expire"] = format_date(parse_date(clean["will_expire"]))
    return POOL_DEFAULTS | clean


def _check_pool(world: World, body: Json) -> None:
    if 0 < body["reward_per_assignment"] < MIN_REWARD:
        message = f"Value must be greater or equal to {MIN_REWARD}"
        raise invalid({"reward_per_assignment": problem("VALUE_LESS_THAN_MIN", message, [MIN_REWARD])})
    linked = trainings.required_id(body)
    if linked is not None and not (linked in world.pools and world.pools[linked].is_training):
        field = "quality_control.training_requirement.training_pool_id"
        raise invalid({field: problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")})
    unknown = known_skills.unknown(body, world.skills)
    if unknown:
        raise invalid(unknown)
    if "dynamic_overlap_config" in body:
        _check_dynamic_overlap(world, body)


def _check_dynamic_overlap(world: World, body: Json) -> None:
    if not body.get("auto_close_after_complete_delay_seconds"):
        field = "auto_close_after_complete_delay_seconds"
        raise invalid({field: problem("VALUE_LESS_THAN_MIN", "Value must be greater or equal to 1", [1])})
    names = [field["name"] for field in body["dynamic_overlap_config"]["fields"]]
    spec = world.projects[body["project_id"]].body["task_spec"]["output_spec"]
    unknown = {f"dynamic_overlap_config.fields.{i}.name": UNKNOWN for i, name in enumerate(names) if name not in spec}
    if unknown or not names:
        least = problem("ARRAY_SIZE_LESS_THAN_MIN", "Name at least one field", [1])
        raise invalid(unknown or {"dynamic_overlap_config.fields": least})


def update(world: World, pool: Pool, body: object) -> Pool:
    """Replace the parameters of a closed pool."""
    if pool.is_locked:
        raise Refusal("POOL_LOCKED_BY_ANOTHER_OPERATION")
    if pool.status is not CLOSED:
        raise wrong_status(CLOSED)
    clean = _checked_body(world, body, training=pool.is_training)
    if clean.get("defaults") != pool.body.get("defaults"):
        world.quotas.charge(OVERLAP_CHANGE, world.now)
    pool.body = clean
    pool.price = price_of(pool.body.get("reward_per_assignment", 0))
    return pool


def patch(world: World, pool: Pool, body: object) -> Pool:
    """Change the priority."""
    if pool.status is ARCHIVED:
        raise SilentRefusal("INAPPROPRIATE_STATUS")
    pool.body = pool.body | checked(body, POOL_PATCH)
    return pool


def clone(world: World, pool: Pool) -> Operation:
    """Start making an empty copy of the pool, from its present parameters."""
    key = "training_id" if pool.is_training else "pool_id"
    effect = partial(_clone, body=dict(pool.body), training=pool.is_training)
    return operations.start(world, f"{pool.kind}.CLONE", {key: pool.id}, effect)


def _clone(world: World, operation: Operation, *, body: Json, training: bool) -> None:
    copy = _add(world, body, training=training)
    operation.details = {"training_id" if training else "pool_id": copy.id}


@dataclass(frozen=True)
class Transition:
    """One call that changes the status: `already` answers 204, other statuses than `source` are refused."""

    operation: str
    source: PoolStatus
    already: PoolStatus
    appropriate: tuple[PoolStatus, ...]
    effect: Callable[[World, Pool], None]
    conditions: tuple[Callable[[World, Pool], None], ...] = ()


def move(world: World, pool: Pool, call: str) -> Operation | None:
    """Start the transition; return None if there is nothing to do."""
    transition = TRANSITIONS[call]
    if pool.unfinished:
        raise Refusal("POOL_LOCKED_BY_ANOTHER_OPERATION")
    if pool.status is transition.already:
        return None
    if pool.status is not transition.source:
        raise wrong_status(*transition.appropriate)
    for condition in transition.conditions:
        condition(world, pool)
    effect = partial(_moved, transition=transition, pool=pool)
    parameters = {"training_id" if pool.is_training else "pool_id": pool.id}
    details: Json | None = {} if pool.is_training else None
    return operations.start(
        world, f"{pool.kind}.{transition.operation}", parameters, effect, targets=(pool,), details=details
    )


def _moved(world: World, operation: Operation, *, transition: Transition, pool: Pool) -> None:
    transition.effect(world, pool)


def check_can_open(world: World, pool: Pool) -> None:
    """Refuse if an operation is under way or if the account cannot pay for all answers that are wanted."""
    if pool.status is OPEN:
        return
    if pool.unfinished:
        raise Refusal("POOL_LOCKED_BY_ANOTHER_OPERATION")
    if not world.account.can_pay(pool.price * max(1, pool.assignments_wanted)):
        raise Refusal("NOT_ENOUGH_BALANCE")


def _check_has_tasks(world: World, pool: Pool) -> None:
    if not pool.tasks:
        raise Refusal("EMPTY_POOL")


def _check_no_fresh_rejection(world: World, pool: Pool) -> None:
    if pool.last_rejected is not None and world.now < pool.last_rejected + APPEAL_PERIOD:
        until = format_date(pool.last_rejected + APPEAL_PERIOD)
        raise Refusal("THERE_IS_REJECTED_ASSIGNMENT", payload={"archive_possible_from": until})


def _check_main_pools_archived(world: World, pool: Pool) -> None:
    in_the_way = [
        other.id
        for other in world.pools.values()
        if other.status is not ARCHIVED and trainings.required_id(other.body) == pool.id
    ]
    if in_the_way:
        raise Refusal("TRAINING_ARCHIVE_CONFLICT", payload={"pool_ids": in_the_way})


def open_now(world: World, pool: Pool) -> None:
    """Open the pool; plan its expiry."""
    if pool.status is OPEN:
        return
    pool.status, pool.last_started = OPEN, world.now
    world.emit(f"{pool.kind.lower()}.opened", pool_id=pool.id)
    if "will_expire" in pool.body:
        moment = max(parse_date(pool.body["will_expire"]), world.now)
        world.at(moment, _expire, pool=pool, started=pool.last_started)
    check_complete(world, pool)


def open_checked(world: World, pool: Pool) -> None:
    """Open the pool at once, if the call to open it would be accepted."""
    for condition in TRANSITIONS["open"].conditions:
        condition(world, pool)
    open_now(world, pool)


def close_now(world: World, pool: Pool, reason: str = "MANUAL") -> None:
    """Close the pool; answers that are under way may still come in."""
    if pool.status is not OPEN:
        return
    pool.status, pool.last_stopped, pool.close_reason = CLOSED, world.now, reason
    pool.completes_at = None
    world.emit(f"{pool.kind.lower()}.closed", project_id=pool.body["project_id"], pool_id=pool.id, reason=reason)


def check_assignments_limit(world: World, pool: Pool) -> None:
    """Close the pool when it has handed out as many suites as a pool can."""
    if len(pool.assignments) >= MAX_ASSIGNMENTS:
        close_now(world, pool, "ASSIGNMENTS_LIMIT_EXCEEDED")


def _close_for_update(world: World, pool: Pool) -> None:
    close_now(world, pool, "FOR_UPDATE")
    world.at(world.now + REOPEN_AFTER, _reopen, pool=pool, stopped=world.now)


def _reopen(world: World, pool: Pool, stopped: int) -> None:
    untouched = pool.last_stopped == stopped and pool.close_reason == "FOR_UPDATE"
    if untouched and pool.status is CLOSED and not pool.is_locked:
        open_now(world, pool)


def _archive(world: World, pool: Pool) -> None:
    pool.status = ARCHIVED
    world.emit(f"{pool.kind.lower()}.archived", pool_id=pool.id)


def _expire(world: World, pool: Pool, started: int) -> None:
    if pool.status is OPEN and pool.last_started == started:
        close_now(world, pool, "EXPIRED")


def check_complete(world: World, pool: Pool) -> None:
    """Plan the automatic close if all answers are there; trainings are never closed that way."""
    if pool.is_training or pool.status is not OPEN or not pool.is_complete:
        return
    delay = pool.body["auto_close_after_complete_delay_seconds"] * SECOND
    pool.completes_at = world.now + delay
    world.at(pool.completes_at, _complete, pool=pool)


def _complete(world: World, pool: Pool) -> None:
    if pool.completes_at == world.now and pool.is_complete:
        close_now(world, pool, "COMPLETED")


TRANSITIONS: dict[str, Transition] = {
    "open": Transition("OPEN", CLOSED, OPEN, (OPEN, CLOSED), open_now, (_check_has_tasks, check_can_open)),
    "close": Transition("CLOSE", OPEN, CLOSED, (OPEN, CLOSED), close_now),
    "close-for-update": Transition("CLOSE", OPEN, CLOSED, (OPEN, CLOSED), _close_for_update),
    "archive": Transition(
        "ARCHIVE",
        CLOSED,
        ARCHIVED,
        (CLOSED,),
        _archive,
        (_check_no_fresh_rejection, _check_main_pools_archived),
    ),
}


def summary(pool: Pool) -> dict[str, Any]:
    """Return what the steering API and the page show."""
    return {
        "status": pool.shown_status,
        "close_reason": pool.close_reason,
        "tasks": len(pool.tasks),
        "answers_wanted": pool.wanted,
        "answers": pool.answers,
        "people": len(pool.people),
        "spent": float(pool.spent),
        "completion": round(pool.completion, 4),
    }
