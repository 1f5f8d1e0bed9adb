"""What a deferred wait has measured is kept with its task, in a real Airflow, also after the wait has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect
from toloka_airflow._internal.trails import MEASURED, TRAIL
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live
DAG_ID = "wait_measured"


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        connect_to("toloka_measured", server)
        airflow.api.wait_for_dag(DAG_ID)
        yield server


def test_a_measurement_outlives_the_wait(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(3, open=True)
    run_id = airflow.api.trigger(DAG_ID, {"pool_id": pool_id})
    airflow.api.wait_for_task(DAG_ID, run_id, "wait", "deferred")
    wait_until(
        lambda: airflow.api.xcom(DAG_ID, run_id, "wait", MEASURED) is not None, "it is measured", timeout=PATIENCE
    )
    assert airflow.api.xcom(DAG_ID, run_id, "wait", MEASURED)["percent"] == 0
    assert airflow.api.task_states(DAG_ID, run_id) == {"wait": "deferred"}
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    operation = client.close_pool(pool_id)
    assert operation is not None
    # Failed, if Airflow's scheduler has learnt of the deferral only after the task was resumed, and took it for an end.
    airflow.api.wait_for_task(DAG_ID, run_id, "wait", "success", "failed")
    points = airflow.api.xcom(DAG_ID, run_id, "wait", TRAIL)
    assert points[0][1:3] == [0, 0]
