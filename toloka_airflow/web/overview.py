"""The pools that DAGs have touched: Airflow's records, joined with what is open at Toloka."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow.api.models import PoolStatus, Training, read_date
from toloka_airflow.api.pool_rules import is_open
from toloka_airflow.links import XCOM_KEY
from toloka_airflow.records.pools import CLOSE_REASON, CLOSED_AT, CLOSES_AT, OVER_AT, PoolKey, PoolRecord, PoolRecords
from toloka_airflow.web.errors import in_words
from toloka_airflow.web.measurements import in_utc, last_measurement, number
from toloka_airflow.web.toloka import USABLE_FOR, OpenPools

if TYPE_CHECKING:
    from toloka_airflow.records.pools import TaskRecord
    from toloka_airflow.web.refreshed import Snapshot

MAX_POOLS = 3000
"""Pools that one answer holds at the most."""
TOLERANCE = timedelta(minutes=1)
"""How far Toloka's clock and Airflow's may be apart."""
NOT_OPEN = "NOT_OPEN"
"""The status of a pool that is in no list of open ones, and of which no task says more."""
_FAILED = ("failed", "upstream_failed")
Row = dict[str, Any]
Rows = Sequence[tuple[PoolRecord, Row]]
Snapshots = Mapping[str, "Snapshot[OpenPools]"]


@dataclass(frozen=True)
class Filters:
    """
    Which tasks must have named a pool; ``None`` for any.

    :param run_id: In an address, ``+`` may have become a space.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None

    def match(self, tasks: Sequence[TaskRecord]) -> bool:
        """Return whether one of these tasks is meant."""
        return any(self._matches(task) for task in tasks)

    def _matches(self, task: TaskRecord) -> bool:
        key, run_id = task.key, self.run_id
        return (
            (self.dag_id is None or key.dag_id == self.dag_id)
            and (run_id is None or key.run_id == run_id or key.run_id.replace("+", " ") == run_id)
            and (self.task_id is None or key.task_id == self.task_id)
            and (self.map_index is None or key.map_index == self.map_index)
        )


def make_rows(records: PoolRecords, snapshots: Snapshots) -> Rows:
    """Return a row for each pool of each DAG, what needs somebody first; without what depends on the user."""
    by_id: dict[tuple[str, str], list[PoolRecord]] = {}
    for key, pool in records.pools.items():
        by_id.setdefault((key.conn_id, key.pool_id), []).append(pool)
    base_urls = {conn_id: each.value.base_url for conn_id, each in snapshots.items() if each.value}
    found = []
    for key, pool in records.pools.items():
        same = by_id[key.conn_id, key.pool_id]
        is_needed = is_waited_for(key, records, base_urls.get)
        found.append((pool, make_row(pool, same, is_needed, snapshots[key.conn_id])))
    found.sort(key=lambda item: str(item[1]["opened_at"] or item[1]["measured_at"] or ""), reverse=True)
    found.sort(key=lambda item: (not item[1]["alerts"], not item[1]["is_open"]))
    return found


def make_row(pool: PoolRecord, same: Sequence[PoolRecord], is_needed: bool, snapshot: Snapshot[OpenPools]) -> Row:
    """
    Return what is known of a pool, for `row_for`.

    :param same: What the tasks of all DAGs that name it say of it.
    :param is_needed: Whether a run under way, or the watcher of an asset, names it.
    """
    key, listed = pool.key, snapshot.value
    everybody = [task for each in same for task in each.tasks]
    close_times = {each.key.dag_id: in_utc(_closes_at(each)) for each in same}
    found = listed.pools.get(key.pool_id) if listed else None
    opened = found.last_started if found else None
    is_listed_open = found is not None and is_open(found)
    address = pool.newest(XCOM_KEY)
    measured = last_measurement(pool)
    if not is_listed_open:
        measured |= dict.fromkeys(("answers_per_hour", "cost_per_hour", "ends_at"))
    row = {
        **key._asdict(),
        "kind": "training" if pool.is_training else "pool",
        "name": found.private_name if found else None,
        **_status(pool, found, listed),
        "is_open": is_listed_open,
        "opened_by": _opened_by(everybody, opened, is_listed_open),
        "opened_at": in_utc(opened),
        "close_times": {dag_id: time for dag_id, time in close_times.items() if time is not None},
        "expires_at": in_utc(read_date(found.raw.get("will_expire"))) if found else None,
        "is_waited_for": is_needed,
        **measured,
        "currency": listed.currency if listed else None,
        "toloka_url": listed.web_urls[key.pool_id] if listed and found else _address(address, key.pool_id),
    }
    row["alerts"] = list(_alerts(pool, row, everybody, snapshot.fetched_at)) if is_listed_open else []
    return row


