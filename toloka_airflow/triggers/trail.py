"""
Keep what a wait has measured for people, as XComs of the waiting task (`toloka_airflow._internal.trails`).

It costs no operation at Toloka, and nothing waits for it; what goes wrong with it harms nothing. Tasks that wait in a
worker keep none: a request to Airflow that is under way when such a task is killed would spoil the next one, by which
it finds out whether its pool is still needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from toloka_airflow._internal.airflow_internals import fetch_xcom, set_xcoms
from toloka_airflow._internal.trails import MEASURED, TRAIL, Trail

MIN_PAUSE = 30.0
"""Seconds between two measurements that are kept."""
_UNDER_WAY: set[asyncio.Task[None]] = set()


class TrailWriter:
    """
    Keep the trail of a task instance.

    :param log: Of the trigger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._trail: Trail | None = None
        self._kept_at = float("-inf")

    def keep(self, task_instance: Any, facts: Mapping[str, Any]) -> None:
        """Keep a measurement, if it is time and the trigger is that of a task; return at once."""
        now = time.monotonic()
        if task_instance is None or now - self._kept_at < MIN_PAUSE:
            return
        self._kept_at = now
        # A task of its own, which nobody cancels: half of an exchange with Airflow would spoil the next one.
        task = asyncio.get_running_loop().create_task(self._write(task_instance, dict(facts), time.time()))
        _UNDER_WAY.add(task)
        task.add_done_callback(_UNDER_WAY.discard)

    async def _write(self, task_instance: Any, facts: Mapping[str, Any], at: float) -> None:
        try:
            if self._trail is None:
                self._trail = Trail.read(await fetch_xcom(task_instance, TRAIL))
            self._trail.add(facts, at)
            await set_xcoms(task_instance, {MEASURED: self._trail.summary(), TRAIL: self._trail.points})
        except Exception as exc:
            self._log.info("What was measured is not kept for the page of Toloka: %r", exc)
