"""A year of working windows with trouble of every kind: all is open when it should be, and never when not."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any, NamedTuple

import pytest
from airflow.sdk import DAG, task_group

from tests.simulated_troubles import DAY, HOUR, MINUTE, Schedule, Year, at, iso, pass_time
from tests.small_airflow import PAUSED, SCHEDULER, SmallAirflow, Span, supervised
from tests.small_airflow_tasks import Run
from tests.support import connect
from tests.virtual_time import VirtualTime, utc
from toloka_airflow._internal.airflow_internals import notifies_triggers
from toloka_airflow.api.models import SET_BY_TOLOKA
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.windows import pool_window

MIN_OPEN, GRACE = 5 * MINUTE, 15 * MINUTE
PATIENCE = 45 * MINUTE
"""How long Airflow and Toloka must be up for a window to be served for sure, with what is lost by attempts before."""
POLL_INTERVAL = 3 * HOUR
MAX_SPEND = {"max_spend": 2, "progress_interval": POLL_INTERVAL}
RESULT, WAIT = "each.window.result", "each.window.wait"
# Enough for any outage within a window: an opening that comes too late is skipped.
RETRIES = {"retries": 100, "retry_delay": timedelta(minutes=10)}
HINT = {"tasks": [{"input_values": {"text": "?"}, "known_solutions": [{"output_values": {"label": "yes"}}]}]}

BERLIN = (
    Schedule("Europe/Berlin", "09:00", "18:00", "thu,fri", [3, 4]),
    Schedule("Europe/Berlin", "12:00", "20:00", "fri", [4]),
)
# Where the clocks are changed within a window.
LORD_HOWE = (
    Schedule("Australia/Lord_Howe", "21:30", "05:30", "fri,sat", [4, 5]),
    Schedule("Australia/Lord_Howe", "23:30", "07:30", "sat", [5]),
)


class Opening(NamedTuple):
    """From when to when a pool or training was open, and why it was closed; as it was, and as Toloka told it."""

    opened: float
    closed: float
    reason: str
    told: tuple[str, str, str]


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works of himself, so that pools stay open until somebody closes them."""
    # For each request, requests looks for proxies among all variables.
    for name in set(os.environ) - {"AIRFLOW_HOME", "HOME", "PATH"}:
        if not name.startswith("AIRFLOW"):
            monkeypatch.delenv(name)
    crowd = CrowdSettings(size=0, skip_rate=0, expire_rate=0, accuracy=(1, 1))
    with EmulatorServer(seed=1, frozen=True, start="2025-12-30T00:00:00", crowd=crowd, balance=1e6) as server:
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
    ("seed", "schedules", "catchup"),
    [
        (0, BERLIN, False),
        *(
            pytest.param(seed, (BERLIN, LORD_HOWE)[seed % 2], seed % 4 > 1, marks=pytest.mark.long)
            for seed in range(1, 11)
        ),
    ],
)
def test_a_year(toloka: EmulatorServer, seed: int, schedules: tuple[Schedule, Schedule], catchup: bool) -> None:
    """Two pools in a mapped window, and one in another DAG, share a training."""
    windows, of_other = (schedule.windows() for schedule in schedules)
    year = Year(windows, seed)
    begin, end = windows[0][0] - DAY, windows[-1][1] + 4 * HOUR
    *pools, other_pool, training_id = add_pools(toloka)
    with VirtualTime(toloka, utc(begin)) as virtual:
        dags = mapped_dag(schedules[0], pools, training_id), other_dag(schedules[1], other_pool, training_id)
        airflow = SmallAirflow(dags[0], virtual, troubles=year.airflow, seed=seed, catchup=catchup)
        other = SmallAirflow(dags[1], virtual, troubles=year.elsewhere, seed=seed)
        happens = year.happens(
            toloka, virtual, lambda closes: open_by_hand(pools, closes), lambda: no_past_runs(airflow)
        )
        with supervised(airflow, other):
            virtual.run(pass_time(end, [airflow.schedule(), other.schedule(), *happens]))

    started = [schedules[0].window_of_run(run.run_after.timestamp()) for run in airflow.runs if not run.interval]
    judge = Judge(year, airflow, windows, started)
    opened = {pool_id: openings(toloka, "pool", pool_id, year) for pool_id in pools}
    for index, pool_id in enumerate(pools):
        judge.pool(opened[pool_id], index)
    opened[other_pool] = openings(toloka, "pool", other_pool, year)
    for opening in opened[other_pool]:
        assert any(start <= opening.opened < closes and opening.closed <= closes + GRACE for start, closes in of_other)
    trainings = openings(toloka, "training", training_id, year)
    judge.training(trainings, list(chain(*opened.values())), windows + started + of_other)
    judge.trouble(toloka, trainings, opened)


