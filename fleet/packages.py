"""PostgreSQL and Redis from Debian's packages."""

from __future__ import annotations

import shutil

from demo.debian import MissingError, ensure_installed
from fleet.settings import postgres_program

__all__ = ["MissingError", "ensure_packages", "missing"]


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
    ensure_installed(missing, "A fleet")
