"""What rules of quality control do: about a person, or about who else gets a suite."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from toloka_airflow.emulator.resources import assignments, overlaps, user_restrictions, user_skills
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.clock import MINUTE, parse_date
from toloka_airflow.emulator.world.entities import AssignmentStatus, PoolStatus
from toloka_airflow.emulator.world.errors import Refusal
from toloka_airflow.emulator.world.people import Scope

if TYPE_CHECKING:
    from toloka_airflow.emulator.quality.statistics import Statistics
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.items import Suite
    from toloka_airflow.emulator.world.world import World

UNITS = {"MINUTES": MINUTE, "HOURS": 60 * MINUTE, "DAYS": 24 * 60 * MINUTE}
REVIEWS = {"APPROVE_ALL_ASSIGNMENTS": AssignmentStatus.ACCEPTED, "REJECT_ALL_ASSIGNMENTS": AssignmentStatus.REJECTED}
MAX_OVERLAP = 30_000
LAST_DATE = parse_date("9999-12-31T23:59:59")


def act_on_person(world: World, action: Json, user_id: str, pool: Pool, statistics: Statistics) -> None:
    """Do what a rule says about a person who works in a pool."""
    kind, parameters = action["type"], action.get("parameters", {})
    if kind in ("RESTRICTION", "RESTRICTION_V2"):
        _restrict(world, parameters, user_id, pool)
    elif kind == "SET_SKILL":
        user_skills.assign(world, user_id, str(parameters["skill_id"]), parameters["skill_value"])
    elif kind == "SET_SKILL_FROM_OUTPUT_FIELD":
        value = statistics[parameters["from_field"]]
        if value is not None:
            user_skills.assign(world, user_id, str(parameters["skill_id"]), min(100.0, round(float(value), 6)))
    elif kind in REVIEWS:
        _review(world, pool, user_id, REVIEWS[kind], parameters)


def _restrict(world: World, parameters: Json, user_id: str, pool: Pool) -> None:
    scope = Scope(parameters["scope"])
    place = {Scope.POOL: pool.id, Scope.PROJECT: pool.body["project_id"]}.get(scope)
    unit = UNITS.get(parameters.get("duration_unit", "DAYS"))
    duration = parameters.get("duration", parameters.get("duration_days"))
    until = world.now + duration * unit if unit and duration else None
    if until is not None and until > LAST_DATE:
        until = None
    held = world.restrictions_of.get(user_id, {}).get((scope, place))
    # A rule makes no restriction shorter.
    if held is None or (held.will_expire is not None and (until is None or until > held.will_expire)):
        comment = parameters.get("private_comment")
        user_restrictions.restrict(world, user_id, scope, place, private_comment=comment, will_expire=until)


def _review(world: World, pool: Pool, user_id: str, status: AssignmentStatus, parameters: Json) -> None:
    # Where answers are accepted by themselves, there is nothing to decide.
    if pool.body.get("auto_accept_solutions", True) or pool.status is PoolStatus.ARCHIVED:
        return
    for assignment in list(pool.histories.get(user_id, ())):
        # Rules that act on one decision may have taken another meanwhile.
        if assignment.status is AssignmentStatus.SUBMITTED:
            assignments.patch(world, assignment, {"status": status, "public_comment": parameters.get("public_comment")})


def change_overlap(world: World, parameters: Json, suite: Suite) -> None:
    """Let more people have a suite, or fewer; of a mixed one, its tasks."""
    pool = suite.pool
    if pool.status is PoolStatus.ARCHIVED:
        return
    for item in suite.items:
        if item.overlap is not None:
            wanted = max(item.taken, item.overlap + parameters["delta"])
            overlaps.change(world, item, min(MAX_OVERLAP, max(1, wanted)))
    if parameters.get("open_pool") and pool.status is PoolStatus.CLOSED:
        # Who has not enough money for it finds the pool closed.
        with suppress(Refusal):
            pools.open_checked(world, pool)
