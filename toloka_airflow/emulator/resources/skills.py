"""Skills: what the requester can say of people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls.describing import FLAG as FLAG_SCHEMA
from toloka_airflow.emulator.calls.describing import OWNED, Description, Descriptions, list_of, ref, request, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing, date, flag
from toloka_airflow.emulator.forms.fields import FLAG, READ_ONLY, TEXT, TEXTS, must
from toloka_airflow.emulator.forms.schema import Field, Form, checked
from toloka_airflow.emulator.world.people import Skill

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World

FORM: Form = {
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
LISTING = Listing(
    exact={"name": Attribute(lambda skill: skill.body["name"]), "global": Attribute(lambda skill: False, flag)},
    ranges=ID_AND_CREATED | {"modified": date("modified")},
    sorts=ID_AND_CREATED,
    maximum=100,
)


def create(world: World, body: object) -> Skill:
    """Create a skill; two may have one name."""
    skill = Skill(world.ids.number(), checked(body, FORM), world.now, world.now)
    world.skills[skill.id] = skill
    world.emit("skill.created", skill_id=skill.id)
    return skill


def _create(world: World, call: Call) -> Answer:
    return Answer(201, create(world, call.body).view(world.owner))


def _list(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.skills.values(), lambda skill: skill.view(world.owner))


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.skills, call.id).view(world.owner))


def _put(world: World, call: Call) -> Answer:
    skill: Skill = found(world.skills, call.id)
    skill.body, skill.modified = checked(call.body, FORM), world.now
    return Answer(200, skill.view(world.owner))


ROUTES: Routes = {
    ("POST", "/skills"): _create,
    ("GET", "/skills"): _list,
    ("GET", "/skills/{id}"): _get,
    ("PUT", "/skills/{id}"): _put,
}

DESCRIPTIONS: Descriptions = {
    ("POST", "/skills"): Description({201: ref("Skill")}, body=request(FORM)),
    ("GET", "/skills"): list_of("Skill", LISTING),
    ("GET", "/skills/{id}"): Description({200: ref("Skill")}),
    ("PUT", "/skills/{id}"): Description({200: ref("Skill")}, body=request(FORM)),
}

SCHEMAS: Json = {
    "Skill": view(
        FORM,
        ("id", "created", "owner", "hidden", "deprecated", "global"),
        **OWNED,
        **{"global": FLAG_SCHEMA},
    ),
}
