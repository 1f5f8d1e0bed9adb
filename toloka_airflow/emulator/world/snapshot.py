"""Snapshots: the whole state of a world as one JSON document, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.rules import webhooks
from toloka_airflow.emulator.world.clock import Clock, parse_date
from toloka_airflow.emulator.world.object_graph import read, write

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World

VERSION = 1


def take(world: World) -> Json:
    """Return everything that decides on how the world goes on. `things` are for the emulator's own eyes."""
    with world.up_to_date():
        state = {"world": world.state(), "journal": world.journal.entries(), "faults": world.faults.state()}
        return {"version": VERSION, "clock": world.clock.view(), "things": write(state, world)}


def restore(world: World, document: Json) -> None:
    """Make the world what it was, with all that was planned; refuse what is not a snapshot."""
    if document.get("version") != VERSION:
        raise ValueError(f"version must be {VERSION}, not {document.get('version')!r}")
    try:
        state = read(document["things"], world)
        faults, journal = state["faults"], state["journal"]
        clock = document["clock"] | {"now": parse_date(document["clock"]["now"])}
        # Tried on another clock: what is wrong is found before anything changes.
        Clock().set(**clock)
        with world.lock:
            world.resume(state["world"])
            world.clock.set(**clock)
            world.faults.resume(faults)
            world.journal.replace(journal)
            webhooks.resume(world)
    except (AttributeError, ImportError, LookupError, TypeError, ArithmeticError, RecursionError) as exc:
        raise ValueError(f"things are not those of a snapshot: {exc!r}") from exc
