"""
Rules of quality control: after each event that a collector counts, its rules are looked at.

Collectors count per person over the pool that has the rule, or over all pools of the project that has it. What happens
to a task or a suite is an event of the world, so that the rules for these need not know of quality control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms import filters
from toloka_airflow.emulator.forms.quality_control import COMPARE, IDENTITIES, number
from toloka_airflow.emulator.quality import actions, audience, marks, statistics
from toloka_airflow.emulator.world.people import Scope

if TYPE_CHECKING:
    from toloka_airflow.emulator.quality.statistics import Statistics
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.items import Assignment
    from toloka_airflow.emulator.world.world import World

ASSESSMENT_EVENTS = ("submitted", "accepted", "rejected")


def listen(world: World) -> None:
    """Take note of everything that collectors count."""
    for what in ("submitted", "skipped", "accepted", "rejected"):
        world.listen(f"assignment.{what}", partial(_count, world, what))
    world.listen("user_restriction.set", partial(_restricted, world))
    world.listen("user_restriction.lifted", partial(_lifted, world))
    for what in ("set", "removed"):
        world.listen(f"user_skill.{what}", partial(_skill_changed, world))


def _count(world: World, what: str, facts: Json) -> None:
    pool, project = world.pools[facts["pool_id"]], world.projects[facts["project_id"]]
    assignment = world.assignments[facts["assignment_id"]]
    for book in pool.books.values():
        book.note(assignment)
    if "quality_control" not in pool.body and "quality_control" not in project.body:
        return
    for config, pools in _configs(world, assignment.pool):
        kind = config["collector_config"]["type"]
        if kind == "ASSIGNMENTS_ASSESSMENT" and what in ASSESSMENT_EVENTS:
            _assess(world, config, assignment)
        if what not in statistics.COUNTED_AFTER.get(kind, ()):
            continue
        for user_id in _concerned(kind, assignment):
            counted = _counted(world, config["collector_config"], pools, user_id)
            for action in _due(config, counted):
                actions.act_on_person(world, action, user_id, assignment.pool, counted)


def _counted(world: World, collector: Json, pools: Sequence[Pool], user_id: str) -> Statistics:
    kind = collector["type"]
    if kind in statistics.OF_MARKS:
        return statistics.OF_MARKS[kind](marks.count(world, collector, pools, user_id))
    return statistics.OF_HISTORIES[kind](_history(pools, user_id), collector.get("parameters", {}), world.now)


def _configs(world: World, pool: Pool) -> Iterator[tuple[Json, Sequence[Pool]]]:
    """Return the collectors for a pool and their rules, and over which pools each counts."""
    if pool.is_training:
        return
    for config in pool.body.get("quality_control", {}).get("configs", ()):
        yield config, (pool,)
    project = world.projects[pool.body["project_id"]]
    configs = project.body.get("quality_control", {}).get("configs", ())
    if configs:
        others = [other for other in world.pools.values() if other.body["project_id"] == project.id]
        for config in configs:
            yield config, [other for other in others if not other.is_training]


def _concerned(kind: str, assignment: Assignment) -> list[str]:
    """Return of whom an answer changes the statistics: it may make a majority, which others were with or against."""
    if kind != "MAJORITY_VOTE":
        return [assignment.user_id]
    return list(dict.fromkeys(had.user_id for task in assignment.tasks if task.is_real for had in task.assignments))


def _history(pools: Sequence[Pool], user_id: str) -> Sequence[Assignment]:
    """Return the suites that a person took, the oldest first."""
    histories = [pool.histories.get(user_id, []) for pool in pools]
    if len(histories) == 1:
        return histories[0]
    return sorted((had for history in histories for had in history), key=lambda had: had.created)


def _due(config: Json, counted: Statistics) -> Iterator[Json]:
    """Return the actions of the rules whose conditions are all met."""
    for rule in config["rules"]:
        if all(_is_met(condition, counted[condition["key"]]) for condition in rule["conditions"]):
            yield rule["action"]


def _is_met(condition: Json, value: object) -> bool:
    if value is None:
        return False
    wanted = str(condition["value"]) if condition["key"] in IDENTITIES else number(condition["value"])
    return COMPARE[condition["operator"]](value, wanted)


def _assess(world: World, config: Json, assignment: Assignment) -> None:
    for action in _due(config, statistics.assessment(assignment)):
        if action["type"] == "CHANGE_OVERLAP":
            actions.change_overlap(world, action["parameters"], assignment.suite)


def _restricted(world: World, facts: Json) -> None:
    scope, place = facts["scope"], facts["place_id"]
    for pool in list(world.pools.values()):
        covers = {Scope.POOL: pool.id, Scope.PROJECT: pool.body["project_id"]}.get(scope) == place
        if covers:
            _revoke(world, pool, facts["user_id"], {"pool_access_revoked_reason": "RESTRICTION", "skill_id": None})


def _lifted(world: World, facts: Json) -> None:
    for pool in world.pools.values():
        _regained(world, pool, facts["user_id"])


def _regained(world: World, pool: Pool, user_id: str) -> None:
    """Act again on a person who loses access, but only if nothing else had kept it from the person."""
    if user_id in pool.revoked and audience.may_work(world, pool, user_id):
        del pool.revoked[user_id]


def _skill_changed(world: World, facts: Json) -> None:
    user_id, skill_id = facts["user_id"], facts["skill_id"]
    for pool in list(world.pools.values()):
        if all(named != skill_id for _, named in filters.skills(pool.body)):
            continue
        if audience.matches(world, pool.body["filter"], user_id):
            _regained(world, pool, user_id)
        else:
            _revoke(world, pool, user_id, {"pool_access_revoked_reason": "SKILL_CHANGE", "skill_id": skill_id})


def _revoke(world: World, pool: Pool, user_id: str, why: Statistics) -> None:
    """Act on it, once, that a person who has answered in a pool gets no more of it."""
    if user_id in pool.revoked or user_id not in pool.people:
        return
    for config, _ in _configs(world, pool):
        if config["collector_config"]["type"] == "USERS_ASSESSMENT":
            for action in _due(config, why):
                pool.revoked[user_id] = None
                for assignment in list(pool.histories[user_id]):
                    if action["type"] == "CHANGE_OVERLAP" and assignment.status in marks.COUNTS_AS_A_VOTE:
                        actions.change_overlap(world, action["parameters"], assignment.suite)
