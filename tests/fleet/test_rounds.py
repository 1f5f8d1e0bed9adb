"""Labelling rounds on a fleet whose processes are killed meanwhile, one after the other."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from demo.airflow_api import wait_until
from fleet.checker import Inventory, Run, check
from fleet.lane import Lane
from fleet.settings import TOKEN

DAG_ID = "labelling_round"
TASKS = 200
PATIENCE = 900.0
Kill = Callable[[Lane], object]


def component(name: str, sig: signal.Signals = signal.SIGKILL, *, main_only: bool = False) -> Kill:
    """Have a component killed, and wait until it is there again."""

    def kill(lane: Lane) -> None:
        lane.kill(name, sig, main_only=main_only)
        lane.wait_until_up(timeout=PATIENCE)

    return kill


def one_of(lane: Lane, which: int) -> None:
    """Kill the supervisor (0) or the process (1) of a task that runs now."""

    def killed() -> bool:
        running = list(lane.supervised())
        if not running:
            return False
        try:
            random.choice(running)[which].kill()
        except psutil.NoSuchProcess:
            return False
        return True

    wait_until(killed, "some task runs", PATIENCE, 0.1)


SUPERVISOR, TASK = partial(one_of, which=0), partial(one_of, which=1)
KILLS: dict[int, list[Kill]] = {
    4: [SUPERVISOR, component("triggerer.1"), TASK, component("scheduler.1"), component("worker.1")],
    12: [
        SUPERVISOR,
        component("worker.2", main_only=True),
        TASK,
        component("postgres", signal.SIGINT),
        component("triggerer.2"),
        SUPERVISOR,
        component("redis", signal.SIGTERM),
        component("scheduler.2"),
        TASK,
        component("api-server"),
        SUPERVISOR,
        component("worker.1"),
        component("dag-processor"),
        TASK,
    ],
}


@pytest.mark.parametrize("count", list(KILLS))
def test_rounds_are_exact_although_processes_are_killed(lane: Lane, count: int) -> None:
    """As in a cluster that loses a component again and again; all of them are there again between two losses."""
    lane.api.wait_for_dag(DAG_ID, timeout=PATIENCE)
    run_ids = [lane.api.trigger(DAG_ID, {"tasks": TASKS}) for _ in range(count)]
    for kill in KILLS[count]:
        kill(lane)
    states = {run_id: lane.api.wait_for_run(DAG_ID, run_id, timeout=PATIENCE) for run_id in run_ids}
    toloka = Inventory.read(lane.toloka_url, TOKEN)
    runs = [Run(f"Round {run_id}", state, TASKS, lane.files / run_id) for run_id, state in states.items()]
    wrong = {run.name: found for run in runs if (found := check(run, toloka))}
    assert wrong == {}
    assert list(states.values()) == ["success"] * count
