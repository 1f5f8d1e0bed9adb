"""A trigger that shows what Airflow itself takes as soon as any trigger needs a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from toloka_airflow._internal.airflow_internals import fetch_connection

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

_reading: asyncio.Task[Any] | None = None


class ConnectedTrigger(DateTimeTrigger):
    """
    Airflow's `DateTimeTrigger`, after the first of a triggerer has read a connection.

    :param conn_id: The connection.
    """

    def __init__(self, moment: datetime, *, conn_id: str, **others: Any) -> None:
        super().__init__(moment, **others)
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with."""
        return f"{__name__}.ConnectedTrigger", {**super().serialize()[1], "conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event when it is time."""
        global _reading
        _reading = _reading or asyncio.create_task(fetch_connection(self.conn_id))
        await asyncio.shield(_reading)
        async for event in super().run():
            yield event