def is_waited_for(key: PoolKey, records: PoolRecords, base_url: Callable[[str], str | None]) -> bool:
    """
    Return whether a run under way, or the watcher of an asset, names a pool.

    :param base_url: Returns where a connection leads to, ``None`` if that is not known: with another connection it is
        another pool if that leads elsewhere.
    """
    conn_ids = records.needed.get(key.pool_id, frozenset())
    if key.conn_id in conn_ids:
        return True
    own = base_url(key.conn_id)
    return any(own is None or base_url(each) in (own, None) for each in conn_ids)


def rows_for(readable: frozenset[str], closable: frozenset[str], rows: Rows, filters: Filters) -> Iterator[Row]:
    """
    Give the rows of the DAGs that somebody may read, and nothing in them of another DAG.

    :param closable: Those of the DAGs whose pools they may close.
    """
    for pool, row in rows:
        dag_id = pool.key.dag_id
        if dag_id in readable and filters.match(pool.tasks):
            yield row_for(row, readable, dag_id in closable)


def row_for(row: Row, readable: frozenset[str], may_close: bool) -> Row:
    """
    Return a row for somebody who may read its DAG.

    If that says no time at which it closes the pool, it is the first of those of other DAGs that they may read.
    """
    opened_by = row["opened_by"]
    if opened_by and opened_by["dag_id"] is not None and opened_by["dag_id"] not in readable:
        opened_by = None
    close_times, dag_id = row["close_times"], row["dag_id"]
    own = close_times.get(dag_id)
    others = [(time, other) for other, time in close_times.items() if other in readable]
    closes_at, closed_by_dag_id = min(others, default=(None, None)) if own is None else (own, None)
    shown = {name: value for name, value in row.items() if name != "close_times"}
    of_reader = {"opened_by": opened_by, "closes_at": closes_at, "closed_by_dag_id": closed_by_dag_id}
    return {**shown, **of_reader, "may_close": may_close and row["is_open"]}


@dataclass(frozen=True)
class Shown:
    """
    What somebody is shown of the pools, which is the same for all with the same rights.

    :param version: It changes when the content does.
    :param content: ``pools``, encoded, ``totals`` and ``is_cut``.
    """

    version: str
    content: Mapping[str, Any]


def make_shown(rows: Sequence[Row], is_cut: bool) -> Shown:
    """Return what is shown of some pools."""
    encoded = msgspec.json.encode(rows[:MAX_POOLS])
    rest = {"totals": totals(rows), "is_cut": is_cut or len(rows) > MAX_POOLS}
    version = hashlib.sha256(encoded + msgspec.json.encode(rest)).hexdigest()[:32]
    return Shown(version, {"pools": msgspec.Raw(encoded), **rest})


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """
    Return sums over pools, each once, whoever names it; ``None`` where nothing is known, or currencies differ.

    Of the rows of a pool, the one that was measured last counts.
    """
    pools = {
        (row["conn_id"], row["pool_id"]): row for row in sorted(rows, key=lambda row: str(row["measured_at"] or ""))
    }
    marked = {(row["conn_id"], row["pool_id"]) for row in rows if row["alerts"]}
    opened = [row for row in pools.values() if row["is_open"]]
    currencies = {row["currency"] for row in pools.values()}
    are_mixed = len(currencies) > 1

    def total(name: str, some: Sequence[Row]) -> float | int | None:
        known = [row[name] for row in some if row[name] is not None]
        return number(sum(known)) if known and not are_mixed else None

    return {
        "open": len(opened),
        "alerts": len(marked),
        "spent": total("spent", list(pools.values())),
        "committed": total("committed", list(pools.values())),
        "cost_per_hour": total("cost_per_hour", opened),
        "currency": None if are_mixed else next(iter(currencies), None),
    }


