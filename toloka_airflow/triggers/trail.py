"""
Keep what a wait has measured for people, as XComs of the waiting task (`toloka_airflow._internal.trails`).

It costs no operation at Toloka, and nothing waits for it; what goes wrong with it harms nothing. Tasks that wait in a
worker keep none: a request to Airflow that is under way when such a task is killed would spoil the next one, by which
it finds out whether its pool is still needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from toloka_airflow._internal.airflow_internals import fetch_xcom, set_xcoms
from toloka_airflow._internal.trails import MEASURED, TRAIL, Trail

MIN_PAUSE = 30.0
"""Seconds between two measurements of a wait that are kept."""
LOAD = 0.1
"""The greatest share of the time for which the triggerer's one line to Airflow serves trails."""


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
        _Line.of_loop().add(self, partial(self._write, task_instance, dict(facts), time.time()))

    async def _write(self, task_instance: Any, facts: Mapping[str, Any], at: float) -> None:
        try:
            if self._trail is None:
                self._trail = Trail.read(await fetch_xcom(task_instance, TRAIL))
            self._trail.add(facts, at)
            await set_xcoms(task_instance, {MEASURED: self._trail.summary(), TRAIL: self._trail.points})
        except Exception as exc:
            self._log.info("What was measured is not kept for the page of Toloka: %r", exc)


class _Line:
    """
    Write what is to be kept of all waits, one after another, of each wait the newest only.

    The supervisor of a triggerer answers one request at a time. It passes on the ends of waits as well, and what a
    killed wait has to know before it closes its pool: none of that may stand in a queue of trails.
    """

    _all: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._due: dict[TrailWriter, Callable[[], Awaitable[None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of_loop(cls) -> _Line:
        """Return that of the running event loop."""
        return cls._all.setdefault(asyncio.get_running_loop(), cls())

    def add(self, writer: TrailWriter, write: Callable[[], Awaitable[None]]) -> None:
        """Have something written when its turn comes."""
        self._due[writer] = write
        if self._task is None or self._task.done():
            # A task of its own, which nobody cancels: half of an exchange with Airflow would spoil the next one. Not in
            # the context of the wait that happens to be the first.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def _run(self) -> None:
        while self._due:
            write = self._due.pop(next(iter(self._due)))
            began = time.monotonic()
            await write()
            await asyncio.sleep((time.monotonic() - began) * (1 / LOAD - 1))
