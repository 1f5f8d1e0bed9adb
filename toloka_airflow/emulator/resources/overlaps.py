"""Overlaps: to how many people a task or a suite is given, and how that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.forms.fields import FLAG, OVERLAP_MAX
from toloka_airflow.emulator.forms.schema import REQUIRED, Field, Form
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.entities import Json, Pool, PoolStatus
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem, wrong_status
from toloka_airflow.emulator.world.items import Item, Task

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.world import World

FIELDS: Form = {
    "overlap": Field("integer", minimum=1, maximum=OVERLAP_MAX),
    "infinite_overlap": FLAG,
}
# What stops the handing out may also ask for nobody more.
SET_OR_LEAST: Form = {
    "overlap": Field("integer", minimum=0, maximum=OVERLAP_MAX),
    "infinite_overlap": FLAG,
}
# In answers.
SHOWN: Json = {"overlap": describing.COUNT, "infinite_overlap": describing.FLAG, "remaining_overlap": describing.COUNT}


def settle(item: Json, default: int | None, *, infinite_by_default: bool = False) -> Problems:
    """Write the overlap into an item that has none, and return what is wrong with it."""
    if item.get("infinite_overlap"):
        unwanted = problem("VALUE_NOT_ALLOWED", "What is of infinite overlap has no overlap")
        return {"overlap": unwanted} if "overlap" in item else {}
    if "overlap" in item:
        return {}
    if not default and not infinite_by_default:
        return {"overlap": REQUIRED}
    item.update({"overlap": default} if default else {"infinite_overlap": True})
    return {}


def take_from(item: Json) -> int | None:
    """Take the settled overlap out of an item: it is no part of what stays as the client sent it."""
    item.pop("infinite_overlap", None)
    overlap: int | None = item.pop("overlap", None)
    return overlap


def add(item: Item) -> None:
    """Let its pool hand out an item."""
    item.pool.count(item, +1)
    offer(item)


def offer(item: Item) -> None:
    """Let the pool hand out an item once more."""
    if isinstance(item, Task):
        item.pool.single_tasks.add(item)
    else:
        item.pool.whole_suites.add(item)


def take(item: Item) -> None:
    """Use up one of the overlap."""
    _count(item, +1)


def give_back(item: Item) -> None:
    """Let somebody else have what was not answered."""
    _count(item, -1)
    offer(item)


def _count(item: Item, change: int) -> None:
    item.taken += change
    if item.overlap is not None:
        item.pool.remaining -= change * item.answers_each


def check_changeable(pool: Pool) -> None:
    """Refuse while the pool is locked or if it is archived."""
    if pool.status is PoolStatus.ARCHIVED:
        raise wrong_status(PoolStatus.OPEN, PoolStatus.CLOSED)
    if pool.is_locked:
        raise Refusal("POOL_LOCKED_BY_ANOTHER_OPERATION")


def wanted(item: Item, body: Json) -> tuple[bool, int | None]:
    """Return whether the body changes the overlap, and to what."""
    infinite, overlap = body.get("infinite_overlap"), body.get("overlap")
    if infinite and overlap is not None:
        raise invalid({"overlap": problem("VALUE_NOT_ALLOWED", "What is of infinite overlap has no overlap")})
    if infinite is False and overlap is None and item.overlap is None:
        raise invalid({"overlap": REQUIRED})
    return bool(infinite) or overlap is not None, overlap


def change(world: World, item: Item, overlap: int | None) -> None:
    """Set another overlap: people may come back for more of it, or the pool may be complete."""
    item.pool.count(item, -1)
    item.overlap = overlap
    item.pool.count(item, +1)
    if item.remaining != 0:
        offer(item)
        world.emit("overlap.changed", pool_id=item.pool.id)
    pools.check_complete(world, item.pool)


def change_if_possible(world: World, item: Item, body: Json) -> None:
    """Set the overlap that the body asks for; refuse if more people have the item already."""
    changes, overlap = wanted(item, body)
    if not changes:
        return
    if overlap is not None and overlap < item.taken:
        raise Refusal("ASSIGNMENTS_COUNT_CONFLICT", payload={"assignments_count": item.taken})
    change(world, item, overlap)


def change_or_least(world: World, item: Item, body: Json) -> None:
    """Set the overlap that the body asks for, or as many as have the item already."""
    changes, overlap = wanted(item, body)
    if not changes:
        raise invalid({"overlap": REQUIRED})
    change(world, item, None if overlap is None else max(overlap, item.taken))
