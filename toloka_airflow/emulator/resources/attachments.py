"""Attachments: files that people send with their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, closed, list_of, ref
from toloka_airflow.emulator.calls.handling import Answer, Call, File, Routes, found, page
from toloka_airflow.emulator.calls.listing import ID_AND_CREATED, Attribute, Listing
from toloka_airflow.emulator.world.people import Attachment

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.items import Assignment
    from toloka_airflow.emulator.world.world import World

LISTING = Listing(
    exact={
        "pool_id": Attribute(lambda attachment: attachment.pool_id),
        "assignment_id": Attribute(lambda attachment: attachment.assignment_id),
        "name": Attribute(lambda attachment: attachment.name),
        "type": Attribute(lambda attachment: attachment.type),
        "user_id": Attribute(lambda attachment: attachment.user_id),
    },
    ranges=ID_AND_CREATED,
    sorts=ID_AND_CREATED,
    required=("pool_id", "assignment_id"),
    maximum=100,
    created_in_order=False,
)


def add(world: World, assignment: Assignment, name: str, media_type: str, content: bytes) -> Attachment:
    """Take a file in that belongs to an answer; its id is the value of the answer's field of type file."""
    attachment = Attachment(
        world.ids.uuid(),
        name,
        media_type,
        content,
        assignment.user_id,
        assignment.id,
        assignment.pool.id,
        world.now,
    )
    world.keep_attachment(attachment)
    return attachment


def _list(world: World, call: Call) -> Answer:
    # The ids of pools and assignments are of different shapes.
    place = call.query.get("assignment_id") or call.query.get("pool_id", "")
    things = world.attachments_of.get(place, [])
    return page(LISTING, call, things, lambda attachment: attachment.view(world.owner))


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.attachments, call.id).view(world.owner))


def _download(world: World, call: Call) -> Answer:
    attachment: Attachment = found(world.attachments, call.id)
    return Answer(200, File(attachment.name, attachment.media_type, attachment.content))


ROUTES: Routes = {
    ("GET", "/attachments"): _list,
    ("GET", "/attachments/{id}"): _get,
    ("GET", "/attachments/{id}/download"): _download,
}

DESCRIPTIONS: Descriptions = {
    ("GET", "/attachments"): list_of("Attachment", LISTING),
    ("GET", "/attachments/{id}"): Description({200: ref("Attachment")}),
    ("GET", "/attachments/{id}/download"): Description({200: {}}, media_type="*/*"),
}

SCHEMAS: Json = {
    "Attachment": closed(
        describing.OWNED
        | {
            "attachment_type": describing.TEXT,
            "name": describing.TEXT,
            "media_type": describing.TEXT,
            "details": closed(dict.fromkeys(("user_id", "assignment_id", "pool_id"), describing.TEXT)),
        }
    ),
}
