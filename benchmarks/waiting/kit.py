"""The official client, toloka-kit: a thread for each wait; runs in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from toloka.client import TolokaClient  # noqa: TID251
from toloka.client.operations import Operation  # noqa: TID251

from benchmarks.waiting.case import INTERVAL, Record, allow_many_files


class Waits:
    """Threads that wait with one client, and what they take."""

    def __init__(self, url: str) -> None:
        self.client = TolokaClient("secret", url=url)
        self.record = Record()
        self.alive = 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    def start(self, operations: list[dict[str, Any]], first: int) -> None:
        """Start a thread for each operation, as many as the machine allows."""
        for number, operation in enumerate(operations, first):
            with self.lock:
                self.alive += 1
            try:
                threading.Thread(target=self._wait, args=(number, operation), daemon=True).start()
            except RuntimeError as exc:
                self._end(number, repr(exc))

    def _wait(self, number: int, raw: dict[str, Any]) -> None:
        try:
            operation = self.client.wait_operation(
                Operation.structure(raw), timeout=timedelta(hours=1), disable_progress=True
            )
        except Exception as exc:
            self._end(number, repr(exc))
        else:
            self._end(number, None if operation.is_completed() else "not done")

    def _end(self, number: int, reason: str | None) -> None:
        with self.lock:
            self.alive -= 1
            self.record.end(number, well=reason is None)
            if reason:
                self.record.fail(reason)

    def sample(self) -> None:
        """Write down what all of it takes, until it is enough."""
        while not self.stopped.wait(INTERVAL):
            self.record.sample(self.alive)


def main() -> None:
    """Wait for what standard input tells, until it says that it is enough."""
    allow_many_files()
    url, result = sys.argv[2], Path(sys.argv[3])
    waits = Waits(url)
    signal.signal(signal.SIGTERM, lambda *_: waits.stopped.set())
    threading.Thread(target=_read, args=(waits,), daemon=True).start()
    waits.sample()
    with waits.lock:
        waits.record.save(result)
    # Threads that still wait would be waited for.
    os._exit(0)


def _read(waits: Waits) -> None:
    for line in sys.stdin:
        plan = json.loads(line)
        waits.start(plan["operations"], plan["first"])
        while waits.alive:
            time.sleep(INTERVAL)
        print("done", flush=True)


if __name__ == "__main__":
    main()