def connection_state(conn_id: str, snapshot: Snapshot[OpenPools]) -> Row:
    """Return how new the data of a connection are, and the money on its account."""
    value, fetched_at = snapshot.value, snapshot.fetched_at
    state = "fresh"
    if snapshot.error is not None:
        state = "down"
    elif fetched_at is None:
        state = "loading"
    elif datetime.now(UTC) - fetched_at > timedelta(seconds=USABLE_FOR):
        state = "old"
    balance = None if value is None or value.balance is None else number(float(value.balance))
    return {
        "conn_id": conn_id,
        "state": state,
        "fetched_at": in_utc(fetched_at),
        "message": None if snapshot.error is None else in_words(snapshot.error),
        "balance": balance,
        "currency": value.currency if value else None,
    }


def _status(pool: PoolRecord, found: Training | None, listed: OpenPools | None) -> Row:
    if found is not None:
        reason = found.last_close_reason
        was_closed = reason is not None and not is_open(found)
        return {"status": found.status.value, "close_reason": reason.value if was_closed and reason else None}
    if listed is None:
        return {"status": None, "close_reason": None}
    for task in pool.tasks:
        reason = task.xcoms.get(CLOSE_REASON)
        if isinstance(reason, str) and read_date(task.xcoms.get(CLOSED_AT)) is not None:
            return {"status": PoolStatus.CLOSED.value, "close_reason": reason[:100]}
    return {"status": NOT_OPEN, "close_reason": None}


def _opened_by(everybody: Sequence[TaskRecord], opened: datetime | None, is_still_open: bool) -> Row | None:
    """
    Return the task that opened a pool: one that ran then and is there to open pools.

    ``by_hand`` if no task that names it ran then, so that a person or another program opened it; ``None`` if some task
    ran of which it is not known, and of a pool that is closed, as Airflow may have forgotten the task since.
    """
    if opened is None:
        return None
    then = [
        task
        for task in everybody
        if task.started is not None
        and task.started - TOLERANCE <= opened
        and (task.ended is None or opened <= task.ended + TOLERANCE)
    ]
    openers = [task for task in then if task.operator.startswith("Open")]
    if openers:
        nearest = min(openers, key=lambda task: abs((task.started or opened) - opened))
        return {**nearest.key._asdict(), "by_hand": False}
    if then or not is_still_open:
        return None
    return {**dict.fromkeys(("dag_id", "run_id", "task_id", "map_index")), "by_hand": True}


def _closes_at(pool: PoolRecord) -> datetime | None:
    """Return when the run under way closes a pool, or has it closed."""
    for wait in pool.waits:
        until = number((wait.arguments or {}).get("until"))
        if until is not None and 0 < until < 1e11:
            return datetime.fromtimestamp(until, UTC)
    return _time_of_runs_under_way(pool, CLOSES_AT)


def _time_of_runs_under_way(pool: PoolRecord, name: str) -> datetime | None:
    times = (read_date(task.xcoms.get(name)) for task in pool.tasks if task.is_under_way)
    return next((time for time in times if time is not None), None)


def _alerts(
    pool: PoolRecord, row: Row, everybody: Sequence[TaskRecord], fetched_at: datetime | None
) -> Iterator[dict[str, str]]:
    """Give what is wrong with a pool that is open, as it was when it was listed."""
    if fetched_at is None:
        return
    ends = [task.run_ended for task in everybody if task.run_ended is not None]
    # A run that ended since the list was fetched may have closed it.
    if not row["is_waited_for"] and (not ends or max(ends) < fetched_at):
        if pool.is_training:
            yield {"kind": "training_left_open", "text": "This training is open, and no run under way names it"}
        else:
            yield {"kind": "nobody_waits", "text": "This pool is open, and no run under way names it"}
    over_at = _time_of_runs_under_way(pool, OVER_AT)
    closes_at = _closes_at(pool)
    over_at = over_at or (closes_at + TOLERANCE if closes_at else None)
    if over_at is not None and over_at < fetched_at:
        yield {"kind": "after_its_window", "text": f"It should have been closed at {in_utc(closes_at or over_at)}"}
    newest = pool.tasks[0] if pool.tasks else None
    if newest is not None and newest.state in _FAILED:
        name = f"{newest.key.task_id} of the run {newest.key.run_id}"
        yield {"kind": "failed", "text": f"The task {name} has failed, and it is open"}


def _address(address: object, pool_id: str) -> str | None:
    """Return the address that a task left, if it is one of this pool's page."""
    if isinstance(address, str) and address.startswith(("https://", "http://")) and address.endswith(f"/{pool_id}"):
        return address
    return None
