"""A run of a DAG with a working window, for the tests that disturb it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any

import psutil
import requests

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from toloka_airflow.emulator.server import EmulatorServer

OPENED, CLOSED = "pool.opened", "pool.closed"
HOUR = 3600
PATIENCE = 600
MANY = 10_000
ONE_AT_A_TIME = Lock()
Connect = Callable[[str, EmulatorServer], None]


class Window:
    """A pool, and a run of a DAG with a window for it."""

    def __init__(self, airflow: LocalAirflow, toloka: EmulatorServer, dag_id: str = "window") -> None:
        self.airflow, self.api, self.toloka, self.dag_id = airflow, airflow.api, toloka, dag_id
        self.pool_id = toloka.add_pool()
        self.run_id, self.closes_at = "", datetime.now(UTC)

    def start(self, seconds: float = HOUR) -> None:
        self.closes_at = datetime.now(UTC) + timedelta(seconds=seconds)
        conf = {"pool_id": self.pool_id, "closes_at": self.closes_at.isoformat()}
        self.run_id = insist(partial(self.api.trigger, self.dag_id, conf))

    def begin(self, seconds: float = HOUR) -> None:
        """Start the run, and return when it waits in the triggerer."""
        self.start(seconds)
        self.waits()

    def waits(self, attempt: int = 1) -> None:
        """Return when an attempt waits in the triggerer, and the scheduler knows that its worker is done."""

        def does() -> bool:
            task = self.task("wait")
            return task["try_number"] == attempt and task["state"] == "deferred" and self._is_known(attempt)

        wait_until(does, f"attempt {attempt} of the wait of {self.dag_id} {self.run_id} is deferred", PATIENCE, 1)

    def _is_known(self, attempt: int) -> bool:
        # A race of Airflow's own: a task that goes on before that is taken for one that was lost.
        name = f"task_id='window.wait', run_id='{self.run_id}', try_number={attempt},"
        lines = (self.airflow.home / "processes" / "scheduler.log").read_text().splitlines()
        return any("Received executor event with state success" in line and name in line for line in lines)

    def mark(self, state: str, name: str = "wait") -> None:
        insist(partial(self.api.set_task_state, self.dag_id, self.run_id, f"window.{name}", state))

    def mark_run(self, state: str) -> None:
        insist(partial(self.api.set_run_state, self.dag_id, self.run_id, state))

    def clear_run(self) -> None:
        insist(partial(self.api.clear_run, self.dag_id, self.run_id))

    def pause(self, paused: bool) -> None:
        insist(partial(self.api.pause, self.dag_id, paused))

    def clear(self, *names: str, downstream: bool = False) -> None:
        task_ids = [f"window.{name}" for name in names]
        insist(partial(self.api.clear, self.dag_id, self.run_id, *task_ids, downstream=downstream))

    def task(self, name: str) -> dict[str, Any]:
        tasks = self.api.tasks(self.dag_id, self.run_id)
        return next(task for task in tasks if task["task_id"] in (name, f"window.{name}"))

    def is_in(self, name: str, *states: str) -> None:
        wait_until(lambda: self.task(name)["state"] in states, f"{name} of {self.dag_id} is {states}", PATIENCE, 1)

    def ended(self) -> str:
        return self.api.wait_for_run(self.dag_id, self.run_id, timeout=PATIENCE)

    def states(self) -> dict[str, str | None]:
        states = self.api.task_states(self.dag_id, self.run_id)
        return {name.removeprefix("window."): state for name, state in states.items()}

    def result(self) -> Any:
        return self.api.xcom(self.dag_id, self.run_id, "window.result")

    def log_of_wait(self) -> str:
        """Return what the first attempt to wait logged, in the worker and in the triggerer."""
        return self.api.log(self.dag_id, self.run_id, "window.wait")

    def path(self, verb: str) -> str:
        return f"/api/v1/pools/{self.pool_id}/{verb}".removesuffix("/")

    def requests(self, verb: str = "", method: str = "POST") -> int:
        return len(self.toloka.journal.requests(method, self.path(verb)))

    def happened(self) -> list[str]:
        """Return when the pool was opened and closed."""
        events = [entry["event"] for entry in self.toloka.journal.events() if entry.get("pool_id") == self.pool_id]
        return [event for event in events if event in (OPENED, CLOSED)]

    def is_watched(self, looks: int = 3) -> None:
        """Return when a triggerer has begun the wait, and the pool was looked at a few times more."""
        begun = f"trigger {self.dag_id}/{self.run_id}/window.wait/"
        wait_until(lambda: begun in self.log_of_wait(), f"the wait for pool {self.pool_id} has begun", PATIENCE, 0.5)
        before = self.looks()
        wait_until(lambda: self.looks() >= before + looks, f"pool {self.pool_id} is looked at", PATIENCE, 0.5)

    def looks(self) -> int:
        """Return how often the pool was looked at, by itself or, with all open ones, in a list."""
        return self.requests(method="GET") + len(self.toloka.journal.requests("GET", "/api/v1/pools"))

    def stays_open(self, looks: int = 5) -> None:
        self.is_watched(looks)
        self.is_open()

    def is_open(self) -> None:
        """Check that nobody closed the pool, nor tried to."""
        assert (self.happened(), self.requests("close")) == ([OPENED], 0)

    def has_closed_once(self) -> None:
        wait_until(lambda: CLOSED in self.happened(), f"pool {self.pool_id} is closed", PATIENCE)
        assert self.happened() == [OPENED, CLOSED]
        assert self.requests("open") >= 1

    def signal_worker(self, name: str, verb: str, sig: signal.Signals, seconds: float = HOUR) -> None:
        """Start the run, and send a signal to the worker that has asked Toloka for something, before it is answered."""
        delay = 600 if sig == signal.SIGKILL else 5
        hold = self.toloka.faults.add("POST", self.path(verb), delay=delay, times=MANY)
        self.start(seconds)
        wait_until(lambda: hold.times != MANY, f"pool {self.pool_id} is asked to {verb}", PATIENCE, 0.2)
        worker(self.airflow, self.task(name)["id"]).send_signal(sig)
        self.toloka.faults.remove(hold)


def insist(call: Callable[[], Any], attempts: int = 5) -> Any:
    """Ask Airflow to change something, as a person who tries again: with SQLite, it cannot write all at once."""
    with ONE_AT_A_TIME:
        for left in reversed(range(attempts)):
            try:
                return call()
            except requests.HTTPError as refusal:
                if refusal.response.status_code != 500 or not left:
                    raise


def worker(airflow: LocalAirflow, ti_id: str) -> psutil.Process:
    alive = airflow.processes.alive()
    return next(each for each in alive if " ".join(each.cmdline()).startswith(f"airflow worker -- {ti_id}"))
