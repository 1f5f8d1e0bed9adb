"""Our trigger on the path that Airflow 3.1 and 3.2 take, and one that shows what Airflow itself takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from toloka_airflow.triggers import OperationTrigger


class ByIdTrigger(OperationTrigger):
    """Wait for an operation without sharing what others hear."""

    def shared_stream_key(self) -> Hashable | None:
        """Return that nothing is shared."""
        return None


class SleepTrigger(BaseTrigger):
    """
    Sleep until a moment that is known.

    :param end: Unix time.
    """

    def __init__(self, *, end: float) -> None:
        super().__init__()
        self.end = end

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with."""
        return f"{__name__}.SleepTrigger", {"end": self.end}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event when it is time."""
        await asyncio.sleep(max(0.0, self.end - time.time()))
        yield TriggerEvent({"status": "success"})
