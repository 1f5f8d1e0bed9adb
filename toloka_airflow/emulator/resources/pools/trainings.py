"""What people learn in a training, and whether it is enough for the main pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.world.entities import Lesson

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.items import Assignment
    from toloka_airflow.emulator.world.world import World


def required_id(body: Json) -> str | None:
    """Return the id of the training that people must pass before they get tasks of a pool with this body."""
    requirement = _requirement(body)
    return requirement["training_pool_id"] if requirement else None


def _requirement(body: Json) -> Json | None:
    requirement: Json | None = body.get("quality_control", {}).get("training_requirement")
    return requirement


def record(assignment: Assignment) -> None:
    """Remember how well a person did."""
    lesson = assignment.pool.lessons.setdefault(assignment.user_id, Lesson())
    lesson.suites += 1
    for task, values in zip(assignment.tasks, assignment.solutions or [], strict=True):
        lesson.tasks += 1
        known = [solution["output_values"] for solution in task.body.get("known_solutions", [])]
        if known:
            lesson.known += 1
            lesson.right += any(values.items() >= solution.items() for solution in known)


def may_work(world: World, pool: Pool, user_id: str) -> bool:
    """Say whether a person passed the training of the pool, if it has one."""
    required = _requirement(pool.body)
    if required is None:
        return True
    training = world.pools[required["training_pool_id"]]
    lesson = training.lessons.get(user_id)
    # Inferred: one suite, where the training does not say how many.
    wanted = training.body.get("task_suites_required_to_pass", 1)
    if lesson is None or (lesson.suites < wanted and lesson.tasks < len(training.tasks)):
        return False
    return lesson.skill >= float(required["training_passing_skill_value"])
