"""How a window is, by its run and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from toloka_airflow.records.window_dags import WindowDag, WindowRun
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.web.calendar import _windows

OPENS, CLOSES = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 18, tzinfo=UTC)
MONDAY, TUESDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def dag(*, is_paused: bool = False, known_since: datetime | None = None) -> WindowDag:
    return WindowDag("a", is_paused, known_since, PoolWindowTimetable(timezone="UTC"))


def run(
    state: str, started: datetime | None = OPENS + SECOND, opens: datetime = OPENS, run_id: str = "scheduled"
) -> WindowRun:
    return WindowRun("a", run_id, state, opens, CLOSES, started, CLOSES if state in ("success", "failed") else None)


def by_hand(state: str, started: datetime | None = OPENS + 2 * HOUR) -> WindowRun:
    """Return a run that somebody started in the window, whose data interval is the window, too."""
    return run(state, started, run_id="manual")


@pytest.mark.parametrize(
    ("found", "now", "state"),
    [
        (None, OPENS - HOUR, "planned"),
        (None, OPENS + HOUR, "late"),
        (None, CLOSES + HOUR, "missed"),
        (run("running"), OPENS + HOUR, "open"),
        (run("running", OPENS + 16 * MINUTE), OPENS + HOUR, "late"),
        (run("queued", None), OPENS + MINUTE, "late"),
        (run("running"), CLOSES + 16 * MINUTE, "late"),
        (run("success"), CLOSES + HOUR, "done"),
        (run("failed"), CLOSES + HOUR, "missed"),
    ],
)
def test_states(found: WindowRun | None, now: datetime, state: str) -> None:
    [window] = _windows(dag(), MONDAY, TUESDAY, [found] if found else [], now)
    assert window["state"] == state
    assert (window["opens_at"], window["closes_at"]) == ("2026-03-02T09:00:00Z", "2026-03-02T18:00:00Z")
    assert window["run_id"] == (found.run_id if found else None)


@pytest.mark.parametrize(
    ("found", "now", "state", "run_id"),
    [
        # It opened in time, and then somebody had to begin again.
        ([run("failed"), by_hand("running")], OPENS + 3 * HOUR, "open", "manual"),
        ([run("failed"), by_hand("success")], CLOSES + HOUR, "done", "manual"),
        ([run("success"), by_hand("failed")], CLOSES + HOUR, "done", "scheduled"),
        ([run("running"), by_hand("failed")], OPENS + 3 * HOUR, "open", "scheduled"),
        ([run("failed"), by_hand("failed")], CLOSES + HOUR, "missed", "manual"),
        ([run("failed"), by_hand("queued", None)], OPENS + 3 * HOUR, "late", "manual"),
        ([run("failed", OPENS + HOUR), by_hand("running")], OPENS + 3 * HOUR, "late", "manual"),
        # What may still be open is not done.
        ([run("success"), by_hand("running")], CLOSES + HOUR, "late", "manual"),
    ],
)
def test_the_best_of_the_runs_of_a_window_decides(
    found: list[WindowRun], now: datetime, state: str, run_id: str
) -> None:
    for runs in (found, found[::-1]):
        [window] = _windows(dag(), MONDAY, TUESDAY, runs, now)
        assert (window["state"], window["run_id"]) == (state, run_id)
        assert len({run.state for run in found}) == 1 or "nother run" in window["detail"]


def test_paused() -> None:
    [window] = _windows(dag(is_paused=True), MONDAY, TUESDAY, [], OPENS - HOUR)
    assert window["state"] == "paused"


def test_nothing_is_missed_before_airflow_knew_the_dag() -> None:
    assert list(_windows(dag(known_since=CLOSES), MONDAY, TUESDAY, [], CLOSES + HOUR)) == []


def test_runs_of_other_spans_are_shown_too() -> None:
    odd = OPENS + 3 * HOUR
    found = list(_windows(dag(), MONDAY, TUESDAY, [run("success", odd, odd)], CLOSES + HOUR))
    assert [window["state"] for window in found] == ["missed", "done"]


def test_a_week_has_five_windows() -> None:
    assert len(list(_windows(dag(), MONDAY, MONDAY + timedelta(days=7), [], MONDAY))) == 5
