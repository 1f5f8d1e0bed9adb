"""
Tasks whose supervisor is killed alone: the task goes on, and Airflow starts the next attempt beside it.

Airflow misses the heartbeat of such a task after five minutes with the LocalExecutor, which its database is made to say
at once; under Celery it takes seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import CLOSED, OPENED, PATIENCE, Connect, worker
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

DAGS = ["orphaned_creation", "orphaned_opening", "orphaned_payment"]
MEANWHILE = 50
"""Seconds in which the run must end, before the orphan continues; less than the 60 after which a request has failed."""

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=0)) as server:
        connect_to("toloka_orphans", server)
        for dag_id in DAGS:
            airflow.api.wait_for_dag(dag_id)
        yield server


class Run:
    """A run of a DAG, one of whose tasks becomes an orphan."""

    def __init__(self, airflow: LocalAirflow, dag_id: str, **params: str) -> None:
        self.airflow, self.api, self.dag_id = airflow, airflow.api, dag_id
        self.id = self.api.trigger(dag_id, params)

    def orphan(self, task_id: str) -> psutil.Process:
        """Kill the supervisor of a task that runs, let Airflow notice it, and return the process of the task."""
        [ti_id] = [task["id"] for task in self.api.tasks(self.dag_id, self.id) if task["task_id"] == task_id]
        process = worker(self.airflow, ti_id)
        supervisor = process.parent()
        supervisor.kill()
        wait_until(lambda: process.ppid() != supervisor.pid, "the supervisor is gone", PATIENCE, 0.1)
        with closing(sqlite3.connect(self.airflow.home / "airflow.db", timeout=30)) as database, database:
            long_ago = "datetime(last_heartbeat_at, '-1 hour')"
            database.execute(
                f"UPDATE task_instance SET last_heartbeat_at = {long_ago} WHERE run_id = ? AND task_id = ?",
                (self.id, task_id),
            )
        return process

    def ends_well(self, orphan: psutil.Process) -> None:
        """Check that the run has ended while the orphan waits, and return when that has ended, too."""
        assert self.api.wait_for_run(self.dag_id, self.id, timeout=MEANWHILE) == "success"
        assert orphan.is_running(), "it ended too early to show anything"
        wait_until(lambda: not orphan.is_running(), "the orphan has ended", PATIENCE, 0.5)


def test_an_orphan_does_not_open_the_pool_again(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(tasks=3)
    path = f"/api/v1/pools/{pool_id}/open"
    busy = toloka.faults.add("POST", path, status=429, code="TOO_MANY_REQUESTS", retry_after=MEANWHILE, times=2)
    run = Run(airflow, "orphaned_opening", pool_id=pool_id)
    wait_until(lambda: busy.times < 2, "the opening is told to wait", PATIENCE, 0.1)
    toloka.faults.remove(busy)
    run.ends_well(run.orphan("open"))
    happened = [each["event"] for each in toloka.journal.events() if each.get("pool_id") == pool_id]
    assert [event for event in happened if event in (OPENED, CLOSED)] == [OPENED, CLOSED]
    assert len(toloka.journal.requests("POST", path)) == 2


def test_an_orphan_creates_nothing(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    slow = toloka.faults.add("GET", "/api/v1/projects", delay=MEANWHILE, times=2)
    run = Run(airflow, "orphaned_creation")
    wait_until(lambda: slow.times < 2, "the search has begun", PATIENCE, 0.1)
    toloka.faults.remove(slow)
    run.ends_well(run.orphan("create"))
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    [project] = (each for each in client.list_projects() if each.public_name == "Orphans")
    assert airflow.api.xcom("orphaned_creation", run.id, "create") == project.id


def test_an_orphan_pays_nothing(airflow: LocalAirflow, toloka: EmulatorServer, tmp_path: Path) -> None:
    toloka.crowd.change(size=3)
    people = toloka.crowd.user_ids
    toloka.crowd.change(size=0)
    bonuses = tmp_path / "bonuses.jsonl"
    bonuses.write_text("".join(json.dumps({"user_id": user_id, "amount": 0.25}) + "\n" for user_id in people))
    path = "/api/v1/user-bonuses"
    busy = toloka.faults.add("POST", path, status=429, code="TOO_MANY_REQUESTS", retry_after=MEANWHILE, times=2)
    run = Run(airflow, "orphaned_payment", path=str(bonuses))
    wait_until(lambda: busy.times < 2, "the payment is told to wait", PATIENCE, 0.1)
    toloka.faults.remove(busy)
    run.ends_well(run.orphan("pay"))
    assert sorted(bonus.user_id for bonus in toloka.world.user_bonuses.values()) == sorted(people)
    assert len(toloka.journal.requests("POST", path)) == 2
    assert airflow.api.xcom("orphaned_payment", run.id, "pay")["already"] == 0
