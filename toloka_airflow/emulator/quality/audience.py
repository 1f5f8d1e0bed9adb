"""Who gets tasks of a pool: those who passed its training, match its filter and are not restricted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.filters import LANGUAGE_TESTS, VERSIONS
from toloka_airflow.emulator.forms.quality_control import COMPARE, number
from toloka_airflow.emulator.resources import user_restrictions, user_skills
from toloka_airflow.emulator.resources.pools import trainings

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.world import World


def may_work(world: World, pool: Pool, user_id: str) -> bool:
    """Say whether a person gets tasks of a pool or a training."""
    return (
        trainings.may_work(world, pool, user_id)
        and user_restrictions.may_work(world, user_id, pool)
        and matches(world, pool.body.get("filter"), user_id)
    )


def matches(world: World, told: Json | None, user_id: str) -> bool:
    """Say whether a person is one whom a filter asks for; a filter without conditions asks for everybody."""
    if not told:
        return True
    if "category" in told:
        return _meets(world, told, user_id)
    members = told.get("and") or told.get("or")
    if not members:
        return True
    met = (matches(world, member, user_id) for member in members)
    return all(met) if told.get("and") else any(met)


def _meets(world: World, condition: Json, user_id: str) -> bool:
    wanted, how = condition["value"], condition["operator"]
    if condition["category"] == "skill":
        skill_id = str(condition["key"])
        # Toloka's own tests are not simulated: who says to speak a language is taken to have passed.
        return skill_id in LANGUAGE_TESTS or _compare_skill(user_skills.value_of(world, user_id, skill_id), how, wanted)
    has = world.people[user_id].values_of(condition["category"], condition["key"])
    if has is None:
        # What is not simulated is taken to be true.
        return True
    if condition["key"] in VERSIONS:
        return COMPARE[how](has[0], number(wanted))
    return (wanted in has) == (how in ("EQ", "IN"))


def _compare_skill(value: float | None, how: str, wanted: Any) -> bool:
    if wanted is None:
        return (value is None) == (how == "EQ")
    # Inferred: who was never given the skill has no value of it, which is neither great nor small.
    return value is not None and COMPARE[how](value, number(wanted))
