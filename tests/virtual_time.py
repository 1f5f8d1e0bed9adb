"""One virtual time for this process and for a local Toloka, so that a year passes in seconds."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import pytest
import time_machine

from toloka_airflow.emulator.server import EmulatorServer


class VirtualTime:
    """
    Let time pass only while somebody sleeps: a coroutine of `run`, or this thread in `time.sleep`.

    Other threads, such as those of servers, keep their monotonic clock and their sleep; what a coroutine has done in a
    thread is done at once, in this one.

    :param toloka: A local Toloka whose clock goes with this one; ``None`` for none.
    """

    def __init__(self, toloka: EmulatorServer | None, start: datetime) -> None:
        self.now = start.timestamp()
        self.interruption: tuple[float, BaseException] | None = None
        """What the first `time.sleep` raises that lasts until a Unix time or later, as a signal may."""
        self.toloka_ahead = 0.0
        """By how many seconds the clock of the local Toloka is ahead of this process; it may be negative."""
        self._toloka = toloka
        self._travel = time_machine.travel(self.now, tick=False)
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        self._machine = self._travel.start()
        here, monotonic, sleep = threading.get_ident(), time.monotonic, time.sleep
        self._patch.setattr(time, "monotonic", lambda: self.now if threading.get_ident() == here else monotonic())
        self._patch.setattr(time, "sleep", lambda s: self._sleep(s) if threading.get_ident() == here else sleep(s))
        self.advance(0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._patch.undo()
        self._travel.stop()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        with asyncio.Runner(loop_factory=partial(_Loop, self)) as runner:
            return runner.run(main)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        # In whole milliseconds, as Toloka's: what is rounded down would let a timer ring too early, again and again.
        now = math.ceil((self.now + seconds) * 1000 - 1e-3)
        self.now = now / 1000
        self._machine.move_to(self.now)
        if self._toloka is not None:
            self._toloka.clock.set(now + round(self.toloka_ahead * 1000), speed=1, frozen=True)

    def _sleep(self, seconds: float) -> None:
        if self.interruption is not None and self.interruption[0] <= self.now + seconds:
            (moment, interruption), self.interruption = self.interruption, None
            self.advance(max(0.0, moment - self.now))
            raise interruption
        self.advance(seconds)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, virtual: VirtualTime) -> None:
        super().__init__(_Selector(virtual))
        self._virtual = virtual
        self._clock_resolution = 0.001

    def time(self) -> float:
        return self._virtual.now

    def call_later(self, delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        return super().call_later(max(delay, 0.001), *args, **kwargs)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Let virtual time pass where a loop has nothing to do until its next timer."""

    def __init__(self, virtual: VirtualTime) -> None:
        super().__init__()
        self._virtual = virtual

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("Nothing will ever happen again")
        if timeout > 0:
            self._virtual.advance(timeout)
        return super().select(0)


async def sleep_until(moment: float) -> None:
    """Return at a Unix time, or at once if it is over."""
    while (left := moment - time.time()) > 0:
        await asyncio.sleep(left)


def utc(moment: float) -> datetime:
    """Return a Unix time as a date."""
    return datetime.fromtimestamp(moment, UTC)
