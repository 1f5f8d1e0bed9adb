"""When a real Airflow tries a task again: when the quota is back, and never for what will not change."""

from __future__ import annotations

from collections.abc import Iterator

import airflow as airflow_package
import pytest

from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import Connect
from tests.worlds import small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        connect_to("toloka_retries", server)
        yield server


@pytest.mark.skipif(not IS_3_3, reason="Airflow has retry policies since 3.3")
def test_a_task_comes_back_when_its_quota_does(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    """The task's own retry_delay is an hour."""
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": "?"}, "overlap": 1}])
    quota = {"code": "TOO_MANY_REQUESTS", "payload": {"interval": "HOUR"}}
    toloka.faults.add("POST", "/api/v1/pools/{id}/open", status=429, retry_after=5, **quota)
    airflow.api.wait_for_dag("spent_quota")
    run_id = airflow.api.trigger("spent_quota", {"pool_id": pool_id})
    assert airflow.api.wait_for_run("spent_quota", run_id) == "success"
    log = airflow.api.log("spent_quota", run_id, "open")
    assert "TolokaQuotaError" in log
    assert "Retry policy decision" in log


def test_a_mistake_is_not_tried_again(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    before = toloka.journal.last
    airflow.api.wait_for_dag("mistake")
    run_id = airflow.api.trigger("mistake")
    assert airflow.api.wait_for_run("mistake", run_id) == "failed"
    assert "config is '/no/such/pool.yaml', and there is no such file" in airflow.api.log("mistake", run_id, "create")
    assert toloka.journal.after(before, kind="request") == []
