"""Bonuses: money for people besides the rewards, each paid once."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import (
    Description,
    Descriptions,
    list_of,
    many,
    parameter,
    ref,
    request,
    some_of,
    view,
)
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing
from toloka_airflow.emulator.forms.fields import FLAG, ID, READ_ONLY, TEXT, TEXTS, must
from toloka_airflow.emulator.forms.schema import ABSENT, REQUIRED, Field, Form, examine
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.resources.people import check_user
from toloka_airflow.emulator.resources.uploads import (
    Checked,
    Options,
    by_position,
    counters,
    read_upload,
    without_marks,
)
from toloka_airflow.emulator.world.errors import BareRefusal, Problems, Refusal, invalid, problem
from toloka_airflow.emulator.world.people import UserBonus

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Operation
    from toloka_airflow.emulator.world.world import World

TYPE = "USER_BONUS.BATCH_CREATE"
MAX_SYNCHRONOUS = 100
FLAGS = ("async_mode", "skip_invalid_items")
FORM: Form = {
    "user_id": must(ID),
    "amount": Field("number", required=True, minimum=0.005, maximum=100),
    "private_comment": TEXT,
    "public_title": TEXTS,
    "public_message": TEXTS,
    "without_message": FLAG,
    "assignment_id": ID,
    "id": READ_ONLY,
    "created": READ_ONLY,
}
# What is told to the person; only a bonus without a message may go without.
TOLD = ("public_title", "public_message")
# In which bonuses of one request must differ, besides the amount.
SAME = ("user_id", *TOLD, "private_comment")
CONFLICT = problem(
    "ENTITY_CONFLICT",
    "It is not allowed to apply multiple bonuses with the same amount, title, message and comment to same Toloker in "
    "single operation",
)
LISTING = Listing(
    exact={
        "user_id": Attribute(lambda bonus: bonus.user_id),
        "assignment_id": Attribute(lambda bonus: bonus.assignment_id),
        "private_comment": Attribute(lambda bonus: bonus.body.get("private_comment")),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED,
)


def create(world: World, body: object, options: Options) -> Json:
    """Pay one bonus, or those of a list, and return the answer."""
    items = _items(body)
    if len(items) > MAX_SYNCHRONOUS:
        raise Refusal("ENTITY_TOO_LARGE")
    done = _check_items(world, items)
    if not done.may_go_on(options):
        raise invalid(done.problems[0] if isinstance(body, dict) else by_position(done.problems))
    _check_balance(world, done)
    paid = _pay(world, done)
    if isinstance(body, dict):
        return paid[0].view()
    answer: Json = {"items": {str(position): bonus.view() for position, bonus in paid.items()}}
    if options.skip_invalid_items:
        answer["validation_errors"] = by_position(done.problems)
    return answer


def create_later(world: World, body: object, options: Options, operation_id: str | None) -> Operation:
    """Start an operation that pays the bonuses; nothing is paid if its id was used before."""
    if operation_id is not None and operation_id in world.operations:
        raise Refusal("OPERATION_ALREADY_EXISTS")
    items = _items(body)
    return operations.start(
        world,
        TYPE,
        {"skip_invalid_items": options.skip_invalid_items},
        partial(_pay_batch, items=items, options=options),
        details_if_failed=counters(Checked(items, {}, {}), 0),
        operation_id=operation_id,
    )


def _items(body: object) -> list[Any]:
    items = body if isinstance(body, list) else [body]
    if not items:
        raise invalid({"body": problem("ARRAY_SIZE_LESS_THAN_MIN", "There must be at least one item", [1])})
    seen = set()
    for item in items:
        clean, problems = examine(without_marks(item), FORM)
        if problems:
            continue
        same = (_amount(clean), json.dumps([clean.get(name) for name in SAME], sort_keys=True))
        if same in seen:
            raise BareRefusal("ENTITY_CONFLICT", payload={"user_id": CONFLICT})
        seen.add(same)
    return items


def _check_items(world: World, items: list[Any]) -> Checked:
    done = Checked(items, {}, {})
    for position, item in enumerate(items):
        clean, problems = examine(without_marks(item), FORM)
        problems = problems or _check(world, clean)
        if problems:
            done.problems[position] = problems
        else:
            done.valid[position] = clean
    return done


def _check(world: World, item: Json) -> Problems:
    problems = check_user(world, item["user_id"])
    if not item.get("without_message", False):
        problems |= {name: REQUIRED for name in TOLD if not item.get(name)}
    if "assignment_id" in item:
        assignment = world.assignments.get(item["assignment_id"])
        if assignment is None:
            problems["assignment_id"] = ABSENT
        elif assignment.user_id != item["user_id"]:
            problems["assignment_id"] = problem("INVALID_VALUE", "This is an assignment of somebody else")
    return problems


def _amount(item: Json) -> Decimal:
    return Decimal(str(item["amount"]))


def _check_balance(world: World, done: Checked) -> None:
    if not world.account.can_pay(sum(map(_amount, done.valid.values()), Decimal(0))):
        raise Refusal("NOT_ENOUGH_BALANCE")


def _pay(world: World, done: Checked) -> dict[int, UserBonus]:
    return {position: _pay_one(world, item) for position, item in done.valid.items()}


def _pay_one(world: World, item: Json) -> UserBonus:
    rest = {name: value for name, value in item.items() if name not in ("user_id", "amount")}
    bonus = UserBonus(world.ids.number(), item["user_id"], _amount(item), rest, world.now)
    world.user_bonuses[bonus.id] = bonus
    if bonus.assignment_id is not None:
        world.assignments[bonus.assignment_id].bonus_ids.append(bonus.id)
    world.account.pay(bonus.amount)
    world.emit("user_bonus.paid", user_bonus_id=bonus.id, user_id=bonus.user_id, amount=float(bonus.amount))
    return bonus


def _pay_batch(world: World, operation: Operation, *, items: list[Any], options: Options) -> None:
    done = _check_items(world, items)
    paid: dict[int, UserBonus] = {}
    refusal: Json | None = None
    if done.may_go_on(options):
        try:
            _check_balance(world, done)
            paid = _pay(world, done)
        except Refusal as exc:
            refusal = exc.body(f"ao_{world.ids.request()}")
    operation.details = counters(done, len(paid))
    steps = (_step(done, paid, refusal, position) for position in range(len(items)))
    operation.log = [step for step in steps if step is not None]
    if not paid:
        operations.fail(operation, {})


def _step(done: Checked, paid: dict[int, UserBonus], refusal: Json | None, position: int) -> Json | None:
    """Return what became of an item; None if it is right, and was not paid because others are not."""
    sent = done.items[position]
    if position in paid:
        output: Json = {"user_bonus_id": paid[position].id}
        return {"type": "USER_BONUS_PERSIST", "success": True, "input": sent, "output": output}
    if position in done.problems:
        return {"type": "USER_BONUS_VALIDATE", "success": False, "input": sent, "output": done.problems[position]}
    if refusal is not None:
        return {"type": "USER_BONUS_PERSIST", "success": False, "input": sent, "output": refusal}
    return None


def _create(world: World, call: Call) -> Answer:
    options, is_async, operation_id = read_upload(call.query, FLAGS)
    if not is_async:
        return Answer(201, create(world, call.body, options))
    return Answer(202, create_later(world, call.body, options, operation_id).view(world.now))


def _list(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.user_bonuses.values(), lambda bonus: bonus.view())


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.user_bonuses, call.id).view())


ROUTES: Routes = {
    ("POST", "/user-bonuses"): _create,
    ("GET", "/user-bonuses"): _list,
    ("GET", "/user-bonuses/{id}"): _get,
}

_ITEM = request(FORM, extra="__")

DESCRIPTIONS: Descriptions = {
    ("POST", "/user-bonuses"): Description(
        {201: {"oneOf": [ref("UserBonus"), some_of("UserBonus")]}, 202: ref("Operation")},
        body={"oneOf": [_ITEM, many(_ITEM) | {"minItems": 1}]},
        query=(
            parameter("operation_id", {"type": "string", "format": "uuid"}),
            *(parameter(name, describing.FLAG) for name in FLAGS),
        ),
        unlike_others=frozenset({409}),
    ),
    ("GET", "/user-bonuses"): list_of("UserBonus", LISTING),
    ("GET", "/user-bonuses/{id}"): Description({200: ref("UserBonus")}),
}

SCHEMAS: Json = {"UserBonus": view(FORM, ("id", "created", "without_message"), **describing.READ_ONLY)}
