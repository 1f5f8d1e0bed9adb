"""What must not be hidden, and what must not be closed: by HTTP, with two Tolokas that know the same ids."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.airflow_api import wait_until
from tests.airflow_home import airflow_home, clean_environment
from tests.support import TOKEN
from tests.unit.doctor.records import NOW, Rows, insert
from tests.unit.operators.test_guards import add_training, requiring
from tests.unit.web.served import ROOT, served
from tests.unit.web.test_page import Page
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

WINDOWS = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from toloka_airflow.timetables import PoolWindowTimetable

with DAG("windows", schedule=PoolWindowTimetable(opens="00:00", closes="24:00", days="mon-sun", timezone="UTC"),
         start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    EmptyOperator(task_id="a")
with DAG("others", schedule="@daily", start_date=datetime(2026, 1, 1)):
    EmptyOperator(task_id="a")
"""
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
NAMES = "pruned", "shared_id", "late", "failed", "to_close", "main"


def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[EmulatorServer]:
    """Another Toloka, whose pools have the same ids."""
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        yield server


@pytest.fixture(scope="module")
def slow() -> Iterator[EmulatorServer]:
    """A Toloka that answers no list while it is looked at."""
    with EmulatorServer(seed=1) as server:
        for path in ("/api/v1/pools", "/api/v1/pools/*"):
            server.faults.add("GET", path, delay=600, times=1000)
        yield server


@pytest.fixture(scope="module")
def down() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.faults.add("GET", "/api/v1/pools", status=503, message=f"at {server.url}", times=1000)
        yield server


@pytest.fixture(scope="module")
def pools(toloka: EmulatorServer, other: EmulatorServer) -> dict[str, str]:
    found = {name: toloka.add_pool(open=True) for name in NAMES}
    for pool_id in found.values():
        assert other.add_pool(open=True) == pool_id
    found["training"] = add_training(client(toloka), found["main"])
    client(toloka).open_training(found["training"])
    return found


def rows_of(pools: dict[str, str], toloka: EmulatorServer) -> Rows:
    rows = Rows()
    # Airflow has deleted the rendered fields of the old run, and kept those of a newer one.
    rows.run("prunes", "old", "success", hours=(-9, -8))
    rows.task("prunes", "old", "open", None, operator="OpenPoolOperator")
    address = client(toloka).web_url(client(toloka).get_pool(pools["pruned"]))
    rows.add("xcom", dag_run_id=rows.run("prunes", "old", "success"), dag_id="prunes", run_id="old", task_id="open",
             key="toloka_link", value=address)  # fmt: skip
    rows.run("prunes", "new", "success", hours=(-3, -2))
    rows.task("prunes", "new", "open", {"pool_id": pools["failed"]}, operator="OpenPoolOperator", state="failed")
    rows.run("left", "r", "success", hours=(-3, -2))
    rows.task("left", "r", "wait", {"pool_id": pools["shared_id"]}, operator="PoolSensor")
    rows.run("elsewhere", "r", "running")
    rows.task("elsewhere", "r", "wait", {"pool_id": pools["shared_id"], "toloka_conn_id": "other"},
              operator="PoolSensor", state="running")  # fmt: skip
    rows.task("elsewhere", "r", "wait_same", {"pool_id": pools["to_close"], "toloka_conn_id": "same"},
              operator="PoolSensor", state="running")  # fmt: skip
    rows.task("left", "r", "wait_same", {"pool_id": pools["to_close"]}, operator="PoolSensor")
    number = rows.run("late", "r", "running", hours=(-3, -2))
    rows.task("late", "r", "open", {"pool_id": pools["late"]}, operator="OpenPoolOperator")
    for key, hours in (("closes_at", -2), ("over_at", -1)):
        rows.add("xcom", dag_run_id=number, dag_id="late", run_id="r", task_id="open", key=key,
                 value=(NOW + timedelta(hours=hours)).isoformat())  # fmt: skip
    rows.task("left", "r", "training", {"training_id": pools["training"]}, operator="OpenTrainingOperator")
    for conn_id in ("slow", "down", "no_such"):
        rows.run(conn_id, "r", "running")
        rows.task(conn_id, "r", "wait", {"pool_id": "1", "toloka_conn_id": conn_id}, operator="PoolSensor")
    # Two windows of which a run has failed and one by hand has not, in either order.
    for number, (days, states) in enumerate(((2, ("failed", "success")), (1, ("success", "failed")))):
        day = TODAY - timedelta(days=days)
        window = {"data_interval_start": day.isoformat(), "data_interval_end": (day + timedelta(days=1)).isoformat()}
        for state in states:
            times = {name: (day + timedelta(hours=1)).isoformat() for name in ("start_date", "end_date")}
            rows.add("dag_run", id=1000 + 10 * number + states.index(state), dag_id="windows", run_id=f"{state}_{days}",
                     state=state, conf={}, **window, **times)  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, pools: dict[str, str], toloka: EmulatorServer) -> Path:
    home = airflow_home(tmp_path_factory)
    (home / "dags").mkdir()
    (home / "dags" / "windows.py").write_text(WINDOWS)
    env = clean_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "airflow", "dags", "reserialize"]
    done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    insert(home, rows_of(pools, toloka).tables)
    return home


@pytest.fixture(scope="module")
def page(
    home: Path, toloka: EmulatorServer, other: EmulatorServer, slow: EmulatorServer, down: EmulatorServer
) -> Iterator[Page]:
    servers = {"TOLOKA_DEFAULT": toloka, "OTHER": other, "SAME": toloka, "SLOW": slow, "DOWN": down}
    connections = {
        f"AIRFLOW_CONN_{name}": json.dumps({"conn_type": "toloka", "host": server.url, "password": TOKEN})
        for name, server in servers.items()
    }
    with served(home, **connections) as airflow:
        yield Page(airflow, "admin")


