"""
Airflow's metadata database, read as Airflow's own commands read it, and never written.

It is private: a new Airflow may change any of it without notice. Each name has a test in
``tests/unit/doctor/test_metadata_database.py``. What the page in Airflow's UI reads as well is in
`toloka_airflow.records`, and connections are in `toloka_airflow.doctor.connections`. What is read besides, by the
functions of this module only:

- ``airflow.settings.SQL_ALCHEMY_CONN``: where the database is (`missing_file`, `database_secrets`)
- ``airflow.jobs.job.Job``: heartbeats of schedulers, triggerers and DAG processors, and when they are too old
  (`components`)
- ``airflow.models.trigger.Trigger``: what triggerers run (`count_triggers`)
- ``airflow.models.dagrun.DagRun``, ``airflow.models.renderedtifields.RenderedTaskInstanceFields``,
  ``airflow.models.xcom.XComModel``: what tasks were given, and what they gave (`rendered_under_way`,
  `rendered_by_ended`, `xcoms_under_way`, `runs_of`)
- ``airflow.models.asset.AssetEvent``, ``airflow.models.serialized_dag.SerializedDagModel``: what runs were started with
  (`given_under_way`), and what is written in their DAGs (`serialized_dags`)
- ``airflow.models.errors.ParseImportError``: files of DAGs that could not be imported (`import_errors`)
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toloka_airflow.records.reading import CONN_ID, UNDER_WAY, reading, rows
from toloka_airflow.records.waits import Task

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

SCHEDULER, TRIGGERER, DAG_PROCESSOR = "SchedulerJob", "TriggererJob", "DagProcessorJob"
_MAX_JOBS = 200
_MAX_LIKE = 20
"""For how many ids at most the database is given a condition each."""
_MAX_IN = 500
_USERINFO = re.compile(r"://[^:@/]*:(.*)@")


@dataclass(frozen=True)
class Component:
    """A process of Airflow's that was started once and has not ended in an orderly way."""

    id: int
    hostname: str
    heartbeat: datetime
    is_alive: bool


@dataclass(frozen=True)
class RunState:
    """
    How a run is.

    :param ended: ``None`` while it is under way.
    :param conf: What it was started with, as JSON.
    """

    state: str
    started: datetime | None
    ended: datetime | None
    conf: str | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in UNDER_WAY


def missing_file() -> Path | None:
    """Return the file of an SQLite database that does not exist: to connect to it would create it."""
    from airflow import settings

    _, is_sqlite, path = str(settings.SQL_ALCHEMY_CONN).partition("sqlite:///")
    return Path(path) if is_sqlite and path and not Path(path).exists() else None


def database_secrets() -> set[str]:
    """Return the password with which Airflow's database is reached, unless it is also the name of user or database."""
    from airflow import settings
    from sqlalchemy.engine import make_url

    address = str(settings.SQL_ALCHEMY_CONN)
    url = make_url(address)
    # As it is, and as it is written there, where an unquoted @ or / ends it for SQLAlchemy, but not for who wrote it.
    found = {str(url.password or ""), *_USERINFO.findall(address)}
    # A word that is in the address anyway is no secret, and would be crossed out of `airflow` in everything.
    return found - {"", url.username, url.host, url.database}


def ping() -> None:
    """Read something that each Airflow has."""
    components(SCHEDULER)


def components(kind: str) -> list[Component]:
    """
    Return the processes of a kind that have not ended in an orderly way, that with the newest heartbeat first.

    Airflow keeps the rows of those that were killed, so there are many that are not alive.
    """
    from airflow.jobs.job import Job
    from sqlalchemy import select

    newest = select(Job).where(Job.job_type == kind).order_by(Job.latest_heartbeat.desc()).limit(_MAX_JOBS)
    with reading() as session:
        return [
            Component(job.id, job.hostname or "an unknown host", job.latest_heartbeat, job.is_alive())
            for job in session.scalars(newest)
            if job.latest_heartbeat is not None
        ]


def count_triggers() -> dict[int | None, int]:
    """Return how many triggers each triggerer has, whosever they are; under ``None`` those that nobody has."""
    from airflow.models.trigger import Trigger  # noqa: TID251, as only there is one
    from sqlalchemy import func, select

    counted = select(Trigger.triggerer_id, func.count()).group_by(Trigger.triggerer_id)
    with reading() as session:
        rows = session.execute(counted).all()
    return {row[0]: row[1] for row in rows}


