"""Runs of `PoolWindowTimetable` in a real Airflow: made when a window begins, late, and not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import PATIENCE

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DAG_FILE = """\
from datetime import datetime, timezone
from airflow.sdk import DAG, task
from toloka_airflow.timetables import PoolWindowTimetable

schedule = PoolWindowTimetable(opens="{opens:%H:%M}", closes="{closes:%H:%M}", days="daily", timezone="UTC")
with DAG("{name}", schedule=schedule, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=True):

    @task
    def interval(data_interval_start=None, data_interval_end=None):
        return f"{{data_interval_start:%H:%M}} {{data_interval_end:%H:%M}}"

    interval()
"""

pytestmark = pytest.mark.live


def add_dag(airflow: LocalAirflow, name: str, opens: datetime, closes: datetime) -> dict[str, Any]:
    """Add a DAG with a daily window, and return what Airflow knows of it."""
    (airflow.dags / f"{name}.py").write_text(DAG_FILE.format(name=name, opens=opens, closes=closes))
    airflow.api.wait_for_dag(name)
    known: dict[str, Any] = airflow.api.call("GET", f"/dags/{name}")
    return known


def runs(airflow: LocalAirflow, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.api.call("GET", f"/dags/{name}/dagRuns")["dag_runs"]
    return found


def the_run(airflow: LocalAirflow, name: str) -> dict[str, Any]:
    """Wait for the end of the only run of a DAG and return it."""
    wait_until(lambda: bool(runs(airflow, name)), f"{name} has a run", timeout=PATIENCE)
    airflow.api.wait_for_run(name, runs(airflow, name)[0]["dag_run_id"])
    [run] = runs(airflow, name)
    assert run["state"] == "success"
    return run


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_run_begins_with_its_window_or_late_while_it_is_open(airflow: LocalAirflow) -> None:
    opens = (datetime.now(UTC) + 80 * SECOND).replace(second=0, microsecond=0)  # in 20 s at least
    closes = opens + 60 * MINUTE
    add_dag(airflow, "soon", opens, closes)

    began = this_minute() - 10 * MINUTE
    add_dag(airflow, "late", began, closes)
    late = the_run(airflow, "late")
    assert (moment(late["data_interval_start"]), moment(late["data_interval_end"])) == (began, closes)

    run = the_run(airflow, "soon")
    assert (moment(run["data_interval_start"]), moment(run["data_interval_end"])) == (opens, closes)
    assert moment(run["logical_date"]) == moment(run["run_after"]) == opens
    assert opens <= moment(run["start_date"])
    assert airflow.api.xcom("soon", run["dag_run_id"], "interval") == f"{opens:%H:%M} {closes:%H:%M}"


def test_a_window_of_later_is_announced(airflow: LocalAirflow) -> None:
    opens, closes = this_minute() + 60 * MINUTE, this_minute() + 120 * MINUTE
    known = add_dag(airflow, "later", opens, closes)
    assert known["timetable_summary"] == f"daily {opens:%H:%M}-{closes:%H:%M} UTC"
    assert known["timetable_description"].startswith(f"Open on daily from {opens:%H:%M} to {closes:%H:%M}")
    assert moment(known["next_dagrun_run_after"]) == opens


def test_a_window_that_is_over_gets_no_run(airflow: LocalAirflow) -> None:
    """Not by catching up, not by a backfill, and not by a scheduler that still has it in its table."""
    opened, closed = this_minute() - 120 * MINUTE, this_minute() - 60 * MINUTE
    known = add_dag(airflow, "over", opened, closed)
    assert moment(known["next_dagrun_run_after"]) == opened + timedelta(days=1)

    past = {"from_date": str(opened - timedelta(days=7)), "to_date": str(this_minute())}
    try:
        airflow.api.call("POST", "/backfills", json={"dag_id": "over", **past})
    except requests.HTTPError as refused:  # 3.3 says why, 3.2 does not; on 3.1 there is a backfill without runs
        assert "No runs to create" in str(refused) or refused.response.status_code == 500  # noqa: PT017
    assert runs(airflow, "over") == []

    airflow.kill("scheduler")
    airflow.kill("dag-processor")
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database, database:
        database.execute(
            "update dag set next_dagrun = :opened, next_dagrun_create_after = :opened,"
            " next_dagrun_data_interval_start = :opened, next_dagrun_data_interval_end = :closed"
            " where dag_id = 'over'",
            {"opened": f"{opened:%Y-%m-%d %H:%M:%S.%f}", "closed": f"{closed:%Y-%m-%d %H:%M:%S.%f}"},
        )
    airflow.start("scheduler")
    log = airflow.processes.log_file("scheduler")
    wait_until(
        lambda: "No run for the window from" in log.read_text(), "the scheduler was refused a run", timeout=PATIENCE
    )
    airflow.start("dag-processor")

    def is_tomorrow() -> bool:
        return moment(airflow.api.call("GET", "/dags/over")["next_dagrun_run_after"]) == opened + timedelta(days=1)

    wait_until(is_tomorrow, "the next window is stored again", timeout=PATIENCE)
    assert runs(airflow, "over") == []
