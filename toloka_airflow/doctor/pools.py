"""Open pools and trainings: whether anybody waits for them, and when they end if nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache

from toloka_airflow.api.errors import TolokaApiError, TolokaError
from toloka_airflow.api.models import Pool, PoolStatus, Training, read_date
from toloka_airflow.api.pool_rules import is_closed
from toloka_airflow.doctor.accounts import Account, quota_finding
from toloka_airflow.doctor.claims import Claims, is_of_other_airflow
from toloka_airflow.doctor.findings import Finding, fail, ok, unknown, warn
from toloka_airflow.doctor.metadata_database import connection
from toloka_airflow.hooks import settings_from_connection

MAX_CLOSED = 50
"""How many pools that runs under way name, but which are not open, are requested by id."""
MAX_SHOWN = 20
"""How many pools are named one by one for each kind of finding."""


def probe_pools(account: Account, *, timeout: float, max_open: timedelta) -> Iterator[Finding]:
    """Compare the account's open pools with what Airflow's database knows, and check their expiry."""
    client, claims = account.in_time(timeout), Claims(_is_same_account(account), account.skew)
    try:
        pools = list(client.list_pools(status=PoolStatus.OPEN))
    except TolokaError as exc:
        yield from _not_listed(account, "open-pools", exc)
        return
    yield from _orphans(account, claims, "pool", pools)
    yield from _expiry(account, pools, max_open)
    yield from _expired_before_opening(account, claims, {pool.id for pool in pools}, timeout)


def probe_trainings(account: Account, *, timeout: float) -> Iterator[Finding]:
    """Compare the account's open trainings with what Airflow's database knows."""
    client, claims = account.in_time(timeout), Claims(_is_same_account(account), account.skew)
    try:
        trainings = list(client.list_trainings(status=PoolStatus.OPEN))
        pools = list(client.list_pools(status=PoolStatus.OPEN)) if trainings else []
    except TolokaError as exc:
        yield from _not_listed(account, "open-trainings", exc)
        return
    needed = {pool.training_id for pool in pools if claims.of(pool).is_needed or is_of_other_airflow(pool)}
    yield from _orphans(account, claims, "training", [each for each in trainings if each.id not in needed])


def _is_same_account(account: Account) -> Callable[[str], bool]:
    own = account.client.settings

    @cache
    def is_same(conn_id: str) -> bool:
        if conn_id == account.conn_id:
            return True
        try:
            other = settings_from_connection(connection(conn_id))
        except Exception:  # no such connection, or one that cannot be used: nobody can wait with it
            return False
        keys = "base_url", "authorization", "account_id"
        return all(getattr(other, key) == getattr(own, key) for key in keys)

    return is_same


def _not_listed(account: Account, check: str, exc: TolokaError) -> Iterator[Finding]:
    if isinstance(exc, TolokaApiError) and exc.status == 429:
        yield quota_finding(account, exc)
    yield unknown(check, f"They could not be listed: {exc}", "Try again, with a longer --timeout",
                  conn_id=account.conn_id)  # fmt: skip


def _orphans(account: Account, claims: Claims, noun: str, found: list[Training] | list[Pool]) -> Iterator[Finding]:
    conn_id, check = account.conn_id, f"open-{noun}s"
    needed = shown = others = 0
    for each in found:
        claim = claims.of(each)
        if claim.is_needed:
            needed += 1
        elif is_of_other_airflow(each):
            others += 1
        elif (shown := shown + 1) <= MAX_SHOWN:
            text = f"{_named(noun, each)} is open, and no run of this Airflow waits for it: {claim.reason}"
            if claim.is_needed is None:
                yield warn(check, text, f"If nobody needs it, {_close(account, noun, each)}", conn_id=conn_id)
            else:
                yield fail(check, text, f"Unless you left it open on purpose, {_close(account, noun, each)}",
                           conn_id=conn_id)  # fmt: skip
    if shown > MAX_SHOWN:
        remedy = f"Go through the open {noun}s on Toloka's site"
        yield fail(check, f"So are {shown - MAX_SHOWN} more {noun}s", remedy, conn_id=conn_id)
    elif not shown:
        of_others = f"; {others} more are of other Airflows, by their namespace" if others else ""
        text = f"{needed} open, each needed by a run under way or a watcher" if needed else "None is open that is ours"
        yield ok(check, f"{text}{of_others}", conn_id=conn_id)


def _expiry(account: Account, pools: list[Pool], max_open: timedelta) -> Iterator[Finding]:
    conn_id, now = account.conn_id, account.now()
    problems = 0
    for pool in pools:
        text, expires = f"{_named('pool', pool)} is open", read_date(pool.raw.get("will_expire"))
        remedy = (
            "Give OpenPoolOperator an expires_in (or a window its grace), which Toloka keeps to when all of Airflow is "
            f"gone; for this opening, edit will_expire at {_page(account, pool)}"
        )
        if expires is not None and now < expires <= now + max_open:
            continue
        if (problems := problems + 1) > MAX_SHOWN:
            continue
        if expires is None:
            yield warn("pool-expiry", f"{text} without an expiry", remedy, conn_id=conn_id)
        elif expires <= now:
            yield fail(
                "pool-expiry",
                f"{text} although it expired at {expires:%Y-%m-%d %H:%M} UTC",
                f"{_close(account, 'pool', pool).capitalize()}, and check the line `clock`",
                conn_id=conn_id,
            )
        else:
            days = (expires - now).days
            yield warn("pool-expiry", f"{text} and expires only in {days} days, at {expires:%Y-%m-%d}", remedy,
                       conn_id=conn_id)  # fmt: skip
    if problems > MAX_SHOWN:
        remedy = "Go through the open pools on Toloka's site"
        yield warn("pool-expiry", f"So it is with {problems - MAX_SHOWN} more pools", remedy, conn_id=conn_id)
    elif not problems:
        text = f"Each of {len(pools)} open pools expires within {max_open.days} days" if pools else "No pool is open"
        yield ok("pool-expiry", text, conn_id=conn_id)


def _expired_before_opening(account: Account, claims: Claims, opened: set[str], timeout: float) -> Iterator[Finding]:
    """Find pools that a run under way is about to open, but whose expiry is over."""
    client = account.in_time(timeout)
    for pool_id in sorted(claims.under_way() - opened)[:MAX_CLOSED]:
        try:
            pool = client.get_pool(pool_id)
        except (TolokaError, ValueError):  # a training, or what is no id: tasks fail with the reason themselves
            continue
        expires = read_date(pool.raw.get("will_expire"))
        if is_closed(pool) and expires is not None and expires <= account.now():
            yield warn(
                "pool-expiry",
                f"{_named('pool', pool)} is closed, a run under way names it, and its expiry, "
                f"{expires:%Y-%m-%d %H:%M} UTC, is in the past: should the run open it, it closes at once",
                "Set a later will_expire, or give OpenPoolOperator an expires_in, which replaces it at each opening",
                conn_id=account.conn_id,
            )


def _named(noun: str, found: Training) -> str:
    return f"{noun.capitalize()} {found.id}" + (f" ({found.private_name})" if found.private_name else "")


def _close(account: Account, noun: str, found: Training) -> str:
    return f"close it at {_page(account, found)}, or by a task Close{noun.capitalize()}Operator({noun}_id='{found.id}')"


def _page(account: Account, found: Training) -> str:
    return account.client.web_url(found)
