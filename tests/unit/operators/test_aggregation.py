"""Aggregations: started once, waited for, and written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import ObjectStoragePath

from tests.support import NO_OPERATIONS, TOKEN, Outcome, ScriptedServer, connect, operation, pool, run_task
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator, AggregationState
from toloka_airflow.storage.row_files import RowFile

START = "/aggregated-solutions/aggregate-by-pool"
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def pool_id(toloka: EmulatorServer) -> str:
    """A pool whose six tasks have three answers each."""
    pool_id = toloka.add_pool(6, overlap=3, open=True)
    toloka.clock.advance(3600)
    return pool_id


def aggregate(pool_id: str, path: Path, **arguments: Any) -> Outcome:
    given = {"fields": ["label"], "poll_interval": 0.01, **arguments}
    return run_task(AggregateSolutionsOperator(task_id="aggregate", pool_id=pool_id, path=str(path), **given))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def started(toloka: EmulatorServer) -> int:
    requests = toloka.journal.requests(method="POST", path=f"/api/v1{START}")
    return sum(request["status"] == 202 for request in requests)


def tasks(*ids: str) -> dict[str, Any]:
    return {"items": [{"id": name, "input_values": {"text": name}} for name in ids], "has_more": False}


def label(task_id: str) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "method": "toloka:DAWID_SKENE",
        "input_values": {"text": task_id},
        "is_control": False,
    }


def running(status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    told = {"pool_id": "21", "algorithm": "DAWID_SKENE", "aggregated_output_fields": ["label"]}
    return operation(status, "SOLUTION.AGGREGATE", **{"parameters": told, **more})


@both_ways
@pytest.mark.parametrize(
    "how", [{}, {"type": "WEIGHTED_DYNAMIC_OVERLAP", "answer_weight_skill_id": "12"}], ids=["by people", "by skill"]
)
def test_a_row_for_each_task(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, deferrable: bool, how: dict[str, str]
) -> None:
    toloka.progressions.set(Progression(looks=3), type="SOLUTION.AGGREGATE")
    path = tmp_path / "new" / "solutions.jsonl"
    outcome = aggregate(pool_id, path, deferrable=deferrable, **how)
    operation_id = outcome.xcoms["operation_id"]
    assert outcome.result == {"pool_id": pool_id, "operation_id": operation_id, "path": str(path), "solutions": 6}
    assert len(outcome.triggers) == int(deferrable)
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    inputs = {each.id: each.input_values for each in client.list_tasks(pool_id)}
    assert read(path) == [
        {
            **solution.raw,
            "method": f"toloka:{how.get('type', 'DAWID_SKENE')}",
            "input_values": inputs[solution.task_id],
            "is_control": False,
        }
        for solution in client.list_aggregated_solutions(operation_id)
    ]
    assert [file.name for file in path.parent.iterdir()] == ["solutions.jsonl"]
    assert started(toloka) == 1


@pytest.fixture
def with_control_tasks(toloka: EmulatorServer) -> str:
    """A pool with six tasks and a control task; people answer two and one of them at a time."""
    mixer = {"real_tasks_count": 2, "golden_tasks_count": 1, "training_tasks_count": 0}
    pool_id = toloka.add_pool(6, overlap=3, mixer_config=mixer)
    known = [{"output_values": {"label": "yes"}, "correctness_weight": 1}]
    golden = {"pool_id": pool_id, "input_values": {"text": "Golden"}, "known_solutions": known}
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    client.create_tasks([{**golden, "infinite_overlap": True}])
    toloka.progressions.set(Progression(seconds=0))
    client.open_pool(pool_id)
    toloka.clock.advance(24 * 3600)
    return pool_id


def test_control_tasks_are_marked_or_left_out(with_control_tasks: str, tmp_path: Path) -> None:
    assert aggregate(with_control_tasks, tmp_path / "all.jsonl").result["solutions"] == 7
    rows = read(tmp_path / "all.jsonl")
    [control] = [row for row in rows if row["is_control"]]
    assert control["input_values"] == {"text": "Golden"}
    assert control["known_solutions"][0]["output_values"] == {"label": "yes"}
    assert [row for row in rows if "known_solutions" in row] == [control]
    outcome = aggregate(with_control_tasks, tmp_path / "real.jsonl", only_real_tasks=True)
    assert outcome.result["solutions"] == 6
    assert read(tmp_path / "real.jsonl") == [row for row in rows if not row["is_control"]]


def test_a_label_of_a_task_that_the_pool_does_not_have(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", START, 202, running(id="op-1", status="SUCCESS"))
    server.answer("GET", "/aggregated-solutions/op-1", json={"items": [{"task_id": "t-3"}], "has_more": False})
    server.answer("GET", "/tasks", json=tasks("t-1", "t-2"))
    with pytest.raises(AirflowException, match="Pool 21 has no task 't-3', so its input values are not known"):
        aggregate("21", tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize("status", ["RUNNING", "SUCCESS"])
@both_ways
def test_what_was_started_before_is_not_this_one(
    server: ScriptedServer, connection: str, tmp_path: Path, deferrable: bool, status: str
) -> None:
    """It may lack answers that were accepted since."""
    path = tmp_path / "rows.jsonl"
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", {"items": [running(status, id="op-0")], "has_more": False})
    server.answer("POST", START, 202, running(id="op-1"))
    server.default("GET", "/operations/op-1", running(id="op-1", status="SUCCESS"))
    server.default("GET", "/aggregated-solutions/op-1", {"items": [], "has_more": False})
    assert aggregate("21", path, deferrable=deferrable).result["operation_id"] == "op-1"


DYNAMIC = {
    "pool_id": "21",
    "algorithm": "WEIGHTED_DYNAMIC_OVERLAP",
    "aggregated_fields": [{"name": "b"}, {"name": "a"}],
}


@pytest.mark.parametrize("skill", [12, "12"])
@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "SUCCESS"])
@pytest.mark.parametrize("fields", [["a", "b"], ["b", "a"]])
def test_one_whose_answer_was_lost_is_found_by_the_next_attempt(
    server: ScriptedServer, connection: str, tmp_path: Path, status: str, skill: Any, fields: list[str]
) -> None:
    how = {"type": DYNAMIC["algorithm"], "answer_weight_skill_id": skill}
    one = running(id="op-9", parameters={**DYNAMIC, "answer_weight_skill_id": 12})
    others = [
        {**one, "id": f"op-{number}", "parameters": {**one["parameters"], **change}}
        for number, change in enumerate(
            [{"pool_id": "22"}, {"aggregated_fields": [{"name": "a"}]}, {"answer_weight_skill_id": 13}]
        )
    ]
    server.default("GET", "/pools/21", pool())
    server.answer("GET", "/operations", json=NO_OPERATIONS, times=3)
    server.answer("POST", START, drop=True)
    server.error("GET", "/operations", 403, "ACCESS_DENIED")
    with pytest.raises(AirflowException):
        aggregate("21", tmp_path / "rows.jsonl", **how, fields=["b", "a"])
    found = {"items": [*others, {**one, "status": status}], "has_more": False}
    looks_in_vain = ("PENDING", "RUNNING", "SUCCESS").index(status)
    server.answer("GET", "/operations", json=NO_OPERATIONS, times=looks_in_vain)
    server.answer("GET", "/operations", json=found)
    server.default("GET", "/operations/op-9", {**one, "status": "SUCCESS"})
    server.default("GET", "/aggregated-solutions/op-9", {"items": [], "has_more": False})
    assert aggregate("21", tmp_path / "rows.jsonl", **how, fields=fields).result["operation_id"] == "op-9"
    assert len(server.calls("POST")) == 1


@pytest.mark.parametrize("slow", [Progression(looks=3), Progression(seconds=0)], ids=["under way", "done at once"])
def test_an_answer_that_was_lost_is_no_second_aggregation(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, slow: Progression
) -> None:
    toloka.progressions.set(slow, type="SOLUTION.AGGREGATE")
    toloka.faults.add("POST", f"/api/v1{START}", lost_answer=True)
    assert aggregate(pool_id, tmp_path / "rows.jsonl").result["solutions"] == 6
    assert len(toloka.journal.requests(method="POST", path=f"/api/v1{START}")) == 1


def test_a_further_attempt_goes_on_with_the_results(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    path = "/aggregated-solutions/op-1"
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", START, 202, running(id="op-1", status="SUCCESS"))
    server.default("GET", "/tasks", tasks("t-1", "t-2"))
    server.answer("GET", path, json={"items": [{"task_id": "t-1"}], "has_more": True})
    server.error("GET", path, 429, "TOO_MANY_REQUESTS", payload={"interval": "HOUR"})
    with pytest.raises(AirflowException, match="The quota of this call is spent; it returns by") as failure:
        aggregate("21", tmp_path / "rows.jsonl")
    assert not isinstance(failure.value, AirflowFailException)
    server.answer("GET", "/operations/op-1", json=running(id="op-1", status="SUCCESS"))
    server.answer("GET", path, json={"items": [{"task_id": "t-2"}], "has_more": False})
    assert aggregate("21", tmp_path / "rows.jsonl").result["solutions"] == 2
    assert read(tmp_path / "rows.jsonl") == [label("t-1"), label("t-2")]
    assert any("task_id_gt=t-1" in seen.query for seen in server.seen)
    assert len(server.calls("POST")) == 1


class TestState:
    """What is stored beside the file, by this version and by others."""

    @pytest.mark.parametrize(
        "state",
        [
            AggregationState(),
            AggregationState(previous_ids=("op-1", "op-2")),
            AggregationState("op-3"),
            AggregationState("op-3", last_task_id="t-1"),
        ],
    )
    def test_it_is_read_as_it_was_written(self, state: AggregationState) -> None:
        assert AggregationState.load(state.dump()) == state
        assert json.loads(state.dump())["version"] == 2

    @pytest.mark.parametrize(
        ("text", "state"),
        [
            ("asked", AggregationState()),
            ("asked op-1 op-2", AggregationState(previous_ids=("op-1", "op-2"))),
            ("op-3 ", AggregationState("op-3")),
            ("op-3 t-1", AggregationState("op-3")),
            ('{"version": 1}', AggregationState()),
            ('{"version": 1, "operation_id": "op-3", "last_task_id": "t-1"}', AggregationState("op-3")),
            ('{"version": 3, "operation_id": "op-3", "last_task_id": "t-1"}', AggregationState("op-3", (), "t-1")),
            ('{"operation_id": "op-3"}', AggregationState("op-3")),
            ('{"version": 2, "operation_id": "op-3", "previous_ids": null, "more": [1]}', AggregationState("op-3")),
        ],
    )
    def test_that_of_another_version_is_understood(self, text: str, state: AggregationState) -> None:
        assert AggregationState.load(text) == state


@pytest.mark.parametrize(
    "stored",
    ["asked op-0", "op-1 ", "op-1 t-1", '{"version": 1, "operation_id": "op-1", "last_task_id": "t-1"}'],
    ids=["about to start", "started", "half written", "half written, version 1"],
)
def test_an_attempt_resumes_what_the_version_before_began(
    server: ScriptedServer, connection: str, tmp_path: Path, stored: str
) -> None:
    """Its rows had no input values, so they are written again."""
    path = tmp_path / "rows.jsonl"
    rows = [b'{"task_id": "t-1"}'] if "t-1" in stored else []
    # The key that the version before gave to the folder of this task's parts.
    key = TaskIdentity("/dag/manual__1/aggregate/-1").uuid("aggregation", "21", "DAWID_SKENE", "label", None)[:8]
    before = RowFile(ObjectStoragePath(str(path)), key=key, part_bytes=0)
    before.append(rows, cursor=stored, counts={"solutions": len(rows)})
    listed = [running("SUCCESS", id="op-0"), running("SUCCESS", id="op-1")]
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", {"items": listed, "has_more": False})
    server.default("GET", "/operations/op-1", running("SUCCESS", id="op-1"))
    server.answer("GET", "/aggregated-solutions/op-1", json={"items": [{"task_id": "t-1"}], "has_more": False})
    server.answer("GET", "/tasks", json=tasks("t-1"))
    result = aggregate("21", path).result
    assert (result["operation_id"], result["solutions"]) == ("op-1", 1)
    assert read(path) == [label("t-1")]
    assert server.calls("POST") == []


@both_ways
def test_after_one_that_failed_another_is_started(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, deferrable: bool
) -> None:
    toloka.progressions.set(Progression(looks=2, fail={"code": "OPERATION_EXECUTION_ERROR"}), type="SOLUTION.AGGREGATE")
    with pytest.raises(AirflowException, match="OPERATION_EXECUTION_ERROR"):
        aggregate(pool_id, tmp_path / "rows.jsonl", deferrable=deferrable)
    toloka.progressions.set(Progression(looks=2), type="SOLUTION.AGGREGATE")
    assert aggregate(pool_id, tmp_path / "rows.jsonl", deferrable=deferrable).result["solutions"] == 6
    assert started(toloka) == 2


def test_results_that_are_not_kept_any_more_are_made_anew(
    server: ScriptedServer, connection: str, tmp_path: Path
) -> None:
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", START, 202, running(id="op-1", status="SUCCESS"))
    server.error("GET", "/aggregated-solutions/op-1", 409, "RESULTS_EXPIRED")
    with pytest.raises(AirflowException, match=r"The next attempt starts another(.|\n)*RESULTS_EXPIRED") as failure:
        aggregate("21", tmp_path / "rows.jsonl")
    assert not isinstance(failure.value, AirflowFailException)  # or Airflow makes no further attempt
    server.answer("POST", START, 202, running(id="op-2", status="SUCCESS"))
    server.answer("GET", "/aggregated-solutions/op-2", json={"items": [], "has_more": False})
    assert aggregate("21", tmp_path / "rows.jsonl").result["solutions"] == 0
    assert read(tmp_path / "rows.jsonl") == []


@both_ways
def test_a_pool_that_is_held_is_waited_for(
    server: ScriptedServer, connection: str, tmp_path: Path, deferrable: bool
) -> None:
    server.default("GET", "/pools/21", pool())
    closing = operation("RUNNING", "POOL.CLOSE", id="op-0")
    server.default("GET", "/operations", {"items": [closing], "has_more": False})
    server.error("POST", START, 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("GET", "/operations/op-0", json={**closing, "status": "SUCCESS"})
    server.answer("POST", START, 202, running(id="op-1", status="SUCCESS"))
    server.answer("GET", "/aggregated-solutions/op-1", json={"items": [], "has_more": False})
    assert aggregate("21", tmp_path / "rows.jsonl", deferrable=deferrable).result["operation_id"] == "op-1"
    assert len(server.calls("POST")) == 2


@pytest.mark.parametrize("quota", ["HOUR", "DAY"])
def test_a_quota_that_does_not_return_soon(server: ScriptedServer, connection: str, tmp_path: Path, quota: str) -> None:
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/operations", NO_OPERATIONS)
    server.error("POST", START, 429, "TOO_MANY_REQUESTS", payload={"interval": quota})
    with pytest.raises(AirflowException, match="it returns by") as failure:
        aggregate("21", tmp_path / "rows.jsonl")
    assert not isinstance(failure.value, AirflowFailException)


def test_a_quota_that_returns_soon_is_waited_for(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    toloka.progressions.set(Progression(looks=1), type="SOLUTION.AGGREGATE")
    toloka.faults.add("POST", f"/api/v1{START}", status=429, payload={"interval": "MIN"})
    toloka.faults.add("GET", "/api/v1/aggregated-solutions/{id}", status=429, payload={"interval": "MIN"})
    assert aggregate(pool_id, tmp_path / "rows.jsonl").result["solutions"] == 6
    assert started(toloka) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_id": "None"}, "pool_id is 'None'"),
        ({"path": ""}, "path is ''"),
        ({"fields": "label"}, "fields is 'label'; it must be a list"),
        ({"fields": []}, "fields is \\[\\]"),
        ({"fields": [1]}, "fields is \\[1\\]"),
        ({"fields": ["a", "b"]}, "DAWID_SKENE takes one field"),
        ({"type": "MAJORITY"}, "type is 'MAJORITY'; it must be DAWID_SKENE or WEIGHTED_DYNAMIC_OVERLAP"),
        ({"type": "WEIGHTED_DYNAMIC_OVERLAP"}, "answer_weight_skill_id is None"),
        ({"answer_weight_skill_id": "12"}, "answer_weight_skill_id is '12'"),
    ],
)
def test_arguments_that_cannot_be_used(server: ScriptedServer, connection: str, arguments: Any, message: str) -> None:
    given = {"task_id": "aggregate", "pool_id": "21", "path": "rows.jsonl", "fields": ["label"], **arguments}
    with pytest.raises(ValueError, match=message):
        run_task(AggregateSolutionsOperator(**given))
    assert server.seen == []
