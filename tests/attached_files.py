"""Files that people attached to answers, in the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.items import Assignment

MIXER = {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0}


def content_of(number: int) -> bytes:
    """Return the bytes of a small file, different for each number."""
    return b"\x89PNG\r\n\x1a\n" + f"photo {number} ".encode() * (1 + number % 50)


def answered_pool(
    toloka: EmulatorServer,
    tasks: int,
    *,
    overlap: int = 1,
    content: Callable[[int], bytes] = content_of,
    name: str = "My photo.png",
) -> tuple[str, dict[str, bytes]]:
    """
    Return the id of a pool whose answers have a file each, in the field ``photo``, and the files by attachment.

    :param tasks: How many there are, two to an assignment.
    """
    pool_id = toloka.add_pool(tasks, overlap=overlap, open=True, mixer_config=MIXER)
    while toloka.pool(pool_id)["completion"] < 1:
        toloka.clock.advance(3600)
    files: dict[str, bytes] = {}
    with toloka.world.lock:
        world = toloka.world
        spec = world.projects[world.pools[pool_id].body["project_id"]].body["task_spec"]["output_spec"]
        spec["photo"] = {"type": "file"}
        for assignment in assignments_of(toloka, pool_id):
            solutions = []
            for values in assignment.solutions or ():
                data = content(len(files))
                attachment = attachments.add(world, assignment, name, "image/png", data)
                files[attachment.id] = data
                solutions.append({**values, "photo": attachment.id})
            assignment.solutions = solutions
    return pool_id, files


def assignments_of(toloka: EmulatorServer, pool_id: str) -> list[Assignment]:
    """Return the assignments of a pool that have answers."""
    return [each for each in toloka.world.assignments.values() if each.pool.id == pool_id and each.solutions]
