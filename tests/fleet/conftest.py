"""The fleet that the tests here share, and the list of those that are in its short form."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.__main__ import EXAMPLES
from fleet.lane import Lane

ROOT = Path(__file__).resolve().parents[2]
SHORT = (
    "test_examples.py::test_an_example_ends_well[label_digits]",
    "test_rounds.py::test_rounds_are_exact_although_processes_are_killed[4]",
    "test_orphans.py::test_an_orphan_changes_nothing_after_its_run[open_pool]",
    "test_orphans.py::test_an_orphan_changes_nothing_after_its_run[create_project]",
)
"""What `make fleet-short` runs; all of it takes `make test-fleet`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests out of whatever else is run, and mark those of the long form."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("fleet")
            if f"{item.path.name}::{item.name}" not in SHORT:
                item.add_marker("long")


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A fleet with the DAGs of `fleet/dags`, the examples without a schedule, and those of `tests/fleet/dags`."""
    if importlib.util.find_spec("celery") is None:
        pytest.fail("A fleet needs an environment of its own: make test-fleet, or make fleet-short")
    folder = tmp_path_factory.mktemp("fleet")
    dags = folder / "dags"
    shutil.copytree(ROOT / "fleet" / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    for file in [*Path(__file__).parent.glob("dags/*.py"), *(ROOT / "dags_examples" / name for name in EXAMPLES)]:
        shutil.copy(file, dags)
    shutil.copytree(ROOT / "dags_examples" / "reviews", dags / "reviews")
    home = folder / "home"
    python = [sys.executable, "-m", "fleet"]
    try:
        subprocess.run([*python, "up", "--home", str(home), "--airflow-dags", str(dags)], cwd=ROOT, check=True)
        yield Lane(home)
    finally:
        subprocess.run([*python, "down", "--home", str(home), "--keep", str(folder / "kept")], cwd=ROOT, check=True)
