"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms.documents import PROJECT
from toloka_airflow.emulator.forms.schema import checked
from toloka_airflow.emulator.rules import known_skills, operations
from toloka_airflow.emulator.world.entities import Json, Operation, PoolStatus, Project, ProjectStatus
from toloka_airflow.emulator.world.errors import Refusal, invalid, wrong_status

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World


def create(world: World, body: object) -> Project:
    """Create a project."""
    clean = _checked(world, body)
    project = Project(world.ids.number(), clean, world.now, world.requester_id)
    world.projects[project.id] = project
    world.emit("project.created", project_id=project.id)
    return project


def update(world: World, project: Project, body: object) -> Project:
    """Replace the parameters of a project."""
    if project.status is not ProjectStatus.ACTIVE:
        raise wrong_status(ProjectStatus.ACTIVE)
    project.body = _checked(world, body)
    return project


def _checked(world: World, body: object) -> Json:
    clean = checked(body, PROJECT)
    unknown = known_skills.unknown(clean, world.skills)
    if unknown:
        raise invalid(unknown)
    return clean


def archive(world: World, project: Project) -> Operation:
    """Start archiving a project; once more for one that is archived, as no 204 is documented."""
    in_the_way = [
        pool.id
        for pool in world.pools.values()
        if pool.body["project_id"] == project.id and pool.status is not PoolStatus.ARCHIVED
    ]
    if in_the_way:
        raise Refusal("UNARCHIVED_POOLS_CONFLICT", payload={"pool_ids": in_the_way})
    return operations.start(world, "PROJECT.ARCHIVE", {"project_id": project.id}, _archived, details={})


def _archived(world: World, operation: Operation) -> None:
    project = world.projects[operation.parameters["project_id"]]
    project.status = ProjectStatus.ARCHIVED
    world.emit("project.archived", project_id=project.id)
