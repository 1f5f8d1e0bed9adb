"""Snapshots of earlier versions: what has been added to the state since then is filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.simulation.codecs import Writer
from toloka_airflow.emulator.simulation.stored import TABLE

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

VERSION = 3


def upgraded(document: Json) -> Json:
    """
    Return a snapshot as this version would have written it.

    :raises ValueError: If this version cannot read it.
    """
    version = document.get("version")
    while type(version) is int and version in UPGRADES:
        try:
            document = UPGRADES[version](document)
        except (AttributeError, KeyError, TypeError) as exc:
            raise ValueError(f"this is no snapshot of version {version}") from exc
        version = document["version"]
    if version != VERSION:
        raise ValueError(f"version must be from {min(UPGRADES)} to {VERSION}, not {version!r}")
    return document


def _from_2(document: Json) -> Json:
    """There was nothing about people but what they had done; what they are like is drawn when the crowd goes on."""
    settings = TABLE.codec(CrowdSettings).write(CrowdSettings(), Writer(TABLE))
    added: dict[str, Json] = {"Pool": {"revoked": {}}, "Assignment": {"bonus_ids": []}}
    nouns = ("people", "skills", "user_skills", "user_restrictions", "user_bonuses", "attachments", "message_threads")
    state = document["state"]
    world = {noun: {} for noun in nouns} | state["world"]
    world["crowd"] = world["crowd"] | {"settings": settings | world["crowd"]["settings"]}
    things = [[name, added.get(name, {}) | values] for name, values in document["things"]]
    return document | {"version": 3, "state": state | {"world": world}, "things": things}


UPGRADES: dict[int, Callable[[Json], Json]] = {2: _from_2}
