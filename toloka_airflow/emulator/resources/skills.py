"""Skills: what the requester can say of people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms.documents import FLAG, READ_ONLY, TEXT, must
from toloka_airflow.emulator.forms.schema import Field, checked
from toloka_airflow.emulator.http.calls import Answer, found, page
from toloka_airflow.emulator.http.listing import CREATED, ID, Attribute, Listing, date, flag
from toloka_airflow.emulator.resources.people import TEXTS
from toloka_airflow.emulator.world.people import Skill

if TYPE_CHECKING:
    from toloka_airflow.emulator.forms.schema import Form
    from toloka_airflow.emulator.http.calls import Call, Handler
    from toloka_airflow.emulator.world.world import World

SKILL: Form = {
    "name": must(replace(TEXT, min_length=1)),
    "public_name": TEXTS,
    "private_comment": TEXT,
    "public_requester_description": TEXTS,
    "hidden": FLAG,
    # As long as there are dates.
    "skill_ttl_hours": Field("integer", minimum=1, maximum=87_600),
    "deprecated": FLAG,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "created": READ_ONLY,
    "training": READ_ONLY,
    "global": READ_ONLY,
}
_RANGES = {"id": ID, "created": CREATED}
SKILLS = Listing(
    exact={"name": Attribute(lambda skill: skill.body["name"]), "global": Attribute(lambda skill: False, flag)},
    ranges=_RANGES | {"modified": date("modified")},
    sorts=_RANGES,
    maximum=100,
)


def create(world: World, body: object) -> Skill:
    """Create a skill; two may have one name."""
    skill = Skill(world.ids.number(), checked(body, SKILL), world.now, world.now)
    world.skills[skill.id] = skill
    world.emit("skill.created", skill_id=skill.id)
    return skill


def _create(world: World, call: Call) -> Answer:
    return Answer(201, create(world, call.body).view(world.owner))


def _list(world: World, call: Call) -> Answer:
    return page(SKILLS, call, world.skills.values(), lambda skill: skill.view(world.owner))


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.skills, call.id).view(world.owner))


def _put(world: World, call: Call) -> Answer:
    skill: Skill = found(world.skills, call.id)
    skill.body, skill.modified = checked(call.body, SKILL), world.now
    return Answer(200, skill.view(world.owner))


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/skills"): _create,
    ("GET", "/skills"): _list,
    ("GET", "/skills/{id}"): _get,
    ("PUT", "/skills/{id}"): _put,
}
