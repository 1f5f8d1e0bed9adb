"""Workers killed at six points of three rounds of `label_until`: the same labels, for the same money."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect, insist
from tests.system.killing import MANY, Killer, Point, hold_back
from tests.worlds import POOL as SETTINGS
from tests.worlds import PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

AIRFLOW = tuple(map(int, airflow_package.__version__.split(".")[:2]))
DAG_ID = "label_rounds"
TASKS, REWARD = 60, 0.02
TASK, TASK_LIST, OPEN = "/api/v1/tasks/{id}", "/api/v1/tasks", "/api/v1/pools/{id}/open"
POINTS = [
    Point("label_until.round_1.open", "POST", OPEN),
    Point("label_until.round_2.assess", "GET", TASK_LIST),
    Point("label_until.round_2.raise_overlap", "PATCH", TASK, skip=7),
    Point("label_until.round_2.open", "POST", OPEN),
    Point("label_until.round_3.raise_overlap", "PATCH", TASK, skip=3),
    Point("label_until.labels", "GET", TASK_LIST),
]

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(AIRFLOW < (3, 3), reason="it takes a minute, and the operators are the same on every Airflow"),
]


class World:
    """
    A Toloka with a pool that nobody has answered.

    Who takes which page when, and answers what, depends only on the seed, and on the order in which tasks get a higher
    overlap: nothing else at Toloka draws from the same numbers, and all people are idle before a pool is opened again,
    as at this speed the seconds between two rounds are hours. So worlds with the same seed end alike.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        project = self.client.create_project(PROJECT)
        self.pool_id = self.client.create_pool({**SETTINGS, "project_id": project.id}).id
        rows = [{"pool_id": self.pool_id, "input_values": {"text": f"question {n}"}} for n in range(TASKS)]
        self.client.create_tasks([{**row, "overlap": 2} for row in rows])

    def overlaps(self) -> dict[str, tuple[int | None, int | None]]:
        """Return the overlap of each task, and what remains of it."""
        return {
            task.input_values["text"]: (task.overlap, task.remaining_overlap)
            for task in self.client.list_tasks(self.pool_id)
        }

    def answers(self) -> dict[tuple[str, str], Any]:
        """Return what each person has answered to each task; nobody answers one twice."""
        rows = [
            ((task.input_values["text"], str(page.raw["user_id"])), solution["output_values"])
            for page in self.client.list_assignments(
                pool_id=self.pool_id, status=[AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED]
            )
            for task, solution in zip(page.tasks, page.raw["solutions"], strict=True)
        ]
        assert len(dict(rows)) == len(rows)
        return dict(rows)

    def openings(self) -> int:
        """Return how often the pool was opened."""
        return sum(entry["pool_id"] == self.pool_id for entry in self.server.journal.events("pool.opened"))


@pytest.fixture(scope="module")
def worlds(airflow: LocalAirflow, connect_to: Connect) -> Iterator[dict[str, World]]:
    crowd = CrowdSettings(size=12, accuracy=(0.55, 0.95))
    with ExitStack() as stack:
        found = {}
        for name in ("toloka_killed", "toloka_undisturbed"):
            server = stack.enter_context(EmulatorServer(seed=4, speed=2000, quotas=False, crowd=crowd))
            connect_to(name, server)
            found[name] = World(server)
        airflow.api.wait_for_dag(DAG_ID, PATIENCE)
        yield found


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_labels_and_the_money_are_as_undisturbed(
    airflow: LocalAirflow, worlds: dict[str, World], tmp_path: Path
) -> None:
    killed, undisturbed = worlds.values()
    holds = {POINTS[0]: hold_back(killed.server, POINTS[0])}
    runs = {}
    for name, world in worlds.items():
        conf = {"pool_id": world.pool_id, "folder": f"file://{tmp_path}/{name}", "toloka": name}
        runs[name] = insist(partial(airflow.api.trigger, DAG_ID, conf))
    Killer(airflow, killed.server, DAG_ID, runs["toloka_killed"]).kill_at_all(POINTS, holds)
    for run_id in runs.values():
        assert airflow.api.wait_for_run(DAG_ID, run_id, timeout=PATIENCE) == "success"

    results = [airflow.api.xcom(DAG_ID, run_id, "label_until.labels") for run_id in runs.values()]
    for name, world in worlds.items():
        decided = [read(path) for path in sorted((tmp_path / name).glob("rounds-*/round_?.overlaps.jsonl"))]
        assert [len(rows) > 0 for rows in decided] == [False, True, True]
        wanted = {row["task_id"]: row["overlap"] for rows in decided for row in rows}
        ids = {task.input_values["text"]: task.id for task in world.client.list_tasks(world.pool_id)}
        # As many answers as were decided, and everyone of them paid once.
        assert world.overlaps() == {text: (wanted.get(task_id, 2), 0) for text, task_id in ids.items()}
        given = Counter(text for text, _ in world.answers())
        assert given == {text: wanted.get(task_id, 2) for text, task_id in ids.items()}
        assert world.openings() == 3
    assert killed.answers() == undisturbed.answers()
    assert killed.overlaps() == undisturbed.overlaps()
    labels = [
        {row["input_values"]["text"]: (row["output_values"], row["confidence"]) for row in read(path)}
        for path in sorted(tmp_path.glob("*/labels.jsonl"))
    ]
    assert labels[0] == labels[1]
    assert len(labels[0]) == TASKS
    assert results[0]["stopped_by"] == "rounds"
    paths = ("pool_id", "path", "answers_path")
    assert [{k: v for k, v in result.items() if k not in paths} for result in results] == [
        {k: v for k, v in results[0].items() if k not in paths}
    ] * 2
    spent = [world.server.pool(world.pool_id)["spent"] for world in worlds.values()]
    assert spent[0] == spent[1] > 0


def test_a_run_that_is_marked_as_failed_while_a_round_is_decided_is_no_success(
    airflow: LocalAirflow, worlds: dict[str, World], tmp_path: Path
) -> None:
    toloka = worlds["toloka_killed"].server
    world = World(toloka)
    hold = hold_back(toloka, Point("label_until.round_1.assess", "GET", TASK_LIST))
    conf = {"pool_id": world.pool_id, "folder": f"file://{tmp_path}", "toloka": "toloka_killed"}
    run_id = insist(partial(airflow.api.trigger, DAG_ID, conf))
    # A run that is marked as failed while it is queued is skipped, and no failure.
    airflow.api.wait_for_task(DAG_ID, run_id, "label_until.round_1.assess", "running", timeout=PATIENCE)
    wait_until(lambda: hold.times != MANY, "the tasks of the pool are fetched", timeout=PATIENCE)
    insist(partial(airflow.api.set_run_state, DAG_ID, run_id, "failed"))
    toloka.faults.remove(hold)
    assert airflow.api.wait_for_run(DAG_ID, run_id, timeout=PATIENCE) == "failed"
    states = airflow.api.task_states(DAG_ID, run_id)
    assert {name for name, state in states.items() if state != "skipped"} == {
        "label_until.round_1.assess",
        "label_until.end",
    }
    assert toloka.pool(world.pool_id)["status"] == "CLOSED"
