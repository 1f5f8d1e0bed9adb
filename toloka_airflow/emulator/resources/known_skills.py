"""Skills that pools and projects name: they must be there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms import filters, quality_control
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from toloka_airflow.emulator.world.entities import Json


def named(body: Json) -> Iterator[tuple[str, str]]:
    """Return the skills that a body names, each with its field path."""
    return chain(filters.skills(body), quality_control.skills(body), _of_settings(body))


def unknown(body: Json, skills: Collection[str]) -> Problems:
    """Return which skills that a body names are not there, by field path."""
    wrong = problem("ENTITY_DOES_NOT_EXIST", "There is no skill of this id: create it first")
    return {path: wrong for path, skill_id in named(body) if skill_id not in skills}


def _of_settings(body: Json) -> Iterator[tuple[str, str]]:
    for part, name in (("dynamic_pricing_config", "skill_id"), ("dynamic_overlap_config", "answer_weight_skill_id")):
        if name in body.get(part, {}):
            yield f"{part}.{name}", body[part][name]
