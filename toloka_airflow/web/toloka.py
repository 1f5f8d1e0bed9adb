"""
What the page fetches from Toloka, with the connections that tasks have used; and never a connection itself.

Each worker process of the API server has one list of open pools for each connection, fetched at most every 10 seconds
however many people have the page open. Nobody waits for Toloka longer than 3 seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow._internal import statistics
from toloka_airflow.api.errors import TolokaApiError, TolokaError, shortened
from toloka_airflow.api.models import Operation, PoolStatus, Training
from toloka_airflow.hooks import TolokaHook, client_from_connection
from toloka_airflow.web.kept import Kept
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
_CODE = re.compile(r"[A-Z0-9_]{1,64}")
MAX_OPERATIONS = 20
MAX_LOG_LINES = 50
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
    """
    A pool and its operations.

    :param logs: What the logs of operations say, by operation.
    """

    pool: Training
    web_url: str
    base_url: str
    currency: str | None
    operations: Sequence[Operation]
    logs: Mapping[str, Sequence[str]]


class Accounts:
    """What one process knows of the accounts of all connections."""

    def __init__(self) -> None:
        self._open: Kept[Refreshed[OpenPools]] = Kept(MAX_KEPT)
        self._details: Kept[Refreshed[PoolDetails]] = Kept(MAX_KEPT)

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
        fetch = partial(_fetch_details, conn_id, pool_id, is_training, operation_ids[:MAX_OPERATIONS])
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


class ConnectionUnusableError(Exception):
    """Report a connection that the API server cannot read; it says nothing of what the connection holds."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(
            f"The connection {conn_id!r} cannot be used here: the API server finds none with this id, or a field of it "
            "has no valid value. `airflow-toloka doctor` says more"
        )


def in_words(error: Exception) -> str:
    """Return what went wrong, for people who may know nothing of the connection: neither its host nor others' texts."""
    if isinstance(error, ConnectionUnusableError):
        return str(error)
    if isinstance(error, TolokaApiError):
        code = f" {error.code}" if error.code and _CODE.fullmatch(error.code) else ""
        return f"Toloka answered {error.status}{code}"
    if isinstance(error, TolokaError) and error.is_transient:
        return "Toloka did not answer in time"
    return "What Toloka answered could not be used; the log of the API server may say more"


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


def _fetch_details(conn_id: str, pool_id: str, is_training: bool, operation_ids: Sequence[str]) -> PoolDetails:
    toloka = client(conn_id, timeout=LIST_TIMEOUT)
    pool: Training = toloka.get_training(pool_id) if is_training else toloka.get_pool(pool_id)
    found = [operation for id_ in operation_ids if (operation := _operation(toloka, id_, pool_id))]
    logs = {operation.id: _log(toloka, operation) for operation in found}
    return PoolDetails(pool, toloka.web_url(pool), toloka.base_url, toloka.currency, found, logs)


def _operation(toloka: TolokaClient, operation_id: str, pool_id: str) -> Operation | None:
    """Return an operation, unless it is gone or about another pool: a record may name any."""
    try:
        operation = toloka.get_operation(operation_id)
    except (TolokaApiError, ValueError):
        return None
    about = {str(operation.parameters.get(name)) for name in ("pool_id", "training_id")}
    return operation if pool_id in about else None


def _log(toloka: TolokaClient, operation: Operation) -> list[str]:
    if not operation.has_log or not operation.is_done:
        return []
    try:
        steps = toloka.get_operation_log(operation.id)
    except TolokaError as exc:
        return [f"The log could not be fetched: {in_words(exc)}"]
    lines = [_step(step) for step in steps[:MAX_LOG_LINES]]
    return [*lines, f"and {len(steps) - MAX_LOG_LINES} more"] if len(steps) > MAX_LOG_LINES else lines


def _step(step: Mapping[str, Any]) -> str:
    """Return a step of a log as a line: what it was, whether it succeeded, and what it says."""
    kind, output = step.get("type") or "step", step.get("output")
    end = {True: "done", False: "failed"}.get(step.get("success"), "unknown")  # type: ignore[arg-type]
    return f"{kind}: {end}" + (f" ({shortened(output)})" if output else "")
