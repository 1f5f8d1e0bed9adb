"""Snapshots: the whole state of a world as one JSON document, and back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms import documents, settings
from toloka_airflow.emulator.forms.schema import Form, checked, examine
from toloka_airflow.emulator.people.crowd import Person
from toloka_airflow.emulator.resources import projects
from toloka_airflow.emulator.rules import trainings, webhooks
from toloka_airflow.emulator.world.clock import Clock, parse_date
from toloka_airflow.emulator.world.codecs import Reader, Writer
from toloka_airflow.emulator.world.entities import Operation, Pool, Project, Subscription
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.items import Assignment, Suite, Task
from toloka_airflow.emulator.world.stored import STATE, TABLE

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World

VERSION = 3
# Where the world keeps what has an id. A subscription that was deleted may still be part of a plan.
PLACES = {
    Project: "projects",
    Pool: "pools",
    Task: "tasks",
    Suite: "suites",
    Assignment: "assignments",
    Operation: "operations",
}
ID = re.compile(r"[0-9A-Za-z-]{1,100}")
NUMBER = re.compile("[1-9][0-9]{0,17}")


def take(world: World) -> Json:
    """Return everything that decides on how the world goes on. `state` and `things` are for the emulator's own eyes."""
    with world.up_to_date():
        writer = Writer(TABLE)
        parts = {"world": world, "faults": world.faults.state(), "journal": world.journal.state()}
        document = {
            "version": VERSION,
            "clock": world.clock.view(),
            "state": STATE.write(parts, writer),
            "things": writer.things(),
        }
        # A copy: whoever has it cannot change the world.
        copy: Json = _copy(document)
        return copy


def restore(world: World, document: object) -> None:
    """
    Make the world what it was, with all that was planned.

    A snapshot is data: it says what things are like, and the emulator's own tables say what they are. It is read and
    checked as a whole before anything changes.

    :raises ValueError: If it is no snapshot of this version.
    """
    told = _checked(document)
    clock = told["clock"] | {"now": parse_date(told["clock"]["now"])}
    # Tried on another clock.
    Clock().set(**clock)
    reader = Reader(TABLE, told["things"])
    state = STATE.read(told["state"], reader)
    _check_ids(state["world"], reader.things)
    for thing in reader.things:
        _check(thing, state["world"])
    turns = [turn for _, turn, _ in state["world"]["_plans"]]
    if len(set(turns)) < len(turns) or max(turns, default=0) > state["world"]["_turns"]:
        raise ValueError("_plans: each has a turn of its own, up to _turns")
    if not all(isinstance(facts.get("path", ""), str) for _, _, facts in state["journal"]["kept"]):
        raise ValueError("journal: path must be text")
    with world.lock:
        state["world"].put_into(world)
        world.resume()
        world.clock.set(**clock)
        world.faults.resume(state["faults"])
        world.journal.resume(**state["journal"])
        webhooks.resume(world)


def _copy(document: object) -> Any:
    """Return the document as it is once it was sent."""
    return json.loads(json.dumps(document, allow_nan=False))


def _checked(document: object) -> Json:
    try:
        told = checked(_copy(document), settings.SNAPSHOT)
    except (TypeError, RecursionError) as exc:
        raise ValueError(f"a snapshot is a JSON document: {exc}") from exc
    except Refusal as refusal:
        raise ValueError(f"this is no snapshot: {json.dumps(refusal.payload)}") from refusal
    if told.get("version") != VERSION:
        raise ValueError(f"version must be {VERSION}, not {told.get('version')!r}")
    return told


def _check_ids(world: Json, things: list[Any]) -> None:
    for name in (*PLACES.values(), "subscriptions"):
        digits = name in ("projects", "pools")
        for thing_id, thing in world[name].items():
            if thing.id != thing_id or not (NUMBER if digits else ID).fullmatch(thing_id):
                raise ValueError(f"{name}: {thing_id!r} is no id, or that of something else")
    for thing in things:
        place = PLACES.get(type(thing))
        if place is not None and world[place].get(thing.id) is not thing:
            raise ValueError(f"{place}: {thing.id!r} is missing")


def _check(thing: Any, world: Json) -> None:
    """Refuse what the API would not have taken either, as far as the rules rely on it."""
    match thing:
        case Project():
            _check_body(thing.body, projects.FORM)
        case Pool():
            _check_body(thing.body, documents.TRAINING if thing.is_training else documents.POOL)
            _check_known(thing.body["project_id"], world["projects"])
            _check_known(trainings.required_id(thing.body), world["pools"])
        case Task():
            _check_body(thing.body | {"pool_id": thing.pool.id}, documents.TASK)
        case Suite():
            _check_body(thing.body | {"pool_id": thing.pool.id, "tasks": []}, documents.SUITE)
        case Subscription():
            _check_known(thing.pool_id, world["pools"])
            if not webhooks.is_url(thing.webhook_url):
                raise ValueError(f"webhook_url must be an address, not {thing.webhook_url!r}")
        case Person() if not (0 <= thing.skill <= 1 and 0 <= thing.slowness <= 1):
            raise ValueError(f"skill and slowness must be from 0 to 1, not {thing.skill} and {thing.slowness}")


def _check_body(body: Json, form: Form) -> None:
    _, problems = examine(body, form)
    if problems:
        raise ValueError(f"a body that the API does not take: {json.dumps(problems)}")


def _check_known(thing_id: str | None, things: Json) -> None:
    if thing_id is not None and thing_id not in things:
        raise ValueError(f"{thing_id!r} is referred to, and missing")
