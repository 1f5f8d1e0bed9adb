"""What one worker process of the API server keeps for the page: records, lists, and the rows made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow.api.models import read_date
from toloka_airflow.records.pools import OPERATION, PoolKey, PoolRecord, PoolRecords, read_pools
from toloka_airflow.web.errors import in_words
from toloka_airflow.web.kept import Kept
from toloka_airflow.web.measurements import history, in_utc
from toloka_airflow.web.overview import (
    Filters,
    Rows,
    Shown,
    Snapshots,
    connection_state,
    is_waited_for,
    make_row,
    make_rows,
    make_shown,
    row_for,
    rows_for,
)
from toloka_airflow.web.refreshed import Refreshed, Snapshot
from toloka_airflow.web.toloka import MAX_WAIT, Accounts, OpenPools, PoolDetails

if TYPE_CHECKING:
    from toloka_airflow.web.access import Reader
    from toloka_airflow.web.operations import LoggedOperation

RECORDS_PAUSE = 3.0
"""Seconds between two readings of the database."""
RECORDS_LOAD = 0.02
"""The greatest share of the time for which the database is read; the rest of the worker's threads are slower then."""
RECORDS_USABLE_FOR = 15.0
RECORDS_MAX_WAIT = 30.0
ROWS_PAUSE = 0.5
ROWS_USABLE_FOR = 2.0
"""Seconds for which rows are shown while newer ones are made: where many people have the page open, nobody waits."""
MAX_TASKS = 200
"""Tasks that a pool's own view shows."""
MAX_SHOWN = 20
"""Sets of rights and filters for which what is shown is kept; with 2,000 pools, each is about a megabyte."""


ValueT = TypeVar("ValueT")


class NoRecordsError(Exception):
    """Report that the database could not be read."""


@dataclass(frozen=True, eq=False)
class _Made:
    """
    The rows of all pools, and what they were made of.

    :param shown: By who it is shown to: the DAGs that they may read, those whose pools they may close, and filters.
    """

    records: PoolRecords
    snapshots: Snapshots
    rows: Rows
    dag_ids: frozenset[str]
    shown: Kept[Shown] = field(default_factory=lambda: Kept(MAX_SHOWN))

    def is_of(self, records: PoolRecords, snapshots: Snapshots) -> bool:
        """Return whether they were made of the same."""
        are_same = all(self.snapshots.get(conn_id) is each for conn_id, each in snapshots.items())
        return records is self.records and are_same


