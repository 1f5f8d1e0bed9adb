"""
Airflow's own triggerer process, which also writes down what it takes.

Its supervisor is the benchmark: it talks through standard input, as Airflow's does. Triggers, shared streams and the
watchdog of the event loop are Airflow's.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from airflow.jobs.triggerer_job_runner import TriggerRunner, stats
from airflow.sdk.log import configure_logging, reset_logging

from benchmarks.waiting.case import INTERVAL, Record, allow_many_files

TICK = 0.005


class Runner(TriggerRunner):
    """A triggerer that writes down when its triggers fire, and how long its event loop is blocked."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        self.events = Events(record)
        self.failed_triggers = Failures(record)

    async def init_comms(self) -> None:
        """Begin to write down as soon as there is a supervisor."""
        await super().init_comms()
        # The watchdog's first word about a block, if only of a collection, has Airflow read a file for 40 ms.
        stats.incr("triggers.blocked_main_thread")
        self.ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        collector = Collector(self.record)
        longest, due = (0.0, 0.0, 0.0), time.perf_counter()
        while True:
            start, cpu = time.perf_counter(), time.process_time()
            if start >= due:
                self.record.sample(len(self.triggers), longest)
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


class Events(deque[Any]):
    """Where Airflow puts the events of triggers."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record

    def append(self, entry: Any) -> None:
        """Take an event."""
        well = went_well(entry.event.payload)
        self.record.end(entry.trigger_id, well=well)
        if not well:
            self.record.fail(repr(entry.event.payload))
        super().append(entry)


class Failures(deque[Any]):
    """Where Airflow puts the triggers that failed."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record

    def append(self, entry: Any) -> None:
        """Take a failure."""
        number, exc = entry
        self.record.end(number, well=False)
        self.record.fail(repr(exc))
        super().append(entry)


def went_well(payload: Any) -> bool:
    """Return whether an event says that what was waited for was done."""
    return payload is True or payload.get("kind") == "finished" or payload.get("status") == "success"


def main() -> None:
    """Run until the supervisor says that it is enough."""
    allow_many_files()
    result, log = map(Path, sys.argv[1:])
    # Airflow's supervisor reads the log from a socket.
    with log.open("wb", buffering=0) as output:
        reset_logging()
        configure_logging(json_output=True, output=output, sending_to_supervisor=True)
        record = Record()
        Runner(record).run()
    record.save(result)


if __name__ == "__main__":
    main()
