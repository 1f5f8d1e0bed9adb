"""The working windows of a week: from the timetables of DAGs and from their runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import Any

from toloka_airflow.records.reading import UNDER_WAY
from toloka_airflow.records.window_dags import WindowDag, WindowRun, read_runs, read_window_dags
from toloka_airflow.web.measurements import in_utc

LATE = timedelta(minutes=15)
"""How long after its opening time a run must begin, or after its closing time still be under way, to be late."""
_BEST_FIRST = "open", "late", "done", "missed"
"""What a run may say of its window: what is under way comes before what is over, as its pool may be open."""
MAX_DAYS = 31
MAX_WINDOWS = 5000


def calendar(readable: frozenset[str], start: date, days: int) -> dict[str, Any]:
    """Return all windows that open in some days (UTC), of DAGs that somebody may read."""
    begin = datetime.combine(start, time.min, UTC)
    end = begin + timedelta(days=days)
    dags, unreadable = read_window_dags()
    dags = [dag for dag in dags if dag.dag_id in readable]
    runs: dict[str, list[WindowRun]] = defaultdict(list)
    for run in read_runs([dag.dag_id for dag in dags], begin, end):
        runs[run.dag_id].append(run)
    now = datetime.now(UTC)
    windows = [window for dag in dags for window in _windows(dag, begin, end, runs[dag.dag_id], now)]
    windows.sort(key=lambda window: (window["opens_at"], window["dag_id"]))
    problems = [f"The timetable of {dag_id} cannot be read here" for dag_id in unreadable if dag_id in readable]
    if len(windows) > MAX_WINDOWS:
        problems.append(f"There are {len(windows)} windows; the first {MAX_WINDOWS} are shown")
    return {"start": start.isoformat(), "days": days, "windows": windows[:MAX_WINDOWS], "problems": problems}


def _windows(
    dag: WindowDag, begin: datetime, end: datetime, runs: Sequence[WindowRun], now: datetime
) -> Iterator[dict[str, Any]]:
    """Give the windows of a DAG, of which these are the runs."""
    planned = takewhile(lambda window: window.start < end, dag.timetable.windows(begin))
    spans: dict[datetime, datetime] = {each.start: each.end for each in planned if each.start >= begin}
    of_window: dict[datetime, list[WindowRun]] = defaultdict(list)
    for run in runs:
        of_window[run.opens_at].append(run)
        # Also those that the timetable had before it was changed, and those of runs that were started by hand.
        spans.setdefault(run.opens_at, run.closes_at)
    for opens_at, closes_at in spans.items():
        best, state, detail = _best(dag, opens_at, closes_at, of_window[opens_at], now)
        if state is not None:
            yield {
                "dag_id": dag.dag_id,
                "opens_at": in_utc(opens_at),
                "closes_at": in_utc(closes_at),
                "state": state,
                "run_id": best.run_id if best else None,
                "detail": detail,
            }


def _best(
    dag: WindowDag, opens_at: datetime, closes_at: datetime, runs: Sequence[WindowRun], now: datetime
) -> tuple[WindowRun | None, str | None, str]:
    """
    Return which of the runs of a window says how it is, how it is, and why in words.

    A window has more than one if somebody starts the DAG by hand meanwhile, as after a run that failed. The window
    began with the first of them.
    """
    began = min((run.started for run in runs if run.started is not None), default=None)
    found = [(run, *_state(dag, opens_at, closes_at, run, began, now)) for run in runs]
    if not found:
        return None, *_state(dag, opens_at, closes_at, None, None, now)
    latest_first = sorted(found, key=lambda each: each[0].started or now, reverse=True)
    best, state, detail = min(latest_first, key=lambda each: _BEST_FIRST.index(each[1] or ""))
    others = sorted({run.state for run in runs if run is not best and run.state != best.state})
    for other in others:
        words = "is under way" if other in UNDER_WAY else f"ended as {other}"
        detail = f"{detail}; another run {words}" if detail else f"Another run {words}"
    return best, state, detail


def _state(
    dag: WindowDag,
    opens_at: datetime,
    closes_at: datetime,
    run: WindowRun | None,
    began: datetime | None,
    now: datetime,
) -> tuple[str | None, str]:
    """
    Return how a window is by one run, and why in words; no state for one of before Airflow knew the DAG.

    :param began: When the first run of the window began.
    """
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
        if run.started is None or began is None:
            return "late", "Its run has not begun"
        if began > opens_at + LATE:
            return "late", f"Its run began at {in_utc(began)}"
        return "open", ""
    if run.state != "success":
        return "missed", f"Its run ended as {run.state}"
    return "done", f"Its run ended at {in_utc(run.ended)}" if run.ended else ""
