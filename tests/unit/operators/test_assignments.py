"""Downloads: every answer one row, whatever happens in between."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset, AssetAlias
from airflow.sdk import ObjectStoragePath

from tests.support import TOKEN, ScriptedServer, connect, pool, run_task
from tests.virtual_time import VirtualTime, utc
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.assets import pool_asset
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.assignments import GetAssignmentsOperator

START = datetime(2026, 1, 1, tzinfo=UTC)
MIXER = {"real_tasks_count": 3, "golden_tasks_count": 0, "training_tasks_count": 0}


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-01T00:00:00") as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


def answered(toloka: EmulatorServer, tasks: Any = 7, overlap: int = 3, **body: Any) -> str:
    pool_id = toloka.add_pool(tasks, overlap=overlap, open=True, mixer_config=MIXER, **body)
    toloka.clock.advance(3600)
    assert toloka.pool(pool_id)["completion"] == 1
    return pool_id


def listed(toloka: EmulatorServer, pool_id: str) -> list[dict[str, Any]]:
    found = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_assignments(pool_id=pool_id)
    return [dict(assignment.raw) for assignment in found]


def get(pool_id: str, path: object, **arguments: Any) -> Any:
    return run_task(GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=str(path), **arguments)).result


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("page_size", [1, 2, 300, 1000])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_a_row_for_each_answer(toloka: EmulatorServer, tmp_path: Path, name: str, page_size: int) -> None:
    pool_id = answered(toloka)
    path = tmp_path / "new" / name
    result = get(pool_id, path, page_size=page_size)
    assignments = listed(toloka, pool_id)
    assert result == {"pool_id": pool_id, "path": str(path), "assignments": len(assignments), "answers": 21}
    wanted = {
        (one["id"], task["id"]): (task["input_values"], solution["output_values"])
        for one in assignments
        for task, solution in zip(one["tasks"], one["solutions"], strict=True)
    }
    rows = read(path)
    assert len(rows) == 21
    found = {(row["assignment_id"], row["task_id"]): (row["input_values"], row["output_values"]) for row in rows}
    assert found == wanted


def test_what_a_row_says(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    values = {"text": "Ünï \ud83d"}  # half a character, as people send it
    known = [{"output_values": {"answer": "yes"}, "correctness_weight": 1.0}]
    suite = {
        "id": "a-1",
        "task_suite_id": "s-1",
        "pool_id": "21",
        "user_id": "u-1",
        "status": "ACCEPTED",
        "reward": 0.05,
        "tasks": [{"id": "t-1", "input_values": {"n": 1}}, {"id": "t-2", "input_values": {}, "known_solutions": known}],
        "solutions": [{"output_values": values}, {"output_values": {}}],
        "accepted": "2026-01-01T00:00:00",
        "owner": {"id": "me"},
    }
    server.answer("GET", "/pools/21", json=pool())
    server.default("GET", "/assignments", {"items": [suite], "has_more": False})
    get("21", tmp_path / "rows.jsonl")
    facts = {key: suite[key] for key in ("task_suite_id", "pool_id", "user_id", "status", "accepted")}
    facts = {"assignment_id": "a-1", "assignment_reward": 0.05, **facts}
    assert read(tmp_path / "rows.jsonl") == [
        {**facts, "task_id": "t-1", "input_values": {"n": 1}, "output_values": values},
        {**facts, "task_id": "t-2", "input_values": {}, "output_values": {}, "known_solutions": known},
    ]


@pytest.mark.parametrize("rows", ["answers", "assignments"])
@pytest.mark.parametrize("folder", ["", "empty"])
def test_the_asset_event_has_all_that_is_returned(
    toloka: EmulatorServer, tmp_path: Path, rows: Any, folder: str
) -> None:
    """So the DAG that it starts finds the file."""
    pool_id = answered(toloka) if not folder else toloka.add_pool()
    path = ObjectStoragePath(f"file://{tmp_path / folder / 'rows.jsonl'}")
    outlets = [pool_asset(pool_id), Asset("labels"), AssetAlias("any pool")]
    task = GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=path, rows=rows, outlets=outlets)
    outcome = run_task(task)
    assert set(outcome.result) == {"pool_id", "path", "assignments", "answers"}
    events = outcome.outlet_events
    assert [events[asset].extra for asset in outlets[:2]] == [outcome.result] * 2
    assert [event.extra for event in events[outlets[2]].asset_alias_events] == [outcome.result]
    assert json.loads(json.dumps(outcome.result)) == outcome.result
    assert ObjectStoragePath(events[outlets[0]].extra["path"]).exists()


def test_a_row_for_each_assignment_is_what_the_api_answers(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id = answered(toloka)
    result = get(pool_id, tmp_path / "rows.jsonl", rows="assignments", page_size=4)
    assert read(tmp_path / "rows.jsonl") == listed(toloka, pool_id)
    assert result["answers"] == 21


def test_a_path_object(toloka: EmulatorServer, tmp_path: Path) -> None:
    path = ObjectStoragePath(f"file://{tmp_path}/rows.jsonl")
    result = run_task(GetAssignmentsOperator(task_id="get", pool_id=answered(toloka), path=path)).result
    assert result["path"] == str(path)
    assert len(read(tmp_path / "rows.jsonl")) == 21


@pytest.mark.parametrize("status", ["REJECTED", "REJECTED,SUBMITTED", ["SUBMITTED", "REJECTED"]])
def test_only_wanted_statuses(toloka: EmulatorServer, tmp_path: Path, status: Any) -> None:
    pool_id = answered(toloka, auto_accept_solutions=False)
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    first, second, *others = [one["id"] for one in listed(toloka, pool_id)]
    client.patch_assignment(first, status="REJECTED", public_comment="No")  # type: ignore[arg-type]
    client.patch_assignment(second, status="ACCEPTED", public_comment="Yes")  # type: ignore[arg-type]
    get(pool_id, tmp_path / "rows.jsonl", status=status)
    rows = read(tmp_path / "rows.jsonl")
    assert {row["assignment_id"] for row in rows} == ({first} if status == "REJECTED" else {first, *others})
    assert {row.get("public_comment") for row in rows if row["assignment_id"] == first} == {"No"}


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}, {"half_body": True}, {"status": 429}])
def test_faults_on_the_way_cost_no_row(toloka: EmulatorServer, tmp_path: Path, fault: dict[str, Any]) -> None:
    pool_id = answered(toloka)
    toloka.faults.add("GET", "/api/v1/assignments", skip=2, **fault)
    get(pool_id, tmp_path / "rows.jsonl", page_size=2)
    assert len({(row["assignment_id"], row["task_id"]) for row in read(tmp_path / "rows.jsonl")}) == 21


class TestParts:
    """What an attempt leaves that ends in the middle."""

    @pytest.fixture
    def pool_id(self, toloka: EmulatorServer, tmp_path: Path) -> str:
        """A pool with 13 MB of answers, of which an attempt has written a part."""
        tasks = [{"text": f"{number}{'x' * 60_000}"} for number in range(15)]
        pool_id = answered(toloka, tasks, overlap=15)
        toloka.faults.add("GET", "/api/v1/assignments", status=403, skip=13)
        with pytest.raises(AirflowFailException, match="403"):
            get(pool_id, tmp_path / "rows.jsonl", page_size=5)
        assert not (tmp_path / "rows.jsonl").exists()
        return pool_id

    def test_the_next_goes_on_behind_it(
        self, toloka: EmulatorServer, pool_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = len(pages(toloka))
        assert get(pool_id, tmp_path / "rows.jsonl", page_size=5)["answers"] == 225
        assert len({(row["assignment_id"], row["task_id"]) for row in read(tmp_path / "rows.jsonl")}) == 225
        assert len(pages(toloka)) - before < 8
        assert "This attempt resumes after assignment" in capsys.readouterr().out
        assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]

    def test_after_an_hour_it_is_read_again(self, toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
        """What was accepted since may be behind assignments that were read already."""
        change_age(tmp_path, 3700)
        before = len(pages(toloka))
        assert get(pool_id, tmp_path / "rows.jsonl", page_size=5)["answers"] == 225
        assert len(pages(toloka)) - before > 13

    def test_another_download_leaves_it_alone(self, toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
        get(pool_id, tmp_path / "rows.jsonl", page_size=5, rows="assignments")
        assert read(tmp_path / "rows.jsonl") == listed(toloka, pool_id)


def change_age(folder: Path, seconds: float) -> None:
    """Make an earlier attempt have begun so long ago."""
    [description] = folder.glob("*.parts/000000.json")
    description.write_text(json.dumps({**json.loads(description.read_text()), "began": time.time() - seconds}))


def test_a_span_that_is_over_is_gone_on_with_at_any_time(
    server: ScriptedServer, connection: str, tmp_path: Path
) -> None:
    server.default("GET", "/pools/21", pool())
    answer = {"id": "a-1", "tasks": [], "solutions": [], "text": "x" * 9_000_000}
    server.answer("GET", "/assignments", json={"items": [answer], "has_more": True})
    server.error("GET", "/assignments", 403, "ACCESS_DENIED")
    arguments = {"until": START, "rows": "assignments", "in_flight": 1}
    with pytest.raises(AirflowFailException):
        get("21", tmp_path / "rows.jsonl", **arguments)
    change_age(tmp_path, 7 * 86400)
    server.answer("GET", "/assignments", json={"items": [{**answer, "id": "a-2"}], "has_more": False})
    assert get("21", tmp_path / "rows.jsonl", **arguments)["assignments"] == 2
    assert any("id_gt=a-1" in seen.query for seen in server.seen)


def pages(toloka: EmulatorServer) -> list[Any]:
    return list(toloka.journal.requests(method="GET", path="/api/v1/assignments"))


class TestSpans:
    @pytest.mark.parametrize(
        ("status", "field"), [("ACCEPTED", "accepted"), ("SUBMITTED,ACCEPTED,REJECTED", "submitted")]
    )
    def test_each_answer_is_in_one_of_them(
        self, toloka: EmulatorServer, tmp_path: Path, status: str, field: str
    ) -> None:
        pool_id = answered(toloka, 30)
        moments = sorted(datetime.fromisoformat(f"{one[field]}+00:00") for one in listed(toloka, pool_id))
        bounds = [START, moments[3], moments[3] + timedelta(milliseconds=1), moments[10], START + timedelta(hours=2)]
        found: list[tuple[str, str]] = []
        for number, (since, until) in enumerate(pairwise(bounds)):
            path = tmp_path / f"{number}.jsonl"
            get(pool_id, path, status=status, since=since, until=until.isoformat(), page_size=2)
            rows = read(path)
            assert rows
            found += [(row["assignment_id"], row["task_id"]) for row in rows]
        assert len(found) == len(set(found)) == 90

    @pytest.mark.parametrize("since", [None, "", "None"])
    def test_no_beginning(self, toloka: EmulatorServer, tmp_path: Path, since: str | None) -> None:
        pool_id = answered(toloka)
        assert get(pool_id, tmp_path / "rows.jsonl", since=since, until="2026-01-02T00:00:00Z")["answers"] == 21

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"since": "2026-01-01T00:00:00"}, "since is '2026-01-01T00:00:00'; it must be a time with a zone"),
            ({"since": "yesterday"}, "since is 'yesterday'; it must be a time with a zone"),
            ({"until": "None"}, "until is 'None'; it must be a time with a zone"),
            ({"since": START, "until": START}, "nothing is in between. Timetables without data intervals"),
            ({"since": START, "until": START - timedelta(1)}, "nothing is in between"),
            ({"until": datetime(2999, 1, 1, tzinfo=UTC)}, "which is in the future"),
            ({"since": START, "status": ["ACCEPTED", "REJECTED"]}, "would be missed or read twice"),
        ],
    )
    def test_what_would_miss_answers_is_refused(
        self, server: ScriptedServer, connection: str, tmp_path: Path, arguments: Any, message: str
    ) -> None:
        with pytest.raises(ValueError) as refusal:
            get("21", tmp_path / "rows.jsonl", **arguments)
        assert message in str(refusal.value)
        assert server.seen == []

    def test_a_span_that_is_only_just_over_gets_time_to_settle(
        self, server: ScriptedServer, connection: str, virtual: VirtualTime, tmp_path: Path
    ) -> None:
        server.default("GET", "/pools/21", pool())
        server.default("GET", "/assignments", {"items": [], "has_more": False})
        began = virtual.now
        get("21", tmp_path / "rows.jsonl", until=utc(began - 3))
        assert virtual.now - began == pytest.approx(7, abs=0.01)


def test_no_answers(toloka: EmulatorServer, tmp_path: Path) -> None:
    result = get(toloka.add_pool(3), tmp_path / "rows.jsonl")
    assert (result["assignments"], result["answers"]) == (0, 0)
    assert (tmp_path / "rows.jsonl").read_bytes() == b""


def test_no_such_pool(toloka: EmulatorServer, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="DOES_NOT_EXIST"):
        get("99", tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solutions": [{"output_values": {}}]}, "Assignment a-1 has 2 tasks but 1 solution, so it is not known"),
        ({"solutions": [None, None]}, "Assignment a-1 is not as documented"),
        ({"tasks": None}, "Assignment a-1 is not as documented"),
    ],
)
def test_answers_that_belong_to_no_task_are_no_rows(
    server: ScriptedServer, connection: str, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    task, solution = {"id": "t", "input_values": {}}, {"output_values": {}}
    suite = {"id": "a-1", "tasks": [task, task], "solutions": [solution, solution], **change}
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/assignments", {"items": [suite], "has_more": False})
    with pytest.raises(AirflowFailException, match=message):
        get("21", tmp_path / "rows.jsonl")
    get("21", tmp_path / "raw.jsonl", rows="assignments")
    assert read(tmp_path / "raw.jsonl") == [suite]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_id": "{{ nothing }}"}, "pool_id is '{{ nothing }}', which is no id"),
        ({"path": ""}, "path is ''"),
        ({"path": "None"}, "path is 'None': a template or an upstream task gave no path"),
        ({"path": "nonsense://x/y.jsonl"}, "nonsense"),
        ({"path": "rows.csv"}, r"answers are JSON Lines, Parquet or TSV: name it \*\.jsonl, \*\.parquet or \*\.tsv"),
        ({"path": "rows.csv.gz"}, "answers are JSON Lines, Parquet or TSV"),
        ({"path": "rows.xlsx"}, "answers are JSON Lines, Parquet or TSV"),
        ({"path": "rows.csv", "rows": "assignments"}, "rows are JSON Lines: name the file"),
        ({"path": "rows.csv.gz", "rows": "assignments"}, "rows are JSON Lines: name the file"),
        ({"status": "accepted"}, "status is 'accepted'; it must be one or more of SUBMITTED, ACCEPTED, REJECTED"),
        ({"status": "SKIPPED"}, "others have no answers: rows='assignments'"),
        ({"status": []}, "status is \\[\\]"),
        ({"rows": "tasks"}, "rows is 'tasks'; it must be answers or assignments"),
        ({"status": None}, "status is None"),
        ({"status": 5}, "status is 5"),
        ({"page_size": 0}, "page_size is 0"),
        ({"page_size": True}, "page_size is True"),
        ({"path": 5}, "path is 5; it must be the path of a file"),
        ({"outlets": [Asset("toloka://toloka_default/pools/22")]}, "outlets"),
        ({"outlets": [Asset("toloka://other_account/pools/21")]}, "outlets has toloka://other_account/pools/21"),
    ],
)
def test_arguments_that_cannot_be_used(server: ScriptedServer, connection: str, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_task(GetAssignmentsOperator(**{"task_id": "get", "pool_id": "21", "path": "rows.jsonl", **arguments}))
    assert server.seen == []


def test_a_store_that_cannot_be_written_says_so(toloka: EmulatorServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        AirflowFailException, match=r"path is '.*rows\.jsonl', which cannot be written .*file is no folder"
    ):
        get(answered(toloka), tmp_path / "file" / "rows.jsonl")


def test_no_answer_at_all_is_tried_again_by_airflow(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    server.default("GET", "/pools/21", pool())
    quota = {"payload": {"interval": "DAY"}}
    server.error("GET", "/assignments", 429, "TOO_MANY_REQUESTS", times=2, **quota)
    with pytest.raises(AirflowException, match="The quota of this call is spent") as refusal:
        get("21", tmp_path / "rows.jsonl")
    assert not isinstance(refusal.value, AirflowFailException)