def add_pools(toloka: EmulatorServer) -> list[str]:
    """Add three pools, and their training."""
    [training_id] = toloka.load({"projects": [{"trainings": [HINT]}]})["trainings"]
    needs = {"training_pool_id": training_id, "training_passing_skill_value": 60}
    quality = {"training_requirement": needs, "configs": []}
    return [
        *(toloka.add_pool(3000, reward_per_assignment=0.5, quality_control=quality) for _ in range(3)),
        training_id,
    ]


def mapped_dag(schedule: Schedule, pools: list[str], training_id: str) -> DAG:
    with DAG("year", schedule=schedule.timetable, max_active_runs=1, default_args=RETRIES) as dag:

        @task_group
        def each(pool_id: str) -> None:
            pool_window(pool_id=pool_id, training_id=training_id, poll_interval=POLL_INTERVAL, **MAX_SPEND)

        each.expand(pool_id=pools)
    return dag


def other_dag(schedule: Schedule, pool_id: str, training_id: str) -> DAG:
    with DAG("other", schedule=schedule.timetable, max_active_runs=1, default_args=RETRIES) as dag:
        pool_window(pool_id=pool_id, training_id=training_id, poll_interval=POLL_INTERVAL)
    return dag


def open_by_hand(pools: list[str], closes: float) -> None:
    client = TolokaHook().get_conn()
    for pool_id in pools:
        body = {key: value for key, value in client.get_pool(pool_id).raw.items() if key not in SET_BY_TOLOKA}
        expires = utc(closes + GRACE).replace(tzinfo=None).isoformat()
        client.update_pool(pool_id, {**body, "will_expire": expires})
        client.open_pool(pool_id)


def no_past_runs(airflow: SmallAirflow) -> None:
    now = time.time()
    assert all(interval.end.timestamp() > now for interval in airflow.backfill(now - 30 * DAY))


def openings(toloka: EmulatorServer, kind: str, id: str, year: Year) -> list[Opening]:
    opened, closed = (
        [event for event in toloka.journal.events(f"{kind}.{verb}") if event["pool_id"] == id]
        for verb in ("opened", "closed")
    )
    return [
        Opening(year.real(at(start)), year.real(at(end)), end["reason"], (iso(at(start)), iso(at(end)), end["reason"]))
        for start, end in zip(opened, closed, strict=True)
    ]


