"""
What a deferred step costs the workers: CPU of its two worker runs, beside a bare deferrable operator in the same run.

Run it by ``make bench-worker``. A real Airflow (scheduler, triggerer, API server; SQLite) runs DAGs of one task each,
all in turn. A task defers, waits in the triggerer, and resumes: two processes, which fork from one that has imported
nothing of the DAG. A listener in them tells the CPU since the fork when Airflow is about to end them. The connection
is stored in Airflow, and Toloka is the emulator behind TLS, so that certificates are loaded and checked as usual.
The difference to the bare operator is what is ours.

Here workers fork from the scheduler, as the LocalExecutor has them; `benchmarks.worker_celery` is about the others.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from benchmarks.certificate import make_certificate
from demo.airflow_api import AirflowApi, wait_until
from demo.local_airflow import LocalAirflow, inherited_environment
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

HERE = Path(__file__).parent
PEER = "bare"
CASES = {
    PEER: "peer: a bare deferrable operator, nothing but Airflow",
    "date_time_sensor": "peer: DateTimeSensorAsync of Airflow's standard provider",
    "open_pool": "OpenPoolOperator",
    "operation_sensor": "OperationSensor",
    "pool_sensor": "PoolSensor",
}
OURS = ("open_pool", "operation_sensor", "pool_sensor")
RUNS = 10
GOAL_MS = {"submit": 45.0, "resume": 20.0}
DAGS = HERE / "worker_dags"
PLUGINS = HERE / "worker_plugins"
PATIENCE = 180.0
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Workers find modules compiled."""


@dataclass(frozen=True)
class WorkerRun:
    """
    What one task process took, in milliseconds of CPU.

    :param start: From the fork until the DAG file is parsed.
    :param parse: The DAG file with all that it imports.
    :param execute: The operator, and what Airflow does with its end.
    """

    start: float
    parse: float
    execute: float
    loaded: tuple[str, ...]

    @classmethod
    def read(cls, line: dict[str, Any]) -> Self:
        """Return what the listener wrote."""
        began, parsed, ended = line["began"], line["parsed"], line["ended"]
        return cls(began, parsed - began, ended - parsed, tuple(line["loaded"]))

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.parse + self.execute


