"""What becomes of a window when its DAG is deleted, or Airflow is gone for good; docs/failure-modes.md tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import airflow as airflow_package
import pytest

from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import HOUR, OPENED, Window, insist
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(toloka: EmulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow of our own: it ends here, and its scheduler may end when a DAG is deleted that runs."""
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    env = {"AIRFLOW_CONN_TOLOKA_DISTURBED": connection, "PYTHONPATH": str(ROOT)}
    with LocalAirflow(tmp_path_factory.mktemp("live"), ROOT / "tests" / "system" / "dags", env=env) as local:
        local.start()
        local.api.interval = 1.0
        for dag_id in ("window", "window_to_delete", "window_to_forget"):
            local.api.wait_for_dag(dag_id)
        yield local


@pytest.fixture(scope="module")
def last(airflow: LocalAirflow, toloka: EmulatorServer) -> dict[str, Window]:
    """Windows whose DAG is deleted, and one that is left."""
    make = partial(Window, airflow, toloka)
    windows = {"told": make("window_to_delete"), "untold": make("window_to_forget"), "left": make()}
    for window in windows.values():
        window.start()
    for window in windows.values():
        window.waits()
    # Whoever takes a wait over closes as well.
    airflow.start("triggerer.2")
    airflow.kill("triggerer")
    return windows


def test_a_triggerer_closes_the_window_of_a_deleted_dag(last: dict[str, Window]) -> None:
    """Airflow tells triggers since 3.3; before, the pool expires."""
    deleted = last["told"]
    # A triggerer that has not begun to watch is not told.
    deleted.is_watched()
    insist(partial(deleted.api.delete, deleted.dag_id))
    if IS_3_3:
        deleted.has_closed_once()
    else:
        last["left"].stays_open()
        deleted.is_open()


def test_toloka_closes_what_airflow_cannot(
    airflow: LocalAirflow, toloka: EmulatorServer, last: dict[str, Window]
) -> None:
    """A DAG was deleted while no triggerer watched, or there is no Airflow at all any more."""
    told, untold, left = last["told"], last["untold"], last["left"]
    # With SQLite, deleting may have ended what else writes.
    for name in ("scheduler", "dag-processor", "triggerer.2"):
        airflow.kill(name)
    insist(partial(untold.api.delete, untold.dag_id))
    airflow.start("triggerer")
    left.stays_open()
    untold.is_open()
    airflow.stop()
    toloka.clock.advance(HOUR + 5 * 60)
    assert (untold.happened(), left.happened()) == ([OPENED], [OPENED])
    toloka.clock.advance(10 * 60)
    reasons = [toloka.pool(window.pool_id)["close_reason"] for window in (told, untold, left)]
    assert reasons == ["MANUAL" if IS_3_3 else "EXPIRED", "EXPIRED", "EXPIRED"]
