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


def run(state: str, started: datetime | None = OPENS + SECOND, opens: datetime = OPENS) -> WindowRun:
    return WindowRun("a", "r", state, opens, CLOSES, started, CLOSES if state in ("success", "failed") else None)


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
    runs = {("a", OPENS): found} if found else {}
    [window] = _windows(dag(), MONDAY, TUESDAY, runs, now)
    assert window["state"] == state
    assert (window["opens_at"], window["closes_at"]) == ("2026-03-02T09:00:00Z", "2026-03-02T18:00:00Z")
    assert window["run_id"] == (found.run_id if found else None)


def test_paused() -> None:
    [window] = _windows(dag(is_paused=True), MONDAY, TUESDAY, {}, OPENS - HOUR)
    assert window["state"] == "paused"


def test_nothing_is_missed_before_airflow_knew_the_dag() -> None:
    assert list(_windows(dag(known_since=CLOSES), MONDAY, TUESDAY, {}, CLOSES + HOUR)) == []


def test_runs_of_other_spans_are_shown_too() -> None:
    odd = OPENS + 3 * HOUR
    found = list(_windows(dag(), MONDAY, TUESDAY, {("a", odd): run("success", odd, odd)}, CLOSES + HOUR))
    assert [window["state"] for window in found] == ["missed", "done"]


def test_a_week_has_five_windows() -> None:
    assert len(list(_windows(dag(), MONDAY, MONDAY + timedelta(days=7), {}, MONDAY))) == 5