def row(page: Page, dag_id: str, pool_id: str, conn_id: str = "toloka_default") -> dict[str, Any]:
    found = page.json("api/overview", dag_id=dag_id)["pools"]
    [pool] = [pool for pool in found if (pool["conn_id"], pool["pool_id"]) == (conn_id, pool_id)]
    return pool  # type: ignore[no-any-return]


def kinds(pool: dict[str, Any]) -> list[str]:
    return [alert["kind"] for alert in pool["alerts"]]


def test_a_pool_of_a_run_whose_rendered_fields_are_gone(page: Page, pools: dict[str, str]) -> None:
    pool = row(page, "prunes", pools["pruned"])
    assert pool["status"] == "OPEN"
    assert kinds(pool) == ["nobody_waits"]
    assert page.get(f"api/pools/prunes/toloka_default/{pools['pruned']}").json()["runs"][0]["run_id"] == "old"


def test_a_run_that_waits_elsewhere_waits_for_another_pool(page: Page, pools: dict[str, str]) -> None:
    pool = row(page, "left", pools["shared_id"])
    assert (pool["status"], pool["is_waited_for"]) == ("OPEN", False)
    assert kinds(pool) == ["nobody_waits"]
    assert row(page, "elsewhere", pools["shared_id"], "other")["is_waited_for"]
    assert not page.json(f"api/pools/left/toloka_default/{pools['shared_id']}")["pool"]["is_waited_for"]


def test_a_run_that_waits_with_another_connection_to_the_same_toloka(page: Page, pools: dict[str, str]) -> None:
    pool = row(page, "left", pools["to_close"])
    assert (pool["status"], pool["is_waited_for"], pool["alerts"]) == ("OPEN", True, [])


def test_what_is_open_after_its_window(page: Page, pools: dict[str, str]) -> None:
    assert kinds(row(page, "late", pools["late"])) == ["after_its_window"]


def test_what_is_open_and_its_task_has_failed(page: Page, pools: dict[str, str]) -> None:
    assert kinds(row(page, "prunes", pools["failed"])) == ["nobody_waits", "failed"]


def test_a_toloka_that_does_not_answer_hides_nobody_elses(page: Page) -> None:
    found = {each["conn_id"]: each for each in page.json("api/overview")["connections"]}
    assert found["toloka_default"]["state"] == "fresh"
    assert found["slow"]["state"] in ("loading", "down")
    assert found["slow"]["fetched_at"] is None
    assert (found["down"]["state"], found["down"]["message"]) == (
        "down",
        "Toloka answered 503 REMOTE_SERVICE_UNAVAILABLE",
    )
    assert found["no_such"]["state"] == "down"
    assert "'no_such' cannot be used here" in found["no_such"]["message"]
    for conn_id in ("slow", "down", "no_such"):
        assert row(page, conn_id, "1", conn_id)["status"] is None
        details = page.get(f"api/pools/{conn_id}/{conn_id}/1")
        assert details.status_code == 200
        assert "127.0.0.1" not in details.text


@pytest.mark.parametrize("conn_id", ["slow", "no_such"])
def test_no_close_without_an_answer(page: Page, conn_id: str) -> None:
    answer = page.close(conn_id, "1", conn_id=conn_id)
    assert answer.status_code == 502
    assert answer.json()["detail"].startswith("Pool 1 was not closed: ")
    url = f"{page.served['url']}/api/v2/eventLogs"
    found = page.session.get(url, params={"event": "toloka_close_pool", "dag_id": conn_id}, timeout=60).json()
    assert json.loads(found["event_logs"][-1]["extra"])["result"] == answer.json()["detail"]


def closed(toloka: EmulatorServer, operation_id: str) -> None:
    """Wait until an operation is done."""
    wait_until(lambda: client(toloka).get_operation(operation_id).is_done, "it is closed", 60, 0.05)


def test_a_training_stays_open_for_a_pool_that_was_opened_a_moment_ago(
    page: Page, pools: dict[str, str], toloka: EmulatorServer
) -> None:
    training_id = pools["training"]
    assert kinds(row(page, "left", training_id)) == ["training_left_open"]
    main = toloka.add_pool(quality_control=requiring(training_id), open=True)
    answer = page.close("left", training_id)
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Training {training_id} was not closed: a pool that requires it is open"
    assert client(toloka).get_training(training_id).status.value == "OPEN"
    assert main not in answer.text, "no DAG names it"
    closed(toloka, client(toloka).close_pool(main).id)  # type: ignore[union-attr]
    answer = page.close("left", training_id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] in ("closing", "closed")
    closed(toloka, answer.json()["operation_id"])
    assert client(toloka).get_training(training_id).status.value == "CLOSED"


def test_the_calendar_knows_the_dags_of_windows(page: Page) -> None:
    today = datetime.now(NOW.tzinfo).date() - timedelta(days=1)
    found = page.json("api/calendar", start=today.isoformat(), days=3)
    assert found["problems"] == []
    assert {window["dag_id"] for window in found["windows"]} == {"windows"}
    assert found["windows"][-1]["state"] == "planned"
    assert found["windows"] == page.json("api/calendar", start=today.isoformat(), days=3)["windows"], "from memory"


def test_a_window_whose_run_failed_and_was_begun_again_by_hand_is_not_missed(page: Page) -> None:
    start = (TODAY - timedelta(days=2)).date().isoformat()
    found = page.json("api/calendar", start=start, days=2)["windows"]
    assert [(window["state"], window["run_id"]) for window in found] == [("done", "success_2"), ("done", "success_1")]
    assert [window["detail"].split("; ")[1] for window in found] == ["another run ended as failed"] * 2
