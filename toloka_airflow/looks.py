"""Looking at Toloka from the triggerer, by id."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.api.models import Operation, Pool
from toloka_airflow.hooks import client_from_connection

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

log = logging.getLogger(__name__)

LOOKS_AT_A_TIME = 64
"""Looks that may be under way on one connection; slow answers hold up nobody until there are so many."""
LOOKS_PER_SECOND = 200
"""Looks that may begin on one connection, of a request each for what goes on; Toloka allows 300 requests a second."""
CONNECTION_AGE = 300.0
"""Seconds after which an Airflow connection is read again."""
CONNECTION_TIMEOUT = 30.0
"""Seconds to wait for Airflow to tell it."""

SubjectT = TypeVar("SubjectT", Operation, Pool)
AnswerT = TypeVar("AnswerT")
_SHARED: WeakValueDictionary[Any, Any] = WeakValueDictionary()


class Looks(Generic[SubjectT]):
    """
    Ask Toloka by id, with the credentials of a connection.

    Asking blocks neither the event loop nor the threads that other connections, or other triggers, need. It is in turn,
    however many want to.

    :param toloka_conn_id: The connection; it is read again now and then, and after an answer 401 or 403.
    """

    is_shared = False
    per_second = LOOKS_PER_SECOND
    purpose = "looks"
    """What has threads of its own."""

    def __init__(self, toloka_conn_id: str) -> None:
        self.toloka_conn_id = toloka_conn_id
        self._connecting = asyncio.Lock()
        self._places = asyncio.Semaphore(LOOKS_AT_A_TIME)
        self._next_turn = 0.0
        self._client: TolokaClient | None = None
        self._spare: SimpleQueue[TolokaClient] = SimpleQueue()
        self._read_at = 0.0

    @classmethod
    def of(cls, *arguments: Any) -> Self:
        """Return what all in the running event loop share; it lives as long as somebody holds it."""
        key = asyncio.get_running_loop(), cls, *arguments
        looks: Self = _SHARED.get(key) or cls(*arguments)
        _SHARED[key] = looks
        return looks

    async def see(self, subject_id: str, ask: Callable[[TolokaClient], SubjectT]) -> SubjectT | None:
        """Return how something is, ``None`` if it is known to go on."""
        return await self.look(ask)

    def names(self, subject_id: str) -> bool:
        """Return whether something is listed."""
        return False

    async def look(self, ask: Callable[[TolokaClient], AnswerT]) -> AnswerT:
        """
        Ask, whatever is listed.

        :raises AirflowNotFoundException: If Airflow has no such connection, or cannot read it just now.
        :raises ValueError: If a field of the connection cannot be used.
        """
        async with self._places:
            await self._turn()
            return await self._ask(ask)

    async def _ask(self, ask: Callable[[TolokaClient], AnswerT]) -> AnswerT:
        client = await self.connected()
        return await self._in_thread(threads(self.toloka_conn_id, self.purpose), client, ask)

    async def _turn(self) -> None:
        now = time.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + 1 / self.per_second
        await asyncio.sleep(turn - now)

    async def connected(self) -> TolokaClient:
        """Return a client that leaves trying again to its caller."""
        async with self._connecting:
            if self._client is None or time.monotonic() - self._read_at > CONNECTION_AGE:
                self._client, self._read_at = await self._connect_again(self._client), time.monotonic()
                self._spare = SimpleQueue()
                self._spare.put(self._client)
            return self._client

    async def _connect_again(self, client: TolokaClient | None) -> TolokaClient:
        try:
            return await connect(self.toloka_conn_id)
        except (AirflowNotFoundException, PermissionError, TimeoutError, ValueError) as exc:
            if client is None:
                raise
            log.warning("Could not read connection %s again, going on with what it was: %r", self.toloka_conn_id, exc)
            return client

    async def _in_thread(
        self, executor: Executor, client: TolokaClient, ask: Callable[[TolokaClient], AnswerT]
    ) -> AnswerT:
        try:
            return await in_thread(executor, partial(_ask, ask, client, self._spare))
        except TolokaApiError as exc:
            if exc.status in (401, 403) and client is self._client:
                self._client = None  # the token may have been changed
            raise


async def connect(toloka_conn_id: str) -> TolokaClient:
    """
    Return an impatient client for a connection, without blocking the event loop.

    :raises TimeoutError: If Airflow does not tell it.
    """
    # Workers import this module as well, and never need it.
    from airflow.providers.common.compat.connection import get_async_connection

    async with asyncio.timeout(CONNECTION_TIMEOUT):
        connection = await get_async_connection(toloka_conn_id)
        # In a thread of its own, as lists and closings need a connection even while no look is answered.
        client = await in_thread(threads(toloka_conn_id, "connecting"), partial(client_from_connection, connection))
    return client.without_retries()


async def in_thread(executor: Executor, ask: Callable[[], AnswerT]) -> AnswerT:
    """Call a function in a thread, with the log context of the caller."""
    return await asyncio.get_running_loop().run_in_executor(executor, partial(copy_context().run, ask))


@cache
def threads(toloka_conn_id: str, purpose: str) -> Executor:
    """Return the threads that ask on one connection; the event loop's own few belong to all triggers of all kinds."""
    return ThreadPoolExecutor(LOOKS_AT_A_TIME, thread_name_prefix=f"toloka-{toloka_conn_id}-{purpose}")


def _ask(ask: Callable[[Any], AnswerT], client: TolokaClient, spare: SimpleQueue[TolokaClient]) -> AnswerT:
    """Ask with a session that no other thread uses meanwhile."""
    try:
        own = spare.get_nowait()
    except Empty:
        own = client.with_own_session()
    try:
        return ask(own)
    finally:
        spare.put(own)
