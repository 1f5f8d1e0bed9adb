"""
Our triggers in a bare event loop: Airflow's manager of shared streams, and nothing else of its triggerer.

So it shows what waiting takes without the rest of what Airflow does for each trigger.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.jobs import triggerer_job_runner  # noqa: F401 - what a triggerer has imported does not count
from airflow.triggers.shared_stream import SharedStreamManager

from benchmarks.waiting.case import Record, allow_many_files, went_well
from benchmarks.waiting.cases import CASES
from benchmarks.waiting.ticker import tick
from toloka_airflow._internal import startup

LONGEST_LINE = 2**28


class Waits:
    """Triggers, a task for each, which share what Airflow's triggerer lets them share."""

    def __init__(self, case: str) -> None:
        self.case = CASES[case]
        module, _, name = self.case.classpath.rpartition(".")
        self.trigger = getattr(import_module(module), name)
        self.streams = SharedStreamManager()
        self.record = Record()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, plan: dict[str, Any]) -> None:
        """Start a trigger for each operation, in turn with what else is to do, as Airflow's triggerer does."""
        for number, (operation_id, due) in enumerate(zip(plan["ids"], plan["ends"], strict=True), plan["first"]):
            trigger = self.trigger(**self.case.arguments(number, operation_id, due))
            task = asyncio.create_task(self._wait(number, trigger))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            await asyncio.sleep(0)

    async def read(self) -> None:
        """Start what standard input tells, and say when that is done."""
        lines = asyncio.StreamReader(limit=LONGEST_LINE)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            plan = json.loads(line)
            await self.start(plan)
            del line, plan  # not what the waits take
            while self.tasks:
                await asyncio.wait(self.tasks)
            print("done", flush=True)

    async def _wait(self, number: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        stream = self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                well = went_well(event.payload)
                self.record.end(number, well=well)
                if not well:
                    self.record.fail(repr(event.payload))
        except Exception as exc:
            self.record.end(number, well=False)
            self.record.fail(repr(exc))
        finally:
            await self.streams.unsubscribe(number, key)


async def run(case: str) -> Record:
    """Wait for what standard input tells, until the benchmark says that it is enough."""
    waits = Waits(case)
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, enough.set)
    ticking = tick(waits.record, lambda: len(waits.tasks))
    running = [asyncio.create_task(one) for one in (enough.wait(), ticking, waits.read())]
    ended, going_on = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in going_on:
        task.cancel()
    for task in ended:
        task.result()
    return waits.record


def main() -> None:
    """Run, and write down what it took."""
    allow_many_files()
    case, _, result = sys.argv[1:]
    startup.prepare()
    asyncio.run(run(case)).save(Path(result))


if __name__ == "__main__":
    main()
