"""
Tasks and runs that Airflow ends without running a task of ours, in a real Airflow; docs/failure-modes.md tells of them.

Each situation has a DAG file of its own, in which a window waits until the file or the run is changed under it. They
happen at the same time: each is a function that runs in a thread, and a test of its name that asks how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.system.disturbed import CLOSED, OPENED, PATIENCE, Connect, Window, insist
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
HEAD = """\
from datetime import timedelta
from airflow.sdk import DAG, Param, task
from toloka_airflow.windows import pool_window

@task
def fails():
    raise RuntimeError("as the test wants it")

@task
def other():
    pass

PARAMS = {"pool_id": Param("", type="string"), "closes_at": Param("", type="string")}
"""
WINDOW = """\
with DAG("DAG_ID", schedule=None, params=PARAMS, fail_fast=FAIL_FAST) as dag:
    with pool_window(
        pool_id="{{ params.pool_id }}",
        closes_at="{{ params.closes_at }}",
        group_id="GROUP",
        min_open=timedelta(seconds=1),
        poll_interval=1,
        toloka_conn_id="toloka_unseen",
    ):
        INSIDE()
"""
LOST = 'with DAG("DAG_ID", schedule=None, params=PARAMS) as dag:\n    other()\n'
SOON = 45

pytestmark = pytest.mark.live


def window_code(dag_id: str, *, group: str = "window", inside: str = "other", fail_fast: bool = False) -> str:
    code = WINDOW.replace("DAG_ID", dag_id).replace("GROUP", group).replace("INSIDE", inside)
    return HEAD + code.replace("FAIL_FAST", str(fail_fast))


class Stage:
    """A window whose DAG has a file that may be changed."""

    def __init__(self, airflow: LocalAirflow, toloka: EmulatorServer, name: str) -> None:
        self.dag_id = f"unseen_{name}"
        self.file: Path = airflow.dags / f"{self.dag_id}.py"
        self.window = Window(airflow, toloka, self.dag_id)

    def write(self, code: str) -> None:
        """Replace the file at once, lest Airflow reads a half of it."""
        new = self.file.with_suffix(".new")
        new.write_text(code)
        new.replace(self.file)


Situation = Callable[[Stage], None]
SITUATIONS: dict[str, Situation] = {}


def situation(function: Situation) -> Situation:
    return SITUATIONS.setdefault(function.__name__, function)


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    """A Toloka where nobody works, so that pools stay open until somebody closes them."""
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_unseen", server)
        yield server


@pytest.fixture(scope="module")
def ends(airflow: LocalAirflow, toloka: EmulatorServer) -> Iterator[dict[str, Future[None]]]:
    """Have everything happen."""
    stages = {name: Stage(airflow, toloka, name) for name in SITUATIONS}
    for name, stage in stages.items():
        fails_fast = name == "another_task_fails_fast"
        stage.write(window_code(stage.dag_id, inside="fails" if fails_fast else "other", fail_fast=fails_fast))
    for stage in stages.values():
        airflow.api.wait_for_dag(stage.dag_id)
    with ThreadPoolExecutor(len(stages)) as threads:
        yield {name: threads.submit(SITUATIONS[name], stage) for name, stage in stages.items()}
    for stage in stages.values():
        stage.write("")


@situation
def the_file_loses_the_window(stage: Stage) -> None:
    window = stage.window
    window.begin()
    window.is_watched()
    stage.write(HEAD + LOST.replace("DAG_ID", stage.dag_id))
    assert window.ended() == "success"
    assert {window.states()[name] for name in ("wait", "close", "result")} == {"removed"}
    if IS_3_3:
        window.has_closed_once()
    else:
        assert window.happened() == [OPENED]


@situation
def the_window_is_renamed(stage: Stage) -> None:
    """The window of the new name begins from the start, and may find the pool still open, or closed by then."""
    window = stage.window
    window.begin()
    window.is_watched()
    stage.write(window_code(stage.dag_id, group="renamed"))
    wait_until(lambda: window.states().get("renamed.wait") == "deferred", "the new window waits", PATIENCE)
    assert window.states()["wait"] == "removed"
    window.mark_run("failed")
    window.ended()
    wait_until(lambda: window.toloka.pool(window.pool_id)["status"] == "CLOSED", "the pool is closed", PATIENCE)
    assert window.happened() in ([OPENED, CLOSED], [OPENED, CLOSED] * 2)


@situation
def the_file_cannot_be_read_when_the_wait_ends(stage: Stage) -> None:
    """Airflow puts the task off, and then runs it from the start; in the same try, if it loses none on the way."""
    window = stage.window
    code = stage.file.read_text()
    window.start(SOON)
    window.waits()
    stage.write("this is no Python")
    window.is_in("wait", "up_for_reschedule")
    window.is_open()
    stage.write(code)
    assert window.ended() == "success"
    window.has_closed_once()
    assert window.result()["stopped_by"] == "until"
    assert window.requests("open") == 1


@situation
def another_task_fails_fast(stage: Stage) -> None:
    window = stage.window
    window.start()
    assert window.ended() == "failed"
    assert window.states()["fails"] == "failed"
    assert window.states()["close"] == "success"
    assert window.happened() in ([], [OPENED, CLOSED])


@situation
def the_run_is_marked_as_failed_while_it_is_queued(stage: Stage) -> None:
    window = stage.window
    window.pause(True)
    window.start()
    window.mark_run("failed")
    window.pause(False)
    assert window.ended() == "success"
    assert set(window.states().values()) == {"skipped"}
    assert (window.happened(), window.requests("open")) == ([], 0)


@situation
def the_task_instance_of_the_wait_is_deleted(stage: Stage) -> None:
    window = stage.window
    window.begin()
    window.is_watched()
    path = f"/dags/{window.dag_id}/dagRuns/{window.run_id}/taskInstances/window.wait"
    insist(partial(window.api.call, "DELETE", path))
    if IS_3_3:
        window.has_closed_once()
    window.mark_run("failed")
    assert window.ended() == "failed"
    assert window.states()["close"] is None  # it would wait for the task instance that is gone
    assert window.happened() == ([OPENED, CLOSED] if IS_3_3 else [OPENED])


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_is_closed_if(name: str, ends: dict[str, Future[None]]) -> None:
    ends[name].result()
