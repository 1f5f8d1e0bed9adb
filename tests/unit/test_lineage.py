"""What tasks report to Airflow's lineage: the files and pools that they read and write, also after a deferral."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import HookLineageCollector
from airflow.sdk import Asset, ObjectStoragePath

from tests.attached_files import answered_pool
from tests.sftp_server import PASSWORD, sftp_server
from tests.support import TOKEN, connect, run_task
from tests.worlds import POOL, PROJECT, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.assets import convert_asset_to_openlineage, pool_asset
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator
from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.operators.pools import ClonePoolOperator, CreatePoolOperator, CreateTrainingOperator
from toloka_airflow.operators.projects import CreateProjectOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.operators.updates import UpdatePoolOperator
from toloka_airflow.sensors import PoolSensor

NOTHING: dict[str, list[str]] = {"inputs": [], "outputs": []}


class Collected:
    """What Airflow has collected in the last process of a task."""

    def __init__(self) -> None:
        self.new_process()

    def new_process(self) -> None:
        self.collector = HookLineageCollector()

    def run(self, task: Any) -> dict[str, list[str]]:
        """Run a task; what is collected is forgotten when it is deferred."""

        def triggerer(coroutine: Any) -> Any:
            self.new_process()
            self.deferrals += 1
            return asyncio.run(coroutine)

        self.deferrals = 0
        self.new_process()
        self.result = run_task(task, triggerer=triggerer).result
        found = self.collector.collected_assets
        return {
            "inputs": [info.asset.uri for info in found.inputs],
            "outputs": [info.asset.uri for info in found.outputs],
        }


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Collected:
    """An Airflow that collects, as with a reader of lineage among its plugins."""
    collected = Collected()
    monkeypatch.setattr(sdk, "get_hook_lineage_collector", lambda: collected.collector, raising=False)
    return collected


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        emulator.progressions.set(Progression(seconds=0))
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture
def answered(toloka: EmulatorServer) -> str:
    """A pool with twelve answers that nobody has decided on."""
    pool_id = toloka.add_pool(6, overlap=2, open=True, auto_accept_solutions=False)
    toloka.clock.advance(3600)
    return pool_id


def uri(pool_id: str) -> str:
    return f"toloka://toloka_default/pools/{pool_id}"


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


AT_ONCE, LATER = Progression(seconds=0), Progression(looks=3)
both_ways = pytest.mark.parametrize("progression", [AT_ONCE, LATER], ids=["at once", "deferred"])


@both_ways
def test_an_upload(
    collected: Collected, toloka: EmulatorServer, client: TolokaClient, tmp_path: Path, progression: Progression
) -> None:
    toloka.progressions.set(progression, type="TASK.BATCH_CREATE")
    pool_id = small_pool(client)
    source = tmp_path / "tasks.jsonl"
    source.write_text('{"input_values": {"text": "?"}}\n{"input_values": {}}\n')
    task = CreateTasksOperator(
        task_id="upload",
        pool_id=pool_id,
        tasks=str(source),
        ids_path=f"{tmp_path}/ids.jsonl",
        skip_invalid_items=True,
        deferrable=True,
        poll_interval=0.01,
    )
    found = collected.run(task)
    assert found["inputs"] == [f"file://{source}"]
    assert sorted(found["outputs"]) == sorted(
        [f"file://{tmp_path}/ids.jsonl", f"file://{collected.result['invalid_path']}", uri(pool_id)]
    )
    assert (collected.deferrals > 0) == (progression is LATER)
    assert task._facet() == {
        "connection_id": "toloka_default",
        "ids": {"pool_id": pool_id},
        "counts": {"total": 2, "created": 1, "invalid": 1},
        "money": {},
    }


def test_a_download(collected: Collected, answered: str, tmp_path: Path) -> None:
    task = GetAssignmentsOperator(task_id="get", pool_id=answered, path=f"{tmp_path}/rows.jsonl", status="SUBMITTED")
    assert collected.run(task) == {"inputs": [uri(answered)], "outputs": [f"file://{tmp_path}/rows.jsonl"]}
    assert task._facet()["counts"] == {"assignments": 12, "answers": 12}


def test_attachments(collected: Collected, toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 4)
    task = DownloadAttachmentsOperator(task_id="files", pool_id=pool_id, folder=str(tmp_path / "files"))
    found = collected.run(task)
    assert found["inputs"] == [uri(pool_id)]
    assert sorted(found["outputs"]) == [f"file://{tmp_path}/files", f"file://{tmp_path}/files/manifest-{pool_id}.jsonl"]
    size = sum(map(len, files.values()))
    assert task._facet()["counts"] == {"files": 4, "bytes": size, "unnamed": 0, "missing": 0}


def test_a_review(collected: Collected, client: TolokaClient, answered: str, tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    ids = [assignment.id for assignment in client.list_assignments(pool_id=answered)]
    rows = [{"assignment_id": name, "status": "ACCEPTED", "public_comment": "Thank you"} for name in ids]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = ReviewAssignmentsOperator(task_id="review", pool_id=answered, decisions=str(path))
    assert collected.run(task) == {"inputs": [f"file://{path}"], "outputs": [uri(answered)]}
    assert task._facet()["counts"] == {"accepted": 12, "rejected": 0, "already": 0, "left": 0}


@both_ways
def test_an_aggregation(collected: Collected, toloka: EmulatorServer, tmp_path: Path, progression: Progression) -> None:
    toloka.progressions.set(progression, type="SOLUTION.AGGREGATE")
    pool_id = toloka.add_pool(6, overlap=3, open=True)
    toloka.clock.advance(3600)
    path = f"{tmp_path}/labels.jsonl"
    task = AggregateSolutionsOperator(
        task_id="aggregate", pool_id=pool_id, fields=["label"], path=path, deferrable=True, poll_interval=0.01
    )
    assert collected.run(task) == {"inputs": [uri(pool_id)], "outputs": [f"file://{path}"]}
    assert (collected.deferrals > 0) == (progression is LATER)
    facet = task._facet()
    assert (facet["ids"], facet["counts"]) == (
        {"pool_id": pool_id, "operation_id": collected.result["operation_id"]},
        {"solutions": 6},
    )


def test_what_is_created_from_a_file(collected: Collected, toloka: EmulatorServer, tmp_path: Path) -> None:
    project, pool = write(tmp_path / "project.json", PROJECT), write(tmp_path / "pool.json", POOL)
    training = {"private_name": "Training", "may_contain_adult_content": False}
    create_project = CreateProjectOperator(task_id="project", config=project)
    assert collected.run(create_project) == {"inputs": [f"file://{project}"], "outputs": []}
    project_id = collected.result
    assert create_project._facet()["ids"] == {"project_id": project_id}

    found = collected.run(CreatePoolOperator(task_id="pool", config=pool, project_id=project_id))
    pool_id = collected.result
    assert found == {"inputs": [f"file://{pool}"], "outputs": [uri(pool_id)]}

    changes = write(tmp_path / "changes.yaml", {"private_name": "Copy"})
    found = collected.run(ClonePoolOperator(task_id="copy", pool_id=pool_id, changes=changes))
    assert found == {"inputs": [f"file://{changes}"], "outputs": [uri(collected.result)]}

    training = {**training, "task_suites_required_to_pass": 1, "training_tasks_in_task_suite_count": 1}
    training |= {"shuffle_tasks_in_task_suite": True, "retry_training_after_days": 1, "inherited_instructions": False}
    training |= {"assignment_max_duration_seconds": 600, "public_instructions": "Learn"}
    path = write(tmp_path / "training.json", training)
    found = collected.run(CreateTrainingOperator(task_id="training", config=path, project_id=project_id))
    assert found == {"inputs": [f"file://{path}"], "outputs": [uri(collected.result)]}


@both_ways
def test_what_is_changed_by_a_file(
    collected: Collected, toloka: EmulatorServer, tmp_path: Path, progression: Progression
) -> None:
    toloka.progressions.set(progression, type="POOL.OPEN")
    toloka.progressions.set(progression, type="POOL.CLOSE")
    pool_id, changes = toloka.add_pool(open=True), write(tmp_path / "changes.json", {"reward_per_assignment": 0.05})
    task = UpdatePoolOperator(task_id="update", pool_id=pool_id, changes=changes, deferrable=True, poll_interval=0.01)
    assert collected.run(task) == {"inputs": [f"file://{changes}"], "outputs": [uri(pool_id)]}
    assert collected.deferrals == (2 if progression is LATER else 0)


def test_a_task_without_files_reports_none(collected: Collected, toloka: EmulatorServer) -> None:
    task = OpenPoolOperator(task_id="open", pool_id=toloka.add_pool(1), poll_interval=0.01)
    assert collected.run(task) == NOTHING
    assert task._facet()["ids"] == {"pool_id": task.pool_id}


def test_what_was_paid_is_known(collected: Collected, toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(6, overlap=2, open=True, reward_per_assignment=0.05)
    toloka.clock.advance(3600)
    task = PoolSensor(task_id="wait", pool_id=pool_id, progress_interval=60, poke_interval=0.01)
    assert collected.run(task) == NOTHING
    facet, progress = task._facet(), collected.result["progress"]
    assert facet["money"] == {"spent": progress["spent"], "committed": 0.0}
    assert facet["counts"] == {"assignments": 12}


def test_a_connection_that_fits_into_no_uri_is_no_reason_to_fail(
    collected: Collected, answered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY CROWD", os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"])
    path = f"{tmp_path}/rows.jsonl"
    task = GetAssignmentsOperator(task_id="get", pool_id=answered, path=path, toloka_conn_id="my crowd")
    assert collected.run(task) == {"inputs": [], "outputs": [f"file://{path}"]}
    assert f"toloka://my crowd/pools/{answered} is not in the lineage of this task" in caplog.text


def test_a_file_that_is_read_twice_is_one_input(collected: Collected, toloka: EmulatorServer, tmp_path: Path) -> None:
    config = write(tmp_path / "project.json", PROJECT)
    for attempt in ("first", "second"):
        collected.result = run_task(CreateProjectOperator(task_id=attempt, config=config)).result
    [info] = collected.collector.collected_assets.inputs
    assert (info.asset.uri, info.count) == (f"file://{config}", 2)


def test_a_file_on_an_sftp_server(
    collected: Collected, toloka: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Airflow itself reports it: with the id of the connection, and without its password."""
    pool_id = toloka.add_pool(2, overlap=1, open=True)
    toloka.clock.advance(3600)
    with sftp_server(tmp_path) as server:
        path = f"sftp://{server.connect(monkeypatch)}@/rows.jsonl"
        found = collected.run(GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=path))
    assert found["outputs"] == [Asset(str(ObjectStoragePath(path))).uri]
    assert PASSWORD not in found["outputs"][0]


