"""
Which pools and trainings the tasks of this package have named, and what those tasks left.

A pool belongs to the DAG whose task names it: in a rendered field, in the address of its link, or in the arguments of
the trigger it waits for. Airflow keeps rendered fields of the newest 30 runs of a DAG only by default.
Of older runs the link says which pool it was, and the newest run with such a task which connection.

What is read, besides what `toloka_airflow.records.waits` reads:

- ``airflow.models.renderedtifields.RenderedTaskInstanceFields``, ``airflow.models.taskinstance.TaskInstance``,
  ``airflow.models.dagrun.DagRun``: which task was given which pool, and how it ended (`read_pools`)
- ``airflow.models.xcom.XComModel``: what tasks left (`read_pools`, `read_xcoms`)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from toloka_airflow._internal.trails import MEASURED
from toloka_airflow.links import XCOM_KEY
from toloka_airflow.records.reading import CONN_ID, UNDER_WAY, rows
from toloka_airflow.records.waits import Wait, stored_waits

MAX_AGE = timedelta(days=30)
"""How long ago a run may have ended whose pools are still read."""
MAX_TASKS = 50_000
"""How many tasks are read at the most, those of the newest runs first."""
OPERATION = "operation_id"
CLOSES_AT, OVER_AT = "closes_at", "over_at"
CLOSE_REASON, CLOSED_AT, PROGRESS = "close_reason", "closed_at", "progress"
_KEYS = (XCOM_KEY, MEASURED, OPERATION, CLOSES_AT, OVER_AT, CLOSE_REASON, CLOSED_AT, PROGRESS)
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_ADDRESS = re.compile(r"https?://\S+/requester/project/[\w-]+/(pool|training)/([0-9A-Za-z-]+)")
_NO_ID = {"None", "null", "nan"}
"""What a template renders to where it finds no id."""
_FIELDS = {"pool_id": False, "training_id": True}
"""Which fields name a pool, and whether it is a training."""


class PoolKey(NamedTuple):
    """A pool or training as a DAG knows it."""

    dag_id: str
    conn_id: str
    pool_id: str


class TaskKey(NamedTuple):
    """A task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """
    A task instance that names a pool.

    :param operator: The name of its class.
    :param xcoms: What it left under the keys that are read, by key.
    """

    key: TaskKey
    operator: str
    state: str | None
    started: datetime | None
    ended: datetime | None
    run_state: str
    run_started: datetime | None
    run_ended: datetime | None
    xcoms: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def is_under_way(self) -> bool:
        """Whether its run has not ended."""
        return self.run_state in UNDER_WAY


@dataclass(slots=True)
class PoolRecord:
    """What a DAG's tasks say of a pool or training; the newest task first."""

    key: PoolKey
    is_training: bool
    tasks: list[TaskRecord] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def newest(self, xcom: str) -> Any:
        """Return the newest value that a task left under a key; ``None`` if none did."""
        return next((task.xcoms[xcom] for task in self.tasks if task.xcoms.get(xcom) is not None), None)


@dataclass(frozen=True)
class PoolRecords:
    """
    All pools and trainings that were named lately.

    :param needed: By the id of each that a run under way, or the watcher of an asset, names, whatever its DAG: the
        connections with which it does. Another account may have a pool with the same id.
    :param read_at: When the reading began.
    :param is_cut: Whether there are more tasks than were read.
    """

    pools: Mapping[PoolKey, PoolRecord]
    needed: Mapping[str, Set[str]]
    read_at: datetime
    is_cut: bool


def read_pools(max_age: timedelta = MAX_AGE) -> PoolRecords:
    """Read the pools that tasks of runs under way, or of runs that were started lately, name: three queries."""
    now = datetime.now(UTC)
    pools: dict[PoolKey, PoolRecord] = {}
    named, is_cut = _named(now - max_age)
    for task, conn_id, ids in named:
        for id_, is_training in ids:
            key = PoolKey(task.key.dag_id, conn_id, id_)
            pools.setdefault(key, PoolRecord(key, is_training)).tasks.append(task)
    needed: dict[str, set[str]] = {}
    for key, pool in pools.items():
        if any(task.is_under_way for task in pool.tasks):
            needed.setdefault(key.pool_id, set()).add(key.conn_id)
    for wait in stored_waits():
        arguments = wait.arguments or {}
        conn_id = str(arguments.get(CONN_ID))
        for id_, _ in _ids(arguments):
            needed.setdefault(id_, set()).add(conn_id)
            if wait.task and (named_pool := pools.get(PoolKey(wait.task.dag_id, conn_id, id_))):
                named_pool.waits.append(wait)
    return PoolRecords(pools, needed, now, is_cut)


