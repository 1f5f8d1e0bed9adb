"""What goes wrong in a year of working windows, in Airflow, at Toloka and by people, for `test_simulated_year`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.small_airflow import PAUSED, SCHEDULER, TRIGGERER, Span, Troubles
from tests.virtual_time import VirtualTime, sleep_until, utc
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.timetables import PoolWindowTimetable

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
HOLIDAYS = ["2026-01-01", "2026-04-06", "2026-12-24", "2026-12-25"]
DATES = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
EXCLUDED = [str(day) for day in DATES if day.isocalendar().week % 2 or str(day) in HOLIDAYS]
"""Every second week; that is as much as the test has time for."""
LAST = 4
"""Windows at the end of the year in which no trouble begins, so that the last one ends within the year."""
NO_API = [("GET", "/pools/{id}"), ("PUT", "/pools/{id}"), ("GET", "/operations"), ("GET", "/operations/{id}")]
NO_API += [("POST", "/pools/{id}/open"), ("POST", "/pools/{id}/close")]
NO_API += [("GET", "/trainings/{id}"), ("POST", "/trainings/{id}/open"), ("POST", "/trainings/{id}/close")]
BROKEN = {"code": "OPERATION_EXECUTION_ERROR", "message": "It broke"}


@dataclass(frozen=True)
class Schedule:
    """A schedule, and the days of the week as numbers; Monday is 0."""

    timezone: str
    opens: str
    closes: str
    days: str
    numbers: Sequence[int]

    @property
    def timetable(self) -> PoolWindowTimetable:
        """The same for Airflow."""
        return PoolWindowTimetable(
            opens=self.opens, closes=self.closes, days=self.days, timezone=self.timezone, exclude_dates=EXCLUDED
        )

    def windows(self) -> list[Span]:
        """Return the windows of the year, found without the code that is tested."""
        return [
            (self._at(day, self.opens), self._at(day + timedelta(days=self.closes < self.opens), self.closes))
            for day in DATES
            if day.weekday() in self.numbers and str(day) not in EXCLUDED
        ]

    def window_of_run(self, started: float) -> Span:
        """Return the window of a run that somebody starts at a moment."""
        for start, end in self.windows():
            if start <= started < end:
                return start, end
        days = (utc(started).date() + timedelta(days=number) for number in range(-1, 3))
        return started, min(end for day in days if (end := self._at(day, self.closes)) > started)

    def _at(self, day: date, clock: str) -> float:
        return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(self.timezone)).timestamp()


class Year:
    """
    What goes wrong in a year: every kind several times, each time at another window.

    :param api: When Toloka does not answer.
    :param opening, closing: When its operations of that kind fail.
    :param lost: When it is that the answer to the next opening gets lost.
    :param backfills: When somebody tries to make runs for the past.
    :param at_work: When people work on the pools, until ``max_spend`` is spent.
    :param by_hand: When somebody opens the pools by hand, and until when, as the scheduler is down.
    :param clocks: When Toloka's clock is ahead, and by how many seconds.
    """

    def __init__(self, windows: list[Span], seed: int) -> None:
        self._random = random.Random(seed)
        self._following = dict(pairwise(windows))
        self._free = self._random.sample(windows[:-LAST], len(windows) - LAST)
        # An event of the triggerer is handled only when the pool has been opened again, in the next window. It comes
        # with the second poll, which is the first after people were at work.
        late = [(window, self._following[window]) for window in self._take_between(2, 0, DAY)]
        self._free = [window for window in self._free if window not in dict(late).values()]
        unhandled = [(start + 2 * HOUR, (opens + closes) / 2) for (start, _), (opens, closes) in late]
        self.by_hand = [(opens + MINUTE, closes) for _, (opens, closes) in late]
        days_off = self._take_between(2, 3 * DAY, 30 * DAY)
        scheduler = self._spans(2, 0.5, 4) + self._spans(1, 24, 80)
        scheduler += [(start - self._hours(1, 5), end + self._hours(0.1, 2)) for start, end in self._take(5)]
        triggerer, paused = self._spans(2, 1, 48), self._spans(2, 1, 72)
        both = [(end - self._hours(0.1, 1), end + self._hours(0.3, 5)) for _, end in self._take(2)]
        # While it waits, while it opens the pool, and while it closes it.
        timeouts = [self._random.uniform(start + HOUR, end - 3 * HOUR) for start, end in self._take(2)]
        started = [timeouts[0] + self._hours(0.2, 1), *(end + self._hours(1, 5) for _, end in days_off)]
        started += [self._random.uniform(start + HOUR, end) for start, end in self._take(1)]
        timeouts += [start + self._random.uniform(20, 60) for start, _ in self._take(2)]
        timeouts += [end + self._random.uniform(3, 30) for _, end in self._take(2)]
        self.airflow = Troubles(
            down={SCHEDULER: scheduler + both + unhandled, TRIGGERER: triggerer + both, PAUSED: paused},
            kills=[("open", start) for start, _ in self._take(1)] + [("close", start) for start, _ in self._take(1)],
            clears=[self._random.uniform(start + HOUR, end - HOUR) for start, end in self._take(2)],
            timeouts=timeouts,
            started=started,
        )
        self.api = [(start - 600, start + self._hours(0.1, 2)) for start, _ in self._take(1)]
        self.api += [(end - 300, end + self._hours(0.1, 2)) for _, end in self._take(2)]
        self.opening = [(start, start + self._hours(0.1, 1)) for start, _ in self._take(1)]
        self.closing = [(end - 60, end + self._hours(0.01, 1)) for _, end in self._take(1)]
        self.lost = [start for start, _ in self._take(1)]
        self.backfills = [start + self._hours(-12, 12) for start, _ in self._take(1)]
        at_work = [window for window, _ in late] + self._take(2)
        self.at_work = [(start + HOUR, start + HOUR + 5 * MINUTE) for start, _ in at_work]
        # Set back, the emulator's clock stands still until time has caught up, which is before the next window.
        far = [(self._hours(11, 13), window) for window in self._take(1)]
        near = [(self._random.choice([-1, 1]) * self._hours(0.02, 0.07), window) for window in self._take(2)]
        self.clocks = [(start - 2 * HOUR, end + HOUR, ahead) for ahead, (start, end) in far]
        self.clocks += [(start - 2 * HOUR, end + 4 * HOUR, ahead) for ahead, (start, end) in near]

    @property
    def elsewhere(self) -> Troubles:
        """What of that goes wrong for another DAG of the same Airflow, too."""
        down = self.airflow.down
        return Troubles(down={SCHEDULER: down[SCHEDULER], TRIGGERER: down[TRIGGERER]})

    def is_down(self) -> list[Span]:
        """Return when a window cannot be opened; a triggerer is not needed, not even to close it."""
        far = [(start, stop) for start, stop, ahead in self.clocks if ahead > HOUR]
        return self.airflow.down[SCHEDULER] + self.airflow.down[PAUSED] + self.api + self.opening + far

    def real(self, toloka: float) -> float:
        """Return when it was that Toloka's clock showed a time."""
        for start, stop, ahead in self.clocks:
            if ahead < HOUR and start <= toloka - ahead <= stop:
                return toloka - ahead
        return toloka

    def happens(
        self,
        toloka: EmulatorServer,
        virtual: VirtualTime,
        open_by_hand: Callable[[float], Any],
        backfill: Callable[[], Any],
    ) -> Iterable[Coroutine[Any, Any, None]]:
        """Return what goes wrong outside of Airflow."""
        for start, stop in self.api:
            yield between(start, stop, partial(_cut_off, toloka), toloka.faults.clear)
        for kind, spans in {"OPEN": self.opening, "CLOSE": self.closing}.items():
            bad, good = (
                partial(toloka.progressions.set, Progression(seconds=1, fail=fail), type=f"POOL.{kind}")
                for fail in (BROKEN, None)
            )
            for start, stop in spans:
                yield between(start, stop, bad, good)
        for moment in self.lost:
            yield between(moment, moment, partial(_lose_answer, toloka), int)
        for moment in self.backfills:
            yield between(moment, moment, backfill, int)
        for start, stop in self.at_work:
            yield between(start, stop, partial(toloka.crowd.change, size=2), partial(toloka.crowd.change, size=0))
        for moment, closes in self.by_hand:
            yield between(moment, moment, partial(open_by_hand, closes), int)
        for start, stop, ahead in self.clocks:
            yield between(start, stop, partial(_set_clock, virtual, ahead), partial(_set_clock, virtual, 0.0))

    def _take(self, count: int) -> list[Span]:
        taken, self._free = self._free[:count], self._free[count:]
        assert len(taken) == count
        return taken

    def _take_between(self, count: int, least: float, most: float) -> list[Span]:
        """Take windows after which there is none for so many seconds."""
        taken = [each for each in self._free if least <= self._following[each][0] - each[1] <= most][:count]
        self._free = [each for each in self._free if each not in taken]
        return taken

    def _hours(self, least: float, most: float) -> float:
        return self._random.uniform(least, most) * HOUR

    def _spans(self, count: int, least: float, most: float) -> list[Span]:
        starts = [self._random.uniform(start - HOUR, end) for start, end in self._take(count)]
        return [(start, start + self._hours(least, most)) for start in starts]


async def between(start: float, stop: float, begin: Callable[[], Any], end: Callable[[], Any]) -> None:
    """Begin something, and end it later."""
    await sleep_until(start)
    begin()
    await sleep_until(stop)
    end()


async def pass_time(end: float, happens: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Let things happen until a moment."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in happens]
        await sleep_until(end)
        for task in tasks:
            task.cancel()


def iso(moment: float) -> str:
    """Return a Unix time as Toloka's dates are in XComs."""
    return utc(moment).isoformat()


def at(event: dict[str, Any]) -> float:
    """Return when Toloka recorded an event, by its clock."""
    return datetime.fromisoformat(event["at"]).replace(tzinfo=UTC).timestamp()


def _cut_off(toloka: EmulatorServer) -> None:
    for method, path in NO_API:
        toloka.faults.add(method, f"/api/v1{path}", status=503, probability=1)


def _lose_answer(toloka: EmulatorServer) -> None:
    toloka.faults.add("POST", "/api/v1/pools/{id}/open", lost_answer=True)


def _set_clock(virtual: VirtualTime, ahead: float) -> None:
    virtual.toloka_ahead = ahead
    virtual.advance(0)
