"""The Airflow that most live tests share, and the list of those that `make test` and `make live-short` run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from demo.browser import Browser
from demo.local_airflow import LocalAirflow
from tests.chromium import chromium
from tests.support import TOKEN
from tests.system.disturbed import Connect, insist
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ["label_digits.py", "pool_lifecycle.py"]

SHORT = [
    "test_live.py::test_a_run_survives_the_death_of_the_triggerer",
    "test_live.py::test_an_opening_of_a_second_is_not_deferred",
    "test_live.py::test_a_refusal_is_told_and_linked",
    "test_live.py::test_the_token_is_in_no_file_of_airflow",
    "test_doctor_short.py::test_it_finds_what_is_wrong_with_an_account",
    "test_live_waiting.py::test_marking_a_wait_closes_its_pool",
    "test_live_page.py::test_each_tab_shows_its_pools",
    "test_live_page.py::test_links_lead_to_airflows_pages",
    "test_live_page.py::test_a_pool_is_found_and_closed",
    "test_live_windows.py::test_it_closes_when_the_time_is_up",
    "test_live_windows.py::test_one_that_comes_too_late_is_skipped",
    "test_live_windows.py::test_marking_the_run_as_failed_closes_the_pool",
    "test_failure_modes.py::test_a_window_survives_the_death_of_the_worker_that_opens_it",
]
"""All live tests that are not marked `long`; the others run in `make test-kills`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the live tests that are not listed, and those that do not use the shared Airflow."""
    for item in items:
        if item.get_closest_marker("live") is None:
            continue
        if f"{item.path.name}::{getattr(item, 'originalname', item.name)}" not in SHORT:
            item.add_marker("long")
        if "shared_airflow" not in getattr(item, "fixturenames", ()):
            item.add_marker("own_airflow")


@pytest.fixture(scope="session")
def shared_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """
    An Airflow with all DAGs of `dags/` and two of the examples.

    A module that uses it has a Toloka, a connection and DAGs of its own. A test may kill a component.
    """
    folder = tmp_path_factory.mktemp("live")
    (folder / "dags").mkdir()
    for file in [*Path(__file__).parent.glob("dags/*.py"), *(ROOT / "dags_examples" / name for name in EXAMPLES)]:
        shutil.copy(file, folder / "dags")
    env = {
        "PYTHONPATH": str(ROOT),
        # The default of 15 seconds is what a wait takes longer to time out.
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
        # The default of a minute is what a task is put off whose DAG cannot be read.
        "AIRFLOW__WORKERS__MISSING_DAG_RETRY_DELAY": "5",
    }
    with LocalAirflow(folder / "home", folder / "dags", env=env) as local:
        local.start()
        yield local


@pytest.fixture(scope="module")
def airflow(shared_airflow: LocalAirflow) -> LocalAirflow:
    """The shared Airflow; a module that needs settings of its own has a fixture of this name, which starts another."""
    return shared_airflow


@pytest.fixture(autouse=True)
def _restored(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have the shared Airflow whole again after each test: start what is killed, and end what was added."""
    shared = request.getfixturevalue("shared_airflow") if "shared_airflow" in request.fixturenames else None
    yield
    if shared:
        shared.restore()


@pytest.fixture(scope="module")
def connect_to(airflow: LocalAirflow) -> Connect:
    """A function that has Airflow know a local Toloka by the id of a connection, which no other module uses."""

    def connect(conn_id: str, toloka: EmulatorServer) -> None:
        connection = {"connection_id": conn_id, "conn_type": "toloka", "host": toloka.url, "password": TOKEN}
        insist(partial(airflow.api.call, "POST", "/connections", json=connection))

    return connect


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A page of a headless Chromium, which reports what it requests and what goes wrong."""
    with chromium("A test of a page", tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
