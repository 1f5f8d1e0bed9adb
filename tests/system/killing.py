"""Workers killed at given points of a run: Toloka has done what they asked, and they do not know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.airflow_api import TERMINAL_RUN_STATES, wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import PATIENCE
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.faults import Fault

MANY = 10_000


@dataclass(frozen=True)
class Point:
    """A moment to kill a worker: it sent a request, Toloka did what it says, and the answer is under way."""

    task_id: str
    method: str
    path: str
    skip: int = 0


def hold_back(toloka: EmulatorServer, point: Point) -> Fault:
    """Have Toloka do what is asked and not answer, from one request on."""
    return toloka.faults.add(point.method, point.path, skip=point.skip, delay=600, times=MANY)


def is_asked_by(task_id: str, following: Point, points: Sequence[Point]) -> bool:
    """Say whether a task that is not done yet asks what another one is to be killed at."""
    asked = {(point.method, point.path) for point in points if point.task_id == task_id}
    return following.task_id != task_id and (following.method, following.path) in asked


@dataclass
class Killer:
    """Kill the worker of one run at given points."""

    airflow: LocalAirflow
    toloka: EmulatorServer
    dag_id: str
    run_id: str

    def kill_at_all(self, points: Sequence[Point], holds: dict[Point, Fault]) -> None:
        """
        Kill at one point after the other, of which the first are held back by `holds` already.

        An attempt may be over before it is seen to run. So what is held back from the next attempt is prepared
        before this one is killed, except where the task asks the same itself.
        """
        for point, following in zip(points, [*points[1:], None], strict=True):
            self.wait_for_attempt(point)
            hold = holds.get(point) or hold_back(self.toloka, point)
            self.wait_until_held_back(point, hold)
            if following and following not in holds and not is_asked_by(point.task_id, following, points):
                holds[following] = hold_back(self.toloka, following)
            self.kill_at(point, hold)

    def kill_at(self, point: Point, hold: Fault) -> None:
        task = self.task(point)
        name = f"airflow worker -- {task['id']}"
        next(each for each in self.airflow.processes.alive() if " ".join(each.cmdline()).startswith(name)).kill()
        self.toloka.faults.remove(hold)
        wait_until(lambda: self.task(point)["id"] != task["id"], f"another attempt after {point}", timeout=PATIENCE)

    def wait_until_held_back(self, point: Point, hold: Fault) -> None:
        wait_until(lambda: self.still_runs(point) and hold.times != MANY, f"the request of {point}", timeout=PATIENCE)

    def wait_for_attempt(self, point: Point) -> None:
        def runs() -> bool:
            return self.still_runs(point) and self.task(point)["state"] == "running"

        wait_until(runs, f"the task of {point} runs", timeout=PATIENCE, interval=0.1)

    def still_runs(self, point: Point) -> bool:
        assert self.airflow.api.run_state(self.dag_id, self.run_id) not in TERMINAL_RUN_STATES, (
            f"it ended before {point}"
        )
        return True

    def task(self, point: Point) -> dict[str, Any]:
        tasks = self.airflow.api.tasks(self.dag_id, self.run_id)
        return next(task for task in tasks if task["task_id"] == point.task_id)
