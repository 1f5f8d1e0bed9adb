"""Who there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms.schema import ABSENT

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.errors import Problems
    from toloka_airflow.emulator.world.world import World


def check_user(world: World, user_id: str, *, at: str = "user_id") -> Problems:
    """Return what is wrong with the id of a person."""
    return {} if user_id in world.people else {at: ABSENT}
