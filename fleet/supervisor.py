"""
The process in the background that brings a fleet up and starts again what ends, as systemd would.

It holds the guard of `demo.processes`, so the fleet ends with it, however it ends. It prints how far it is; where
that can be read, and everything else, is in the home of the fleet.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests

from demo.airflow_api import AirflowApi, wait_until
from demo.processes import ProcessError, Processes
from fleet.settings import TOKEN, Fleet, postgres_program

RESTART_AFTER = 1.0
"""Seconds until what ended is started again."""
STARTED = "--- started by the supervisor of the fleet"
"""The line in the log of a component before each start."""
READY = {
    "api-server": "Application startup complete",
    "scheduler": "Starting the scheduler",
    "dag-processor": "Starting the Dag Processor",
    "triggerer": "Starting the triggerer",
    "worker": r"celery@\S+ ready",
}
"""What a component logs when it has begun its work, if no port tells."""
PATIENCE = 600.0


class Supervisor:
    """
    Start the components of a fleet, and start them again when they end.

    :param processes: Runs them.
    """

    def __init__(self, fleet: Fleet, processes: Processes) -> None:
        self.fleet = fleet
        self.processes = processes
        self._began = time.monotonic()
        self._due: dict[str, float] = {}

    def bring_up(self) -> None:
        """Make the databases, start everything, and return when all of it does its work."""
        for folder in ("redis", "airflow"):
            (self.fleet.home / folder).mkdir()
        self._make_postgres()
        self.start("postgres", "redis", "toloka")
        self._wait(self._made_database, "PostgreSQL answers")
        for name in ("redis", "toloka"):
            self._wait(lambda name=name: listens(self.fleet.ports[name]), f"{name} listens")  # type: ignore[misc]
        self.say("PostgreSQL, Redis and Toloka are up")
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        self.processes.run("migrate", migrate, self.fleet.environment("migrate"), self.fleet.home, PATIENCE)
        self.say("Airflow's database is ready")
        names = self.fleet.options.names[3:]
        self.start(*names)
        for name in names:
            self._wait(lambda name=name: is_ready(self.fleet, name), f"{name} has begun its work")  # type: ignore[misc]
            self.say(f"{name} is up")
        self._wait(self._is_connected, "Airflow takes the connection to Toloka")

    def start(self, *names: str) -> None:
        """Start components, and note the ids of their processes."""
        for name in names:
            with self.processes.log_file(name).open("a") as log:
                print(STARTED, file=log)
            # A worker does not start if a process of another program has the id that it had before.
            (self.fleet.pid / f"celery-{name}").unlink(missing_ok=True)
            # The user of PostgreSQL may not be able to enter our home.
            folder = Path("/") if name == "postgres" else self.fleet.home
            pid = self.processes.start(name, self.fleet.command(name), self.fleet.environment(name), folder)
            note = self.fleet.pid / f"{name}.new"
            note.write_text(str(pid))
            note.replace(self.fleet.pid / name)

    def mend(self) -> None:
        """Start again what ended a moment ago."""
        now = time.monotonic()
        for name, code in self.processes.ended().items():
            if name not in self._due:
                self._due[name] = now + RESTART_AFTER
                self.say(f"{name} ended with {code}")
            elif self._due[name] <= now:
                del self._due[name]
                self.start(name)

    def say(self, what: str) -> None:
        """Print a line with the seconds since the beginning."""
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            self.mend()
            return condition()

        wait_until(holds, what, PATIENCE)

    def _make_postgres(self) -> None:
        folder = self.fleet.postgres
        # fmt: off
        command = self.fleet.as_postgres(postgres_program("initdb"), "-D", str(folder), "-U", "airflow", "--auth=trust",
                                         "-E", "UTF8", "--no-sync")
        # fmt: on
        self.processes.run("initdb", command, self.fleet.environment("postgres"), Path("/"), PATIENCE)
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.fleet.ports["postgres"],
            "unix_socket_directories": "''",
            "max_connections": self.fleet.options.connections,
        }
        with (folder / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = {value}\n" for key, value in settings.items())

    def _made_database(self) -> bool:
        with suppress(subprocess.CalledProcessError):
            psql(self.fleet, "create database airflow", database="postgres")
            return True
        return False

    def _is_connected(self) -> bool:
        connection = {
            "connection_id": "toloka_default",
            "conn_type": "toloka",
            "host": self.fleet.url("toloka"),
            "password": TOKEN,
        }
        with suppress(requests.RequestException):
            AirflowApi(self.fleet.url("api-server")).call("POST", "/connections", json=connection)
            return True
        return False


def listens(port: int) -> bool:
    """Whether anybody listens at a port of the loopback interface."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def is_ready(fleet: Fleet, name: str) -> bool:
    """Whether a component does its work, since its last start."""
    if name in fleet.ports:
        return listens(fleet.ports[name])
    log = (fleet.log / f"{name}.log").read_text(errors="replace").rpartition(STARTED)[2]
    return re.search(READY[name.partition(".")[0]], log) is not None


def psql(fleet: Fleet, sql: str, database: str = "airflow", timeout: float = 60) -> str:
    """Return what PostgreSQL answers: a line for each row, columns parted by tabs."""
    where = ["-h", "127.0.0.1", "-p", str(fleet.ports["postgres"]), "-U", "airflow", "-d", database]
    command = [postgres_program("psql"), "-X", "-v", "ON_ERROR_STOP=1", *where, "-A", "-t", "-F", "\t", "-c", sql]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout, cwd="/")
    return done.stdout.strip()


def main(home: Path) -> int:
    """Run a fleet until SIGTERM; the file ``ready`` in its home tells that it is up."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fleet = Fleet.read(home)
    with Processes(fleet.log, fleet.mark) as processes:
        supervisor = Supervisor(fleet, processes)
        try:
            supervisor.bring_up()
        except (ProcessError, TimeoutError, subprocess.SubprocessError, OSError) as exc:
            supervisor.say(f"It did not come up: {exc}")
            return 1
        (home / "ready").touch()
        while True:
            supervisor.mend()
            time.sleep(0.2)


def _leave(signum: int, frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(Path(sys.argv[1])))
