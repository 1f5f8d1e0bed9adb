"""Steps whose progress is shown, and commands whose output is shown only if they fail."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class FailedError(Exception):
    """There is no release; the message says why."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done while it is, and then how long it took."""
    print(f"{what} ...", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except FailedError:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.0f} s", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    """
    Return what a command prints, in an environment that no Airflow and no Python is configured in.

    Raises `FailedError` with all that it printed if it does not end with 0.
    """
    words = [str(word) for word in command]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    try:
        done = subprocess.run(  # noqa: S603
            words, cwd=cwd, env=clean | env, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.CalledProcessError as exc:
        raise FailedError(f"{' '.join(words)} ended with {exc.returncode}:\n{exc.stdout}") from None
    return done.stdout
