"""
What the page fetches from Toloka, with the connections that tasks have used; and never a connection itself.

Each worker process of the API server has one list of open pools for each connection, fetched at most every 10 seconds
however many people have the page open; a pool's own view, too, without the operations that had ended before. Nobody
waits for Toloka longer than 3 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from toloka_airflow._internal import statistics
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import PoolStatus, Training
from toloka_airflow.hooks import TolokaHook, client_from_connection
from toloka_airflow.web.errors import ConnectionUnusableError
from toloka_airflow.web.kept import Kept
from toloka_airflow.web.operations import LoggedOperation, Operations
from toloka_airflow.web.refreshed import Refreshed, Snapshot

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_WAIT = 3.0
"""Seconds for which a request to the API server may wait for Toloka."""
MIN_PAUSE = 10.0
"""Seconds between two lists of a connection."""
USABLE_FOR = 30.0
"""Seconds for which a list is shown at once, while the next one is fetched."""
LIST_TIMEOUT = 30.0
"""Seconds that a list, which nobody waits for any more, may take."""
MAX_OPERATIONS = 20
MAX_KEPT = 200
"""Pools whose own view is kept."""

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class OpenPools:
    """
    What is open on an account.

    :param pools: Pools and trainings by id.
    :param balance: Money on the account; ``None`` if it is not known.
    :param currency: Of all amounts; ``None`` where it is not documented.
    :param web_urls: The addresses of their pages, by id.
    :param base_url: Where the API is served: an id is that of one pool there, with any connection.
    """

    pools: Mapping[str, Training]
    balance: Decimal | None
    currency: str | None
    web_urls: Mapping[str, str]
    base_url: str


@dataclass(frozen=True)
class PoolDetails:
    """A pool and its operations."""

    pool: Training
    web_url: str
    base_url: str
    currency: str | None
    operations: Sequence[LoggedOperation]


class Accounts:
    """What one process knows of the accounts of all connections."""

    def __init__(self) -> None:
        self._open: Kept[Refreshed[OpenPools]] = Kept(MAX_KEPT)
        self._details: Kept[Refreshed[PoolDetails]] = Kept(MAX_KEPT)
        self._operations = Operations()

    def open_pools(self, conn_ids: Iterable[str]) -> dict[str, Snapshot[OpenPools]]:
        """Return what is open, with each of some connections, by its id."""
        lists = {conn_id: self._list(conn_id) for conn_id in conn_ids}
        for each in lists.values():  # all at once, so that slow ones are not waited for one after the other
            each.start()
        return {conn_id: each.get() for conn_id, each in lists.items()}

    def known_open_pools(self, conn_id: str) -> OpenPools | None:
        """Return what was open when it was listed last, without waiting for Toloka; ``None`` if it never was."""
        return self._list(conn_id).start().value

    def details(
        self, conn_id: str, pool_id: str, *, is_training: bool, operation_ids: Sequence[str]
    ) -> tuple[Snapshot[OpenPools], Snapshot[PoolDetails]]:
        """Return what is open with a connection, and a pool with those of some operations that are about it."""
        key = conn_id, pool_id, is_training, *operation_ids[:MAX_OPERATIONS]
        fetch = partial(_fetch_details, self._operations, conn_id, pool_id, is_training, operation_ids[:MAX_OPERATIONS])
        details = self._details.get(key, partial(_refreshed, fetch))
        details.start()
        return self.open_pools([conn_id])[conn_id], details.get()

    def _list(self, conn_id: str) -> Refreshed[OpenPools]:
        return self._open.get(conn_id, partial(_refreshed, partial(_fetch_open, conn_id)))


def client(conn_id: str, *, timeout: float) -> TolokaClient:
    """
    Return a client for a connection.

    :param timeout: Seconds from now in which all its requests must have ended.
    :raises ConnectionUnusableError: If there is no such connection, or it cannot be used.
    """
    try:
        observer = statistics.observer(conn_id, closes_as="page")
        conn = TolokaHook.get_connection(conn_id)
        return client_from_connection(conn, observer=observer).without_retries(timeout=timeout)
    except Exception:  # its text may quote what is secret
        raise ConnectionUnusableError(conn_id) from None


def _refreshed(fetch: Callable[[], ValueT]) -> Refreshed[ValueT]:
    return Refreshed(fetch, min_pause=MIN_PAUSE, max_wait=MAX_WAIT, usable_for=USABLE_FOR)


def _fetch_open(conn_id: str) -> OpenPools:
    toloka = client(conn_id, timeout=LIST_TIMEOUT)
    found: list[Training] = [*toloka.list_pools(status=PoolStatus.OPEN), *toloka.list_trainings(status=PoolStatus.OPEN)]
    try:
        balance = toloka.get_requester().balance
    except TolokaError:  # the pools are worth more
        balance = None
    urls = {each.id: toloka.web_url(each) for each in found}
    return OpenPools({each.id: each for each in found}, balance, toloka.currency, urls, toloka.base_url)


def _fetch_details(
    operations: Operations, conn_id: str, pool_id: str, is_training: bool, operation_ids: Sequence[str]
) -> PoolDetails:
    toloka = client(conn_id, timeout=LIST_TIMEOUT)
    pool: Training = toloka.get_training(pool_id) if is_training else toloka.get_pool(pool_id)
    found = operations.fetch(toloka, pool, operation_ids)
    return PoolDetails(pool, toloka.web_url(pool), toloka.base_url, toloka.currency, found)
