"""What the benchmark asks of a running fleet, and does to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.fleet.defer import DONE, READY
from benchmarks.fleet.kinds import IN_ENVIRONMENT
from demo.airflow_api import wait_until

if TYPE_CHECKING:
    from fleet.lane import Lane

TRIGGERERS = "triggerer.1", "triggerer.2"
ROOT = Path(__file__).parents[2]
BLOCKED = re.compile(rb"async thread was blocked for ([0-9.]+) seconds")
NO_SLOTS = "bench_no_slots"
SAMPLE_INTERVAL = 3.0


class Deployment:
    """A fleet, seen by its database, its processes and its logs."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.api = lane, lane.api
        self.environment = lane.settings.environment(TRIGGERERS[0])
        self.threshold = float(self.environment["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"])

    @staticmethod
    def connection_variable(port: int) -> dict[str, str]:
        """Return the variable that has the connection of the kind ``environment``, to a Toloka at a port."""
        connection = {"conn_type": "toloka", "host": f"http://127.0.0.1:{port}", "password": "any-token-will-do"}
        return {f"AIRFLOW_CONN_{IN_ENVIRONMENT}".upper(): json.dumps(connection)}

    @property
    def toloka_port(self) -> int:
        """Where Toloka is to be, so that the connection in the environment leads to it; 0 if there is none."""
        said = self.environment.get(f"AIRFLOW_CONN_{IN_ENVIRONMENT}".upper())
        return urlsplit(json.loads(said)["host"]).port or 0 if said else 0

    def number(self, sql: str) -> float:
        """Return the one number that a query gives."""
        return float(self.lane.psql(sql) or 0)

    def store_connection(self, conn_id: str, conn_type: str, url: str) -> None:
        """Put a connection into the database."""
        connection = {"connection_id": conn_id, "conn_type": conn_type, "host": url, "password": "any-token-will-do"}
        self.api.call("POST", "/connections", json=connection)

    def prepare(self) -> None:
        """Have a pool of no slots."""
        self.lane.psql(
            "insert into slot_pool (pool, slots, include_deferred) "
            f"select '{NO_SLOTS}', 0, false where not exists (select 1 from slot_pool where pool = '{NO_SLOTS}')"
        )

    def start_triggerers_anew(self) -> None:
        """Kill both triggerers, and wait until others have begun in their place."""
        since = time.time()
        for name in TRIGGERERS:
            self.lane.kill(name)
        alive = (
            "select count(*) from job where job_type = 'TriggererJob' and end_date is null "
            f"and extract(epoch from start_date) > {since} and latest_heartbeat > start_date"
        )
        wait_until(lambda: self.number(alive) >= len(TRIGGERERS), "two new triggerers have begun", 180, 0.5)

    @contextmanager
    def deferring(self, dag_id: str, run_id: str, classpath: str) -> Iterator[Any]:
        """Yield what defers the mapped tasks of a run, given the arguments of each trigger."""
        command = [sys.executable, "-m", "benchmarks.fleet.defer"]
        with subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin
            assert process.stdout
            _read_until(READY, process)

            def defer(arguments: list[dict[str, Any]]) -> None:
                told = {"dag_id": dag_id, "run_id": run_id, "classpath": classpath, "arguments": arguments}
                process.stdin.write(json.dumps(told) + "\n")
                process.stdin.flush()
                _read_until(DONE, process)

            yield defer

    def tasks(self, dag_id: str, run_id: str, condition: str = "true") -> int:
        """Return how many mapped tasks of a run fulfil a condition."""
        where = f"dag_id = '{dag_id}' and run_id = '{run_id}' and task_id = 'wait' and map_index >= 0"
        return int(self.number(f"select count(*) from task_instance where {where} and {condition}"))

    def ends(self, dag_id: str, run_id: str) -> dict[int, tuple[float | None, float | None, bool]]:
        """Return of each task when its event was stored, when it was done, and whether it went well so far."""
        # An event of ours names its kind; others resume in this method only if they went well.
        rows = self.lane.psql(
            "select map_index, coalesce(extract(epoch from scheduled_dttm), 0), "
            "coalesce(extract(epoch from end_date), 0), "
            "state = 'success' or (state = 'scheduled' and next_method = 'execute_complete' "
            "and (next_kwargs::text not like '%\"kind\"%' or next_kwargs::text like '%finished%')) "
            f"from task_instance where dag_id = '{dag_id}' and run_id = '{run_id}' and task_id = 'wait' "
            "and map_index >= 0 and state <> 'deferred'"
        )
        found = {}
        for row in rows.splitlines():
            index, seen, done, well = row.split("\t")
            found[int(index)] = float(seen) or None, float(done) or None, well == "t"
        return found

    def finish(self, dag_id: str, run_id: str) -> None:
        """Let a run be over."""
        self.lane.psql(
            f"update task_instance set state = 'success' where dag_id = '{dag_id}' and run_id = '{run_id}' "
            "and state in ('scheduled', 'deferred', 'queued')"
        )
        self.lane.psql(
            "delete from trigger where id not in (select trigger_id from task_instance where trigger_id > 0)"
        )

    def shares(self) -> list[int]:
        """Return how many triggers each triggerer has."""
        rows = self.lane.psql("select count(*) from trigger where triggerer_id is not null group by triggerer_id")
        return sorted(map(int, rows.split()), reverse=True)

    def lost(self, killed: float) -> int:
        """Return how many triggers belong to no triggerer that has sent a heartbeat since a Unix time."""
        alive = f"select id from job where extract(epoch from latest_heartbeat) > {killed}"
        where = f"triggerer_id is null or triggerer_id not in ({alive})"
        return int(self.number(f"select count(*) from trigger where {where}"))

    def unassigned(self) -> int:
        """Return how many triggers no triggerer has."""
        return int(self.number("select count(*) from trigger where triggerer_id is null"))

    def connections(self) -> int:
        """Return how many connections PostgreSQL has, but for this question."""
        others = "backend_type = 'client backend' and pid <> pg_backend_pid()"
        return int(self.number(f"select count(*) from pg_stat_activity where {others}"))

    def memory(self) -> int:
        """Return the bytes (PSS) of both triggerers with all their processes."""
        return sum(self.lane.memory(name) for name in TRIGGERERS)

    def cpu(self) -> float:
        """Return the CPU seconds that both triggerers have taken."""
        times = [process.cpu_times() for name in TRIGGERERS for process in self.lane.family(name)]
        return sum(each.user + each.system for each in times)

    def log_sizes(self) -> dict[Path, int]:
        """Return how long the logs of the triggerers are."""
        return {path: path.stat().st_size for path in map(self.lane.log, TRIGGERERS)}

    def blocks(self, since: dict[Path, int]) -> list[float]:
        """Return the seconds of Airflow's own warnings of a blocked event loop since the logs were so long."""
        found = []
        for path, size in since.items():
            with path.open("rb") as log:
                log.seek(size)
                found += [float(match[1]) for match in BLOCKED.finditer(log.read())]
        return found


class Sampler:
    """Notes connections and memory now and then, within a ``with``, and the most of each since it was asked to."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.connections: list[tuple[float, int]] = []
        self.memory: list[tuple[float, int]] = []

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_INTERVAL):
            self.connections.append((time.time(), self._deployment.connections()))
            self.memory.append((time.time(), self._deployment.memory()))


def _read_until(line: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout
    for said in process.stdout:  # Airflow may say something of its own
        if said.strip() == line:
            return
    raise SystemExit(f"{process.args} ended before it said {line!r}")
