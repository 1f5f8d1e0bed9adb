"""Waits that are ended by a person, and DAGs that a closing starts, in a real Airflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect
from tests.worlds import small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
WAITS = ["wait_deferred", "wait_in_worker"]
WATCHED = """\
from airflow.sdk import DAG, AssetWatcher
from toloka_airflow.assets import pool_asset
from toloka_airflow.triggers import PoolClosedTrigger
from tests.system.dags.waiting import tell

TOLOKA = "toloka_waiting"
trigger = PoolClosedTrigger(pool_id="{pool_id}", poll_interval=0.5, toloka_conn_id=TOLOKA)
watcher = AssetWatcher(name="closing", trigger=trigger)
with DAG("after_one_pool", schedule=pool_asset("{pool_id}", toloka_conn_id=TOLOKA, watchers=[watcher])):
    tell()
"""

pytestmark = pytest.mark.live
since_3_3 = pytest.mark.skipif(not IS_3_3, reason="Airflow before 3.3 neither tells triggers nor lets them remember")


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, speed=60, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_waiting", server)
        for dag_id in [*WAITS, "after_any_pool"]:
            airflow.api.wait_for_dag(dag_id)
        yield server


@pytest.fixture(scope="module")
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture
def watched(airflow: LocalAirflow, client: TolokaClient) -> Iterator[str]:
    """A pool whose closing starts a DAG."""
    pool_id = open_pool(client)
    file = airflow.dags / "watched.py"
    file.write_text(WATCHED.format(pool_id=pool_id))
    airflow.api.wait_for_dag("after_one_pool")
    yield pool_id
    # Not deleted: Airflow 3.1 notes a file that is gone as one that cannot be imported, also for who comes next.
    file.write_text("")


def open_pool(client: TolokaClient) -> str:
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": "?"}, "overlap": 3}])
    reopen(client, pool_id)
    return pool_id


def reopen(client: TolokaClient, pool_id: str) -> None:
    operation = client.open_pool(pool_id)
    if operation is not None:
        client.ensure_success(client.wait_operation(operation, timeout=30, poll_interval=0.05))


def close(client: TolokaClient, pool_id: str) -> None:
    operation = client.close_pool(pool_id)
    assert operation is not None
    client.ensure_success(client.wait_operation(operation, timeout=30, poll_interval=0.05))


def status(client: TolokaClient, pool_id: str) -> str:
    return client.get_pool(pool_id).status.value


def closings(toloka: EmulatorServer, pool_id: str) -> int:
    return sum(entry["path"] == f"/api/v1/pools/{pool_id}/close" for entry in toloka.journal.requests("POST"))


def looks(toloka: EmulatorServer, pool_id: str) -> int:
    """Return how often a pool was looked at, by itself or, with all open ones, in a list."""
    paths = (f"/api/v1/pools/{pool_id}", "/api/v1/pools")
    return sum(entry["path"] in paths for entry in toloka.journal.requests("GET"))


def remembered(airflow: LocalAirflow) -> str:
    """Return what watchers have stored."""
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database:
        return str(database.execute("SELECT value FROM asset_state_store").fetchall())


def see_a_look(toloka: EmulatorServer, pool_id: str, count: int = 2) -> None:
    before = looks(toloka, pool_id)
    wait_until(lambda: looks(toloka, pool_id) >= before + count, f"pool {pool_id} is looked at", timeout=PATIENCE)


def start_wait(airflow: LocalAirflow, toloka: EmulatorServer, dag_id: str, pool_id: str) -> str:
    """Start a wait, and return its run once it looks at the pool where it is to be killed."""
    run_id = airflow.api.trigger(dag_id, {"pool_id": pool_id})
    state = "deferred" if dag_id == "wait_deferred" else "running"
    airflow.api.wait_for_task(dag_id, run_id, "wait", state)
    if state == "deferred":
        see_deferred(airflow, run_id)
        see_begun(airflow, dag_id, run_id)
    see_a_look(toloka, pool_id)
    return run_id


def see_begun(airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
    """Wait until a triggerer has begun the wait, as one that has not is not told when the wait is killed."""
    begun = f"trigger {dag_id}/{run_id}/wait/"
    wait_until(
        lambda: begun in airflow.api.log(dag_id, run_id, "wait"), "a triggerer has begun the wait", timeout=PATIENCE
    )


def see_deferred(airflow: LocalAirflow, run_id: str) -> None:
    """
    Wait until the scheduler knows that the worker is done with a task that it deferred.

    It fails a task that is queued again before that: a race of Airflow's own, on a machine that is busy.
    """

    def is_known() -> bool:
        lines = (airflow.home / "processes" / "scheduler.log").read_text().splitlines()
        return any("Received executor event with state success" in line and run_id in line for line in lines)

    wait_until(is_known, "the scheduler knows that the task is deferred", timeout=PATIENCE)


def told(airflow: LocalAirflow, dag_id: str) -> list[dict[str, Any]]:
    """Return what the runs of a DAG were told of closings, in their order."""
    runs = airflow.api.call("GET", f"/dags/{dag_id}/dagRuns?order_by=id")["dag_runs"]
    extras = [airflow.api.xcom(dag_id, run["dag_run_id"], "tell") or [] for run in runs]
    return [extra for of_run in extras for extra in of_run]


@pytest.mark.parametrize(
    ("dag_id", "state"),
    [
        pytest.param("wait_deferred", "failed", marks=since_3_3),
        ("wait_in_worker", "failed"),
        ("wait_in_worker", "success"),
    ],
)
def test_marking_a_wait_closes_its_pool(
    airflow: LocalAirflow, toloka: EmulatorServer, client: TolokaClient, dag_id: str, state: str
) -> None:
    pool_id = open_pool(client)
    run_id = start_wait(airflow, toloka, dag_id, pool_id)
    airflow.api.set_task_state(dag_id, run_id, "wait", state)
    wait_until(lambda: status(client, pool_id) == "CLOSED", "the pool is closed", timeout=PATIENCE)
    assert closings(toloka, pool_id) == 1
    if dag_id == "wait_deferred":
        assert "was killed: operation" in airflow.api.log(dag_id, run_id, "wait")


@since_3_3
def test_deleting_the_run_of_a_deferred_wait_closes_its_pool(
    airflow: LocalAirflow, toloka: EmulatorServer, client: TolokaClient
) -> None:
    pool_id = open_pool(client)
    run_id = start_wait(airflow, toloka, "wait_deferred", pool_id)
    airflow.api.set_run_state("wait_deferred", run_id, "failed")
    airflow.api.call("DELETE", f"/dags/wait_deferred/dagRuns/{run_id}")
    wait_until(lambda: status(client, pool_id) == "CLOSED", "the pool is closed", timeout=PATIENCE)
    assert closings(toloka, pool_id) == 1


def test_clearing_a_wait_in_a_worker_leaves_its_pool_to_the_new_attempt(
    airflow: LocalAirflow, toloka: EmulatorServer, client: TolokaClient
) -> None:
    pool_id = open_pool(client)
    run_id = start_wait(airflow, toloka, "wait_in_worker", pool_id)
    airflow.api.clear("wait_in_worker", run_id, "wait")

    def is_second_attempt() -> bool:
        [task] = airflow.api.tasks("wait_in_worker", run_id)
        return bool(task["try_number"] == 2 and task["state"] == "running")

    wait_until(is_second_attempt, "the wait is in its second attempt", timeout=PATIENCE)
    see_a_look(toloka, pool_id, count=5)
    assert (status(client, pool_id), closings(toloka, pool_id)) == ("OPEN", 0)
    close(client, pool_id)
    assert airflow.api.wait_for_run("wait_in_worker", run_id) == "success"


def test_the_end_of_a_wait_starts_a_dag_through_an_alias(
    airflow: LocalAirflow, toloka: EmulatorServer, client: TolokaClient
) -> None:
    pool_id = open_pool(client)
    run_id = start_wait(airflow, toloka, "wait_deferred", pool_id)
    close(client, pool_id)
    assert airflow.api.wait_for_run("wait_deferred", run_id) == "success"

    def events() -> list[dict[str, Any]]:
        return [extra for extra in told(airflow, "after_any_pool") if extra["pool_id"] == pool_id]

    wait_until(lambda: len(events()) == 1, "the DAG behind the alias was told", timeout=PATIENCE)
    assert events() == [airflow.api.xcom("wait_deferred", run_id, "wait")]


def test_a_closing_starts_a_dag_once_across_restarts(
    airflow: LocalAirflow, toloka: EmulatorServer, client: TolokaClient, watched: str
) -> None:
    """Of the two closings here, the second one happens while no triggerer runs, which only Airflow 3.3 notices."""
    see_a_look(toloka, watched)
    assert told(airflow, "after_one_pool") == []
    close(client, watched)
    first = client.get_pool(watched)
    wait_until(lambda: len(told(airflow, "after_one_pool")) == 1, "the DAG was told of the closing", timeout=PATIENCE)
    assert first.last_stopped is not None
    assert told(airflow, "after_one_pool")[0]["payload"] == {
        "pool_id": watched,
        "status": "CLOSED",
        "close_reason": "MANUAL",
        "closed_at": first.last_stopped.isoformat(),
    }
    see_a_look(toloka, watched)
    if IS_3_3:
        moment = first.last_stopped.isoformat()
        wait_until(lambda: moment in remembered(airflow), "the closing is remembered", timeout=PATIENCE)

    airflow.kill("triggerer")
    airflow.start("triggerer")
    see_a_look(toloka, watched, count=5)
    assert len(told(airflow, "after_one_pool")) == 1

    airflow.kill("triggerer")
    reopen(client, watched)
    close(client, watched)
    airflow.start("triggerer")
    see_a_look(toloka, watched, count=5)
    if IS_3_3:
        wait_until(
            lambda: len(told(airflow, "after_one_pool")) == 2, "the DAG was told of the second", timeout=PATIENCE
        )
    else:
        assert len(told(airflow, "after_one_pool")) == 1
