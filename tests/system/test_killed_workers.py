"""Workers killed at many points of a labelling round, while a share of all requests goes wrong."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import airflow as airflow_package
import pytest

from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect, insist
from tests.system.killing import Killer, Point, hold_back
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus, PoolStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

AIRFLOW = tuple(map(int, airflow_package.__version__.split(".")[:2]))
TASKS = 10_000
DAG_ID = "labelling_round"
PROJECTS, POOLS, POOL, TASKS_CALL = "/api/v1/projects", "/api/v1/pools", "/api/v1/pools/{id}", "/api/v1/tasks"
OPERATION, LOG = "/api/v1/operations/{id}", "/api/v1/operations/{id}/log"
ANSWERS, ANSWER = "/api/v1/assignments", "/api/v1/assignments/{id}"
FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 429, "code": "TOO_MANY_REQUESTS", "retry_after": 1},
    {"html": 502},
    {"drop": True},
    {"lost_answer": True},
    {"half_body": True},
    {"delay": 0.05},
]
SHARE = 0.02

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(AIRFLOW < (3, 3), reason="it takes minutes, and the operators are the same on every Airflow"),
]


CREATING = [
    Point("create_project", "GET", PROJECTS),
    Point("create_project", "POST", PROJECTS),
    Point("create_pool", "GET", POOLS),
    Point("create_pool", "POST", POOLS),
]
LATER = [
    Point("upload", "GET", POOL),
    Point("upload", "POST", TASKS_CALL),
    Point("upload", "POST", TASKS_CALL, skip=7),
    Point("upload", "POST", TASKS_CALL, skip=5),
    Point("upload", "GET", LOG),
    Point("upload", "GET", LOG, skip=9),
    Point("upload", "GET", LOG, skip=3),
    Point("review", "GET", ANSWERS),
    Point("review", "PATCH", ANSWER),
    Point("review", "PATCH", ANSWER, skip=100),
    Point("review", "PATCH", ANSWER, skip=150),
    Point("review", "GET", ANSWERS, skip=1),
    Point("review", "PATCH", ANSWER, skip=50),
    Point("review", "PATCH", ANSWER, skip=20),
    Point("download", "GET", ANSWERS),
    Point("download", "GET", ANSWERS, skip=4),
    Point("download", "GET", ANSWERS, skip=2),
    Point("download", "GET", ANSWERS, skip=6),
]


@pytest.fixture(scope="module")
def toloka(airflow: LocalAirflow, connect_to: Connect) -> Iterator[EmulatorServer]:
    crowd = CrowdSettings(size=200)
    with EmulatorServer(seed=4, speed=600, quotas=False, crowd=crowd) as server:
        connect_to("toloka_round", server)
        airflow.api.wait_for_dag(DAG_ID, PATIENCE)
        yield server


def break_things(toloka: EmulatorServer) -> None:
    """Have every kind of fault happen to a share of all calls of the round."""
    calls = [("GET", path) for path in (PROJECTS, POOLS, POOL, OPERATION, LOG, ANSWERS, ANSWER, "/api/v1/operations")]
    calls += [("POST", path) for path in (PROJECTS, POOLS, TASKS_CALL, POOL + "/open", POOL + "/close")]
    for method, path in [*calls, ("PATCH", ANSWER)]:
        for kind in FAULTS:
            toloka.faults.add(method, path, probability=SHARE, **kind)


def test_every_input_gets_one_task_and_every_answer_one_row(
    airflow: LocalAirflow, toloka: EmulatorServer, tmp_path: Path
) -> None:
    source, answers = tmp_path / "tasks.jsonl", tmp_path / "answers.jsonl.gz"
    source.write_text("".join(json.dumps({"input_values": {"text": f"question {n}"}}) + "\n" for n in range(TASKS)))
    # Creating is asked for once only: these come before the faults that happen by chance.
    holds = {point: hold_back(toloka, point) for point in CREATING}
    break_things(toloka)
    conf = {"tasks": f"file://{source}", "answers": f"file://{answers}"}
    run_id = insist(partial(airflow.api.trigger, DAG_ID, conf))

    killer = Killer(airflow, toloka, DAG_ID, run_id)
    killer.kill_at_all([*CREATING, *LATER], holds)

    assert airflow.api.wait_for_run(DAG_ID, run_id, timeout=2 * PATIENCE) == "success"
    toloka.faults.clear()
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    [project] = client.list_projects()
    [pool] = client.list_pools(project_id=project.id)
    asked = Counter(task.input_values["text"] for task in client.list_tasks(pool.id))
    assert asked == {f"question {n}": 1 for n in range(TASKS)}
    answered = {
        (assignment.id, task.id)
        for assignment in client.list_assignments(pool_id=pool.id, status=AssignmentStatus.ACCEPTED)
        for task in assignment.tasks
    }
    with gzip.open(answers, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(answered) == TASKS
    assert Counter((row["assignment_id"], row["task_id"]) for row in rows) == dict.fromkeys(answered, 1)
    assert not list(client.list_assignments(pool_id=pool.id, status=AssignmentStatus.SUBMITTED))
    assert pool.status == PoolStatus.CLOSED
    happened = Counter(entry["fault"] for entry in toloka.journal.requests() if entry.get("fault"))
    assert happened.keys() == {"status", "html", "drop", "lost_answer", "half_body", "delay"}
