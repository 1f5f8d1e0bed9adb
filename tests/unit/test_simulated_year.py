"""A year of working windows with trouble of every kind: the pool is open when it should be, and never when not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG

from tests.small_airflow import PAUSED, SCHEDULER, TRIGGERER, SmallAirflow, Span, Troubles
from tests.support import connect
from tests.virtual_time import VirtualTime, sleep_until
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import pool_window

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MIN_OPEN, GRACE = 5 * MINUTE, 15 * MINUTE
PATIENCE = 45 * MINUTE
"""How long Airflow and Toloka must be up for a window to be served for sure, with what is lost by attempts before."""
HOLIDAYS = ["2026-01-01", "2026-04-06", "2026-12-24", "2026-12-25"]
NO_API = [("GET", "/pools/{id}"), ("PUT", "/pools/{id}"), ("GET", "/operations"), ("GET", "/operations/{id}")]
NO_API += [("POST", "/pools/{id}/open"), ("POST", "/pools/{id}/close")]
BROKEN = {"code": "OPERATION_EXECUTION_ERROR", "message": "It broke"}


@dataclass(frozen=True)
class Schedule:
    """A schedule, and the days of the week as numbers; Monday is 0."""

    timezone: str
    opens: str
    closes: str
    days: str
    numbers: range

    def windows(self) -> list[Span]:
        """Return the windows of the year, found without the code that is tested."""
        days = (date(2026, 1, 1) + timedelta(days=number) for number in range(365))
        return [
            (self._at(day, self.opens), self._at(day + timedelta(days=self.closes < self.opens), self.closes))
            for day in days
            if day.weekday() in self.numbers and str(day) not in HOLIDAYS
        ]

    def _at(self, day: date, clock: str) -> float:
        return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(self.timezone)).timestamp()


BERLIN = Schedule("Europe/Berlin", "09:00", "18:00", "mon-fri", range(5))
LORD_HOWE = Schedule("Australia/Lord_Howe", "21:30", "05:30", "tue-sat", range(1, 6))


class Year:
    """
    What goes wrong in a year: every kind several times, each time at another window.

    :param api: When Toloka does not answer.
    :param opening, closing: When its operations of that kind fail.
    :param lost: When it is that the answer to the next opening gets lost.
    :param backfills: When somebody tries to make runs for the past.
    """

    def __init__(self, windows: list[Span], seed: int) -> None:
        self._random = random.Random(seed)
        self._windows = self._random.sample(windows, len(windows))
        scheduler = self._spans(6, 0.5, 4) + self._spans(3, 24, 80)
        triggerer, paused = self._spans(5, 1, 48), self._spans(5, 1, 72)
        both = [(end - self._hours(0.1, 1), end + self._hours(0.3, 5)) for _, end in self._take(6)]
        self.airflow = Troubles(
            down={SCHEDULER: scheduler + both, TRIGGERER: triggerer + both, PAUSED: paused},
            kills=[("open", start) for start, _ in self._take(5)] + [("close", start) for start, _ in self._take(5)],
            clears=[self._random.uniform(start + HOUR, end - HOUR) for start, end in self._take(6)],
        )
        self.api = [(start - 600, start + self._hours(0.1, 4)) for start, _ in self._take(5)]
        self.api += [(end - 300, end + self._hours(0.1, 2)) for _, end in self._take(5)]
        self.opening = [(start, start + self._hours(0.1, 1)) for start, _ in self._take(4)]
        self.closing = [(end - 60, end + self._hours(0.01, 1)) for _, end in self._take(4)]
        self.lost = [start for start, _ in self._take(4)]
        self.backfills = [start + self._hours(-12, 12) for start, _ in self._take(4)]

    def is_down(self) -> list[Span]:
        """Return when a window cannot be opened; a triggerer is not needed, not even to close it."""
        return self.airflow.down[SCHEDULER] + self.airflow.down[PAUSED] + self.api + self.opening

    def _take(self, count: int) -> list[Span]:
        taken, self._windows = self._windows[:count], self._windows[count:]
        return taken

    def _hours(self, least: float, most: float) -> float:
        return self._random.uniform(least, most) * HOUR

    def _spans(self, count: int, least: float, most: float) -> list[Span]:
        starts = [self._random.uniform(start - HOUR, end) for start, end in self._take(count)]
        return [(start, start + self._hours(least, most)) for start in starts]


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, frozen=True, start="2025-12-30T00:00:00", crowd=CrowdSettings(size=0)) as server:
        connect(monkeypatch, server.url)
        yield server


@pytest.fixture
def same_chance() -> Iterator[None]:
    """Let the pauses of clients and triggers be the same in every run: by chance, a year may miss a kind of trouble."""
    state = random.getstate()
    random.seed(1)
    yield
    random.setstate(state)


@pytest.mark.usefixtures("same_chance")
@pytest.mark.parametrize(
    ("schedule", "seed", "catchup"),
    [
        (BERLIN, 1, False),
        pytest.param(BERLIN, 2, True, marks=pytest.mark.long),
        pytest.param(LORD_HOWE, 3, False, marks=pytest.mark.long),
    ],
)
def test_a_year(toloka: EmulatorServer, schedule: Schedule, seed: int, catchup: bool) -> None:
    windows = schedule.windows()
    year = Year(windows, seed)
    begin, end = windows[0][0] - DAY, windows[-1][1] + HOUR
    pool_id = toloka.add_pool()
    with VirtualTime(toloka, datetime.fromtimestamp(begin, UTC)) as virtual:
        dag = window_dag(schedule, pool_id)
        airflow = SmallAirflow(dag, virtual, troubles=year.airflow, seed=seed, catchup=catchup)
        virtual.run(pass_year(airflow, toloka, year, end))

    rounds = open_rounds(toloka, pool_id)
    served = dict(find_window(windows, opened, closed) for opened, closed, _ in rounds)
    assert len(served) == len(rounds), "a window was opened twice"
    down = year.is_down()
    for window in windows:
        if (servable_from := first_stretch(window, down)) is not None:
            assert served[window] <= servable_from + PATIENCE, show(window)
    # Nobody claims what did not happen.
    results = [run.xcoms["window.result"]["return_value"] for run in airflow.runs if is_success(run.states)]
    told = [tuple(result[key] for key in ("opened_at", "closed_at", "close_reason")) for result in results]
    assert set(told) <= {(iso(opened), iso(closed), reason) for opened, closed, reason in rounds}
    assert len(set(told)) == len(told) > len(windows) * 0.8
    # And there was trouble.
    assert {reason for _, _, reason in rounds} == {"MANUAL", "EXPIRED"}
    assert airflow.refused > 0
    assert year.airflow.kills == []


def window_dag(schedule: Schedule, pool_id: str) -> DAG:
    timetable = PoolWindowTimetable(
        opens=schedule.opens,
        closes=schedule.closes,
        days=schedule.days,
        timezone=schedule.timezone,
        exclude_dates=HOLIDAYS,
    )
    # Enough for any outage within a window: an opening that comes too late is skipped.
    retries = {"retries": 200, "retry_delay": timedelta(minutes=5)}
    with DAG("year", schedule=timetable, max_active_runs=1, default_args=retries) as dag:
        pool_window(pool_id=pool_id, poll_interval=3 * HOUR)
    return dag


async def pass_year(airflow: SmallAirflow, toloka: EmulatorServer, year: Year, end: float) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(airflow.schedule())]
        for start, stop in year.api:
            tasks.append(group.create_task(between(start, stop, lambda: cut_off(toloka), toloka.faults.clear)))
        for kind, spans in {"OPEN": year.opening, "CLOSE": year.closing}.items():
            bad, good = (
                lambda kind=kind, fail=fail: toloka.progressions.set(
                    Progression(seconds=1, fail=fail), type=f"POOL.{kind}"
                )
                for fail in (BROKEN, None)
            )
            tasks += [group.create_task(between(start, stop, bad, good)) for start, stop in spans]
        for moment in year.lost:
            tasks.append(group.create_task(between(moment, moment, lambda: lose_answer(toloka), int)))
        for moment in year.backfills:
            tasks.append(group.create_task(between(moment, moment, lambda: no_past_runs(airflow), int)))
        await sleep_until(end)
        for task in tasks:
            task.cancel()


async def between(start: float, stop: float, begin: Callable[[], Any], end: Callable[[], Any]) -> None:
    await sleep_until(start)
    begin()
    await sleep_until(stop)
    end()


def cut_off(toloka: EmulatorServer) -> None:
    for method, path in NO_API:
        toloka.faults.add(method, f"/api/v1{path}", status=503, probability=1)


def lose_answer(toloka: EmulatorServer) -> None:
    toloka.faults.add("POST", "/api/v1/pools/{id}/open", lost_answer=True)


def no_past_runs(airflow: SmallAirflow) -> None:
    now = datetime.now(UTC)
    assert all(interval.end > now for interval in airflow.backfill(now.timestamp() - 30 * DAY))


def open_rounds(toloka: EmulatorServer, pool_id: str) -> list[tuple[float, float, str]]:
    """Return from when to when the pool was open, and why it was closed."""
    opened, closed = (
        [event for event in toloka.journal.events(f"pool.{name}") if event["pool_id"] == pool_id]
        for name in ("opened", "closed")
    )
    return [(at(start), at(end), end["reason"]) for start, end in zip(opened, closed, strict=True)]


def at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).replace(tzinfo=UTC).timestamp()


def find_window(windows: list[Span], opened: float, closed: float) -> tuple[Span, float]:
    """Return the window of a round, and when it was opened."""
    for start, end in windows:
        if start <= opened < end:
            assert end <= closed <= end + GRACE, f"{show((start, end))} was open: {show((opened, closed))}"
            return (start, end), opened
    raise AssertionError(f"Opened outside of all windows: {show((opened, closed))}")


def first_stretch(window: Span, down: list[Span]) -> float | None:
    """Return since when everything was up for long enough, in a window; ``None`` if it never was."""
    since = window[0]
    for start, end in sorted(down):
        if end <= since:
            continue
        if min(start, window[1] - MIN_OPEN) - since >= PATIENCE:
            break
        since = end
    return since if window[1] - MIN_OPEN - since >= PATIENCE else None


def is_success(states: dict[str, str | None]) -> bool:
    return states["window.result"] == "success"


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def show(span: Span) -> str:
    return " - ".join(map(iso, span))
