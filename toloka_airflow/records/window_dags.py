"""
DAGs whose runs are working windows, with their timetables and runs.

- ``airflow.models.dag.DagModel``: which DAGs there are, and their timetables in words (`read_window_dags`)
- ``airflow.models.serialized_dag.SerializedDagModel``: the timetable as it was serialized (`read_window_dags`)
- ``airflow.models.dagrun.DagRun``: which window a run is for (`read_runs`)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from toloka_airflow.records.reading import reading, rows
from toloka_airflow.timetables import PoolWindowTimetable

_SUMMARY = re.compile(r"\S+ \d\d:\d\d-\d\d:\d\d \S+")
"""The form of `PoolWindowTimetable.summary`, so that no other DAG has to be decoded."""
_NAME = f"{PoolWindowTimetable.__module__}.{PoolWindowTimetable.__qualname__}"


@dataclass(frozen=True)
class WindowDag:
    """
    A DAG with a `PoolWindowTimetable`.

    :param known_since: When Airflow first knew it, as far as that is still known.
    """

    dag_id: str
    is_paused: bool
    known_since: datetime | None
    timetable: PoolWindowTimetable


@dataclass(frozen=True)
class WindowRun:
    """A run, and the window that is its data interval."""

    dag_id: str
    run_id: str
    state: str
    opens_at: datetime
    closes_at: datetime
    started: datetime | None
    ended: datetime | None


def read_window_dags() -> tuple[list[WindowDag], list[str]]:
    """Return the DAGs of windows, and those whose timetable cannot be read here."""
    from airflow.models.dag import DagModel  # noqa: TID251, as only there is one
    from airflow.models.serialized_dag import SerializedDagModel  # noqa: TID251, as only there is one
    from sqlalchemy import func, select

    dag, serialized = DagModel, SerializedDagModel
    known = select(dag.dag_id, dag.is_paused, dag.timetable_summary).where(dag.is_stale.is_(False))
    paused = {row[0]: row[1] for row in rows(known) if row[2] and _SUMMARY.fullmatch(row[2])}
    if not paused:
        return [], []
    first = select(serialized.dag_id, func.min(serialized.created_at)).group_by(serialized.dag_id)
    since = dict(tuple(row) for row in rows(first))
    found, unreadable = [], []
    with reading() as session:
        # By its hash, so that a DAG that has not changed is not decoded again.
        for each in SerializedDagModel.get_latest_serialized_dags(dag_ids=sorted(paused), session=session):
            try:
                timetable = _timetable(_Serialized(each.dag_hash, each))
            except (KeyError, TypeError, ValueError):
                unreadable.append(each.dag_id)
                continue
            if timetable is not None:
                found.append(WindowDag(each.dag_id, paused[each.dag_id], since.get(each.dag_id), timetable))
    return found, unreadable


def read_runs(dag_ids: Collection[str], start: datetime, end: datetime) -> list[WindowRun]:
    """Return the runs of some DAGs whose windows begin in a span of time."""
    from airflow.models.dagrun import DagRun  # noqa: TID251, as only there is one
    from sqlalchemy import select

    run = DagRun
    times = run.data_interval_start, run.data_interval_end, run.start_date, run.end_date
    found = select(run.dag_id, run.run_id, run.state, *times).where(
        run.dag_id.in_(dag_ids), run.data_interval_start >= start, run.data_interval_start < end
    )
    return [WindowRun(row[0], row[1], str(row[2]), *row[3:]) for row in rows(found)] if dag_ids else []


class _Serialized:
    """A serialized DAG that is equal to others with the same hash."""

    def __init__(self, dag_hash: str, model: Any) -> None:
        self._hash, self._model = dag_hash, model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Serialized) and self._hash == other._hash

    def __hash__(self) -> int:
        return hash(self._hash)

    def timetable(self) -> Mapping[str, Any]:
        timetable: Mapping[str, Any] = self._model.data["dag"]["timetable"]
        self._model = None  # what is remembered is only the hash
        return timetable


@lru_cache(maxsize=500)
def _timetable(serialized: _Serialized) -> PoolWindowTimetable | None:
    timetable = serialized.timetable()
    if timetable["__type"] != _NAME:
        return None
    return PoolWindowTimetable.deserialize(dict(timetable["__var"]))
