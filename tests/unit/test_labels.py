"""Labels from wherever they come, beside the inputs of their tasks."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.support import TOKEN, ScriptedServer, connect
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.labels import add_inputs

KNOWN = [{"output_values": {"label": "yes"}, "correctness_weight": 1}]


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def pool_id(toloka: EmulatorServer) -> str:
    """A pool with 700 tasks, which are several pages, and two control tasks."""
    pool_id = toloka.add_pool([{"text": f"Ünde {number}"} for number in range(700)])
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    golden = [{"pool_id": pool_id, "input_values": {"text": f"Golden {number}"}} for number in range(2)]
    client.create_tasks([{**each, "known_solutions": KNOWN, "infinite_overlap": True} for each in golden])
    return pool_id


def given_labels(toloka: EmulatorServer, pool_id: str) -> list[dict[str, Any]]:
    """Return two labels for each task, in no order."""
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    ids = [task.id for task in client.list_tasks(pool_id)] * 2
    random.Random(1).shuffle(ids)
    return [{"task_id": task_id, "label": "\ud83d", "score": number} for number, task_id in enumerate(ids)]


def read(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()]


@pytest.mark.parametrize("kind", ["labels.jsonl", "labels.jsonl.gz", "list", "iterator"])
@pytest.mark.parametrize("only_real_tasks", [False, True])
def test_each_label_has_the_inputs_of_its_task(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, kind: str, only_real_tasks: bool
) -> None:
    labels: Any = given_labels(toloka, pool_id)
    tasks = {task.id: task for task in TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_tasks(pool_id)}
    expected = []
    for label in labels:
        task = tasks[label["task_id"]]
        known = {"known_solutions": KNOWN} if "Golden" in task.input_values["text"] else {}
        if not (known and only_real_tasks):
            expected.append({**label, "input_values": task.input_values, "is_control": bool(known), **known})
    if kind == "iterator":
        labels = iter(labels)
    elif kind != "list":
        text = "\n".join(map(json.dumps, labels)).encode()
        labels = tmp_path / kind
        labels.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    path = tmp_path / "new" / "labelled.jsonl.gz"
    result = add_inputs(labels, path, pool_id=pool_id, only_real_tasks=only_real_tasks)
    assert result == {"pool_id": pool_id, "path": str(path), "labels": 1400 if only_real_tasks else 1404}
    assert read(path) == expected
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_its_own_output_can_be_its_input(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    add_inputs(given_labels(toloka, pool_id), first, pool_id=pool_id)
    add_inputs(first, second, pool_id=pool_id)
    assert sorted(read(second), key=str) == sorted(read(first), key=str)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"task_id": "t-1"}, {"task_id": "t-2"}], "Pool 21 has no task 't-2', so its input values are not known"),
        ([{"task_id": "t-1"}, {"label": "yes"}], "labels: number 2: it is {'label': 'yes'}; a label is an object with"),
        (["t-1"], "labels: number 1: it is 't-1'; a label"),
        ([{"task_id": "t-1", "score": math.nan}], "labels: number 1: it holds what JSON does not have"),
        ([{"task_id": "t-1", "score": 1j}], "labels: number 1: it holds what JSON does not have"),
        ("/nowhere/labels.jsonl", "labels is '/nowhere/labels.jsonl', and there is no such file"),
        (None, "labels is None: a template or an upstream task gave no path"),
        ({"task_id": "t-1"}, "labels is .*; it must be a list of labels, or the path of a file"),
    ],
)
def test_what_is_no_label(server: ScriptedServer, connection: str, tmp_path: Path, labels: Any, message: str) -> None:
    server.default("GET", "/tasks", {"items": [{"id": "t-1", "input_values": {}}], "has_more": False})
    path = tmp_path / "labelled.jsonl"
    path.write_text("as before")
    with pytest.raises(AirflowFailException, match=message):
        add_inputs(labels, path, pool_id="21")
    assert [file.name for file in tmp_path.iterdir()] == ["labelled.jsonl"]
    assert path.read_text() == "as before"


def test_a_line_that_is_no_label(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    server.default("GET", "/tasks", {"items": [{"id": "t-1", "input_values": {}}], "has_more": False})
    path = tmp_path / "labels.jsonl"
    path.write_text('{"task_id": "t-1"}\n\n{"task_id"\n')
    with pytest.raises(ValueError, match=r"labels\.jsonl, line 3: it is not JSON"):
        add_inputs(path, tmp_path / "labelled.jsonl", pool_id="21")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([{"id": "t-1"}], "A task of the API is not as documented: it is an object with the keys id"),
        ([{"id": "t-1", "input_values": {}}, 5], "answered an item without id"),
    ],
)
def test_a_task_that_is_none(
    server: ScriptedServer, connection: str, tmp_path: Path, tasks: list[Any], message: str
) -> None:
    server.default("GET", "/tasks", {"items": tasks, "has_more": False})
    with pytest.raises(AirflowFailException, match=message):
        add_inputs([{"task_id": "t-1"}], tmp_path / "labelled.jsonl", pool_id="21")


def test_what_a_killed_call_has_left_is_not_among_the_labels(
    server: ScriptedServer, connection: str, tmp_path: Path
) -> None:
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.storage.row_files import RowFile

    path = tmp_path / "labelled.jsonl"
    left = RowFile(ObjectStoragePath(str(path)), key="labels", part_bytes=0)
    left.append([b'{"task_id": "t-0"}'], cursor="", counts={"labels": 1})
    server.default("GET", "/tasks", {"items": [{"id": "t-1", "input_values": {}}], "has_more": False})
    assert add_inputs([{"task_id": "t-1"}], path, pool_id="21")["labels"] == 1
    assert [row["task_id"] for row in read(path)] == ["t-1"]
    assert [file.name for file in tmp_path.iterdir()] == ["labelled.jsonl"]
