"""What is known of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, closed, many, ref
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.people import Profile
    from toloka_airflow.emulator.world.world import World


def _get(world: World, call: Call) -> Answer:
    profile: Profile = found(world.people, call.id)
    body = {
        "id": call.id,
        "country": profile.country,
        "languages": list(profile.languages),
        "attributes": profile.attributes,
        "adult_allowed": True,
    }
    return Answer(200, body)


ROUTES: Routes = {("GET", "/user-metadata/{id}"): _get}

DESCRIPTIONS: Descriptions = {("GET", "/user-metadata/{id}"): Description({200: ref("UserMetadata")})}

SCHEMAS: Json = {
    "UserMetadata": closed(
        {
            "id": describing.TEXT,
            "country": describing.TEXT,
            "languages": many(describing.TEXT),
            "attributes": describing.ANY_OBJECT,
            "adult_allowed": describing.FLAG,
        }
    ),
}
