"""
Run tasks below supervisors that Airflow has started them with, for tests that kill the supervisor alone.

Importing Airflow takes seconds. So one process imports it, and forks a supervisor for each task.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

import psutil

from demo.airflow_api import wait_until

TIMEOUT = 15
PARENT_OF_TASKS = """
import sys
from tests.supervised_tasks import serve
serve(sys.argv[1])
"""


class Task:
    """A task that runs, and its supervisor."""

    def __init__(self, supervisor: int, task: int, report: Path) -> None:
        self._supervisor, self._task, self._report = supervisor, task, report

    def kill(self) -> None:
        """Kill the process of the task, and return when its supervisor has ended, too."""
        os.kill(self._task, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(self._supervisor), "the supervisor has ended", TIMEOUT, 0.01)

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone, and return when it is gone."""
        task = psutil.Process(self._task)
        os.kill(self._supervisor, signal.SIGKILL)
        wait_until(lambda: task.ppid() != self._supervisor, "the supervisor is gone", TIMEOUT, 0.01)

    def outcome(self) -> str:
        """Wait for the end of the task, and return what became of it: ``done``, or the error."""
        wait_until(self._report.exists, "the task has ended", TIMEOUT, 0.01)
        return self._report.read_text()


class Supervisors:
    """
    A process with Airflow that starts tasks; use it in a ``with`` block.

    :param folder: Where each task says how it ended.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", PARENT_OF_TASKS, str(self._folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def start(self, code: str, connection: dict[str, Any]) -> Task:
        """
        Start a task.

        :param code: What it does, with ``client``, a `TolokaClient` that a hook gave it.
        :param connection: The Airflow connection that the hook reads.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._count += 1
        name = f"task-{self._count}"
        self._process.stdin.write(json.dumps({"name": name, "code": code, "connection": connection}) + "\n")
        self._process.stdin.flush()
        supervisor, process = map(int, self._process.stdout.readline().split())
        return Task(supervisor, process, self._folder / name)


def serve(folder: str) -> None:
    """Fork a supervisor for each line, which prints the ids of its own process and of that of the task."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for what Airflow has to say
    import airflow.sdk.execution_time.supervisor  # noqa: F401

    import toloka_airflow.hooks  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what has ended is gone at once
    for line in sys.stdin:
        if os.fork() == 0:
            _supervise(Path(folder), json.loads(line), answers)


def _supervise(folder: Path, task: dict[str, Any], answers: IO[str]) -> None:
    from airflow.sdk.execution_time.supervisor import WatchedSubprocess

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    supervised = WatchedSubprocess.start(id=uuid4(), target=lambda: _run(folder / task["name"], task))
    answers.write(f"{os.getpid()} {supervised.pid}\n")
    answers.flush()
    os.waitpid(supervised.pid, 0)
    os._exit(0)


def _run(report: Path, task: dict[str, Any]) -> None:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    from toloka_airflow.hooks import TolokaHook

    os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"] = json.dumps(task["connection"])
    client = TolokaHook().get_conn()
    task_runner.SUPERVISOR_COMMS = CommsDecoder()  # as Airflow does in the process of each task
    outcome = "done"
    try:
        exec(task["code"], {"client": client})
    except BaseException as exc:
        outcome = f"{type(exc).__name__}: {exc}"
    finally:
        with contextlib.suppress(OSError):
            partial = report.with_suffix(".part")
            partial.write_text(outcome)
            partial.rename(report)
