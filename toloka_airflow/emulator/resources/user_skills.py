"""Skills of people: who has how much of which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import READ_ONLY as SHOWN
from toloka_airflow.emulator.calls.describing import Description, Descriptions, list_of, ref, request
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import Attribute, Listing, moments
from toloka_airflow.emulator.forms.fields import ID, READ_ONLY, TEXT, must
from toloka_airflow.emulator.forms.schema import ABSENT, Field, Form, checked
from toloka_airflow.emulator.resources.people import check_user
from toloka_airflow.emulator.world.clock import MINUTE
from toloka_airflow.emulator.world.errors import invalid
from toloka_airflow.emulator.world.people import UserSkill

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World

FORM: Form = {
    "skill_id": must(ID),
    "user_id": must(ID),
    "value": Field("number", required=True, minimum=0, maximum=100),
    "reason": TEXT,
    "id": READ_ONLY,
    "exact_value": READ_ONLY,
    "created": READ_ONLY,
    "modified": READ_ONLY,
}
_MOMENTS = moments("created", "modified")
LISTING = Listing(
    exact={
        "user_id": Attribute(lambda had: had.user_id),
        "skill_id": Attribute(lambda had: had.skill_id),
    },
    ranges=_MOMENTS,
    sorts=_MOMENTS,
    maximum=1000,
)


def value_of(world: World, user_id: str, skill_id: str) -> float | None:
    """Return how much of a skill somebody has, from 0 to 100; None if it was never set, or is no longer known."""
    had = world.user_skill_of.get((user_id, skill_id))
    return None if had is None else had.exact_value


def put(world: World, body: object) -> tuple[UserSkill, bool]:
    """Set how much of a skill somebody has; say whether it is new."""
    clean = checked(body, FORM)
    problems = check_user(world, clean["user_id"])
    if clean["skill_id"] not in world.skills:
        problems["skill_id"] = ABSENT
    if problems:
        raise invalid(problems)
    return assign(world, clean["user_id"], clean["skill_id"], clean["value"], clean.get("reason"))


def assign(
    world: World, user_id: str, skill_id: str, value: float, reason: str | None = None
) -> tuple[UserSkill, bool]:
    """Let somebody have so much of a skill, as long as the skill lasts; say whether it is new."""
    had = world.user_skill_of.get((user_id, skill_id))
    is_new = had is None
    if had is None:
        had = UserSkill(world.ids.number(), skill_id, user_id, value, world.now, world.now)
        world.user_skills[had.id] = had
        world.user_skill_of[user_id, skill_id] = had
    had.exact_value, had.modified, had.reason = value, world.now, reason
    hours = world.skills[skill_id].body.get("skill_ttl_hours")
    if hours is not None:
        world.at(world.now + hours * 60 * MINUTE, _expire, user_skill_id=had.id, modified=world.now)
    world.emit("user_skill.set", user_id=user_id, skill_id=skill_id, value=value)
    return had, is_new


def _expire(world: World, user_skill_id: str, modified: int) -> None:
    """Forget the value if it was not set again since."""
    had = world.user_skills.get(user_skill_id)
    if had is not None and had.modified == modified:
        remove(world, had)


def remove(world: World, had: UserSkill) -> None:
    """Take the skill from the person."""
    del world.user_skills[had.id]
    del world.user_skill_of[had.user_id, had.skill_id]
    world.emit("user_skill.removed", user_id=had.user_id, skill_id=had.skill_id)


def _put(world: World, call: Call) -> Answer:
    had, is_new = put(world, call.body)
    return Answer(201 if is_new else 200, had.view())


def _list(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.user_skills.values(), lambda had: had.view())


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.user_skills, call.id).view())


def _delete(world: World, call: Call) -> Answer:
    remove(world, found(world.user_skills, call.id))
    return Answer(204)


ROUTES: Routes = {
    ("PUT", "/user-skills"): _put,
    ("GET", "/user-skills"): _list,
    ("GET", "/user-skills/{id}"): _get,
    ("DELETE", "/user-skills/{id}"): _delete,
}

DESCRIPTIONS: Descriptions = {
    ("PUT", "/user-skills"): Description({200: ref("UserSkill"), 201: ref("UserSkill")}, body=request(FORM)),
    ("GET", "/user-skills"): list_of("UserSkill", LISTING),
    ("GET", "/user-skills/{id}"): Description({200: ref("UserSkill")}),
    ("DELETE", "/user-skills/{id}"): Description({204: None}),
}

SCHEMAS: Json = {
    "UserSkill": describing.closed(
        SHOWN
        | {
            "skill_id": describing.TEXT,
            "user_id": describing.TEXT,
            "value": {"type": "integer", "minimum": 0, "maximum": 100},
            "exact_value": {"type": "number", "minimum": 0, "maximum": 100},
            "modified": describing.DATE,
        }
    ),
}
