"""Requests to Toloka from the triggerer's event loop, with the credentials of a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary

from toloka_airflow._internal import statistics
from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.triggers.connections import MAX_THREADS, SharedClient, in_thread, threads

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_CONCURRENT_REQUESTS = MAX_THREADS
"""Requests that may be under way on one connection; slow answers hold up nobody until there are so many."""
REQUESTS_PER_SECOND = 200
"""Polls that may begin on one connection, mostly of one request each; Toloka allows 300 requests a second."""
LEAST_PAUSE = 0.9
"""The share of an interval that passes at least between two polls of one wait, as they are not to be in step."""

AnswerT = TypeVar("AnswerT")
_SHARED: WeakValueDictionary[Any, Any] = WeakValueDictionary()


def shared(cls: type[AnswerT], *arguments: Any) -> AnswerT:
    """Return what all in the running event loop share; it lives as long as somebody holds it."""
    key = asyncio.get_running_loop(), cls, *arguments
    found: AnswerT = _SHARED.get(key) or cls(*arguments)
    _SHARED[key] = found
    return found


class Poller:
    """
    Send requests in threads, in turn, however many triggers want to.

    They block neither the event loop nor the threads that other connections, or other triggers, need.

    :param toloka_conn_id: The connection; it is read again at intervals, and after an answer 401 or 403.
    """

    per_second = REQUESTS_PER_SECOND
    purpose = "polls"
    """What has threads of its own."""

    def __init__(self, toloka_conn_id: str) -> None:
        self.toloka_conn_id = toloka_conn_id
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._next_turn = 0.0
        self._client: TolokaClient | None = None
        self._spare: SimpleQueue[TolokaClient] = SimpleQueue()

    @classmethod
    def of(cls, *arguments: Any) -> Self:
        """Return what all in the running event loop share; it lives as long as somebody holds it."""
        return shared(cls, *arguments)

    async def fetch(self, request: Callable[[TolokaClient], AnswerT], interval: float) -> AnswerT:
        """
        Call a function with a client, when it is its turn, and return its answer.

        :param request: It blocks, in a thread, and has the client for itself meanwhile.
        :param interval: Seconds in which a change of the connection is noticed, such as those between two polls.
        :raises AirflowNotFoundException: If Airflow has no such connection, or cannot read it just now.
        :raises ValueError: If a field of the connection cannot be used.
        """
        async with self._slots:
            await self._turn()
            return await self._send(request, await self._connected(interval))

    async def _send(
        self, request: Callable[[TolokaClient], AnswerT], client: TolokaClient, executor: Executor | None = None
    ) -> AnswerT:
        call = partial(self._call, request, client, self._spare)
        sent_at = time.monotonic()
        try:
            return await in_thread(executor or threads(self.toloka_conn_id, self.purpose), call)
        except TolokaApiError as exc:
            if exc.status in (401, 403):
                self._shared_client.refuse(client, sent_at)
            raise

    def _call(
        self, request: Callable[[TolokaClient], AnswerT], client: TolokaClient, spare: SimpleQueue[TolokaClient]
    ) -> AnswerT:
        statistics.count("polls", connection=self.toloka_conn_id, purpose=self.purpose, hostname=statistics.HOSTNAME)
        return _with_own_session(request, client, spare)

    async def _turn(self) -> None:
        now = time.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + 1 / self.per_second
        await asyncio.sleep(turn - now)

    @cached_property
    def _shared_client(self) -> SharedClient:
        return shared(SharedClient, self.toloka_conn_id)

    async def _connected(self, interval: float) -> TolokaClient:
        """Return a client; forget what is about the connection as it was, if that has changed."""
        client = await self._shared_client.get(LEAST_PAUSE * interval)
        if client is not self._client:
            self._client, self._spare = client, SimpleQueue()
            self._forget()
        return client

    def _forget(self) -> None:
        """Forget what was learnt from the connection as it was."""


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
