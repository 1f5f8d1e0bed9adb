"""
The client for an Airflow connection, in the triggerer's event loop: one for all who use the connection.

Invariants:

- **A connection that was changed is noticed within the interval of whoever uses it.** Each use says how old the last
  reading may be; if it is older, the connection is read again first, once for all who wait for that. So it is read once
  for each interval, however many waits there are, and by nobody if there are none.
- **A new client means another connection.** As long as its fields are the same, the client is the same object, so its
  users keep their sessions. If it is another one, they drop all that they have from the one before: sessions and
  lists, which may be those of another account.
- **A reading only ever improves.** If it fails, or takes long, the client stays what it was, and a warning says so once
  for each reason. Only without any client is a failure the caller's.
- All of it belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from toloka_airflow._internal import statistics
from toloka_airflow._internal.airflow_internals import fetch_connection
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.hooks import settings_from_connection

if TYPE_CHECKING:
    from toloka_airflow.api.settings import ClientSettings

log = logging.getLogger(__name__)

MAX_THREADS = 64
"""Requests that may be under way on one connection, for one purpose."""
READING_TIMEOUT = 30.0
"""Seconds to wait until Airflow has read a connection."""
READING_DELAY = 2.0
"""Seconds for which others wait for a connection that is read again, before they use it as it was."""

AnswerT = TypeVar("AnswerT")


class SharedClient:
    """
    Give out a client that leaves trying again to its caller.

    :param toloka_conn_id: The connection.
    """

    def __init__(self, toloka_conn_id: str) -> None:
        self.toloka_conn_id = toloka_conn_id
        self._client: TolokaClient | None = None
        self._reading: asyncio.Task[TolokaClient] | None = None
        self._began_at = self._read_at = 0.0
        self._is_refused = False
        self._trouble: str | None = None

    async def get(self, max_age: float) -> TolokaClient:
        """
        Return the client.

        :param max_age: Seconds since the last reading after which the connection is read again.
        :raises AirflowNotFoundException: If Airflow has no such connection, or cannot read it just now; this and the
            following only if there is no client from before.
        :raises TimeoutError: If Airflow does not answer.
        :raises ValueError: If a field of the connection cannot be used.
        """
        client, now = self._client, time.monotonic()
        if client is not None and not self._is_refused and now - self._read_at < max_age:
            return client
        if self._reading is None:
            self._began_at, self._is_refused = now, False
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        reading = self._reading
        if client is None:
            await asyncio.wait({reading})
            return reading.result()
        await asyncio.wait({reading}, timeout=max(0.0, self._began_at + READING_DELAY - now))
        return self._client or client

    def refuse(self, client: TolokaClient, sent_at: float) -> None:
        """
        Have the connection read again before its next use: Toloka refused the token, which may have been changed.

        :param sent_at: Monotonic time of the request that was refused; a reading since then is as good.
        """
        if client is self._client and self._began_at <= sent_at:
            self._is_refused = True

    async def _read(self) -> TolokaClient:
        client, name = self._client, self.toloka_conn_id
        try:
            settings = await _settings(name)
        except Exception as exc:
            if client is None:
                raise
            trouble = str(exc) or repr(exc)
            if trouble != self._trouble:
                log.warning("Could not read connection %s again, so it is used as it was: %s", name, trouble)
            self._trouble = trouble
        else:
            if self._trouble is not None:
                log.info("Connection %s can be read again", name)
            self._trouble = None
            if client is None or settings != client.settings:
                if client is not None:
                    log.info("Connection %s has changed; from now on it is used as it is now", name)
                observer = statistics.observer(name, closes_as="kill")
                client = self._client = TolokaClient(settings, retries=False, observer=observer)
        self._read_at = time.monotonic()
        return client

    def _ended(self, reading: asyncio.Task[TolokaClient]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waited for it may be gone


async def _settings(toloka_conn_id: str) -> ClientSettings:
    async with asyncio.timeout(READING_TIMEOUT):
        connection = await fetch_connection(toloka_conn_id)
        # In a thread of its own, as lists and closes need a connection even while no poll is answered.
        return await in_thread(threads(toloka_conn_id, "connecting"), partial(settings_from_connection, connection))


async def in_thread(executor: Executor, call: Callable[[], AnswerT]) -> AnswerT:
    """Call a function in a thread, with the log context of the caller."""
    return await asyncio.get_running_loop().run_in_executor(executor, partial(copy_context().run, call))


@cache
def threads(toloka_conn_id: str, purpose: str) -> Executor:
    """Return the threads for one connection; the event loop's own few belong to all triggers of all kinds."""
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=f"toloka-{toloka_conn_id}-{purpose}")
