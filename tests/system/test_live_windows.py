"""A working window with a training in a real Airflow; test_failure_modes.py has what may happen to a pool."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
OWN = ["check", "open_training", "open", "wait", "close", "close_training", "result"]
HOUR = 3600

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(toloka: EmulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    env = {"AIRFLOW_CONN_TOLOKA_DEFAULT": connection, "PYTHONPATH": str(ROOT)}
    with LocalAirflow(tmp_path_factory.mktemp("live"), ROOT / "tests" / "system" / "window_dags", env=env) as local:
        local.start()
        local.api.wait_for_dag("window")
        yield local


class Run:
    """A run of the DAG with a window, for a pool and a training of its own."""

    def __init__(self, airflow: LocalAirflow, toloka: EmulatorServer, **conf: Any) -> None:
        ids = toloka.load(
            {
                "projects": [
                    {
                        "trainings": [{"tasks": [{"input_values": {"text": "?"}, "known_solutions": [KNOWN]}]}],
                        "pools": [{"tasks": [{"input_values": {"text": "?"}}]}],
                    }
                ]
            }
        )
        [self.pool_id], [self.training_id] = ids["pools"], ids["trainings"]
        self.api, self.toloka = airflow.api, toloka
        self.id = self.api.trigger("window", {"pool_id": self.pool_id, "training_id": self.training_id, **conf})

    def ended(self) -> str:
        return self.api.wait_for_run("window", self.id, timeout=180)

    def is_waiting(self) -> None:
        self.api.wait_for_task("window", self.id, "window.wait", "deferred", timeout=180)
        assert self.statuses() == ("OPEN", "OPEN")

    def states(self) -> dict[str, str | None]:
        states = self.api.task_states("window", self.id)
        return {name.removeprefix("window."): state for name, state in states.items()}

    def statuses(self) -> tuple[str, str]:
        return self.toloka.pool(self.pool_id)["status"], self.toloka.pool(self.training_id)["status"]

    def result(self) -> Any:
        return self.api.xcom("window", self.id, "behind")


KNOWN = {"output_values": {"label": "yes"}}


@pytest.fixture
def start(airflow: LocalAirflow, toloka: EmulatorServer) -> Callable[..., Run]:
    return lambda **conf: Run(airflow, toloka, **conf)


def test_it_closes_when_the_time_is_up(start: Callable[..., Run]) -> None:
    """A task inside that fails makes the run fail, but neither hastens nor hinders the closing."""
    # Not shorter: a busy scheduler takes a task that is resumed within seconds for one that was lost.
    run = start(seconds=40, inside="fail")
    assert run.ended() == "failed"
    assert {name for name, state in run.states().items() if state != "success"} == {"inside"}
    assert run.statuses() == ("CLOSED", "CLOSED")
    result = run.result()
    assert (result["status"], result["close_reason"], result["stopped_by"]) == ("CLOSED", "MANUAL", "until")
    assert result["spent"] == 0
    opened, closed = (datetime.fromisoformat(result[name]) for name in ("opened_at", "closed_at"))
    assert timedelta(0) < closed - opened < timedelta(seconds=90)


def test_one_that_comes_too_late_is_skipped(start: Callable[..., Run]) -> None:
    run = start(seconds=-1)
    assert run.ended() == "success"
    assert {name for name, state in run.states().items() if state == "skipped"} == {*OWN, "inside", "behind"}
    assert run.statuses() == ("CLOSED", "CLOSED")


def test_marking_the_run_as_failed_closes_the_pool(start: Callable[..., Run]) -> None:
    run = start(seconds=HOUR)
    run.is_waiting()
    run.api.set_run_state("window", run.id, "failed")
    assert run.ended() == "failed"
    wait_until(lambda: run.statuses() == ("CLOSED", "CLOSED"), "both are closed", timeout=60)
    states = run.states()
    assert (states["wait"], states["close"], states["result"]) == ("failed", "success", "skipped")
