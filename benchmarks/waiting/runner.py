"""
Airflow's own triggerer process, which also writes down what it takes.

Its supervisor is the benchmark: it talks through standard input, as Airflow's does. Triggers, shared streams and the
watchdog of the event loop are Airflow's.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from pathlib import Path
from typing import Any

from airflow.jobs.triggerer_job_runner import TriggerRunner, stats
from airflow.sdk.log import configure_logging, reset_logging

from benchmarks.waiting.case import Record, allow_many_files, went_well
from benchmarks.waiting.ticker import tick
from toloka_airflow._internal import startup


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
        self.ticking = asyncio.create_task(tick(self.record, lambda: len(self.triggers)))


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


def main() -> None:
    """Run until the supervisor says that it is enough."""
    allow_many_files()
    result, log = map(Path, sys.argv[1:])
    # Airflow's supervisor reads the log from a socket.
    with log.open("wb", buffering=0) as output:
        reset_logging()
        configure_logging(json_output=True, output=output, sending_to_supervisor=True)
        record = Record()
        startup.prepare()  # as our plugin does, where it is installed
        Runner(record).run()
    record.save(result)


if __name__ == "__main__":
    main()
