"""Attachments: files that people send with their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.http.calls import Answer, File, found, page
from toloka_airflow.emulator.http.listing import CREATED, ID, Attribute, Listing
from toloka_airflow.emulator.world.people import Attachment

if TYPE_CHECKING:
    from toloka_airflow.emulator.http.calls import Call, Handler
    from toloka_airflow.emulator.world.items import Assignment
    from toloka_airflow.emulator.world.world import World

_RANGES = {"id": ID, "created": CREATED}
ATTACHMENTS = Listing(
    exact={
        "pool_id": Attribute(lambda attachment: attachment.pool_id),
        "assignment_id": Attribute(lambda attachment: attachment.assignment_id),
        "name": Attribute(lambda attachment: attachment.name),
        "type": Attribute(lambda attachment: attachment.type),
        "user_id": Attribute(lambda attachment: attachment.user_id),
    },
    ranges=_RANGES,
    sorts=_RANGES,
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
    return page(ATTACHMENTS, call, things, lambda attachment: attachment.view(world.owner))


def _get(world: World, call: Call) -> Answer:
    return Answer(200, found(world.attachments, call.id).view(world.owner))


def _download(world: World, call: Call) -> Answer:
    attachment: Attachment = found(world.attachments, call.id)
    return Answer(200, File(attachment.name, attachment.media_type, attachment.content))


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/attachments"): _list,
    ("GET", "/attachments/{id}"): _get,
    ("GET", "/attachments/{id}/download"): _download,
}
