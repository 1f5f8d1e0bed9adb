"""DAGs in a real Airflow, each component a process of its own, with parts killed while people work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect
from tests.worlds import digits, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, speed=60) as server:
        connect_to("toloka_default", server)
        requests.put(f"{server.url}/_emulator/truth", json=digits(), timeout=10).raise_for_status()
        for dag_id in ("label_digits", "pool_lifecycle"):
            airflow.api.wait_for_dag(dag_id)
        yield server


def steer(toloka: EmulatorServer, **clock: Any) -> None:
    requests.patch(f"{toloka.url}/_emulator/clock", json=clock, timeout=10).raise_for_status()


def link(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str) -> str | None:
    """Return where the button on a task's page in the Airflow UI leads."""
    links = airflow.api.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links")
    address: str | None = links["extra_links"]["Toloka"]
    return address


class Survivor(NamedTuple):
    """A run of `label_digits` whose triggerer was killed while people worked."""

    run_id: str
    pool_id: str
    posts: dict[str, int]


@pytest.fixture(scope="module")
def survivor(airflow: LocalAirflow, toloka: EmulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Survivor:
    folder = tmp_path_factory.mktemp("digits")
    before = toloka.journal.last
    run_id = airflow.api.trigger("label_digits", {"images": 100, "output": f"file://{folder}"})
    airflow.api.wait_for_task("label_digits", run_id, "open_pool", "success")
    # Nobody answers any more: however long the next steps take here, the wait is not over.
    steer(toloka, frozen=True)
    airflow.api.wait_for_task("label_digits", run_id, "wait_for_people", "deferred")
    pool_id = airflow.api.xcom("label_digits", run_id, "create_pool")
    airflow.kill("triggerer")
    polls = polls_of(toloka, pool_id)
    airflow.start("triggerer")
    wait_until(lambda: polls_of(toloka, pool_id) > polls + 1, "the new triggerer polls the pool", timeout=PATIENCE)
    assert airflow.api.task_states("label_digits", run_id)["wait_for_people"] == "deferred"
    steer(toloka, frozen=False)
    airflow.api.wait_for_run("label_digits", run_id)
    ids = {pool_id, airflow.api.xcom("label_digits", run_id, "create_project")}
    posts = Counter(
        "/".join("{id}" if part in ids else part for part in entry["path"].split("/"))
        for entry in toloka.journal.after(before, kind="request", method="POST")
    )
    return Survivor(run_id, pool_id, posts)


def test_a_run_survives_the_death_of_the_triggerer(
    airflow: LocalAirflow, toloka: EmulatorServer, survivor: Survivor
) -> None:
    assert airflow.api.run_state("label_digits", survivor.run_id) == "success"
    result = airflow.api.xcom("label_digits", survivor.run_id, "compare")
    assert (result["images"], result["answers"]) == (100, 500)
    assert result["accuracy"] >= 0.95
    measured = "/api/staging/analytics-2"  # by the wait, at intervals, and by the report
    assert survivor.posts[measured] >= 1
    assert {path: count for path, count in survivor.posts.items() if path != measured} == {
        "/api/v1/projects": 1,
        "/api/v1/pools": 1,
        "/api/v1/tasks": 1,
        "/api/v1/pools/{id}/open": 1,
        "/api/v1/pools/{id}/close": 1,
        "/api/v1/pools/{id}/archive": 1,
        "/api/v1/projects/{id}/archive": 1,
    }
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    page = client.web_url(client.get_pool(survivor.pool_id))
    assert link(airflow, "label_digits", survivor.run_id, "wait_for_people") == page


def test_an_opening_of_a_second_is_not_deferred(airflow: LocalAirflow, survivor: Survivor) -> None:
    """A worker was started once for it, though it may wait in the triggerer."""
    lines = (airflow.home / "processes" / "scheduler.log").read_text().splitlines()
    name = f"task_id='open_pool', run_id='{survivor.run_id}'"
    assert sum("Received executor event with state success" in line and name in line for line in lines) == 1


def test_an_opening_that_is_given_up_does_not_leave_the_pool_open(
    airflow: LocalAirflow, toloka: EmulatorServer, tmp_path: Path
) -> None:
    slow = {"type": "POOL.OPEN", "seconds": 24 * 3600}
    requests.put(f"{toloka.url}/_emulator/operations", json=slow, timeout=10).raise_for_status()
    run_id = airflow.api.trigger("label_digits", {"images": 20, "output": f"file://{tmp_path}"})
    airflow.api.wait_for_task("label_digits", run_id, "open_pool", "deferred")
    pool_id = airflow.api.xcom("label_digits", run_id, "create_pool")
    airflow.api.set_task_state("label_digits", run_id, "open_pool", "failed")
    airflow.api.wait_for_task("label_digits", run_id, "close_pool", "deferred")
    steer(toloka, advance=24 * 3600)
    requests.put(f"{toloka.url}/_emulator/operations", json={**slow, "seconds": 1}, timeout=10).raise_for_status()
    assert airflow.api.wait_for_run("label_digits", run_id) == "failed"
    assert airflow.api.task_states("label_digits", run_id)["close_pool"] == "success"
    happened = [entry["event"] for entry in toloka.journal.events() if entry.get("pool_id") == pool_id]
    assert [event for event in happened if event.startswith("pool.")] == ["pool.created", "pool.opened", "pool.closed"]


def test_a_refusal_is_told_and_linked(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pool_id = small_pool(client)
    run_id = airflow.api.trigger("pool_lifecycle", {"pool_id": pool_id})
    assert airflow.api.wait_for_run("pool_lifecycle", run_id) == "failed"
    assert airflow.api.task_states("pool_lifecycle", run_id)["open_pool"] == "failed"
    log = airflow.api.log("pool_lifecycle", run_id, "open_pool")
    assert "EMPTY_POOL" in log
    assert "Upload tasks to the pool before opening it" in log
    assert link(airflow, "pool_lifecycle", run_id, "open_pool") == client.web_url(client.get_pool(pool_id))


@pytest.mark.usefixtures("survivor")
def test_the_token_is_in_no_file_of_airflow(airflow: LocalAirflow) -> None:
    """Logs, rendered fields, XComs and triggers are all below the home, also those of the modules before."""
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert {"airflow.db"} < {path.name for path in files}
    assert any("triggerer" in path.name for path in files)
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def polls_of(toloka: EmulatorServer, pool_id: str) -> int:
    """Return how often the pool was polled, by itself or, with all open ones, in a list."""
    paths = (f"/api/v1/pools/{pool_id}", "/api/v1/pools")
    return sum(entry["path"] in paths for entry in toloka.journal.requests("GET"))