class Pools:
    """The pools of all DAGs, for whoever may read them."""

    def __init__(self) -> None:
        self._records = Refreshed(
            read_pools,
            min_pause=RECORDS_PAUSE,
            max_wait=RECORDS_MAX_WAIT,
            usable_for=RECORDS_USABLE_FOR,
            load=RECORDS_LOAD,
        )
        self._accounts = Accounts()
        self._made = Refreshed(
            self._make,
            min_pause=ROWS_PAUSE,
            max_wait=RECORDS_MAX_WAIT + MAX_WAIT,
            usable_for=ROWS_USABLE_FOR,
        )

    def overview(self, reader: Reader, filters: Filters, known: str | None = None) -> dict[str, Any]:
        """
        Return what the page shows first.

        :param known: The ``version`` of an answer that the page has: if the pools are still as they were, the answer
            leaves them out.
        """
        made = _value(self._made.get())
        records, snapshots = made.records, made.snapshots
        readable = made.dag_ids & reader.dag_ids
        closable = frozenset(filter(reader.may_close, readable))

        def make() -> Shown:
            return make_shown(list(rows_for(readable, closable, made.rows, filters)), records.is_cut)

        shown = made.shown.get((readable, closable, filters), make)
        conn_ids = {key.conn_id for key in records.pools if key.dag_id in readable}
        return {
            "now": in_utc(datetime.now(UTC)),
            "version": shown.version,
            "connections": [connection_state(conn_id, snapshots[conn_id]) for conn_id in sorted(conn_ids)],
            **({} if known == shown.version else shown.content),
        }

    def record(self, key: PoolKey) -> PoolRecord | None:
        """Return what a DAG's records say of a pool; ``None`` if they do not name it."""
        return self._read().pools.get(key)

    def details(self, reader: Reader, record: PoolRecord) -> dict[str, Any]:
        """Return a pool's own view."""
        records, key = self._read(), record.key
        snapshot, own = self._accounts.details(
            key.conn_id, key.pool_id, is_training=record.is_training, operation_ids=_operation_ids(record)
        )
        same = [
            each
            for each in records.pools.values()
            if (each.key.conn_id, each.key.pool_id) == (key.conn_id, key.pool_id)
        ]
        is_needed = is_waited_for(key, records, self._base_url)
        row = make_row(record, same, is_needed, _newest(key.pool_id, snapshot, own))
        return {
            "pool": row_for(row, reader.dag_ids, reader.may_close(key.dag_id)),
            "history": history(record),
            "runs": [_task(task) for task in record.tasks[:MAX_TASKS]],
            "operations": [_operation(each) for each in own.value.operations] if own.value else [],
            "message": None if own.error is None else in_words(own.error),
        }

    def shown_opening(self, key: PoolKey, opened_at: str | None) -> datetime | None:
        """
        Return when the opening began that was shown to somebody who wants to close it.

        :param opened_at: What the page showed, to the second; ``None`` if it did not say.
        """
        if (shown := read_date(opened_at)) is not None:
            return shown + timedelta(seconds=1)
        listed = self._accounts.known_open_pools(key.conn_id)
        found = listed.pools.get(key.pool_id) if listed else None
        return found.last_started if found else None

    def may_name(self, reader: Reader, conn_id: str, pool_id: str) -> bool:
        """Return whether somebody may read a DAG whose tasks name a pool."""
        named = (each for each in self._read().pools if (each.conn_id, each.pool_id) == (conn_id, pool_id))
        return any(each.dag_id in reader.dag_ids for each in named)

    def _base_url(self, conn_id: str) -> str | None:
        listed = self._accounts.known_open_pools(conn_id)
        return listed.base_url if listed else None

    def _read(self) -> PoolRecords:
        return _value(self._records.get())

    def _make(self) -> _Made:
        """Return the rows of all pools: the same as before, if they would be made of the same."""
        records = self._read()
        snapshots = self._accounts.open_pools(sorted({key.conn_id for key in records.pools}))
        last = self._made.start().value
        if last is not None and last.is_of(records, snapshots):
            return last
        dag_ids = frozenset(key.dag_id for key in records.pools)
        return _Made(records, snapshots, make_rows(records, snapshots), dag_ids)


def _value(snapshot: Snapshot[ValueT]) -> ValueT:
    """
    Return what there is.

    :raises NoRecordsError: If there is nothing yet.
    """
    if snapshot.value is None:
        raise NoRecordsError("Airflow's database could not be read") from snapshot.error
    return snapshot.value


def _newest(pool_id: str, snapshot: Snapshot[OpenPools], own: Snapshot[PoolDetails]) -> Snapshot[OpenPools]:
    """Return the list with a pool as it was fetched by itself, if that is newer."""
    details, listed = own.value, snapshot.value
    if details is None or own.fetched_at is None:
        return snapshot
    is_newer = snapshot.fetched_at is not None and snapshot.fetched_at > own.fetched_at
    if listed is not None and is_newer and pool_id in listed.pools:
        return snapshot
    alone = OpenPools({pool_id: details.pool}, None, details.currency, {pool_id: details.web_url}, details.base_url)
    return Snapshot(alone, own.fetched_at, own.error)


def _operation_ids(record: PoolRecord) -> Sequence[str]:
    """Return the operations that tasks have started, the newest first."""
    found = (task.xcoms.get(OPERATION) for task in record.tasks)
    return list(dict.fromkeys(each for each in found if isinstance(each, str) and 0 < len(each) <= 64))


def _task(task: Any) -> dict[str, Any]:
    return {
        **task.key._asdict(),
        "state": task.state,
        "what": task.operator,
        "started_at": in_utc(task.started),
        "ended_at": in_utc(task.ended),
    }


def _operation(logged: LoggedOperation) -> dict[str, Any]:
    operation = logged.operation
    return {
        "operation_id": operation.id,
        "type": operation.type,
        "status": operation.status.value,
        "submitted_at": in_utc(operation.submitted),
        "finished_at": in_utc(operation.finished) if operation.is_done else None,
        "log": list(logged.log),
    }
