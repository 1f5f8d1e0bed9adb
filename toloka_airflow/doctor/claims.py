"""
Who needs an open pool or training: what Airflow's database says of it.

A pool is claimed if a run that is under way names it: in the arguments of a trigger, in the rendered fields of a task,
in an XCom, or as the run that created it. Ids are compared as whole values, never as parts of a text, and a name
counts only if its connection is of the same account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import Creator, creators, namespace
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.doctor.metadata_database import UNDER_WAY, Fields, RunState, Task, Wait

if TYPE_CHECKING:
    from toloka_airflow.api.models import Training

ID_FIELDS = "pool_id", "training_id"
OPENED_LATE = timedelta(minutes=1)
"""How long after the end of a run an opening may still be that run's, which need not have waited for it."""


@dataclass(frozen=True)
class Claim:
    """
    What Airflow knows of an open pool or training.

    :param reason: Whose it is, in words.
    :param is_needed: Whether somebody needs it to be open; ``None`` if that cannot be known from here.
    """

    reason: str
    is_needed: bool | None


@dataclass
class Claims:
    """
    What runs say of pools and trainings, read from the database when it is first needed.

    :param is_same_account: Whether a connection, by its id, is of the account whose pools they are.
    :param skew: How far Toloka's clock is ahead of this machine's.
    """

    is_same_account: Callable[[str], bool]
    skew: timedelta

    @cached_property
    def _all_waits(self) -> list[Wait]:
        return database.waits()

    @property
    def _some_are_unreadable(self) -> bool:
        return any(wait.arguments is None for wait in self._all_waits)

    @cached_property
    def _waits(self) -> dict[str, Wait]:
        """The waits of the account by the ids they name; tasks win over watchers of assets."""
        found: dict[str, Wait] = {}
        for wait in sorted(self._all_waits, key=lambda wait: wait.task is not None):
            arguments = wait.arguments or {}
            if self.is_same_account(str(arguments.get("toloka_conn_id"))):
                found |= {str(arguments[name]): wait for name in ID_FIELDS if arguments.get(name)}
        return found

    @cached_property
    def _rendered(self) -> dict[str, Task]:
        """The tasks of runs under way by the ids in their fields."""
        return {object_id: fields.task for fields in database.rendered_under_way() for object_id in self._ids(fields)}

    def under_way(self) -> set[str]:
        """Return the ids of all pools and trainings that tasks of runs under way name in their fields."""
        return set(self._rendered) | set(self._waits)

    def of(self, training: Training) -> Claim:
        """Return what Airflow knows of an open pool or training."""
        claim = self._current(training) or self._former(training)
        if claim.is_needed is False and self._some_are_unreadable:
            return Claim(f"{claim.reason}; but the arguments of some triggers cannot be read here", None)
        return claim

    def _current(self, training: Training) -> Claim | None:
        if wait := self._waits.get(training.id):
            paused = ", whose DAG is paused" if wait.is_paused else ""
            return Claim(f"{wait.name} waits for it{paused}", True)
        if task := self._rendered.get(training.id):
            return Claim(f"the run of {task} is under way and names it", True)
        for task, value in database.xcoms_under_way(training.id):
            if training.id in _leaves(value):
                return Claim(f"the run of {task} is under way, and has it in an XCom", True)
        for creator in _own(training):
            run = database.run_of(creator.dag_id, creator.run_id)
            if run is not None and run.state in UNDER_WAY:
                return Claim(f"the run {creator.dag_id} / {creator.run_id}, which created it, is under way", True)
        return None

    def _former(self, training: Training) -> Claim:
        for creator in _own(training):
            name = f"{creator.dag_id} / {creator.run_id}"
            if (run := database.run_of(creator.dag_id, creator.run_id)) is not None:
                return self._of_ended(training, f"the run {name}, which created it,", run)
            return Claim(f"the run {name} created it, which this Airflow does not know: it was deleted, or is of "
                         "another Airflow without a namespace of its own", None)  # fmt: skip
        if other := next(iter(creators(training.raw)), None):
            of = f"the namespace {other.namespace!r}" if other.namespace else "no namespace"
            return Claim(f"it is of another Airflow, with {of} ([toloka] namespace)", None)
        for fields in database.rendered_by_ended(training.id):
            run = database.run_of(fields.task.dag_id, fields.task.run_id)
            if run is not None and training.id in self._ids(fields):
                return self._of_ended(training, f"the run of {fields.task}, which named it,", run)
        return Claim("no run that this Airflow still knows names it: it was opened by hand or by another program", None)

    def _of_ended(self, training: Training, whose: str, run: RunState) -> Claim:
        """Return what an ended run means for a pool: it has left it open, unless that was opened afterwards."""
        text = f"{whose} ended as {run.state}"
        if run.ended is None:
            return Claim(text, False)
        text += f" at {run.ended:%Y-%m-%d %H:%M:%S} UTC"
        opened = training.last_started
        if opened is not None and opened > run.ended + self.skew + OPENED_LATE:
            return Claim(f"{text}, but it was opened again at {opened:%Y-%m-%d %H:%M:%S} UTC, by somebody else", None)
        return Claim(text, False)

    def _ids(self, fields: Fields) -> Iterator[str]:
        """Give the ids in the fields of a task, if they are of the account."""
        if self.is_same_account(str(fields.values.get("toloka_conn_id"))):
            yield from (str(fields.values[name]) for name in ID_FIELDS if fields.values.get(name))


def is_of_other_airflow(training: Training) -> bool:
    """Return whether the tag of a pool or training has another namespace."""
    found = creators(training.raw)
    return bool(found) and not _own(training)


def _own(training: Training) -> list[Creator]:
    return [creator for creator in creators(training.raw) if creator.namespace == namespace()]


def _leaves(value: Any) -> Iterator[str]:
    """Give the texts and whole numbers in a value; a text that is JSON is one, too, as Airflow stores XComs so."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
        if value[:1] in ("{", "[", '"'):
            try:
                inner = json.loads(value)
            except ValueError:
                return
            yield from _leaves(inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
