"""For how long an event loop does not get round to anything else."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

from benchmarks.waiting.case import INTERVAL, Record

TICK = 0.005


async def tick(record: Record, alive: Callable[[], int]) -> None:
    """Want to run every few milliseconds, for ever, and write down how late that was, and how it is."""
    collector = Collector(record)
    longest, due = (0.0, 0.0, 0.0), time.perf_counter()
    while True:
        start, cpu = time.perf_counter(), time.process_time()
        if start >= due:
            record.sample(alive(), longest)
            longest, due = (0.0, 0.0, 0.0), start + INTERVAL
        await asyncio.sleep(TICK)
        block, collecting = time.perf_counter() - start - TICK, collector.take()
        without = max(0.0, block - collecting)
        own = min(without, max(0.0, time.process_time() - cpu - collecting))
        longest = max(longest[0], block), max(longest[1], without), max(longest[2], own)


class Collector:
    """For how long Python's garbage collection held everything up, in whichever thread it ran."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.seconds = self.cpu = 0.0
        self.since: float | None = None
        gc.callbacks.append(self._called)

    def _called(self, phase: str, about: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self.since, self.cpu = now, time.process_time()
            return
        self.seconds += now - (self.since or now)
        self.since = None
        if about["generation"] == 2:
            self.record.collections.append((time.time(), time.process_time() - self.cpu))

    def take(self) -> float:
        """Return the seconds since this was asked before."""
        # A thread that has collected may have to wait with telling so until this one has had its turn.
        if (since := self.since) is not None:
            self.since = time.perf_counter()
            self.seconds += self.since - since
        seconds, self.seconds = self.seconds, 0.0
        return seconds
