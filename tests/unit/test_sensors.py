from __future__ import annotations

import pytest

from tests.support import ScriptedServer, operation, run_task
from toloka_airflow.sensors import OperationSensor


@pytest.mark.parametrize("deferrable", [False, True])
def test_operation_sensor_returns_the_operation_that_succeeded(server: ScriptedServer, connection: str, deferrable: bool) -> None:
    for status in ("PENDING", "RUNNING", "SUCCESS"):
        server.answer("GET", "/operations/op-1", json=operation(status))
    server.answer("GET", "/pools/21", json={"id": "21", "project_id": "10", "status": "OPEN"})
    sensor = OperationSensor(task_id="wait", operation_id="op-1", poke_interval=0.01, deferrable=deferrable)
    assert run_task(sensor).result == "op-1"
