"""What users steer the emulator with, over HTTP: strict about its own input."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow.emulator import pools
from toloka_airflow.emulator.api import Answer, Call, Handler
from toloka_airflow.emulator.clock import MAX_ADVANCE_SECONDS
from toloka_airflow.emulator.errors import Refusal, invalid, problem
from toloka_airflow.emulator.listing import DIGITS
from toloka_airflow.emulator.progression import Progression
from toloka_airflow.emulator.schema import UNKNOWN, Field, Form, checked, examine

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_airflow.emulator.world import World

Result = TypeVar("Result")

TEXT = Field("string")
NUMBER = Field("number")
COUNT = Field("integer", minimum=1)
PAIR = Field("array", each=NUMBER)

CLOCK: Form = {
    "speed": NUMBER,
    "frozen": Field("boolean"),
    "advance": Field("number", minimum=0, maximum=MAX_ADVANCE_SECONDS),
}
RULE: Form = {"match": Field("object", required=True), "output_values": Field("object", required=True)}
CROWD: Form = {
    "size": Field("integer", minimum=0),
    "accuracy": PAIR,
    "seconds_per_task": PAIR,
    "skip_rate": NUMBER,
    "expire_rate": NUMBER,
}
REQUESTER: Form = {"balance": Field("number", required=True, minimum=0)}
FAIL: Form = {"code": Field("string", required=True), "message": TEXT}
PROGRESSION: Form = {
    "type": TEXT,
    "pool_id": Field("id"),
    "seconds": Field("number", minimum=0),
    "looks": COUNT,
    "fail": Field("object", fields=FAIL),
}
FAULT: Form = {
    "method": Field("string", required=True),
    "path": Field("string", required=True),
    "times": COUNT,
    "status": Field("integer"),
    "code": TEXT,
    "message": TEXT,
    "payload": Field("object"),
    "retry_after": Field("id"),
    "html": Field("integer"),
    "drop": Field("boolean"),
    "lost_answer": Field("boolean"),
    "half_body": Field("boolean"),
    "delay": NUMBER,
}


def _attempt(action: Callable[..., Result], *args: Any, **values: Any) -> Result:
    try:
        return action(*args, **values)
    except ValueError as exc:
        raise Refusal("VALIDATION_ERROR", str(exc)) from exc


def _get_clock(world: World, call: Call) -> Answer:
    return Answer(200, world.clock.view())


def _patch_clock(world: World, call: Call) -> Answer:
    change = checked(call.body, CLOCK)
    seconds = change.pop("advance", 0)
    _attempt(world.clock.change, **change)
    world.clock.advance(seconds)
    with world.up_to_date():
        return _get_clock(world, call)


def _put_truth(world: World, call: Call) -> Answer:
    if not isinstance(call.body, list):
        raise invalid({"body": problem("ARRAY_EXPECTED", "Value must be an array")})
    examined = [examine(rule, RULE, at=f"{i}.") for i, rule in enumerate(call.body)]
    problems = {path: wrong for _, by_path in examined for path, wrong in by_path.items()}
    if problems:
        raise invalid(problems)
    world.crowd.truth.tell(rule for rule, _ in examined)
    return Answer(200, {"rules": len(examined)})


def _get_crowd(world: World, call: Call) -> Answer:
    return Answer(200, asdict(world.crowd.settings))


def _patch_crowd(world: World, call: Call) -> Answer:
    change = checked(call.body, CROWD)
    for name in ("accuracy", "seconds_per_task"):
        if name in change:
            if len(change[name]) != 2:
                raise invalid({name: problem("ARRAY_SIZE_OUT_OF_BOUNDS", "Value must be [low, high]")})
            change[name] = tuple(change[name])
    _attempt(world.crowd.change, **change)
    return _get_crowd(world, call)


def _patch_requester(world: World, call: Call) -> Answer:
    world.set_balance(checked(call.body, REQUESTER)["balance"])
    return Answer(200, {"balance": float(world.account.balance), "reserved": float(world.account.reserved)})


def _put_operations(world: World, call: Call) -> Answer:
    settings = checked(call.body, PROGRESSION)
    scope = {"type": settings.pop("type", None), "pool_id": settings.pop("pool_id", None)}
    world.progressions.set(_attempt(Progression, **settings), **scope)
    return Answer(204)


def _post_fault(world: World, call: Call) -> Answer:
    _attempt(world.faults.add, **checked(call.body, FAULT))
    return Answer(201, {"faults": len(world.faults)})


def _delete_faults(world: World, call: Call) -> Answer:
    world.faults.clear()
    return Answer(204)


def _get_journal(world: World, call: Call) -> Answer:
    unknown = {name: UNKNOWN for name in call.query if name != "after"}
    if unknown:
        raise invalid(unknown)
    after = call.query.get("after", "0")
    if not DIGITS.fullmatch(after):
        raise invalid({"after": problem("INTEGER_EXPECTED", "Value must be an integer")})
    items = world.journal.after(int(after))
    return Answer(200, {"items": items, "last": items[-1]["seq"] if items else int(after)})


def _get_pool(world: World, call: Call) -> Answer:
    return Answer(200, pools.summary(pools.find(world, call.id)))


def _reset(world: World, call: Call) -> Answer:
    world.reset()
    return Answer(204)


STEERING: dict[tuple[str, str], Handler] = {
    ("GET", "/clock"): _get_clock,
    ("PATCH", "/clock"): _patch_clock,
    ("PUT", "/truth"): _put_truth,
    ("GET", "/crowd"): _get_crowd,
    ("PATCH", "/crowd"): _patch_crowd,
    ("PATCH", "/requester"): _patch_requester,
    ("PUT", "/operations"): _put_operations,
    ("POST", "/faults"): _post_fault,
    ("DELETE", "/faults"): _delete_faults,
    ("GET", "/journal"): _get_journal,
    ("GET", "/pools/{id}"): _get_pool,
    ("POST", "/reset"): _reset,
}
