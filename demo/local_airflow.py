"""A real Airflow on this machine: SQLite, LocalExecutor, loopback only, everything under one directory."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import requests

from demo.airflow_api import AirflowApi
from demo.processes import Processes

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

# `airflow standalone` starts its components as `airflow NAME`, so this is what it finds first in PATH. The log
# servers of scheduler and triggerer would listen on all interfaces, at fixed ports; the API server reads the log
# files themselves, so nothing misses them.
AIRFLOW_COMMAND = """\
#!/bin/sh
case "$1" in
    scheduler|triggerer) exec "{python}" -m airflow "$@" --skip-serve-logs ;;
    *) exec "{python}" -m airflow "$@" ;;
esac
"""


class LocalAirflow:
    """
    Start, watch and end an Airflow of our own.

    Use it as a context manager: entering wipes the home, leaving ends every process, also those that Airflow
    orphans. See `demo.processes` for what happens when this process is killed.

    :param home: The directory of this Airflow: configuration, database, logs. Wiped on entering.
    :param dags: The directory with the DAG files.
    :param python: The interpreter whose Airflow is run.
    :param env: Further environment variables for Airflow, such as ``AIRFLOW_CONN_TOLOKA_DEFAULT``; they win over
        the settings made here.
    :param path: Below which it is served, such as ``/airflow``.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        path: str = "",
    ) -> None:
        self.home = home.absolute()
        self.dags = dags.absolute()
        self.python = python
        api_port, *log_ports = free_ports(3)
        self.url = f"http://127.0.0.1:{api_port}{path}"
        self.api = AirflowApi(self.url)
        self.env = {**inherited_environment(), **self._settings(api_port, log_ports), **(env or {})}
        self.env["PATH"] = f"{self.home / 'bin'}{os.pathsep}{self.env.get('PATH', os.defpath)}"
        self.processes: Processes

    def __enter__(self) -> LocalAirflow:
        shutil.rmtree(self.home, ignore_errors=True)
        command = self.home / "bin" / "airflow"
        command.parent.mkdir(parents=True)
        command.write_text(AIRFLOW_COMMAND.format(python=self.python))
        command.chmod(0o755)
        self.processes = Processes(self.home / "processes")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self, *names: str, timeout: float = 120) -> None:
        """
        Start components and wait until they are healthy.

        :param names: Any of `COMPONENTS`, or ``standalone`` for all of them in one; by default all of them, each
            on its own so that it can be killed and started again. What follows a dot makes it another one of its
            kind, such as ``triggerer.2``.
        :param timeout: Seconds until all of them must be healthy.
        """
        if "standalone" not in names and not (self.home / "airflow.db").exists():
            self.processes.run("migrate", self._command("db", "migrate"), self.env, self.home, timeout)
        started = datetime.now(UTC)
        for name in names or COMPONENTS:
            self.processes.start(name, self._command(_kind(name)), self.env, self.home)
        wanted = COMPONENTS if "standalone" in names else names or COMPONENTS
        self.wait_until_healthy(*wanted, since=started, timeout=timeout)

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a component with all its subprocesses and wait until it has ended."""
        self.processes.kill(name, sig)

    def wait_until_healthy(self, *names: str, since: datetime, timeout: float = 120) -> None:
        """
        Wait until the API server answers and knows of a heartbeat of each component.

        :param since: Earlier heartbeats do not count: the one of a killed component stays fresh for a while.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.processes.check()
            try:
                health = self.api.health()
            except requests.RequestException:
                ill = list(names)
            else:
                ill = [name for name in names if not health[_kind(name)].is_well(since)]
            if not ill:
                return
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self.processes.tail(name)}" for name in ill)
                raise TimeoutError(f"Not healthy after {timeout:.0f} s: {', '.join(ill)}\n{tails}")
            time.sleep(0.2)

    def restore(self) -> None:
        """Start the components that do not run, and end those that were started beside them."""
        running = self.processes.running()
        for name in running.difference(COMPONENTS):
            self.kill(name)
        if missing := [name for name in COMPONENTS if name not in running]:
            self.start(*missing)

    def stop(self) -> None:
        """End every process of this Airflow; nothing is left when it returns."""
        self.processes.stop()

    def _command(self, *args: str) -> list[str]:
        return [str(self.home / "bin" / "airflow"), *args]

    def _settings(self, api_port: int, log_ports: list[int]) -> dict[str, str]:
        settings: dict[str, dict[str, object]] = {
            "core": {
                "dags_folder": self.dags,
                "load_examples": False,
                "dags_are_paused_at_creation": False,
                "executor": "LocalExecutor",
                "parallelism": 4,
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "simple_auth_manager_all_admins": True,
                # The default queries DNS for the name of this machine; this one says 127.0.0.1.
                "hostname_callable": "urllib.request.localhost",
                "execution_api_server_url": f"{self.url}/execution/",
            },
            "api": {
                "host": "127.0.0.1",
                "port": api_port,
                "base_url": self.url,
                "workers": 1,
                "secret_key": secrets.token_hex(32),
            },
            "api_auth": {"jwt_secret": secrets.token_hex(64)},
            # Nothing listens here (see AIRFLOW_COMMAND); the default ports may belong to another Airflow.
            "logging": {"worker_log_server_port": log_ports[0], "trigger_log_server_port": log_ports[1]},
            "scheduler": {"scheduler_idle_sleep_time": 0.2, "enable_health_check": False},
            "dag_processor": {"refresh_interval": 5, "parsing_processes": 1},
            # A trigger of a killed triggerer is taken over when its last heartbeat is older than the threshold.
            "triggerer": {"job_heartbeat_sec": 1, "triggerer_health_check_threshold": 5},
        }
        return {
            "AIRFLOW_HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **{
                f"AIRFLOW__{section}__{key}".upper(): str(value)
                for section, options in settings.items()
                for key, value in options.items()
            },
        }


def _kind(name: str) -> str:
    return name.partition(".")[0]


def inherited_environment() -> dict[str, str]:
    """Our environment without anything that configures an Airflow or marks a process as a part of one."""
    return {key: value for key, value in os.environ.items() if not key.lstrip("_").startswith("AIRFLOW")}


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()
