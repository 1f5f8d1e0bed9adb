"""PostgreSQL and Redis from Debian's packages."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from fleet.settings import postgres_program, run_by_root

INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends"]


class MissingError(RuntimeError):
    """Something must be installed that we may not install."""


def missing() -> list[str]:
    """Return Debian's names of what is not installed."""
    packages = []
    try:
        postgres_program("initdb")
    except FileNotFoundError:
        packages.append("postgresql")
    if shutil.which("redis-server") is None:
        packages.append("redis-server")
    return packages


def ensure_packages() -> None:
    """Install what is missing, as root; otherwise raise `MissingError` with the command that does."""
    if not (packages := missing()):
        return
    if not run_by_root() or shutil.which("apt-get") is None:
        by_hand = shlex.join(["sudo", *INSTALL, *packages])
        raise MissingError(f"A fleet needs {' and '.join(packages)}. On Debian: {by_hand}")
    print(f"Installing {' and '.join(packages)} by apt-get ...", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], [*INSTALL, *packages]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
