"""A working window with a training in a real Airflow; test_failure_modes.py has what may happen to a pool."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import PATIENCE, Connect
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

DAG_ID = "window_with_training"
OWN = ["check", "open_training", "open", "wait", "close", "close_training", "result"]
HOUR = 3600

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_windows", server)
        airflow.api.wait_for_dag(DAG_ID)
        yield server


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
        self.id = self.api.trigger(DAG_ID, {"pool_id": self.pool_id, "training_id": self.training_id, **conf})

    def ended(self) -> str:
        return self.api.wait_for_run(DAG_ID, self.id, timeout=PATIENCE)

    def is_waiting(self) -> None:
        self.api.wait_for_task(DAG_ID, self.id, "window.wait", "deferred", timeout=PATIENCE)
        assert self.statuses() == ("OPEN", "OPEN")

    def states(self) -> dict[str, str | None]:
        states = self.api.task_states(DAG_ID, self.id)
        return {name.removeprefix("window."): state for name, state in states.items()}

    def statuses(self) -> tuple[str, str]:
        return self.toloka.pool(self.pool_id)["status"], self.toloka.pool(self.training_id)["status"]

    def result(self) -> Any:
        return self.api.xcom(DAG_ID, self.id, "behind")


KNOWN = {"output_values": {"label": "yes"}}


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow, toloka: EmulatorServer) -> dict[str, Run]:
    """The runs of all tests, which go on at the same time."""
    confs: dict[str, dict[str, Any]] = {
        # Not shorter: a busy scheduler takes a task that is resumed within seconds for one that was lost.
        "short": {"seconds": 40, "inside": "fail"},
        "late": {"seconds": -1},
        "long": {"seconds": HOUR},
    }
    return {name: Run(airflow, toloka, **conf) for name, conf in confs.items()}


def test_one_that_comes_too_late_is_skipped(runs: dict[str, Run]) -> None:
    run = runs["late"]
    assert run.ended() == "success"
    assert {name for name, state in run.states().items() if state == "skipped"} == {*OWN, "inside", "behind"}
    assert run.statuses() == ("CLOSED", "CLOSED")


def test_marking_the_run_as_failed_closes_the_pool(runs: dict[str, Run]) -> None:
    run = runs["long"]
    run.is_waiting()
    run.api.set_run_state(DAG_ID, run.id, "failed")
    assert run.ended() == "failed"
    wait_until(lambda: run.statuses() == ("CLOSED", "CLOSED"), "both are closed", timeout=PATIENCE)
    states = run.states()
    assert (states["wait"], states["close"], states["result"]) == ("failed", "success", "skipped")


def test_it_closes_when_the_time_is_up(runs: dict[str, Run]) -> None:
    """A task inside that fails makes the run fail, but neither hastens nor hinders the closing."""
    run = runs["short"]
    assert run.ended() == "failed"
    assert {name for name, state in run.states().items() if state != "success"} == {"inside"}
    assert run.statuses() == ("CLOSED", "CLOSED")
    result = run.result()
    assert (result["status"], result["close_reason"], result["stopped_by"]) == ("CLOSED", "MANUAL", "until")
    assert (result["spent"], result["committed"], result["has_answers"]) == (0, 0, False)
    opened, closed = (datetime.fromisoformat(result[name]) for name in ("opened_at", "closed_at"))
    assert opened < datetime.fromisoformat(run.api.xcom(DAG_ID, run.id, "before")) <= closed
