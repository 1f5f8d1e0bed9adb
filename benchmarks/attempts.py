"""
What it takes on a busy Airflow to open pools, each by an operation of a second: attempts, and starts of a worker.

Run it by ``make bench-attempts``. A real Airflow (scheduler, triggerer, API server; SQLite; LocalExecutor with four
slots) opens many pools at once by deferrable tasks, while other processes take all of the CPU. Once each task defers
at once, as it did before there was ``[toloka] defer_after``; once it waits in the worker for some seconds first.

A task that resumes before the scheduler has handled its deferral is taken for one that was lost: Airflow fails the
attempt ("Task Instance not found"), and it is tried again. So attempts are what Airflow calls ``try_number``, and more
than one each is what a task with few ``retries`` would have failed by. A start is a process of a worker that ended.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import os
import platform
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.local_airflow import LocalAirflow
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

DAG_ID = "many_openings"
DAGS = Path(__file__).parent / "attempt_dags"
SETTINGS = {"before: deferred at once": "0", "after: 5 s in the worker first": "5"}
PATIENCE = 1800.0


def burn() -> None:
    """Take a core until the process is ended."""
    while True:
        pass


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Have other processes take the CPU."""
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(count)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()


def measure(defer_after: str, count: int, burners: int) -> str:
    """Open pools in an Airflow of its own, and return a row of the table."""
    with (
        tempfile.TemporaryDirectory() as name,
        EmulatorServer(seed=1, crowd=CrowdSettings(size=0), quotas=False) as toloka,
        LocalAirflow(Path(name) / "airflow", DAGS, env={"AIRFLOW__TOLOKA__DEFER_AFTER": defer_after}) as airflow,
    ):
        toloka.progressions.set(Progression(seconds=1))
        airflow.start()
        connection = {"connection_id": "toloka_default", "conn_type": "toloka", "host": toloka.url, "password": "any"}
        airflow.api.call("POST", "/connections", json=connection)
        airflow.api.wait_for_dag(DAG_ID)
        pools = [toloka.add_pool(tasks=1) for _ in range(count)]
        began = time.monotonic()
        with busy(burners):
            run_id = airflow.api.trigger(DAG_ID, {"pools": pools})
            airflow.api.wait_for_run(DAG_ID, run_id, PATIENCE)
        took = time.monotonic() - began
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?limit=1000&task_id=open"
        tasks = [task for task in airflow.api.call("GET", path)["task_instances"] if task["task_id"] == "open"]
        lines = (airflow.home / "processes" / "scheduler.log").read_text().splitlines()
        ended = re.compile("Received executor event with state (success|failed) .*task_id='open'")
        starts = sum(bool(ended.search(line)) for line in lines)
        attempts = Counter(task["try_number"] for task in tasks)
        total = sum(number * times for number, times in attempts.items())
        states = Counter(task["state"] for task in tasks)
        opened = len(toloka.journal.events("pool.opened"))
    return (
        f"| {total / count:.2f} | {max(attempts)} | {sum(times for number, times in attempts.items() if number > 1)} "
        f"| {starts / count:.2f} | {took:.0f} | {opened} opened, {dict(states)} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=40, help="pools to open at once")
    parser.add_argument("--burners", type=int, default=2 * (os.cpu_count() or 1), help="processes that take the CPU")
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {dt.date.today()}")
    print(f"{arguments.tasks} openings at once beside {arguments.burners} processes that take the CPU\n")
    print("| | attempts per task | most | tasks with more than one | starts of a worker per task | seconds | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for title, defer_after in SETTINGS.items():
        print(f"| {title} {measure(defer_after, arguments.tasks, arguments.burners)}", flush=True)


if __name__ == "__main__":
    main()
