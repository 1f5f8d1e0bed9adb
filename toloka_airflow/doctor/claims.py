"""
Who needs an open pool or training: what Airflow's database says of it.

A pool is claimed if a run that is under way names it: in the arguments of a trigger, in the rendered fields of a task,
in an XCom, in what the run was started with, or as the run that created it. Ids are compared as whole values, never as
parts of a text.

Whoever reads that nobody needs a pool may close it, so that has to be certain: what is not is said to be unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import Creator, creators, namespace
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.records.reading import CONN_ID
from toloka_airflow.records.waits import Task, Wait, stored_waits

if TYPE_CHECKING:
    from toloka_airflow.api.models import Training
    from toloka_airflow.doctor.metadata_database import RunState

ID_FIELDS = "pool_id", "training_id"
NOT_DURING = timedelta(minutes=1)
"""How long before or after a run an opening may still be that run's, as clocks and their times are not exact."""
_TOKENS = re.compile(r"[\w-]+")


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
    What runs say of pools and trainings.

    The database is read once for all of them, not once for each: there may be thousands.

    :param doubt: Why a connection, by its id, may be to another Toloka than the one whose pools they are; ``None`` if
        it is to the same.
    :param skew: How far Toloka's clock is ahead of this machine's.
    """

    doubt: Callable[[str], str | None]
    skew: timedelta

    def of(self, found: Sequence[Training]) -> dict[str, Claim]:
        """Return what Airflow knows of open pools or trainings, by id."""
        claims: dict[str, Claim] = {}
        for source in (self._of_waits, self._of_fields, self._of_starts, self._of_creators, self._of_xcoms):
            unneeded = {each.id: each for each in found if each.id not in claims or not claims[each.id].is_needed}
            for id_, claim in source(unneeded):
                # Of all that is said of one, that somebody needs it.
                if id_ not in claims or claim.is_needed:
                    claims[id_] = claim
        unclaimed = [each for each in found if each.id not in claims]
        claims |= self._former(unclaimed)
        left = {each.id for each in unclaimed if claims[each.id].is_needed is False}
        for id_, doubt in self._doubts(left):
            claims[id_] = Claim(f"{claims[id_].reason}; but {doubt}", None)
        return claims

    def under_way(self) -> set[str]:
        """Return the ids of all pools and trainings that tasks of runs under way name in their fields."""
        named = {id_ for task, values in self._fields for id_ in self._ids(values)}
        return named | {id_ for wait in self._waits for id_ in self._ids(wait.arguments)}

    @cached_property
    def _waits(self) -> list[Wait]:
        return stored_waits()

    @cached_property
    def _fields(self) -> list[tuple[Task, Any]]:
        """The fields of this package's tasks in runs under way."""
        return [(task, json.loads(text)) for task, text in database.rendered_under_way() if CONN_ID in text]

    def _ids(self, values: Any) -> Iterator[str]:
        """Give the ids of this Toloka in the arguments of a trigger, or the fields of a task."""
        if isinstance(values, Mapping) and CONN_ID in values and self.doubt(str(values[CONN_ID])) is None:
            yield from (str(values[name]) for name in ID_FIELDS if values.get(name))

    def _of_waits(self, found: Mapping[str, Training]) -> Iterator[tuple[str, Claim]]:
        for wait in sorted(self._waits, key=lambda wait: wait.task is None):
            arguments = wait.arguments or {}
            paused = ", whose DAG is paused" if wait.is_paused else ""
            for id_ in found.keys() & {str(arguments.get(name)) for name in ID_FIELDS}:
                yield id_, self._claim(f"{wait.name} waits for it{paused}", arguments.get(CONN_ID))

    def _of_fields(self, found: Mapping[str, Training]) -> Iterator[tuple[str, Claim]]:
        for task, text in database.rendered_under_way() if found else ():
            for id_, values in _named(found, text):
                yield id_, self._claim(f"the run of {task} is under way and names it", values.get(CONN_ID))

    def _of_starts(self, found: Mapping[str, Training]) -> Iterator[tuple[str, Claim]]:
        for run, text in database.given_under_way() if found else ():
            for id_, _ in _named(found, text):
                yield id_, Claim(f"the run {run} is under way, and was started with it", True)

    def _of_creators(self, found: Mapping[str, Training]) -> Iterator[tuple[str, Claim]]:
        for each, creator, run in self._created(found.values()):
            if run is not None and run.is_under_way:
                name = f"{creator.dag_id} / {creator.run_id}"
                yield each.id, Claim(f"the run {name}, which created it, is under way", True)

    def _of_xcoms(self, found: Mapping[str, Training]) -> Iterator[tuple[str, Claim]]:
        for task, text in database.xcoms_under_way(found) if found else ():
            for id_, _ in _named(found, text):
                yield id_, Claim(f"the run of {task} is under way, and has it in an XCom", True)

    def _claim(self, reason: str, conn_id: object) -> Claim:
        """Return that somebody needs it, unless a connection that is named there may be to another Toloka."""
        doubt = None if conn_id is None else self.doubt(str(conn_id))
        return Claim(reason, True) if doubt is None else Claim(f"perhaps one does, as {reason}, but {doubt}", None)

    def _former(self, found: Sequence[Training]) -> dict[str, Claim]:
        """Return whose those are that no run under way claims."""
        claims = {}
        for each, creator, run in self._created(found):
            name = f"{creator.dag_id} / {creator.run_id}"
            if run is not None:
                claims[each.id] = self._of_ended(each, f"the run {name}, which created it,", run)
            else:
                claims[each.id] = Claim(
                    f"the run {name} created it, which this Airflow does not know: it was deleted, or is of another "
                    "Airflow without a namespace of its own",
                    None,
                )
        for each in found:
            if other := next(iter(creators(each.raw)), None):
                of = f"the namespace {other.namespace!r}" if other.namespace else "no namespace"
                claims.setdefault(each.id, Claim(f"it is of another Airflow, with {of} ([toloka] namespace)", None))
        untagged = {each.id: each for each in found if each.id not in claims}
        for task, text, run in database.rendered_by_ended(untagged) if untagged else ():
            for id_, values in _named(untagged, text):
                # Of several runs, the one during which it was opened, or else the newest.
                if id_ in self._ids(values) and (id_ not in claims or claims[id_].is_needed is None):
                    claim = self._of_ended(untagged[id_], f"the run of {task}, which named it,", run)
                    claim = self._of_named(untagged[id_], claim, task, run)
                    claims[id_] = claim if claim.is_needed is False else claims.get(id_, claim)
        by_hand = "no run that this Airflow still knows names it: it was opened by hand or by another program"
        return {id_: Claim(by_hand, None) for id_ in untagged} | claims

    def _created(self, found: Iterable[Training]) -> Iterator[tuple[Training, Creator, RunState | None]]:
        """Give what runs of this Airflow have created, by its tag, and how those runs are."""
        tagged = [(each, creator) for each in found for creator in _own(each)]
        runs = database.runs_of({(creator.dag_id, creator.run_id) for _, creator in tagged})
        for each, creator in tagged:
            yield each, creator, runs.get((creator.dag_id, creator.run_id))

    def _of_ended(self, training: Training, whose: str, run: RunState) -> Claim:
        """Return what an ended run means for a pool: it has left it open, unless that was opened afterwards."""
        text = f"{whose} ended as {run.state}"
        if run.ended is None:
            return Claim(text, False)
        text += f" at {run.ended:%Y-%m-%d %H:%M:%S} UTC"
        opened = training.last_started
        if opened is not None and opened > run.ended + self.skew + NOT_DURING:
            return Claim(f"{text}, but it was opened again at {opened:%Y-%m-%d %H:%M:%S} UTC, by somebody else", None)
        return Claim(text, False)

    def _of_named(self, training: Training, claim: Claim, task: Task, run: RunState) -> Claim:
        """Return the same claim, unless the run may only have used what somebody else had opened before."""
        opened = training.last_started
        if claim.is_needed is False and opened and run.started and opened < run.started + self.skew - NOT_DURING:
            text = f"{claim.reason}, but it was open before, since {opened:%Y-%m-%d %H:%M:%S} UTC"
            return Claim(f"{text}: somebody else opened it", None)
        is_given = any(_named({training.id}, run.conf or ""))
        if claim.is_needed is False and task.dag_id in self._dags_under_way and not is_given:
            return Claim(f"{claim.reason}, but another run of that DAG is under way, and may need it later", None)
        return claim

    @cached_property
    def _dags_under_way(self) -> set[str]:
        return database.dags_under_way()

    def _doubts(self, ids: Collection[str]) -> Iterator[tuple[str, str]]:
        """Give why it is not certain that nobody needs what no run under way has named yet."""
        if ids and any(wait.arguments is None for wait in self._waits):
            yield from ((id_, "the arguments of some triggers cannot be read here") for id_ in ids)
        for dag_id, text in database.serialized_dags(sorted(self._dags_under_way)) if ids else ():
            for id_, _ in _named(ids, text):
                yield id_, f"the DAG {dag_id} names it, and a run of that is under way, which may need it later"


