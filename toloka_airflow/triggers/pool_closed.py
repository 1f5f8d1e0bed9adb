"""Watch pools from the triggerer, so that DAGs start by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.triggers.base import TriggerEvent

from toloka_airflow._internal.airflow_internals import asset_state_store
from toloka_airflow._internal.arguments import parse_seconds
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Pool, read_date
from toloka_airflow.api.pool_rules import has_closed_since, is_idle, last_close_was_for_update, why_unknown
from toloka_airflow.triggers.lists import PoolPoller
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.shared_polling import SharedPoller, SharedPollingTrigger, idle_interval, next_fetch

MAX_PAUSE = 900.0
EVENT_ON_ITS_WAY = 3.0
"""Seconds until an event of a trigger is surely in Airflow's database."""
WATERMARK = "toloka_pool_last_stopped"
NEVER = datetime.min.replace(tzinfo=UTC)


class PoolClosedTrigger(SharedPollingTrigger):
    """
    Report each close of a pool once, for an `AssetWatcher`, so that a DAG starts when the pool closes.

    The event is ``{"pool_id", "status", "close_reason", "closed_at"}``. Its status is OPEN if the pool was reopened
    before it was polled; of several closes between two polls the last one counts. Not reported are closes from before
    the watch began, and the close for an update, after which Toloka reopens the pool by itself.

    What was reported is kept in the state store of the asset, so that a restart neither loses nor repeats a close.
    A triggerer that is killed within three seconds of an event may report it again, with the same ``closed_at``.
    Airflow before 3.3 has no such store, nor is there one if several assets have a watcher with equal arguments:
    then every start of the triggerer begins a new watch, and a close while no triggerer runs is not reported.

    On Airflow 3.3 all who wait for pools of the connection at the same interval share one list of open pools.

    It never ends: what Toloka or Airflow refuse, and a status of the pool that this version does not know, is logged
    and tried again, ever more seldom, in the end every 15 minutes.

    :param pool_id: The pool.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param poll_interval: Seconds between two polls.
    """

    poller_type = PoolPoller

    def __init__(
        self, *, pool_id: str, toloka_conn_id: str = "toloka_default", poll_interval: float | timedelta = 60.0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pool_id = checked_id("pool_id", pool_id)
        self.toloka_conn_id = toloka_conn_id
        self.poll_interval = parse_seconds("poll_interval", poll_interval)
        self._pause = self.poll_interval
        self._not_before = self._idle_until = 0.0
        self._fetch_at = next_fetch()
        self._reported: datetime | None = None
        self._stored: datetime | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with; equal ones are one trigger for Airflow."""
        arguments = {
            "pool_id": self.pool_id,
            "toloka_conn_id": self.toloka_conn_id,
            "poll_interval": self.poll_interval,
        }
        return f"toloka_airflow.triggers.{type(self).__name__}", arguments

    def shared_by(self) -> tuple[str, float]:
        """Return connection and interval."""
        return self.toloka_conn_id, self.poll_interval

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each close, polling by id."""
        poller = Poller.of(self.toloka_conn_id)
        while True:
            async for event in self._events(partial(poller.fetch, self._get, self.poll_interval)):
                yield event
            await asyncio.sleep(max(self.poll_interval, self._not_before - time.monotonic()))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[None]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each close, polling when it is notified by the list of open pools."""
        poller: SharedPoller[Pool] = PoolPoller.of(*self.shared_by())
        with poller.subscribe(self.pool_id) as subscription:
            await subscription.notified(idle_interval(self.poll_interval))
            while poller.is_running:
                async for event in self._events(partial(self._fetch_shared, poller)):
                    yield event
                failed_for = self._not_before - time.monotonic()
                await subscription.notified(failed_for if failed_for > 0 else idle_interval(self.poll_interval))
        async for event in self.run():
            yield event

    async def _events(self, fetch: Callable[[], Awaitable[Pool | None]]) -> AsyncIterator[TriggerEvent]:
        """Poll, and yield an event if there is a close to report."""
        if time.monotonic() < self._not_before:
            return
        try:
            await self._remember()
            close = await self._new_close(fetch)
        except Exception as exc:  # Airflow starts a watcher that ends again at once, so none may end
            self._pause = min(2 * self._pause, max(MAX_PAUSE, self.poll_interval))
            self._not_before = time.monotonic() + self._pause
            self.log.warning("Pool %s could not be watched, trying again in %.0f s: %s", self.pool_id, self._pause, exc)
            return
        self._pause = self.poll_interval
        if close is not None:
            yield TriggerEvent(close)
            await asyncio.sleep(EVENT_ON_ITS_WAY)
            with suppress(Exception):  # the next poll tries it again
                await self._remember()

    async def _new_close(self, fetch: Callable[[], Awaitable[Pool | None]]) -> dict[str, Any] | None:
        """Return the close that is to be reported next, if there is one."""
        pool = await fetch()
        if pool is None:
            return None
        if unknown := why_unknown(pool):
            raise TolokaError(f"it is {unknown}")
        self._idle_until = time.monotonic() + idle_interval(self.poll_interval) if is_idle(pool) else 0.0
        if self._reported is None:
            self._reported = pool.last_stopped or NEVER
            await self._remember()
        if not has_closed_since(pool, self._reported):
            return None
        self._reported = pool.last_stopped
        return None if last_close_was_for_update(pool) else pool.summary()

    async def _fetch_shared(self, poller: SharedPoller[Pool]) -> Pool | None:
        if not poller.is_listed(self.pool_id) and time.monotonic() < self._idle_until:
            return None
        if time.monotonic() < self._fetch_at:
            return await poller.cached(self.pool_id, self._get)
        self._fetch_at = next_fetch()
        return await poller.fetch(self._get, self.poll_interval)

    def _get(self, client: Any) -> Pool:
        pool: Pool = client.get_pool(self.pool_id)
        return pool

    async def _remember(self) -> None:
        """Store what was reported, if it is not yet."""
        if self._reported is None:
            self._reported = self._stored = await self._recall()
        elif self._stored != self._reported:
            await self._store(self._reported)

    async def _recall(self) -> datetime | None:
        """Return which close was reported last, ``None`` if nothing is known."""
        if (store := asset_state_store(self)) is None:
            return None
        try:
            return read_date(await store.aget(WATERMARK))
        except ValueError as exc:  # several assets
            self.log.warning("Closes of pool %s while no triggerer runs will be missed: %s", self.pool_id, exc)
            return None

    async def _store(self, reported: datetime) -> None:
        if (store := asset_state_store(self)) is not None:
            with suppress(ValueError):
                await store.aset(WATERMARK, reported.isoformat())
        self._stored = reported