def test_a_pool_is_a_dataset() -> None:
    dataset = convert_asset_to_openlineage(pool_asset("21", toloka_conn_id="sandbox"), None)
    assert (dataset.namespace, dataset.name) == ("toloka://sandbox", "pools/21")


def test_labels_of_answers(collected: Collected, tmp_path: Path) -> None:
    source = tmp_path / "answers.jsonl"
    source.write_text('{"task_id": "t", "user_id": "p", "output_values": {"label": "cat"}}\n')
    task = AggregateAnswersOperator(
        task_id="aggregate", answers=str(source), path=f"{tmp_path}/labels.jsonl", fields=["label"]
    )
    found = collected.run(task)
    assert found == {"inputs": [f"file://{source}"], "outputs": [f"file://{tmp_path}/labels.jsonl"]}


def test_openlineage_gets_the_facet(collected: Collected, answered: str, tmp_path: Path) -> None:
    task = GetAssignmentsOperator(task_id="get", pool_id=answered, path=f"{tmp_path}/rows.jsonl", status="SUBMITTED")
    collected.run(task)
    lineage = task.get_openlineage_facets_on_complete(None)
    assert (lineage.inputs, lineage.outputs) == ([], [])  # those that were reported are added then
    facet = attrs.asdict(lineage.run_facets["toloka"])
    assert facet["ids"] == {"pool_id": answered}
    assert facet["counts"] == {"assignments": 12, "answers": 12}
    assert TOKEN not in repr(lineage)


def test_airflow_knows_how_to_convert_a_pool() -> None:
    from airflow.providers.openlineage.utils.utils import translate_airflow_asset

    dataset = translate_airflow_asset(Asset(uri("21")), None)
    assert dataset is not None
    assert (dataset.namespace, dataset.name) == ("toloka://toloka_default", "pools/21")
