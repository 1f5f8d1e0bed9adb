"""What the calls about people share: who is known, and texts by language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms.documents import TEXT
from toloka_airflow.emulator.forms.schema import Field
from toloka_airflow.emulator.world.errors import problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.errors import Problems
    from toloka_airflow.emulator.world.world import World

# Texts by language, as in {"EN": "Good job!"}.
TEXTS = Field("object", each=TEXT)
DOES_NOT_EXIST = problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")


def check_user(world: World, user_id: str, *, at: str = "user_id") -> Problems:
    """Return what is wrong with the id of a person."""
    return {} if world.crowd.person(user_id) is not None else {at: DOES_NOT_EXIST}
