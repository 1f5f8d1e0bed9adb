"""What OpenLineage learns from a whole round of labelling in a real Airflow: which file became which label."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import Connect, insist
from tests.worlds import digits
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "label_digits"

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow that writes the events of OpenLineage to files, and waits for nothing in its workers."""
    folder = tmp_path_factory.mktemp("lineage")
    for name in ("dags", "events"):
        (folder / name).mkdir()
    shutil.copy(ROOT / "dags_examples" / f"{DAG_ID}.py", folder / "dags")
    transport = {"type": "file", "log_file_path": f"{folder}/events/event"}
    env = {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__TOLOKA__DEFER_AFTER": "0",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    }
    with LocalAirflow(folder / "home", folder / "dags", env=env) as local:
        local.start()
        yield local


class Round(NamedTuple):
    """A run of the example, and the events of its tasks."""

    folder: str
    pool: str
    states: dict[str, str]
    events: dict[str, list[dict[str, Any]]]
    text: str

    def datasets(self, kind: str) -> dict[str, set[str]]:
        """Return the inputs or outputs that the last event of each task names."""
        return {
            task: {f"{dataset['namespace']}/{dataset['name'].lstrip('/')}" for dataset in events[-1][kind]}
            for task, events in self.events.items()
        }

    def facet(self, task: str) -> dict[str, Any]:
        facet: dict[str, Any] = self.events[task][-1]["run"]["facets"]["toloka"]
        return facet


@pytest.fixture(scope="module")
def labelled(airflow: LocalAirflow, connect_to: Connect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    folder = tmp_path_factory.mktemp("digits")
    with EmulatorServer(seed=1, speed=60) as toloka:
        connect_to("toloka_default", toloka)
        requests.put(f"{toloka.url}/_emulator/truth", json=digits(), timeout=10).raise_for_status()
        airflow.api.wait_for_dag(DAG_ID)
        run_id = insist(partial(airflow.api.trigger, DAG_ID, {"images": 20, "output": f"file://{folder}"}))
        airflow.api.wait_for_run(DAG_ID, run_id)
        pool_id = airflow.api.xcom(DAG_ID, run_id, "create_pool")
        states = airflow.api.task_states(DAG_ID, run_id)
        texts = [path.read_text() for path in (airflow.home.parent / "events").iterdir()]
        events: dict[str, list[dict[str, Any]]] = {}
        for event in sorted(map(json.loads, texts), key=lambda event: str(event["eventTime"])):
            name = event["job"]["name"]
            if name.startswith(f"{DAG_ID}."):
                events.setdefault(name.removeprefix(f"{DAG_ID}."), []).append(event)
        yield Round(
            f"file/{str(folder)[1:]}/{run_id}",
            f"toloka://toloka_default/pools/{pool_id}",
            states,
            events,
            "".join(texts),
        )


def test_every_task_reports_what_it_reads_and_writes(labelled: Round) -> None:
    assert set(labelled.states.values()) == {"success"}
    assert {task for task, events in labelled.events.items() if events[-1]["eventType"] == "COMPLETE"} == set(
        labelled.states
    )
    tasks, answers, labels = (f"{labelled.folder}/{name}.jsonl" for name in ("tasks", "answers", "labels"))
    report = f"{labelled.folder}/report.html"
    [ids] = [name for name in labelled.datasets("outputs")["upload_images"] if name.endswith(".ids.jsonl")]
    assert ids.startswith(tasks)
    no_files = {task: set[str]() for task in labelled.states}
    assert labelled.datasets("inputs") == {
        **no_files,
        "upload_images": {tasks},
        "download_answers": {labelled.pool},
        "aggregate": {answers},
        "report": {answers, labels, labelled.pool},
        "compare": {answers, labels},
    }
    assert labelled.datasets("outputs") == {
        **no_files,
        "draw_images": {tasks},
        "create_pool": {labelled.pool},
        "upload_images": {ids, labelled.pool},
        "download_answers": {answers},
        "aggregate": {labels},
        "report": {report},
    }


def test_every_task_says_what_it_was_about(labelled: Round) -> None:
    # The aggregation asks nothing of Toloka.
    ours = set(labelled.states) - {"draw_images", "compare", "aggregate"}
    pool_id = labelled.pool.rpartition("/")[2]
    for task in ours - {"create_project", "archive_project"}:
        facet = labelled.facet(task)
        assert (facet["connection_id"], facet["ids"]["pool_id"]) == ("toloka_default", pool_id), task
    assert labelled.facet("create_project")["ids"] == labelled.facet("archive_project")["ids"]
    assert labelled.facet("upload_images")["counts"] == {"total": 20, "created": 20, "invalid": 0}
    assert labelled.facet("download_answers")["counts"]["answers"] == 100


def test_the_token_is_in_no_event(labelled: Round) -> None:
    assert labelled.text
    assert TOKEN not in labelled.text
