"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, list_of, ref, request, view
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing
from toloka_airflow.emulator.forms.fields import FLAG, METADATA, OBJECT, READ_ONLY, TEXT, must
from toloka_airflow.emulator.forms.quality_control import CONFIGS
from toloka_airflow.emulator.forms.schema import Field, Form, checked
from toloka_airflow.emulator.forms.view_spec import check_view_spec
from toloka_airflow.emulator.resources import known_skills, operations
from toloka_airflow.emulator.world.entities import Json, Operation, PoolStatus, Project, ProjectStatus
from toloka_airflow.emulator.world.errors import Refusal, invalid, wrong_status

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

SPEC: Form = {
    "type": must(TEXT),
    "required": FLAG,
    "hidden": FLAG,
    "min_value": Field("number"),
    "max_value": Field("number"),
    "min_length": Field("integer", minimum=0),
    "max_length": Field("integer", minimum=0),
    "allowed_values": Field("array"),
    "min_size": Field("integer", minimum=0),
    "max_size": Field("integer", minimum=0),
    "current_location": FLAG,
    "pattern": TEXT,
}
SPECS = Field("object", required=True, each=Field("object", fields=SPEC))

TASK_SPEC: Form = {
    "input_spec": SPECS,
    "output_spec": SPECS,
    "view_spec": Field("object", also=check_view_spec),
}

FORM: Form = {
    "public_name": must(TEXT),
    "public_description": must(TEXT),
    "public_instructions": TEXT,
    "private_comment": TEXT,
    "task_spec": Field("object", required=True, fields=TASK_SPEC),
    "assignments_issuing_type": Field("string", required=True, choices=("AUTOMATED", "MAP_SELECTOR")),
    "assignments_issuing_view_config": OBJECT,
    "assignments_automerge_enabled": FLAG,
    "max_active_assignments_count": Field("integer", minimum=1),
    "quality_control": Field("object", fields={"configs": CONFIGS}),
    "localization_config": OBJECT,
    "metadata": METADATA,
    "sensitive": FLAG,
    "traits_config": OBJECT,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "status": READ_ONLY,
    "created": READ_ONLY,
}

LISTING = Listing(
    exact={
        "status": Attribute(lambda project: project.status, ProjectStatus),
        "owner": Attribute(lambda project: project.owner_id),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED
    | {
        "public_name": Attribute(lambda project: project.body.get("public_name")),
        "private_comment": Attribute(lambda project: project.body.get("private_comment")),
    },
)


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
    clean = checked(body, FORM)
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


def _create_project(world: World, call: Call) -> Answer:
    return Answer(201, create(world, call.body).view())


def _list_projects(world: World, call: Call) -> Answer:
    return page(LISTING, call, world.projects.values(), lambda project: project.view())


def _get_project(world: World, call: Call) -> Answer:
    return Answer(200, found(world.projects, call.id).view())


def _put_project(world: World, call: Call) -> Answer:
    project = update(world, found(world.projects, call.id), call.body)
    return Answer(200, project.view())


def _archive_project(world: World, call: Call) -> Answer:
    return Answer(202, archive(world, found(world.projects, call.id)).view(world.now))


ROUTES: Routes = {
    ("POST", "/projects"): _create_project,
    ("GET", "/projects"): _list_projects,
    ("GET", "/projects/{id}"): _get_project,
    ("PUT", "/projects/{id}"): _put_project,
    ("POST", "/projects/{id}/archive"): _archive_project,
}

DESCRIPTIONS: Descriptions = {
    ("POST", "/projects"): Description({201: ref("Project")}, body=request(FORM)),
    ("GET", "/projects"): list_of("Project", LISTING),
    ("GET", "/projects/{id}"): Description({200: ref("Project")}),
    ("PUT", "/projects/{id}"): Description({200: ref("Project")}, body=request(FORM)),
    ("POST", "/projects/{id}/archive"): Description({202: ref("Operation")}),
}

SCHEMAS: Json = {
    "Project": view(
        FORM,
        ("id", "created", "owner", "status"),
        **describing.OWNED,
        status=describing.enum(ProjectStatus),
    ),
}
