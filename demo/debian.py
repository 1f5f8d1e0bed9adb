"""What is installed from Debian's packages, by root alone: a browser here, PostgreSQL and Redis for a fleet."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends"]


class MissingError(RuntimeError):
    """Something must be installed that we may not install."""


def may_install() -> bool:
    """Whether we are root on a system with Debian's packages."""
    return os.getuid() == 0 and shutil.which("apt-get") is not None


def ensure_installed(missing: Callable[[], Sequence[str]], purpose: str) -> None:
    """
    Install what is missing, as root; several processes may do it at once.

    :param missing: Returns Debian's names of what is not installed.
    :param purpose: What needs it, to begin the error with.
    :raises MissingError: With the command that does it, if we may not or it does not work.
    """
    if not (packages := missing()):
        return
    if not may_install():
        by_hand = shlex.join(["sudo", *INSTALL, *packages])
        raise MissingError(f"{purpose} needs {' and '.join(packages)}. On Debian: {by_hand}")
    with (Path(tempfile.gettempdir()) / "toloka-airflow-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if packages := missing():  # and nobody else has installed it meanwhile
            _install(packages)


def _install(packages: Sequence[str]) -> None:
    print(f"Installing {' and '.join(packages)} by apt-get ...", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], [*INSTALL, *packages]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
