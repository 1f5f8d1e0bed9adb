"""Watching pools in the triggerer, so that DAGs start by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import TriggerEvent

from toloka_airflow.api.models import CloseReason, Pool, PoolStatus, read_date
from toloka_airflow.api.transport import checked_id
from toloka_airflow.arguments import positive
from toloka_airflow.looks import Looks
from toloka_airflow.streams import PoolLooks, SharingTrigger, next_look, slow
from toloka_airflow.triggers import closing_facts

LONGEST_PAUSE = 900.0
EVENT_ON_ITS_WAY = 3.0
"""Seconds until an event of a trigger is surely in Airflow's database."""
WATERMARK = "toloka_pool_last_stopped"
NEVER = datetime.min.replace(tzinfo=UTC)


class PoolClosedTrigger(SharingTrigger):
    """
    Tell each closing of a pool once, for an `AssetWatcher`, so that a DAG starts when the pool closes.

    The event is ``{"pool_id", "status", "close_reason", "closed_at"}``. Its status is OPEN if the pool was reopened
    before it was looked at; of several closings between two looks the last one counts. Not told are closings from
    before the watch began, and the closing for an update, after which Toloka reopens the pool by itself.

    What was told is kept in the state store of the asset, so that a restart neither loses nor repeats a closing.
    A triggerer that is killed within three seconds of an event may tell it again, with the same ``closed_at``.
    Airflow before 3.3 has no such store, nor is there one if several assets have a watcher with equal arguments:
    then every start of the triggerer begins a new watch, and a closing while no triggerer runs is not told.

    On Airflow 3.3 all who wait for pools of the connection at the same interval share one list of open pools.

    It never ends: what Toloka or Airflow refuse is logged and asked again, ever more seldom, in the end every 15
    minutes.

    :param pool_id: The pool.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param poll_interval: Seconds between two looks.
    """

    shared_looks = PoolLooks

    def __init__(self, *, pool_id: str, toloka_conn_id: str = "toloka_default", poll_interval: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pool_id = checked_id("pool_id", pool_id)
        self.toloka_conn_id = toloka_conn_id
        self.poll_interval = positive("poll_interval", poll_interval)
        self._pause = self.poll_interval
        self._not_before = self._at_rest_until = 0.0
        self._look_again_at = next_look()
        self._told: datetime | None = None
        self._stored: datetime | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with; equal ones are one trigger for Airflow."""
        arguments = {
            "pool_id": self.pool_id,
            "toloka_conn_id": self.toloka_conn_id,
            "poll_interval": self.poll_interval,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def filter_shared_stream(self, shared_stream: AsyncIterator[None]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each closing, looking when the list of open pools has something to tell."""
        looks = PoolLooks.of(self.toloka_conn_id, self.poll_interval)
        with looks.watch(self.pool_id) as watch:
            await watch.news(slow(self.poll_interval))
            while looks.is_kept_up:
                async for event in self._events(looks):
                    yield event
                failed_for = self._not_before - time.monotonic()
                await watch.news(failed_for if failed_for > 0 else slow(self.poll_interval))
        async for event in self.run():
            yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each closing, looking by id at every interval."""
        looks: Looks[Pool] = Looks.of(self.toloka_conn_id)
        while True:
            async for event in self._events(looks):
                yield event
            await asyncio.sleep(max(self.poll_interval, self._not_before - time.monotonic()))

    async def _events(self, looks: Looks[Pool]) -> AsyncIterator[TriggerEvent]:
        """Look, and yield an event if there is a closing to tell."""
        if time.monotonic() < self._not_before:
            return
        try:
            await self._remember()
            closing = await self._look(looks)
        except Exception as exc:  # Airflow starts a watcher that ends again at once, so none may end
            self._pause = min(2 * self._pause, max(LONGEST_PAUSE, self.poll_interval))
            self._not_before = time.monotonic() + self._pause
            self.log.warning("Could not watch pool %s, trying again in %.0f s: %s", self.pool_id, self._pause, exc)
            return
        self._pause = self.poll_interval
        if closing is not None:
            yield TriggerEvent(closing)
            await asyncio.sleep(EVENT_ON_ITS_WAY)
            with suppress(Exception):  # the next look tries it again
                await self._remember()

    async def _remember(self) -> None:
        """Store what was told, if it is not yet."""
        if self._told is None:
            self._told = self._stored = await self._recall()
        elif self._stored != self._told:
            await self._store(self._told)

    async def _look(self, looks: Looks[Pool]) -> dict[str, Any] | None:
        """Return the closing that is to be told next, if there is one."""
        if looks.is_shared and not looks.names(self.pool_id) and time.monotonic() < self._at_rest_until:
            return None
        pool = await self._ask(looks)
        if pool is None:
            return None
        at_rest = pool.status in (PoolStatus.CLOSED, PoolStatus.ARCHIVED)
        self._at_rest_until = time.monotonic() + slow(self.poll_interval) if at_rest else 0.0
        stopped = pool.last_stopped or NEVER
        if self._told is None:
            self._told = stopped
            await self._remember()
        if pool.status == PoolStatus.LOCKED or stopped <= self._told:
            return None
        self._told = stopped
        return None if pool.last_close_reason == CloseReason.FOR_UPDATE else closing_facts(pool)

    async def _ask(self, looks: Looks[Pool]) -> Pool | None:
        if time.time() < self._look_again_at:
            return await looks.see(self.pool_id, lambda client: client.get_pool(self.pool_id))
        self._look_again_at = next_look()
        return await looks.look(lambda client: client.get_pool(self.pool_id))

    async def _recall(self) -> datetime | None:
        """Return which closing was told last, ``None`` if nothing is known."""
        if (store := getattr(self, "asset_state_store", None)) is None:
            return None
        try:
            return read_date(await store.aget(WATERMARK))
        except ValueError as exc:  # several assets
            self.log.warning("Closings of pool %s while no triggerer runs will be missed: %s", self.pool_id, exc)
            return None

    async def _store(self, told: datetime) -> None:
        if (store := getattr(self, "asset_state_store", None)) is not None:
            with suppress(ValueError):
                await store.aset(WATERMARK, told.isoformat())
        self._stored = told