def is_of_other_airflow(training: Training) -> bool:
    """Return whether the tag of a pool or training has another namespace."""
    found = creators(training.raw)
    return bool(found) and not _own(training)


def _own(training: Training) -> list[Creator]:
    return [creator for creator in creators(training.raw) if creator.namespace == namespace()]


def _named(ids: Collection[str], text: str) -> Iterator[tuple[str, Any]]:
    """Give those of some ids that are a value in a JSON document, each with the document."""
    # Most have none of them, and need not be parsed to know that.
    if not any(token in ids for token in _TOKENS.findall(text)):
        return
    value = json.loads(text)
    for id_ in {leaf for leaf in _leaves(value) if leaf in ids}:
        yield id_, value if isinstance(value, Mapping) else {}


def _leaves(value: Any) -> Iterator[str]:
    """Give the texts and whole numbers in a value; a text that is JSON is one, too, as Airflow stores XComs so."""
    pending: list[Any] = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(value.values())
        elif isinstance(value, list | tuple):
            pending.extend(value)
        elif isinstance(value, str):
            yield value
            if value[:1] in ("{", "[", '"'):
                try:
                    pending.append(json.loads(value))
                except ValueError:
                    continue
        elif isinstance(value, int) and not isinstance(value, bool):
            yield str(value)
