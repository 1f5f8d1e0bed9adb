"""Requests to Toloka from the triggerer's event loop, with the credentials of a connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from toloka_airflow._internal.airflow_internals import fetch_connection
from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.hooks import client_from_connection

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

log = logging.getLogger(__name__)

MAX_CONCURRENT_REQUESTS = 64
"""Requests that may be under way on one connection; slow answers hold up nobody until there are so many."""
REQUESTS_PER_SECOND = 200
"""Polls that may begin on one connection, mostly of one request each; Toloka allows 300 requests a second."""
CONNECTION_MAX_AGE = 300.0
"""Seconds after which an Airflow connection is read again."""
CONNECTION_TIMEOUT = 30.0
"""Seconds to wait until Airflow has read it."""

AnswerT = TypeVar("AnswerT")
_SHARED: WeakValueDictionary[Any, Any] = WeakValueDictionary()


class Poller:
    """
    Send requests in threads, in turn, however many triggers want to.

    They block neither the event loop nor the threads that other connections, or other triggers, need.

    :param toloka_conn_id: The connection; it is read again now and then, and after an answer 401 or 403.
    """

    per_second = REQUESTS_PER_SECOND
    purpose = "polls"
    """What has threads of its own."""

    def __init__(self, toloka_conn_id: str) -> None:
        self.toloka_conn_id = toloka_conn_id
        self._connecting = asyncio.Lock()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._next_turn = 0.0
        self._client: TolokaClient | None = None
        self._spare: SimpleQueue[TolokaClient] = SimpleQueue()
        self._read_at = 0.0

    @classmethod
    def of(cls, *arguments: Any) -> Self:
        """Return what all in the running event loop share; it lives as long as somebody holds it."""
        key = asyncio.get_running_loop(), cls, *arguments
        poller: Self = _SHARED.get(key) or cls(*arguments)
        _SHARED[key] = poller
        return poller

    async def fetch(self, request: Callable[[TolokaClient], AnswerT]) -> AnswerT:
        """
        Call a function with a client, when it is its turn, and return its answer.

        :param request: It blocks, in a thread, and has the client for itself meanwhile.
        :raises AirflowNotFoundException: If Airflow has no such connection, or cannot read it just now.
        :raises ValueError: If a field of the connection cannot be used.
        """
        async with self._slots:
            await self._turn()
            return await self._send(request)

    async def _send(self, request: Callable[[TolokaClient], AnswerT], executor: Executor | None = None) -> AnswerT:
        client = await self._connected()
        call = partial(_with_own_session, request, client, self._spare)
        try:
            return await in_thread(executor or threads(self.toloka_conn_id, self.purpose), call)
        except TolokaApiError as exc:
            if exc.status in (401, 403) and client is self._client:
                self._client = None  # the token may have been changed
            raise

    async def _turn(self) -> None:
        now = time.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + 1 / self.per_second
        await asyncio.sleep(turn - now)

    async def _connected(self) -> TolokaClient:
        """Return a client that leaves trying again to its caller."""
        async with self._connecting:
            if self._client is not None and time.monotonic() - self._read_at < CONNECTION_MAX_AGE:
                return self._client
            try:
                self._client = await connect(self.toloka_conn_id)
            except (AirflowNotFoundException, PermissionError, TimeoutError, ValueError) as exc:
                if self._client is None:
                    raise
                log.warning("Could not read connection %s again, so it is used as it was: %r", self.toloka_conn_id, exc)
            self._read_at = time.monotonic()
            self._spare = SimpleQueue()
            self._spare.put(self._client)
            return self._client


async def connect(toloka_conn_id: str) -> TolokaClient:
    """
    Return a client without retries for a connection, without blocking the event loop.

    :raises TimeoutError: If Airflow does not answer.
    """
    async with asyncio.timeout(CONNECTION_TIMEOUT):
        connection = await fetch_connection(toloka_conn_id)
        # In a thread of its own, as lists and closes need a connection even while no poll is answered.
        client = await in_thread(threads(toloka_conn_id, "connecting"), partial(client_from_connection, connection))
    return client.without_retries()


async def in_thread(executor: Executor, call: Callable[[], AnswerT]) -> AnswerT:
    """Call a function in a thread, with the log context of the caller."""
    return await asyncio.get_running_loop().run_in_executor(executor, partial(copy_context().run, call))


@cache
def threads(toloka_conn_id: str, purpose: str) -> Executor:
    """Return the threads for one connection; the event loop's own few belong to all triggers of all kinds."""
    return ThreadPoolExecutor(MAX_CONCURRENT_REQUESTS, thread_name_prefix=f"toloka-{toloka_conn_id}-{purpose}")


def _with_own_session(
    request: Callable[[TolokaClient], AnswerT], client: TolokaClient, spare: SimpleQueue[TolokaClient]
) -> AnswerT:
    """Send a request with a session that no other thread uses meanwhile."""
    try:
        own = spare.get_nowait()
    except Empty:
        own = client.with_own_session()
    try:
        return request(own)
    finally:
        spare.put(own)
