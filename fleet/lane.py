"""A fleet that runs: its addresses, its processes, its database; and how to disturb it."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import psutil

from demo.airflow_api import AirflowApi, wait_until
from demo.processes import end_all, marked
from fleet.settings import FILE, ROOT, Fleet, Options
from fleet.supervisor import is_ready, psql

HOME = ROOT / ".fleet"


class Lane:
    """
    Attach to a fleet.

    :param home: Its home. `FileNotFoundError` if there is none.
    """

    def __init__(self, home: Path = HOME) -> None:
        self.home = home.absolute()
        self.settings = Fleet.read(self.home)

    @cached_property
    def api(self) -> AirflowApi:
        """Airflow's REST API."""
        return AirflowApi(self.settings.url("api-server"))

    @property
    def options(self) -> Options:
        """What whoever brought it up has chosen."""
        return self.settings.options

    @property
    def toloka_url(self) -> str:
        """The address of the local Toloka, which is steered under ``/_emulator``."""
        return self.settings.url("toloka")

    @property
    def names(self) -> list[str]:
        """The components: postgres, redis, toloka, api-server, dag-processor, scheduler.1, ..., worker.2."""
        return self.settings.options.names

    @property
    def files(self) -> Path:
        """The folder for what DAGs write; they read it from ``FLEET_FILES``."""
        return self.settings.files

    @property
    def workers(self) -> list[str]:
        """The Celery workers among `names`."""
        return [name for name in self.names if name.startswith("worker.")]

    def log(self, name: str) -> Path:
        """The file with what a component printed, through all of its starts."""
        return self.settings.log / f"{name}.log"

    def process(self, name: str) -> psutil.Process:
        """The main process of a component; `psutil.NoSuchProcess` while it is down."""
        return psutil.Process(int((self.settings.pid / name).read_text()))

    def family(self, name: str) -> list[psutil.Process]:
        """The main process of a component and all below it; none while it is down."""
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            main = self.process(name)
            return [main, *main.children(recursive=True)]
        return []

    def memory(self, name: str) -> int:
        """The memory of a component in bytes; what processes share is counted once (PSS)."""
        total = 0
        for process in self.family(name):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def kill(
        self, name: str, sig: signal.Signals = signal.SIGKILL, main_only: bool = False, timeout: float = 30
    ) -> None:
        """
        Send a signal to a component, and return when it has ended. It is started again, see `wait_until_up`.

        SIGKILL goes to all of its processes, unless told otherwise; any other signal to the main one, and what does
        not end by it in time gets SIGKILL, as from systemd.

        :param main_only: Leave the processes below it alone.
        :param timeout: Seconds until SIGKILL.
        """
        everyone = self.family(name)
        main = everyone[0] if everyone else self.process(name)
        send(everyone if sig == signal.SIGKILL and not main_only else [main], sig)
        try:
            main.wait(timeout)
        except psutil.TimeoutExpired:
            send(self.family(name), signal.SIGKILL)
            main.wait(timeout)

    def wait_until_up(self, *names: str, timeout: float = 180) -> None:
        """Return when components run and do their work, by default all."""

        def is_up(name: str) -> bool:
            return bool(self.family(name)) and is_ready(self.settings, name)

        for name in names or self.names:
            wait_until(lambda name=name: is_up(name), f"{name} is up", timeout)  # type: ignore[misc]

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop all processes of a component (SIGSTOP) for a while: who talks to it gets no answer."""
        everyone = self.family(name)
        send(everyone, signal.SIGSTOP)
        try:
            yield
        finally:
            send(everyone, signal.SIGCONT)

    def pause(self, name: str, seconds: float) -> None:
        """Have a component `paused` for so long, and return then."""
        with self.paused(name):
            time.sleep(seconds)

    def psql(self, sql: str, timeout: float = 60) -> str:
        """Return what Airflow's database answers: a line for each row, columns parted by tabs."""
        return psql(self.settings, sql, timeout=timeout)

    def supervised(self) -> Iterator[tuple[psutil.Process, psutil.Process]]:
        """Yield, for each task that runs now, the pool process of Celery that supervises it, and the task's process."""
        for name in self.workers:
            for supervisor in self.family(name)[1:]:
                with suppress(psutil.NoSuchProcess):
                    if supervisor.ppid() == self.process(name).pid:
                        yield from ((supervisor, task) for task in supervisor.children())

    def supervisor_of(self, ti_id: str) -> tuple[psutil.Process, psutil.Process]:
        """
        Return the pool process of Celery that supervises an attempt, and the attempt's process.

        :param ti_id: The id of the task instance, by which Airflow names both. `LookupError` if it does not run.
        """
        for supervisor, task in self.supervised():
            with suppress(psutil.NoSuchProcess):
                if ti_id in " ".join(task.cmdline()):
                    return supervisor, task
        raise LookupError(f"no process of a worker runs {ti_id}")

    @property
    def is_up(self) -> bool:
        """Whether it came up and its supervisor runs."""
        return (self.home / "ready").exists() and supervisor(self.home) is not None


def send(processes: list[psutil.Process], sig: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(sig)


def supervisor(home: Path) -> psutil.Process | None:
    """The process that keeps a fleet running, if it does."""
    with suppress(FileNotFoundError, ValueError, psutil.Error):
        process = psutil.Process(int((home / "pid" / "supervisor").read_text()))
        if "fleet.supervisor" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def take_down(home: Path, keep: Path | None = None) -> bool:
    """
    End a fleet and remove its home, also if it was left behind by a crash; return whether there was one.

    :param keep: A folder to move the logs and the files of the DAGs to.
    """
    home = home.absolute()
    if not (home / FILE).exists():
        return False
    fleet = Fleet.read(home)
    if running := supervisor(home):
        running.terminate()
        try:
            running.wait(60)
        except psutil.TimeoutExpired:
            running.kill()
    if marked(fleet.mark):
        end_all(fleet.mark)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for folder in (fleet.log, fleet.files, home / "airflow" / "logs"):
            if folder.exists():
                shutil.move(folder, keep / ("airflow-logs" if folder.name == "logs" else folder.name))
    for folder in (fleet.postgres, home):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    return True