class TlsFront:
    """
    Serve a plain HTTP server over TLS, with a certificate of its own.

    :param url: The address of the server.
    :param folder: Where to put the certificate, beside those of the machine so that there is as much to load.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._target = urlsplit(url)
        self.certificates = folder / "certificates"
        self._context = make_certificate(folder)
        self._trust(folder / "certificate.pem")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def _trust(self, certificate: Path) -> None:
        self.certificates.mkdir()
        shutil.copy(certificate, self.certificates)
        subprocess.run(["openssl", "rehash", str(self.certificates)], check=True)
        machine = ssl.get_default_verify_paths().capath
        for other in Path(machine).iterdir() if machine else ():
            (self.certificates / other.name).symlink_to(other)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process trust it, as it trusts the certificates of the machine."""
        return {"SSL_CERT_DIR": str(self.certificates), "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = await asyncio.open_connection(self._target.hostname, self._target.port)
        await asyncio.gather(self._pass_on(reader, target[1]), self._pass_on(target[0], writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Bench:
    """
    Have an Airflow and the emulator run the DAGs, in one round after another.

    :param log: The file that the scheduler logs to.
    :param queues: Each has a worker, and DAGs of its own.
    :param cases: Which DAGs of each.
    """

    def __init__(
        self,
        api: AirflowApi,
        toloka: EmulatorServer,
        log: Path,
        queues: Sequence[str] = (DAGS.name,),
        cases: Sequence[str] = tuple(CASES),
    ) -> None:
        self.api, self.toloka, self.log, self.queues, self.cases = api, toloka, log, queues, cases
        self.client = TolokaClient(ClientSettings("token", base_url=toloka.url))

    def wait_for_dags(self) -> None:
        """Return when Airflow has parsed all of them."""
        for case in self.cases:
            for queue in self.queues:
                self.api.wait_for_dag(f"{case}.{queue}", PATIENCE)

    def run(self, rounds: int) -> None:
        """Run every DAG so often."""
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for case in self.cases:
                self._round(case)

    def _round(self, case: str) -> None:
        """Run the DAGs of a case once, of all queues at once, and nothing beside them that takes CPU from them."""
        with tempfile.TemporaryDirectory() as folder:
            flag = Path(folder) / "flag"
            runs, pools = [], []
            for queue in self.queues:
                pool_id = self.toloka.add_pool(tasks=1, open=case == "pool_sensor")
                conf = {"flag": str(flag), "pool_id": pool_id, "at": _soon(10)}
                if case == "operation_sensor":
                    conf["operation_id"] = self._opened(pool_id)
                dag_id = f"{case}.{queue}"
                runs.append((dag_id, _insist(partial(self.api.trigger, dag_id, conf))))
                pools.append(pool_id)
            for dag_id, run_id in runs:
                self._wait_until_deferred(dag_id, run_id)
            if case == "pool_sensor":
                for pool_id in pools:
                    self.client.close_pool(pool_id)
            self.toloka.clock.advance(seconds=60)
            flag.touch()
            for dag_id, run_id in runs:
                state = self.api.wait_for_run(dag_id, run_id, PATIENCE)
                if state != "success":
                    print(f"{dag_id} {run_id}: {state}", file=sys.stderr)

    def _opened(self, pool_id: str) -> str:
        operation = self.client.open_pool(pool_id)
        assert operation is not None
        return operation.id

    def _wait_until_deferred(self, dag_id: str, run_id: str) -> None:
        """Wait until the scheduler knows it, too: it fails a task that is queued again before that."""
        parts = "Received executor event with state success", dag_id, run_id

        def is_known() -> bool:
            return any(all(part in line for part in parts) for line in self.log.read_text().splitlines())

        wait_until(is_known, f"{dag_id} {run_id} is deferred", PATIENCE, 0.5)


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start everything."""
    env = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "TOLOKA_BENCH_METER": str(folder / "meter.jsonl"),
        **COMPILED,
    }
    with (
        EmulatorServer(seed=1, frozen=True) as toloka,
        TlsFront(toloka.url, folder) as front,
        LocalAirflow(folder / "airflow", DAGS, env=env | front.environment) as airflow,
    ):
        airflow.start()
        airflow.api.call("POST", "/connections", json=connection(front.url))
        running = Bench(airflow.api, toloka, airflow.home / "processes" / "scheduler.log")
        running.wait_for_dags()
        yield running


def connection(host: str) -> dict[str, str]:
    """Return the connection to a local Toloka, as Airflow's REST API takes it."""
    return {
        "connection_id": "toloka_default",
        "conn_type": "toloka",
        "host": host,
        "password": "any-token-will-do",
    }


def read(meter: Path) -> dict[str, dict[str, list[list[WorkerRun]]]]:
    """Return, by queue and case, the first and the second worker runs; only of those tasks that had two."""
    runs: dict[tuple[str, str], list[WorkerRun]] = defaultdict(list)
    for line in map(json.loads, meter.read_text().splitlines()):
        runs[line["dag_id"], line["run_id"]].append(WorkerRun.read(line))
    found: dict[str, dict[str, list[list[WorkerRun]]]] = defaultdict(lambda: defaultdict(lambda: [[], []]))
    for (dag_id, _), both in runs.items():
        case, _, queue = dag_id.partition(".")
        if len(both) == 2:
            for step, of_step in enumerate(both):
                found[queue][case][step].append(of_step)
    return found


def report(found: dict[str, list[list[WorkerRun]]]) -> None:
    """Print medians, and whether the goal is met."""
    met = True
    print(f"{'':18}{'run':>8}{'runs':>6}{'parse':>8}{'execute':>9}{'total':>8}{'spread':>8}{'ours':>8}")
    for step, name in enumerate(GOAL_MS):
        peer = _median(found[PEER][step], "total")
        for case in filter(found.__contains__, CASES):
            measured = found[case][step]
            parse, execute, total = (_median(measured, part) for part in ("parse", "execute", "total"))
            spread = statistics.quantiles([run.total for run in measured], n=4) if len(measured) > 1 else [0.0] * 3
            ours = f"{total - peer:8.1f}" if case != PEER else f"{'':8}"
            loaded = ", ".join(measured[0].loaded)
            print(
                f"{case:18}{name:>8}{len(measured):6}{parse:8.1f}{execute:9.1f}{total:8.1f}"
                f"{spread[2] - spread[0]:8.1f}{ours}  {loaded}"
            )
            met &= case not in OURS or total - peer <= GOAL_MS[name]
    goals = " and ".join(f"{goal:.0f} ms in the {name}" for name, goal in GOAL_MS.items())
    print(f"The goal for ours is at most {goals}: {'met' if met else 'missed'}.")


def introduce() -> None:
    """Print on what machine this is, and what the figures are."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {dt.date.today()}")
    print("Milliseconds of CPU, medians. 'ours' is the difference to the bare operator's in the same run.")


def parts(folder: Path) -> None:
    """Print what a worker run is made of."""
    env = inherited_environment() | {"AIRFLOW_HOME": str(folder / "parts"), **COMPILED}
    (folder / "tls").mkdir()
    with EmulatorServer(frozen=True) as toloka, TlsFront(toloka.url, folder / "tls") as front:
        command = [sys.executable, "-m", "benchmarks.worker_parts", front.url]
        subprocess.run(command, check=True, env=env | front.environment)


def _median(measured: list[WorkerRun], part: str) -> float:
    return statistics.median(getattr(run, part) for run in measured)


def _soon(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


def _insist(call: Callable[[], str]) -> str:
    """Call again while Airflow's SQLite is locked by another of its processes."""
    for _ in range(10):
        with suppress(requests.RequestException):
            return call()
        time.sleep(1)
    return call()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="worker runs of each case")
    arguments = parser.parse_args()
    introduce()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bench(folder) as running:
            running.run(arguments.runs)
        print("\nWorkers fork from the scheduler, as the LocalExecutor has them:")
        [found] = read(folder / "meter.jsonl").values()
        report(found)
    with tempfile.TemporaryDirectory() as name:
        parts(Path(name))


if __name__ == "__main__":
    main()
