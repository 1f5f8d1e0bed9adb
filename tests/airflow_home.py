"""The home of an Airflow whose database is ready; making one takes seconds, so tests copy it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def clean_environment(**env: str) -> dict[str, str]:
    """Return our environment without what configures an Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | env


def airflow_home(factory: pytest.TempPathFactory) -> Path:
    """Return a new home with a copy of the database, which the first process that needs it makes for all."""
    home = factory.mktemp("airflow")
    folder = factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own below that of the run.
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    ready = folder / "airflow.db"
    with (folder / "airflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            env = clean_environment(AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False")
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=900, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            shutil.copy(home / "airflow.db", ready)
        else:
            shutil.copy(ready, home)
    return home