def rendered_under_way() -> Iterator[tuple[Task, str]]:
    """Give the tasks of runs that have not ended, each with its rendered fields as JSON, if Airflow still has them."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: TID251, as only there is one
    from sqlalchemy import Text, and_, cast, select

    fields = RenderedTaskInstanceFields
    found = (
        select(fields.dag_id, fields.run_id, fields.task_id, fields.map_index, cast(fields.rendered_fields, Text))
        .join(DagRun, and_(DagRun.dag_id == fields.dag_id, DagRun.run_id == fields.run_id))
        .where(DagRun.state.in_(UNDER_WAY))
    )
    for row in rows(found):
        yield Task(*row[:4]), row[4]


def rendered_by_ended(ids: Collection[str]) -> Iterator[tuple[Task, str, RunState]]:
    """Give the tasks of this package in runs that have ended, the newest first; see `rendered_under_way`."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: TID251, as only there is one
    from sqlalchemy import Text, and_, cast, select

    fields = RenderedTaskInstanceFields
    text = cast(fields.rendered_fields, Text)
    found = (
        select(fields.dag_id, fields.run_id, fields.task_id, fields.map_index, text, *_run_columns())
        .join(DagRun, and_(DagRun.dag_id == fields.dag_id, DagRun.run_id == fields.run_id))
        .where(DagRun.state.not_in(UNDER_WAY), text.contains(CONN_ID), _names_some(text, ids))
        .order_by(DagRun.end_date.desc())
    )
    for row in rows(found):
        yield Task(*row[:4]), row[4], RunState(*row[5:])


def xcoms_under_way(ids: Collection[str]) -> Iterator[tuple[Task, str]]:
    """Give the tasks of runs that have not ended, each with an XCom that it left, as JSON."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from airflow.models.xcom import XComModel  # noqa: TID251, as only there is one
    from sqlalchemy import Text, and_, cast, select

    xcom = XComModel
    text = cast(xcom.value, Text)
    found = (
        select(xcom.dag_id, xcom.run_id, xcom.task_id, xcom.map_index, text)
        .join(DagRun, and_(DagRun.dag_id == xcom.dag_id, DagRun.run_id == xcom.run_id))
        .where(DagRun.state.in_(UNDER_WAY), _names_some(text, ids))
    )
    for row in rows(found):
        if row[4] is not None:
            yield Task(*row[:4]), row[4]


def given_under_way() -> Iterator[tuple[str, str]]:
    """Give what runs that have not ended were started with, as JSON: their configuration, and the events of assets."""
    from airflow.models.asset import AssetEvent  # noqa: TID251, as only there is one
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from sqlalchemy import Text, cast, select

    confs = select(DagRun.dag_id, DagRun.run_id, cast(DagRun.conf, Text)).where(DagRun.state.in_(UNDER_WAY))
    events = (
        select(DagRun.dag_id, DagRun.run_id, cast(AssetEvent.extra, Text))
        .join(DagRun.consumed_asset_events)
        .where(DagRun.state.in_(UNDER_WAY))
    )
    for dag_id, run_id, text in [*rows(confs), *rows(events)]:
        if text:
            yield f"{dag_id} / {run_id}", text


def dags_under_way() -> set[str]:
    """Return the DAGs that have runs which have not ended."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from sqlalchemy import select

    return {row[0] for row in rows(select(DagRun.dag_id).where(DagRun.state.in_(UNDER_WAY)).distinct())}


def serialized_dags(dag_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give DAGs as they were serialized last, as JSON."""
    from airflow.models.serialized_dag import SerializedDagModel  # noqa: TID251, as only there is one

    for dag_id in dag_ids:  # one after the other, as one may have megabytes
        with reading() as session:
            found = SerializedDagModel.get_latest_serialized_dags(dag_ids=[dag_id], session=session)
            data = found[0].data if found else None
        yield dag_id, json.dumps(data)


def runs_of(names: Collection[tuple[str, str]]) -> dict[tuple[str, str], RunState]:
    """Return how runs are, by DAG and run; without those that Airflow does not know, or no longer."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from sqlalchemy import select

    run_ids, found = sorted({run_id for _, run_id in names}), {}
    for first in range(0, len(run_ids), _MAX_IN):
        some = run_ids[first : first + _MAX_IN]
        for row in rows(select(DagRun.dag_id, DagRun.run_id, *_run_columns()).where(DagRun.run_id.in_(some))):
            found[row[0], row[1]] = RunState(*row[2:])
    return {name: found[name] for name in names if name in found}


def _run_columns() -> tuple[Any, ...]:
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from sqlalchemy import Text, cast

    return DagRun.state, DagRun.start_date, DagRun.end_date, cast(DagRun.conf, Text)


def _names_some(text: ColumnElement[str], ids: Collection[str]) -> ColumnElement[bool]:
    """Return whether a text has one of a few ids in it; of more ids, the caller finds out for each row."""
    from sqlalchemy import or_, true

    return or_(*(text.contains(each, autoescape=True) for each in ids)) if len(ids) <= _MAX_LIKE else true()


def import_errors() -> list[tuple[str, str]]:
    """Return the DAG files that could not be imported, each with its traceback."""
    from airflow.models.errors import ParseImportError  # noqa: TID251, as only there is one
    from sqlalchemy import select

    with reading() as session:
        rows = session.execute(select(ParseImportError.filename, ParseImportError.stacktrace)).all()
    return [(row[0] or "", row[1] or "") for row in rows]
