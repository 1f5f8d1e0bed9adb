"""Watching pools in the triggerer, so that DAGs start by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from toloka_airflow.api.models import CloseReason, PoolStatus, read_date
from toloka_airflow.api.transport import checked_id
from toloka_airflow.triggers import closing_facts, connect

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

LONGEST_PAUSE = 900.0
EVENT_ON_ITS_WAY = 3.0
"""Seconds until an event of a trigger is surely in Airflow's database."""
WATERMARK = "toloka_pool_last_stopped"
NEVER = datetime.min.replace(tzinfo=UTC)


class PoolClosedTrigger(BaseEventTrigger):
    """
    Tell each closing of a pool once, for an `AssetWatcher`, so that a DAG starts when the pool closes.

    The event is ``{"pool_id", "status", "close_reason", "closed_at"}``. Its status is OPEN if the pool was reopened
    before it was looked at; of several closings between two looks the last one counts. Not told are closings from
    before the watch began, and the closing for an update, after which Toloka reopens the pool by itself.

    What was told is kept in the state store of the asset, so that a restart neither loses nor repeats a closing.
    A triggerer that is killed within three seconds of an event may tell it again, with the same ``closed_at``.
    Airflow before 3.3 has no such store, nor is there one if several assets have a watcher with equal arguments:
    then every start of the triggerer begins a new watch, and a closing while no triggerer runs is not told.

    It never ends: what Toloka or Airflow refuse is logged and asked again, ever more seldom, in the end every 15
    minutes.

    :param pool_id: The pool.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param poll_interval: Seconds between two looks.
    """

    def __init__(self, *, pool_id: str, toloka_conn_id: str = "toloka_default", poll_interval: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pool_id = checked_id("pool_id", pool_id)
        self.toloka_conn_id = toloka_conn_id
        if not 0 < poll_interval < float("inf"):
            raise ValueError(f"poll_interval is {poll_interval!r}; it must be a positive number of seconds")
        self.poll_interval = poll_interval
        self._client: TolokaClient | None = None
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

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each closing."""
        pause = self.poll_interval
        while True:
            try:
                closing = await self._look()
            except Exception as exc:  # Airflow starts a watcher that ends again at once, so none may end
                self._client = None  # the connection may be mended meanwhile
                pause = min(2 * pause, max(LONGEST_PAUSE, self.poll_interval))
                self.log.warning("Could not watch pool %s, trying again in %.0f s: %s", self.pool_id, pause, exc)
            else:
                pause = self.poll_interval
                if closing is not None:
                    yield TriggerEvent(closing)
                    await asyncio.sleep(EVENT_ON_ITS_WAY)
                    continue  # to store that it was told
            await asyncio.sleep(pause)

    async def _look(self) -> dict[str, Any] | None:
        """Return the closing that is to be told next, if there is one; what was told before is stored now."""
        self._client = self._client or await connect(self.toloka_conn_id)
        if self._told is None:
            self._told = self._stored = await self._recall()
        pool = await asyncio.to_thread(self._client.get_pool, self.pool_id)
        stopped = pool.last_stopped or NEVER
        if self._told is None:
            self._told = stopped
        if self._stored != self._told:
            await self._store(self._told)
        if pool.status == PoolStatus.LOCKED or stopped <= self._told:
            return None
        self._told = stopped
        return None if pool.last_close_reason == CloseReason.FOR_UPDATE else closing_facts(pool)

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
