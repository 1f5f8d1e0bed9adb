"""The example DAGs without a schedule on a fleet."""

from __future__ import annotations

from typing import Any

import pytest

from demo.__main__ import set_truth, steer
from fleet.lane import Lane

PATIENCE = 600.0


@pytest.mark.parametrize("dag_id", ["label_digits", "label_with_training", "pool_lifecycle"])
def test_an_example_ends_well(lane: Lane, dag_id: str) -> None:
    set_truth(lane.toloka_url)
    conf: dict[str, Any] = {"output": f"file://{lane.files}/{dag_id}"}
    if dag_id == "label_digits":
        conf["images"] = 50
    if dag_id == "pool_lifecycle":
        seeded = steer("POST", f"{lane.toloka_url}/_emulator/seed", json={"projects": [{"pools": [{"tasks": 20}]}]})
        conf = {"pool_id": seeded.json()["pools"][0]}
    lane.api.wait_for_dag(dag_id, timeout=PATIENCE)
    run_id = lane.api.trigger(dag_id, conf)
    assert lane.api.wait_for_run(dag_id, run_id, timeout=PATIENCE) == "success"
    assert set(lane.api.task_states(dag_id, run_id).values()) == {"success"}
