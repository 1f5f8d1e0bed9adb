"""
Child processes that never outlive this one.

``Processes`` starts commands in sessions of their own and gives each the same unique mark in its environment. A
child inherits the mark, so whatever a command forks, orphans or moves to another session is found again by it.
The ending is done by a guard: a small process in its own session that waits for the end of a pipe we hold. The
pipe ends when ``stop()`` closes it, and also when this process is ended by an exception, SIGTERM, a second Ctrl-C
or SIGKILL; so there is one way to clean up, and it works in every case but the guard itself being killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "DEMO_PROCESSES_MARK"
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


class ProcessError(RuntimeError):
    """A process that should run has ended, or one that should end has not."""


class Processes:
    """
    Run commands whose output goes to files and which all end with this process.

    :param logs: The directory of the log files, one for each name.
    :param mark: What marks them; by default something new. Whoever knows it can `end_all` should the guard be gone.
    """

    def __init__(self, logs: Path, mark: str | None = None) -> None:
        self.logs = logs
        self._mark = mark or uuid.uuid4().hex
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)
        with self.log_file("guard").open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, __file__, self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> int:
        """Start a command under a name and return its process id."""
        if name in self._running and self._running[name].poll() is None:
            raise ValueError(f"{name} is already running")
        if self._guard.poll() is not None:
            raise ProcessError(f"The guard has ended; {name} is not started unguarded")
        with self.log_file(name).open("ab") as log:
            # SPT_NOENV keeps setproctitle, which Airflow uses, from overwriting the environment that has the mark.
            self._running[name] = subprocess.Popen(
                list(command),
                env={**env, MARK: self._mark, "SPT_NOENV": "1"},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._running[name].pid

    def run(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, timeout: float) -> None:
        """Run a command to its end, which must be a good one."""
        self.start(name, command, env, cwd)
        try:
            code = self._running.pop(name).wait(timeout)
        except subprocess.TimeoutExpired as exc:
            raise ProcessError(f"{name} has not ended after {timeout:.0f} s") from exc
        if code:
            raise ProcessError(f"{name} ended with {code}. The end of its log:\n{self.tail(name)}")

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL, timeout: float = 30) -> None:
        """
        Send a signal to a process and everything it forked, and wait until the process has ended.

        What hangs is ended by SIGABRT, so that a Python with PYTHONFAULTHANDLER writes to its log where it hangs.
        """
        process = self._running.pop(name)
        os.killpg(process.pid, sig)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            _abort(psutil.Process(process.pid))
            process.wait(timeout)
            end = self.tail(name, lines=200)
            raise ProcessError(f"{name} had not ended {timeout:.0f} s after {sig.name}. Its log ends:\n{end}") from exc

    def ended(self) -> dict[str, int]:
        """Return the exit codes of the processes that have ended and that were not killed by `kill`."""
        codes = {name: process.poll() for name, process in self._running.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def check(self) -> None:
        """Raise `ProcessError` if a process has ended that nobody killed."""
        for name, code in self.ended().items():
            raise ProcessError(f"{name} ended with {code}. The end of its log:\n{self.tail(name)}")

    def running(self) -> set[str]:
        """The names of the processes that have not ended."""
        return {name for name, process in self._running.items() if process.poll() is None}

    def alive(self) -> list[psutil.Process]:
        """Every process that was started here or descends from one, orphans included."""
        return marked(self._mark)

    def log_file(self, name: str) -> Path:
        """Where the output of a command goes."""
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 30) -> str:
        """The end of the output of a command."""
        text = self.log_file(name).read_text(errors="replace") if self.log_file(name).exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """End everything; returns when nothing is left, and until then takes no notice of Ctrl-C."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        while self._guard.returncode is None:
            with suppress(KeyboardInterrupt):
                self._guard.wait()
        for process in self._running.values():
            process.wait()
        self._running.clear()


def _abort(process: psutil.Process) -> None:
    """End a process, and before it what it started: that may write to a pipe which its parent reads."""
    for each in (*reversed(process.children(recursive=True)), process):
        with suppress(psutil.Error):
            each.send_signal(signal.SIGABRT)
            each.wait(GRACE)


def marked(mark: str) -> list[psutil.Process]:
    """Return every process that carries a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, a zombie, or another user's
    return found


def end_all(mark: str) -> None:
    """SIGTERM to everything that carries the mark; SIGKILL to what is still there after the grace."""
    deadline = time.monotonic() + GRACE
    terminated: set[psutil.Process] = set()
    while left := marked(mark):
        for process in left:
            try:
                if time.monotonic() > deadline:
                    process.kill()
                elif process not in terminated:
                    terminated.add(process)
                    process.terminate()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.1)


if __name__ == "__main__":
    for stubborn in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stubborn, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(sys.argv[1])
