"""Snapshots: the whole state of a world as one JSON document, and back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms import settings
from toloka_airflow.emulator.forms.schema import Form, checked, examine
from toloka_airflow.emulator.people.crowd import Person
from toloka_airflow.emulator.resources import known_skills, projects, skills, suites, tasks, user_bonuses, webhooks
from toloka_airflow.emulator.resources.pools import form, trainings
from toloka_airflow.emulator.simulation.codecs import Reader, Writer
from toloka_airflow.emulator.simulation.stored import STATE, TABLE
from toloka_airflow.emulator.simulation.versions import VERSION, upgraded
from toloka_airflow.emulator.world.clock import Clock, parse_date
from toloka_airflow.emulator.world.entities import Operation, Pool, Project, Subscription
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.items import Assignment, Suite, Task

if TYPE_CHECKING:
    from toloka_airflow.emulator.people.crowd import PeopledWorld
    from toloka_airflow.emulator.world.entities import Json

# Where the world keeps what has an id. A subscription that was deleted may still be part of a plan.
PLACES = {
    Project: "projects",
    Pool: "pools",
    Task: "tasks",
    Suite: "suites",
    Assignment: "assignments",
    Operation: "operations",
}
NUMBERED = ("skills", "user_skills", "user_restrictions", "user_bonuses")
ID = re.compile(r"[0-9A-Za-z-]{1,100}")
MEDIA_TYPE = re.compile(r"[a-z]+/[!-~]+")
NUMBER = re.compile("[1-9][0-9]{0,17}")


def take(world: PeopledWorld) -> Json:
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


def restore(world: PeopledWorld, document: object) -> None:
    """
    Make the world what it was, with all that was planned.

    A snapshot is data: it says what things are like, and the emulator's own tables say what they are. It is read and
    checked as a whole before anything changes.

    :raises ValueError: If it is no snapshot that this version can read.
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
    _check_people(state["world"])
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
    return upgraded(told)


def _check_ids(world: Json, things: list[Any]) -> None:
    for name in (*PLACES.values(), "subscriptions", *NUMBERED, "attachments", "message_threads"):
        digits = name in ("projects", "pools", *NUMBERED)
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
            _check_skills(thing.body, world)
        case Pool():
            _check_body(thing.body, form.TRAINING if thing.is_training else form.POOL)
            _check_known(thing.body["project_id"], world["projects"])
            _check_known(trainings.required_id(thing.body), world["pools"])
            _check_skills(thing.body, world)
        case Task():
            _check_body(thing.body | {"pool_id": thing.pool.id}, tasks.FORM)
        case Suite():
            _check_body(thing.body | {"pool_id": thing.pool.id, "tasks": []}, suites.FORM)
        case Subscription():
            _check_known(thing.pool_id, world["pools"])
            if not webhooks.is_url(thing.webhook_url):
                raise ValueError(f"webhook_url must be an address, not {thing.webhook_url!r}")
        case Person() if not (0 <= thing.skill <= 1 and 0 <= thing.slowness <= 1):
            raise ValueError(f"skill and slowness must be from 0 to 1, not {thing.skill} and {thing.slowness}")


def _check_people(world: Json) -> None:
    """Refuse what the calls about people would not have made of their bodies."""
    for skill in world["skills"].values():
        _check_body(skill.body, skills.FORM)
    for had in world["user_skills"].values():
        _check_known(had.skill_id, world["skills"])
    for name, places in (
        ("user_skills", [(had.user_id, had.skill_id) for had in world["user_skills"].values()]),
        ("user_restrictions", [(held.user_id, held.place) for held in world["user_restrictions"].values()]),
    ):
        if len(set(places)) < len(places):
            raise ValueError(f"{name}: somebody has two in one place")
    for bonus in world["user_bonuses"].values():
        told = bonus.body | {"user_id": bonus.user_id, "amount": float(bonus.amount)}
        _check_body(told, user_bonuses.FORM)
        _check_known(bonus.assignment_id, world["assignments"])
    for attachment in world["attachments"].values():
        if not MEDIA_TYPE.fullmatch(attachment.media_type):
            raise ValueError(f"media_type must be one, not {attachment.media_type!r}")


def _check_body(body: Json, form: Form) -> None:
    _, problems = examine(body, form)
    if problems:
        raise ValueError(f"a body that the API does not take: {json.dumps(problems)}")


def _check_skills(body: Json, world: Json) -> None:
    unknown = known_skills.unknown(body, world["skills"])
    if unknown:
        raise ValueError(f"skills that are referred to, and missing: {', '.join(unknown)}")


def _check_known(thing_id: str | None, things: Json) -> None:
    if thing_id is not None and thing_id not in things:
        raise ValueError(f"{thing_id!r} is referred to, and missing")
