"""Many sensors that wait on several connections, and write down when each began, went on and ended."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from typing import Any

from airflow.sdk import DAG, Param, task

from toloka_airflow.sensors import OperationSensor, PoolSensor


def note(what: str, context: Any) -> None:
    """Write down what happens to a task; it is one write, so that many tasks can do it at once."""
    ti, error = context["ti"], context.get("exception")
    line = json.dumps([ti.run_id, ti.task_id, ti.map_index, ti.try_number, what, time.time(), error and str(error)])
    with open(os.environ["TOLOKA_TEST_NOTES"], "a") as notes:
        notes.write(line + "\n")


WAIT: dict[str, Any] = {
    "deferrable": True,
    "poke_interval": 5,
    "on_execute_callback": partial(note, "worker"),
    "on_success_callback": partial(note, "success"),
    "on_failure_callback": partial(note, "failed"),
    "on_retry_callback": partial(note, "retry"),
}


@task
def told(kind: str, params: Any = None) -> Any:
    """Return what the run was told to wait for."""
    return params[kind]


@task(trigger_rule="all_done")
def results(operations: Any, pools: Any) -> list[str]:
    """Return the operations and the pools of the waits that succeeded."""
    return [*operations, *(pool["pool_id"] for pool in pools)]


with DAG("sharing", schedule=None, params={name: Param([], type="array") for name in ("operations", "pools")}):
    operations = OperationSensor.partial(task_id="operation", **WAIT).expand_kwargs(told("operations"))
    pools = PoolSensor.partial(task_id="pool", expected_reasons=["EXPIRED"], **WAIT).expand_kwargs(told("pools"))
    results(operations.output, pools.output)
