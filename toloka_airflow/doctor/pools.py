"""Open pools and trainings: whether anybody waits for them, and when they end if nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.api.errors import TolokaApiError, TolokaError
from toloka_airflow.api.models import Pool, PoolStatus, Training, read_date
from toloka_airflow.api.pool_rules import is_closed
from toloka_airflow.doctor.accounts import Account, quota_finding
from toloka_airflow.doctor.claims import Claim, Claims, is_of_other_airflow
from toloka_airflow.doctor.connections import connection
from toloka_airflow.doctor.findings import Finding, fail, ok, unknown, warn
from toloka_airflow.hooks import settings_from_connection

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_CLOSED = 50
"""How many pools that runs under way name, but which are not open, are requested by id."""
LATE = timedelta(minutes=1)
"""How long after its expiry a pool may still be open, as Toloka has to notice it."""
MAX_SHOWN = 20
"""How many pools are named one by one for each kind of finding."""


def probe_pools(account: Account, *, timeout: float, max_open: timedelta) -> Iterator[Finding]:
    """Compare the account's open pools with what Airflow's database knows, and check their expiry."""
    client, claims = account.in_time(timeout), Claims(_doubt(account), account.skew)
    fetch = partial(client.list_pools, status=PoolStatus.OPEN)
    try:
        account.open_pools = pools = list(fetch())
        found = list(_orphans(account, claims, "pool", pools, fetch))
    except TolokaError as exc:
        yield from _not_listed(account, "open-pools", exc)
        return
    yield from found
    yield from _expiry(account, pools, max_open)
    yield from _expired_before_opening(account, claims, {pool.id for pool in pools}, client)


def probe_trainings(account: Account, *, timeout: float) -> Iterator[Finding]:
    """Compare the account's open trainings with what Airflow's database knows."""
    client, claims = account.in_time(timeout), Claims(_doubt(account), account.skew)
    fetch = partial(client.list_trainings, status=PoolStatus.OPEN)
    try:
        trainings = list(fetch())
        pools = account.open_pools
        if pools is None and trainings:
            pools = list(client.list_pools(status=PoolStatus.OPEN))
        required = [pool for pool in pools or () if pool.training_id] if trainings else []
        of_pools = claims.of(required)
        needed = {pool.training_id for pool in required if of_pools[pool.id].is_needed or is_of_other_airflow(pool)}
        unclear = {pool.training_id: pool.id for pool in required if of_pools[pool.id].is_needed is None}
        left = [each for each in trainings if each.id not in needed]
        found = list(_orphans(account, claims, "training", left, fetch, unclear))
    except TolokaError as exc:
        yield from _not_listed(account, "open-trainings", exc)
        return
    yield from found


def _doubt(account: Account) -> Callable[[str], str | None]:
    """
    Return a function of the id of a connection: why it may be to another Toloka than the account.

    Ids are unique at an address. Who has which token there says nothing: an account may have several.
    """
    own = account.client.settings

    @cache
    def doubt(conn_id: str) -> str | None:
        try:
            address = settings_from_connection(connection(conn_id)).base_url
        except Exception:  # no such connection, or one that cannot be used; its text may quote what is secret
            return f"the connection {conn_id!r}, which it has, cannot be read here"
        return None if address == own.base_url else f"the connection {conn_id!r}, which it has, is to {address}"

    return doubt


def _not_listed(account: Account, check: str, exc: TolokaError) -> Iterator[Finding]:
    if isinstance(exc, TolokaApiError) and exc.status == 429:
        yield quota_finding(account, exc)
    yield unknown(check, f"They could not be listed: {exc}", "Try again, with a longer --timeout",
                  conn_id=account.conn_id)  # fmt: skip


def _orphans(
    account: Account,
    claims: Claims,
    noun: str,
    found: Sequence[Training],
    fetch: Callable[[], Iterable[Training]],
    unclear: Mapping[str | None, str] | None = None,
) -> Iterator[Finding]:
    """
    Give those that nobody needs, what is certain first.

    :param fetch: Lists those that are open; what a run has closed since it was listed before is none of them.
    :param unclear: The open pool that requires a training, by its id, if it is not known whether that pool is needed.
    """
    conn_id, check = account.conn_id, f"open-{noun}s"
    own = [each for each in found if not is_of_other_airflow(each)]
    by_id = claims.of(own)
    for id_, pool_id in (unclear or {}).items():
        if id_ in by_id and by_id[id_].is_needed is False:
            by_id[id_] = Claim(f"{by_id[id_].reason}; but pool {pool_id} requires it, which somebody may need", None)
    left = [each for each in own if not by_id[each.id].is_needed]
    if left:
        still_open = {each.id for each in fetch()}
        left = [each for each in left if each.id in still_open]
    certain = [each for each in left if by_id[each.id].is_needed is False]
    unsure = [each for each in left if by_id[each.id].is_needed is None]
    for some, make, no_run, when in (
        (certain, fail, "no run of this Airflow waits for it", "Unless you left it open on purpose"),
        (unsure, warn, "no run of this Airflow is known to wait for it", "If nobody needs it"),
    ):
        for each in some[:MAX_SHOWN]:
            text = f"{_named(noun, each)} is open, and {no_run}: {by_id[each.id].reason}"
            yield make(check, text, f"{when}, {_close(account, noun, each)}", conn_id=conn_id)
        if len(some) > MAX_SHOWN:
            remedy = f"Go through the open {noun}s on Toloka's site"
            yield make(check, f"So are {len(some) - MAX_SHOWN} more {noun}s", remedy, conn_id=conn_id)
    if not left:
        needed = sum(1 for claim in by_id.values() if claim.is_needed)
        others = len(found) - len(own)
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
        if expires is not None and now - LATE < expires <= now + max_open:
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
            late = f"{text} and expires only in {counted(days, 'day')}, at {expires:%Y-%m-%d}"
            yield warn("pool-expiry", late, remedy, conn_id=conn_id)
    if problems > MAX_SHOWN:
        remedy = "Go through the open pools on Toloka's site"
        yield warn(
            "pool-expiry", f"So it is with {counted(problems - MAX_SHOWN, 'more pool')}", remedy, conn_id=conn_id
        )
    elif not problems:
        which = plural(len(pools), "The open pool", f"Each of {len(pools)} open pools")
        text = f"{which} expires within {counted(max_open.days, 'day')}" if pools else "No pool is open"
        yield ok("pool-expiry", text, conn_id=conn_id)


def _expired_before_opening(
    account: Account, claims: Claims, opened: set[str], client: TolokaClient
) -> Iterator[Finding]:
    """Find pools that a run under way is about to open, but whose expiry is over."""
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