class Judge:
    """
    Tell whether everything was open when it should be, and at no other time.

    :param windows: The windows of the timetable.
    :param started: Those of the runs that somebody started.
    """

    def __init__(self, year: Year, airflow: SmallAirflow, windows: list[Span], started: list[Span]) -> None:
        self.year, self.airflow, self.windows, self.started = year, airflow, windows, started
        self.timed_out = [run for run in airflow.runs if run.timed_out_at]

    def pool(self, openings: list[Opening], index: int) -> None:
        """Judge a pool of the mapped window."""
        served: dict[Span, list[Opening]] = {}
        for opening in openings:
            window = self._window_of(opening)
            served.setdefault(window, []).append(opening)
            assert opening.closed >= window[1] or self._may_end_early(opening), f"closed too early: {show(opening)}"
        again = [opening for each in served.values() for opening in each[:-1]]
        assert all(map(self._was_timed_out, again)), "a window was opened twice"
        down = self.year.is_down()
        for window in self.windows:
            servable_from = first_stretch(window, down)
            if servable_from is not None and not self._timed_out_before_opening(window, index):
                assert served[window][0].opened <= servable_from + PATIENCE, show(window)
        # A trigger that was notified has closed the pool at once.
        for run in self.timed_out:
            at, told = run.timed_out_at or 0.0, (WAIT, index) in run.notified
            assert all(each.closed <= at + 5 * MINUTE for each in openings if told and each.opened <= at <= each.closed)
        # Nobody claims what did not happen.
        runs = [run for run in self.airflow.runs if run.states[RESULT, index] == "success"]
        results = [run.xcoms[RESULT, index]["return_value"] for run in runs]
        waits = [run.xcoms[WAIT, index]["return_value"] for run in runs]
        assert [result["stopped_by"] for result in results] == [wait["stopped_by"] for wait in waits]
        told = [tuple(result[key] for key in ("opened_at", "closed_at", "close_reason")) for result in results]
        known = [each for each in told if each != (None, None, None)]
        assert set(known) <= {opening.told for opening in openings}
        assert len(set(known)) == len(known) > len(self.windows) * 0.5
        assert len(told) - len(known) == len(self.year.by_hand)

    def training(self, trainings: list[Opening], pools: list[Opening], windows: list[Span]) -> None:
        """Judge the training that the pools require."""
        for training in trainings:
            assert not any(pool.opened < training.closed < pool.closed for pool in pools), "closed under a pool"
            for start, end in outside((training.opened, training.closed), windows):
                assert self._may_stay_open(start, end, windows), f"training open too long: {show((start, end))}"

    def trouble(self, toloka: EmulatorServer, trainings: list[Opening], openings: dict[str, list[Opening]]) -> None:
        """Make sure that there was trouble of every kind, and that it made a difference."""
        runs, pools = self.airflow.runs, list(chain(*list(openings.values())[:2]))
        assert {opening.reason for opening in pools} == {"MANUAL", "EXPIRED"}
        assert self.airflow.refused > 0
        assert self.year.airflow.kills == []
        # Timeouts that were noticed, and others.
        assert any(run.notified for run in self.timed_out) == notifies_triggers()
        expired = [opening for opening in pools if self._was_timed_out(opening) and opening.reason == "EXPIRED"]
        assert expired
        # Runs without a date, in time and too late.
        by_hand = [run for run in runs if not run.interval]
        assert {run.states[RESULT, 0] for run in by_hand} >= {"success", "skipped"}
        # Events about spending, in time and too late.
        waits = [run.xcoms.get((WAIT, index), {}) for run in runs for index in (0, 1)]
        spent = [
            wait["return_value"] for wait in waits if wait.get("return_value", {}).get("stopped_by") == "max_spend"
        ]
        assert {result["status"] for result in spent} == {"OPEN", "CLOSED"}
        # A training that was left to who still needs it.
        shared = [
            training
            for training in trainings
            if sum(training.opened < pool.closed <= training.closed for each in openings.values() for pool in each) > 1
        ]
        assert shared
        # Clocks by which a window was over, and others that differ by minutes.
        far = [(start, stop) for start, stop, ahead in self.year.clocks if ahead > HOUR]
        assert all(
            any(is_in(run, span) and run.states["each.window.check", 0] == "failed" for run in runs) for span in far
        )
        assert any(
            start < pool.opened < stop for pool in pools for start, stop, ahead in self.year.clocks if ahead < HOUR
        )

    def _window_of(self, opening: Opening) -> Span:
        for start, end in self.windows + self.started:
            if start <= opening.opened < end:
                assert opening.closed <= end + GRACE, f"{show((start, end))} was open: {show(opening)}"
                return start, end
        raise AssertionError(f"Opened outside of all windows: {show(opening)}")

    def _may_end_early(self, opening: Opening) -> bool:
        return self._was_timed_out(opening) or any(
            opening.opened <= start < opening.closed for start, _ in self.year.at_work
        )

    def _was_timed_out(self, opening: Opening) -> bool:
        return any(opening.opened <= (run.timed_out_at or 0.0) <= opening.closed for run in self.timed_out)

    def _timed_out_before_opening(self, window: Span, index: int) -> bool:
        runs = [run for run in self.timed_out if run.states["each.window.open", index] != "success"]
        return any(is_in(run, window) for run in runs)

    def _may_stay_open(self, start: float, end: float, windows: list[Span]) -> bool:
        """
        Return whether nobody could close the training from one time on until another.

        That is so while what closes it is down; and until the end of the next window that has it, if the teardowns were
        skipped, or gave up.
        """
        down = self.year.airflow.down
        parts = down[SCHEDULER] + down[PAUSED] + self.year.api + self.year.closing
        out = [(begin, stop) for begin, stop in parts if begin < start and stop > start - GRACE - 5 * MINUTE]
        if any(end <= stop + PATIENCE for _, stop in out):
            return True
        next_window = min((begin for begin, _ in windows if begin >= start), default=float("inf"))
        lost = [
            run for run in self.timed_out if len(run.notified) < 2 and start - DAY <= (run.timed_out_at or 0) <= start
        ]
        return end == next_window and bool(out or lost)


def outside(span: Span, windows: list[Span]) -> Iterator[Span]:
    """Yield the parts of a span that are in no window, nor in the time after it in which everything is closed."""
    start, end = span
    for begin, stop in sorted(windows):
        if begin > start:
            yield start, min(begin, end)
        start = max(start, stop + GRACE)
        if start >= end:
            return
    yield start, end


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


def is_in(run: Run, span: Span) -> bool:
    return bool(run.start_date and span[0] <= run.start_date.timestamp() <= span[1])


def show(span: Any) -> str:
    return " - ".join(map(iso, span[:2]))
