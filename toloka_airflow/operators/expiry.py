"""
How long a pool may stay open when no task of its run is left to close it, as after ``dagrun_timeout``.

`expires_in` of `OpenPoolOperator` limits an opening, and must neither lengthen what the pool's own date allows nor
inherit what an earlier opening was limited to. Toloka has one date only. So the pool's own date, and the one that has
replaced it, are kept in the ``metadata`` of the pool, as `EXPIRY`; as long as the pool has the latter, the former is
what counts. A date that anything else has set since is the pool's own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import notifies_triggers
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import SET_BY_TOLOKA, Pool, read_date
from toloka_airflow.api.pool_rules import is_open

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient

EXPIRY = "airflow_expiry"
"""The key under ``metadata`` of a pool: the date that `expires_in` has set, and the pool's own one."""


def let_expire_in(client: TolokaClient, pool: Pool, seconds: float, log: Any) -> None:
    """
    Make a pool that is about to be opened expire after a time, at the latest; one that is open cannot be changed.

    :param client: What got the pool from Toloka just now. The time begins then, by Toloka's clock.
    :raises ValueError: If the pool's own date is in the past, or the time is too long.
    """
    now = client.server_time() or datetime.now(UTC)
    try:
        limit = now + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"expires_in is {seconds:g} seconds, which is too far away") from None
    present, own = read_date(pool.raw.get("will_expire")), _own_date(pool)
    if is_open(pool):
        if present is None or present > limit:
            log.warning("Pool %s is open, so it still expires at %s, not at %s", pool.id, present, limit)
        return
    if own is not None and own <= now:
        raise ValueError(
            f"Pool {pool.id} was not opened: its own expiry date, {own.isoformat()}, is in the past, and expires_in "
            "does not lengthen it. Give the pool a later one, such as with UpdatePoolOperator"
        )
    date = min(own or limit, limit)
    if _is_same(present, date):
        return
    body = {key: value for key, value in pool.raw.items() if key not in SET_BY_TOLOKA}
    kept = {EXPIRY: [_as_text(date), _as_text(own or limit)]}
    metadata = {**(body.get("metadata") or {}), **kept}
    client.update_pool(pool.id, {**body, "will_expire": _as_text(date), "metadata": metadata})
    log.info("Pool %s expires at %s; it was to expire at %s", pool.id, date, present)


def _as_text(date: datetime) -> str:
    """Write a date as the API does."""
    return date.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _is_same(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) < timedelta(seconds=1)


def _own_date(pool: Pool) -> datetime | None:
    """Return when a pool is to expire by itself, whatever an earlier opening was limited to."""
    present = read_date(pool.raw.get("will_expire"))
    dates = [read_date(text) for text in (pool.raw.get("metadata") or {}).get(EXPIRY) or ()]
    return dates[1] if len(dates) == 2 and _is_same(present, dates[0]) else present


def without_limit(pool: Pool) -> Pool:
    """Return a pool with its own date and without what `let_expire_in` has left in it, as a copy of it is to be."""
    metadata, own = dict(pool.raw.get("metadata") or {}), _own_date(pool)
    if metadata.pop(EXPIRY, None) is None or own is None:
        return pool
    return Pool.from_api({**pool.raw, "will_expire": _as_text(own), "metadata": metadata})


def warn_if_left_open(context: Context, client: TolokaClient, pool_id: str, log: Any) -> None:
    """
    Warn of a pool that expires after the end of its run, at which Airflow skips its teardowns, if nothing else is known
    to close it: a wait behind this task that closes it on kill.
    """
    dag, run = context.get("dag"), context.get("dag_run")
    if dag is None or dag.dagrun_timeout is None or run is None or run.start_date is None:
        return
    task, end = dag.get_task(context["ti"].task_id), run.start_date + dag.dagrun_timeout
    if any(_closes_on_kill(behind, task) for behind in task.get_flat_relatives(upstream=False)):
        return
    try:
        expires = read_date(client.without_retries().get_pool(pool_id).raw.get("will_expire"))
    except TolokaError as exc:
        log.warning("When pool %s expires did not become known, and this run may end at %s: %s", pool_id, end, exc)
        return
    if expires is None or expires > end:
        log.warning(
            "Pool %s may stay open until it expires, at %s: nothing else is known to close it if this run is not done "
            "at %s, when its dagrun_timeout ends it and all its tasks, teardowns too. Give OpenPoolOperator a shorter "
            "expires_in, or the PoolSensor behind it close_on_kill=True (before Airflow 3.3 with deferrable=False)",
            *(pool_id, expires, end),
        )


def _closes_on_kill(task: Any, opening: Any) -> bool:
    """Return whether a task is a `PoolSensor` that closes the pool of an opening when it is killed."""
    # With defaults, as a task of another kind may have some of these: nothing of it may fail an opening.
    of_same_pool = str(getattr(task, "pool_id", "")) == str(getattr(opening, "pool_id", None))
    if not getattr(task, "close_on_kill", False) or not of_same_pool:
        return False
    return notifies_triggers() if getattr(task, "deferrable", False) else not getattr(task, "reschedule", True)
