"""What is known of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.http.calls import Answer
from toloka_airflow.emulator.people.profiles import profile_of
from toloka_airflow.emulator.world.errors import Refusal

if TYPE_CHECKING:
    from toloka_airflow.emulator.http.calls import Call, Handler
    from toloka_airflow.emulator.world.world import World


def _get(world: World, call: Call) -> Answer:
    person = world.crowd.person(call.id)
    if person is None:
        raise Refusal("DOES_NOT_EXIST")
    profile = profile_of(world.seed, person.number)
    body = {
        "id": person.user_id,
        "country": profile.country,
        "languages": list(profile.languages),
        "attributes": profile.attributes,
        "adult_allowed": True,
    }
    return Answer(200, body)


ROUTES: dict[tuple[str, str], Handler] = {("GET", "/user-metadata/{id}"): _get}
