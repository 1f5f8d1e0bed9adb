"""Windows in a real Airflow: mapped, started without a date, and with default_args that do not suit them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import PATIENCE, Connect, insist
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

SOON, HOUR = 45, 3600
BROKEN = Progression(seconds=0, fail={"code": "INTERNAL_ERROR", "message": "not now"})
# Those of the file that is parsed last.
DAGS = "mapped_windows", "started_window", "window_of_next_year", "starts_windows", "window_with_default_args"

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_runs", server)
        for dag_id in DAGS:
            airflow.api.wait_for_dag(dag_id)
        yield server


class Run:
    """A run of a DAG that somebody has started."""

    def __init__(self, airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
        self.api, self.dag_id, self.id = airflow.api, dag_id, run_id

    @classmethod
    def start(cls, airflow: LocalAirflow, dag_id: str, *, dated: bool = False, **conf: Any) -> Run:
        """Start a run by the REST API, as the UI does it with a date."""
        body = {"logical_date": datetime.now(UTC).isoformat() if dated else None, "conf": conf}
        call = partial(airflow.api.call, "POST", f"/dags/{dag_id}/dagRuns", json=body)
        return cls(airflow, dag_id, insist(call)["dag_run_id"])

    def waits(self) -> None:
        self.api.wait_for_task(self.dag_id, self.id, "window.wait", "deferred", timeout=PATIENCE)

    def ends_early(self) -> str:
        """Have a person end the wait, and return how the run ends."""
        self.waits()
        insist(partial(self.api.set_task_state, self.dag_id, self.id, "window.wait", "success"))
        return self.ended()

    def ended(self) -> str:
        return self.api.wait_for_run(self.dag_id, self.id, timeout=PATIENCE)

    def states(self) -> dict[str, str | None]:
        states = self.api.task_states(self.dag_id, self.id)
        return {name.removeprefix("window."): state for name, state in states.items()}

    def of_map_index(self, index: int) -> dict[str, str]:
        """Return the states of the tasks of one element of a mapped window."""
        tasks = [task for task in self.api.tasks(self.dag_id, self.id) if task["map_index"] == index]
        return {task["task_id"].removeprefix("each.window."): task["state"] for task in tasks}

    def results(self, number: int) -> list[Any]:
        path = f"/dags/{self.dag_id}/dagRuns/{self.id}/taskInstances/each.window.result/xcomEntries/return_value"
        return [self.api.call("GET", f"{path}?map_index={index}")["value"] for index in range(number)]


def the_runs(airflow: LocalAirflow, dag_id: str, number: int) -> list[Run]:
    """Return all runs of a DAG, when there are that many."""

    def found() -> list[Run]:
        runs = airflow.api.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return [Run(airflow, dag_id, run["dag_run_id"]) for run in runs]

    wait_until(lambda: len(found()) >= number, f"{dag_id} has {number} runs", PATIENCE, 1)
    return found()


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def statuses(toloka: EmulatorServer, pools: list[str]) -> list[str]:
    return [toloka.pool(pool_id)["status"] for pool_id in pools]


def test_mapped_windows_are_closed_on_time(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    """One pool alone; three, of which one is open already, and one answers late."""
    alone, pools = [toloka.add_pool()], [toloka.add_pool(), toloka.add_pool(open=True), toloka.add_pool()]
    toloka.faults.add("GET", f"/api/v1/pools/{pools[2]}", delay=5)
    closes_at = in_seconds(SOON)
    runs = {1: alone, 3: pools}
    started = {
        len(each): Run.start(airflow, "mapped_windows", pools=each, closes_at=closes_at) for each in runs.values()
    }
    for number, run in started.items():
        assert run.ended() == "success"
        results = run.results(number)
        assert [result["pool_id"] for result in results] == runs[number]
        assert {(result["status"], result["stopped_by"]) for result in results} == {("CLOSED", "until")}
        assert min(result["closed_at"] for result in results) >= closes_at[:19]
        assert statuses(toloka, runs[number]) == ["CLOSED"] * number


def test_a_mapped_window_that_comes_too_late_closes_what_is_open(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    pools = [toloka.add_pool(), toloka.add_pool(open=True)]
    run = Run.start(airflow, "mapped_windows", pools=pools, closes_at=in_seconds(-1))
    assert run.ended() == "success"
    assert [set(run.of_map_index(index).values()) for index in range(2)] == [{"skipped"}, {"success"}]
    assert statuses(toloka, pools) == ["CLOSED", "CLOSED"]
    assert toloka.journal.requests("POST", f"/api/v1/pools/{pools[0]}/open") == []


def test_runs_that_are_started_have_the_window_of_the_timetable(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    """Started by the REST API with a date and without, the CLI, an asset and another DAG with a date and without."""
    pools = [toloka.add_pool() for _ in range(6)]
    starts = Run.start(airflow, "starts_windows", pools=pools[:2])
    Run.start(airflow, "started_window", pool_id=pools[2])
    Run.start(airflow, "started_window", dated=True, pool_id=pools[5])
    [asset] = airflow.api.call("GET", "/assets?name_pattern=started_window")["assets"]
    event = {"asset_id": asset["id"], "extra": {"pool_id": pools[3]}}
    insist(partial(airflow.api.call, "POST", "/assets/events", json=event))
    command = ["airflow", "dags", "trigger", "started_window", "--conf", f'{{"pool_id": "{pools[4]}"}}']
    subprocess.run(command, env=airflow.env, check=True, capture_output=True, timeout=120)

    for run in the_runs(airflow, "started_window", 6):
        run.waits()
        closes_at = datetime.fromisoformat(run.api.xcom(run.dag_id, run.id, "window.check", "closes_at"))
        assert closes_at.strftime("%H:%M:%S") in ("09:00:00", "21:00:00")
        assert run.ends_early() == "success"
    assert statuses(toloka, pools) == ["CLOSED"] * 6

    assert starts.ended() == "success"
    [without_timetable] = the_runs(airflow, "window_without_timetable", 1)
    assert without_timetable.ended() == "failed"
    # Airflow makes no tasks for a logical date before the start date, and has such a run succeed.
    [too_early] = the_runs(airflow, "window_of_next_year", 1)
    assert (too_early.ended(), too_early.states()) == ("success", {})


def test_default_args_do_not_reach_a_window(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    """The closing of the first window fails; the second one, which depends on nothing of it, times out."""
    pools = [toloka.add_pool(), toloka.add_pool()]
    toloka.progressions.set(BROKEN, type="POOL.CLOSE", pool_id=pools[0])
    start = partial(Run.start, airflow, "window_with_default_args", dated=True, closes_at=in_seconds(HOUR))
    first = start(pool_id=pools[0])
    assert first.ends_early() == "failed"
    assert first.states() | {"close": "failed", "result": "upstream_failed"} == first.states()

    second = start(pool_id=pools[1])
    assert second.ended() == "failed"
    assert second.states() | {"wait": "failed", "close": "success", "result": "failed"} == second.states()
    assert statuses(toloka, pools) == ["OPEN", "CLOSED"]
