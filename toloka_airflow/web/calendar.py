"""The working windows of a week: from the timetables of DAGs and from their runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import Any

from toloka_airflow.records.reading import UNDER_WAY
from toloka_airflow.records.window_dags import WindowDag, WindowRun, read_runs, read_window_dags
from toloka_airflow.web.measurements import in_utc

LATE = timedelta(minutes=15)
"""How long after its opening time a run must begin, or after its closing time still be under way, to be late."""
MAX_DAYS = 31
MAX_WINDOWS = 5000


def calendar(readable: frozenset[str], start: date, days: int) -> dict[str, Any]:
    """Return all windows that open in some days (UTC), of DAGs that somebody may read."""
    begin = datetime.combine(start, time.min, UTC)
    end = begin + timedelta(days=days)
    dags, unreadable = read_window_dags()
    dags = [dag for dag in dags if dag.dag_id in readable]
    runs: dict[tuple[str, datetime], WindowRun] = {}
    for run in read_runs([dag.dag_id for dag in dags], begin, end):
        runs[run.dag_id, run.opens_at] = run
    now = datetime.now(UTC)
    windows = [window for dag in dags for window in _windows(dag, begin, end, runs, now)]
    windows.sort(key=lambda window: (window["opens_at"], window["dag_id"]))
    problems = [f"The timetable of {dag_id} cannot be read here" for dag_id in unreadable if dag_id in readable]
    if len(windows) > MAX_WINDOWS:
        problems.append(f"There are {len(windows)} windows; the first {MAX_WINDOWS} are shown")
    return {"start": start.isoformat(), "days": days, "windows": windows[:MAX_WINDOWS], "problems": problems}


def _windows(
    dag: WindowDag, begin: datetime, end: datetime, runs: dict[tuple[str, datetime], WindowRun], now: datetime
) -> Iterator[dict[str, Any]]:
    planned = takewhile(lambda window: window.start < end, dag.timetable.windows(begin))
    spans: list[tuple[datetime, datetime]] = [(each.start, each.end) for each in planned if each.start >= begin]
    known = {opens_at for opens_at, _ in spans}
    # Also those that the timetable had before it was changed, and those of runs that were started by hand.
    others = (run for run in runs.values() if run.dag_id == dag.dag_id and run.opens_at not in known)
    spans += [(run.opens_at, run.closes_at) for run in others]
    for opens_at, closes_at in spans:
        run = runs.get((dag.dag_id, opens_at))
        state, detail = _state(dag, opens_at, closes_at, run, now)
        if state is not None:
            yield {
                "dag_id": dag.dag_id,
                "opens_at": in_utc(opens_at),
                "closes_at": in_utc(closes_at),
                "state": state,
                "run_id": run.run_id if run else None,
                "detail": detail,
            }


def _state(
    dag: WindowDag, opens_at: datetime, closes_at: datetime, run: WindowRun | None, now: datetime
) -> tuple[str | None, str]:
    """Return how a window is, and why in words; no state for one of before Airflow knew the DAG."""
    if run is None:
        if dag.known_since is not None and opens_at < dag.known_since:
            return None, ""
        if dag.is_paused:
            return "paused", "The DAG is paused"
        if now < opens_at:
            return "planned", ""
        return ("late", "It has no run yet") if now < closes_at else ("missed", "It had no run")
    if run.state in UNDER_WAY:
        if now > closes_at + LATE:
            return "late", "Its run is still under way"
        if run.started is None or run.started > opens_at + LATE:
            return "late", "Its run has not begun" if run.started is None else f"Its run began at {in_utc(run.started)}"
        return "open", ""
    if run.state != "success":
        return "missed", f"Its run ended as {run.state}"
    return "done", f"Its run ended at {in_utc(run.ended)}" if run.ended else ""
