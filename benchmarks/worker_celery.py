"""
What a deferred step costs the workers of Celery, as `benchmarks.worker_runs` has it for those of the LocalExecutor.

Run it by ``make bench-worker``. The Airflow is a `fleet` of its own, with one scheduler and one triggerer. Each way to
start a worker has a queue and a worker that runs one task at a time. The same task is begun in all queues at once, so
that all share whatever else goes on on the machine::

    make bench-worker BEFORE=<another checkout>

has the workers of another build in the same run, for instance of a ``git worktree`` of an older commit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.worker_runs import (
    CASES,
    COMPILED,
    DAGS,
    HERE,
    PATIENCE,
    PLUGINS,
    RUNS,
    Bench,
    TlsFront,
    connection,
    introduce,
    read,
    report,
)
from demo.airflow_api import wait_until
from demo.processes import Processes
from fleet.__main__ import bring_up, describe
from fleet.lane import Lane, take_down
from fleet.settings import ROOT, Options
from fleet.supervisor import is_ready
from toloka_airflow.emulator.server import EmulatorServer

ADVISED = {"AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": ["toloka_airflow.preload"]})}
"""What docs/performance.md advises."""
ADVISED_BEFORE = HERE / "worker_settings"
"""What it advised until there was `toloka_airflow.preload`: an ``airflow_local_settings.py``."""
SKIPPED = "date_time_sensor"


@dataclass(frozen=True)
class Worker:
    """
    A way to start a worker of Celery.

    :param path: Where Python looks for modules; the first is a checkout of the product.
    """

    title: str
    path: tuple[Path, ...] = (ROOT,)
    env: Mapping[str, str] = field(default_factory=dict)


def workers(before: Path | None) -> dict[str, Worker]:
    """Return the workers by their queues."""
    found = {
        "plain": Worker("Workers of Celery, without any setting"),
        "advised": Worker("Workers of Celery, with what docs/performance.md advises", env=ADVISED),
    }
    if before is not None:
        found["before"] = Worker(f"Workers of Celery, without any setting, {before}", (before,))
        found["before-advised"] = Worker(
            f"Workers of Celery, with an airflow_local_settings.py, {before}", (before, ADVISED_BEFORE)
        )
    return found


@contextmanager
def bench(folder: Path, queues: Mapping[str, Worker]) -> Iterator[Bench]:
    """Bring up the fleet and the workers."""
    for queue in queues:
        shutil.copytree(DAGS, folder / "dags" / queue, ignore=shutil.ignore_patterns("__pycache__", f"{SKIPPED}.py"))
    with EmulatorServer(seed=1, frozen=True) as toloka, TlsFront(toloka.url, folder) as front:
        env = {
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
            "TOLOKA_BENCH_METER": str(folder / "meter.jsonl"),
            **COMPILED,
            **front.environment,
        }
        home = folder / "fleet"
        try:
            bring_up(home, Options(str(folder / "dags"), schedulers=1, triggerers=1, workers=0, concurrency=1, env=env))
            lane = Lane(home)
            lane.api.call("PATCH", "/connections/toloka_default", json=connection(front.url))
            with Processes(lane.settings.log) as processes:
                _start(lane, processes, queues)
                cases = [case for case in CASES if case != SKIPPED]
                running = Bench(lane.api, toloka, lane.log("scheduler.1"), list(queues), cases)
                running.wait_for_dags()
                yield running
        finally:
            take_down(home)


def _start(lane: Lane, processes: Processes, queues: Mapping[str, Worker]) -> None:
    names = {f"worker.{queue}": (queue, worker) for queue, worker in queues.items()}
    for name, (queue, worker) in names.items():
        env = lane.settings.environment(name) | {"PYTHONPATH": ":".join(map(str, worker.path))} | dict(worker.env)
        processes.start(name, [*lane.settings.command(name), "--queues", queue], env, lane.home)
    for name in names:
        wait_until(lambda name=name: is_ready(lane.settings, name), f"{name} is ready", PATIENCE)  # type: ignore[misc]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="worker runs of each case")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="another build, measured in the same run")
    arguments = parser.parse_args()
    before = arguments.before and arguments.before.absolute()
    if before:
        describe(before)
    queues = workers(before)
    introduce()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bench(folder, queues) as running:
            running.run(arguments.runs)
        found = read(folder / "meter.jsonl")
        for queue, worker in queues.items():
            print(f"\n{worker.title}:")
            report(found[queue])


if __name__ == "__main__":
    main()
