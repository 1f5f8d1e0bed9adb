"""What closes a pool and its training after ``dagrun_timeout``, in a real Airflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import PATIENCE, Connect
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
DAGS = ["timeout_deferred", "timeout_in_worker"]
HINT = {"tasks": [{"input_values": {"text": "?"}, "known_solutions": [{"output_values": {"label": "yes"}}]}]}

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them, or they expire."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_timeouts", server)
        for dag_id in DAGS:
            airflow.api.wait_for_dag(dag_id)
        yield server


class Run:
    """A run for a pool, which expires in months, and a training of its own."""

    def __init__(self, airflow: LocalAirflow, toloka: EmulatorServer, dag_id: str) -> None:
        project = {"trainings": [HINT], "pools": [{"tasks": [{"input_values": {"text": "?"}}]}]}
        ids = toloka.load({"projects": [project]})
        [self.pool_id], [self.training_id] = ids["pools"], ids["trainings"]
        self.api, self.toloka, self.dag_id = airflow.api, toloka, dag_id
        self._database = airflow.home / "airflow.db"
        self.id = self.api.trigger(dag_id, {"pool_id": self.pool_id, "training_id": self.training_id})

    def times_out(self) -> None:
        """Wait for the wait, let the run be older than it may be, and return when Airflow has ended it."""
        state = "deferred" if self.dag_id == "timeout_deferred" else "running"
        self.api.wait_for_task(self.dag_id, self.id, "wait", state, timeout=PATIENCE)
        self._is_watched()
        assert self.statuses() == ("OPEN", "OPEN")
        with closing(sqlite3.connect(self._database, timeout=30)) as database, database:
            database.execute(
                "UPDATE dag_run SET start_date = datetime(start_date, '-90 minutes') WHERE run_id = ?", (self.id,)
            )
        assert self.api.wait_for_run(self.dag_id, self.id, timeout=PATIENCE) == "failed"
        states = self.api.task_states(self.dag_id, self.id)
        assert {states[name] for name in ("wait", "close", "close_training")} <= {"skipped", None}

    def _is_watched(self) -> None:
        """Return when the pool is polled where the wait is to be killed."""
        if self.dag_id == "timeout_deferred":
            begun = f"trigger {self.dag_id}/{self.id}/wait/"
            wait_until(
                lambda: begun in self.api.log(self.dag_id, self.id, "wait"), "the trigger has begun", PATIENCE, 0.5
            )
        before = self._polls()
        wait_until(lambda: self._polls() >= before + 2, f"pool {self.pool_id} is polled", PATIENCE, 0.5)

    def _polls(self) -> int:
        paths = (f"/api/v1/pools/{self.pool_id}", "/api/v1/pools")
        return sum(len(self.toloka.journal.requests("GET", path)) for path in paths)

    def statuses(self) -> tuple[str, str]:
        return self.toloka.pool(self.pool_id)["status"], self.toloka.pool(self.training_id)["status"]

    def close_reason(self) -> str | None:
        return self.toloka.pool(self.pool_id)["close_reason"]


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow, toloka: EmulatorServer) -> dict[str, Run]:
    """The runs of all tests, which go on at the same time."""
    return {dag_id: Run(airflow, toloka, dag_id) for dag_id in DAGS}


def test_a_wait_in_a_worker_closes_both(runs: dict[str, Run]) -> None:
    run = runs["timeout_in_worker"]
    run.times_out()
    wait_until(lambda: run.statuses() == ("CLOSED", "CLOSED"), "both are closed", timeout=PATIENCE)
    assert run.close_reason() == "MANUAL"


def test_a_deferred_wait_closes_both_or_the_pool_expires(runs: dict[str, Run], toloka: EmulatorServer) -> None:
    """Before 3.3 Airflow does not notify a trigger, so it is Toloka that closes the pool, and nobody the training."""
    run = runs["timeout_deferred"]
    run.times_out()
    if IS_3_3:
        wait_until(lambda: run.statuses() == ("CLOSED", "CLOSED"), "both are closed", timeout=PATIENCE)
        assert run.close_reason() == "MANUAL"
        return
    assert run.statuses() == ("OPEN", "OPEN")
    toloka.clock.advance(2 * 3600)
    assert (run.statuses(), run.close_reason()) == (("CLOSED", "OPEN"), "EXPIRED")
