"""Skills that pools and projects name: they must be there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms import filters, quality_control
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from toloka_airflow.emulator.world.entities import Json


def unknown(body: Json, skills: Collection[str]) -> Problems:
    """Return which skills that a body names are not there, by field path."""
    named = chain(filters.skills(body), quality_control.skills(body))
    wrong = problem("ENTITY_DOES_NOT_EXIST", "There is no skill of this id: create it first")
    return {path: wrong for path, skill_id in named if skill_id not in skills}