def _named(since: datetime) -> tuple[list[tuple[TaskRecord, str, set[tuple[str, bool]]]], bool]:
    """Return tasks, each with its connection and what it names, the newest first; and whether there are more."""
    found: dict[TaskKey, tuple[TaskRecord, str, set[tuple[str, bool]]]] = {}
    conn_ids: dict[tuple[str, str], str] = {}
    numbers: dict[tuple[str, str], int] = {}
    for number, task, fields in _tasks(since):
        conn_id, key = fields.get(CONN_ID), task.key
        if isinstance(conn_id, str) and conn_id:
            found[key] = task, conn_id, set(_ids(fields))
            conn_ids.setdefault((key.dag_id, key.task_id), conn_id)
            numbers[key.dag_id, key.run_id] = number
    operators = {task.operator for task, _, _ in found.values()}
    for number, task, name, value in _xcoms(since, operators):
        key = task.key
        known = conn_ids.get((key.dag_id, key.task_id))
        if key not in found and known is not None and len(found) < MAX_TASKS:
            found[key] = task, known, set()
            numbers[key.dag_id, key.run_id] = number
        if key in found:
            recorded, _, ids = found[key]
            recorded.xcoms[name] = value
            match = _ADDRESS.fullmatch(value) if name == XCOM_KEY and isinstance(value, str) else None
            if match:
                ids.add((match[2], match[1] == "training"))
    newest_first = sorted(found.values(), key=lambda each: -numbers[each[0].key.dag_id, each[0].key.run_id])
    return newest_first, len(found) >= MAX_TASKS


def read_xcoms(tasks: Sequence[TaskRecord], name: str) -> list[tuple[TaskKey, Any]]:
    """Return what tasks of one DAG left under a key."""
    from airflow.models.xcom import XComModel  # noqa: TID251, as only there is one
    from sqlalchemy import Text, cast, select

    xcom, keys = XComModel, {task.key for task in tasks}
    found = select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.map_index, cast(xcom.value, Text)).where(
        xcom.key == name,
        xcom.dag_id.in_({key.dag_id for key in keys}),
        xcom.run_id.in_({key.run_id for key in keys}),
        xcom.task_id.in_({key.task_id for key in keys}),
    )
    return [(TaskKey(*row[:4]), _value(row[4])) for row in rows(found) if TaskKey(*row[:4]) in keys]


def _tasks(since: datetime) -> Iterator[tuple[int, TaskRecord, Mapping[str, Any]]]:
    """Give the tasks of this package with their rendered fields and the number of their run, the newest runs first."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: TID251, as only there is one
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251, as only there is one
    from sqlalchemy import Text, and_, cast, or_, select

    fields, ti, run = RenderedTaskInstanceFields, TaskInstance, DagRun
    text = cast(fields.rendered_fields, Text)
    of_task = and_(
        ti.dag_id == fields.dag_id,
        ti.run_id == fields.run_id,
        ti.task_id == fields.task_id,
        ti.map_index == fields.map_index,
    )
    found = (
        select(fields.dag_id, fields.run_id, fields.task_id, fields.map_index, text)
        .add_columns(*_columns())
        .join(run, and_(run.dag_id == fields.dag_id, run.run_id == fields.run_id))
        .join(ti, of_task)
        .where(or_(run.state.in_(UNDER_WAY), run.start_date >= since), text.contains(CONN_ID))
        .order_by(run.id.desc(), ti.start_date.desc())
        .limit(MAX_TASKS)
    )
    for row in rows(found):
        given = _value(row[4])
        if isinstance(given, Mapping):
            yield row[5], _task(row[:4], row[6:]), given


def _xcoms(since: datetime, operators: set[str]) -> Iterator[tuple[int, TaskRecord, str, Any]]:
    """Give what tasks with some operators left under the keys that are read, with the number of their run."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251, as only there is one
    from airflow.models.xcom import XComModel  # noqa: TID251, as only there is one
    from sqlalchemy import Text, and_, cast, or_, select

    xcom, ti, run = XComModel, TaskInstance, DagRun
    of_task = and_(
        ti.dag_id == xcom.dag_id,
        ti.run_id == xcom.run_id,
        ti.task_id == xcom.task_id,
        ti.map_index == xcom.map_index,
    )
    found = (
        select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.map_index, xcom.key, cast(xcom.value, Text))
        .add_columns(*_columns())
        .join(run, run.id == xcom.dag_run_id)
        .join(ti, of_task)
        .where(or_(run.state.in_(UNDER_WAY), run.start_date >= since))
        .where(xcom.key.in_(_KEYS), ti.operator.in_(operators))
    )
    for row in rows(found):
        yield row[6], _task(row[:4], row[7:]), row[4], _value(row[5])


def _columns() -> tuple[Any, ...]:
    """Return the columns with the number of a run, and those of which `_task` makes a record."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251, as only there is one

    ti, run = TaskInstance, DagRun
    return run.id, ti.operator, ti.state, ti.start_date, ti.end_date, run.state, run.start_date, run.end_date


def _task(key: Sequence[Any], columns: Sequence[Any]) -> TaskRecord:
    operator, state, started, ended, run_state, run_started, run_ended = columns
    return TaskRecord(TaskKey(*key), operator or "", state, started, ended, str(run_state), run_started, run_ended)


def _ids(values: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Give the ids in the fields of a task or the arguments of a trigger, and whether they are those of trainings."""
    for name, of_training in _FIELDS.items():
        given = values.get(name)
        id_ = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
        if _ID.fullmatch(id_) and id_ not in _NO_ID:
            yield id_, of_training


def _value(text: str | None) -> Any:
    """Read JSON, also where Airflow has stored it as the text of JSON; ``None`` for what is none."""
    try:
        value = _json(text) if text else None
        return _json(value) if isinstance(value, str) and value[:1] in '{["' and value else value
    except ValueError:
        return None


def _json(text: str) -> Any:
    """Read JSON, several times as fast as `json` does, but for what only that takes, such as ``NaN``."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)
