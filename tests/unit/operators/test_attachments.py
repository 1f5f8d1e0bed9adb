"""Downloads of attachments: each file once, complete or not at all, and a row for it."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AssetAlias
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from tests.attached_files import answered_pool, assignments_of, content_of
from tests.sftp_server import sftp_server
from tests.support import ScriptedServer, TaskInstance, connect, pool, run_task
from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.entities import AssignmentStatus
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator

BYTES = "/api/v1/attachments/{id}/download"


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-01T00:00:00") as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


def download(pool_id: str, folder: object, **arguments: Any) -> Any:
    task = DownloadAttachmentsOperator(task_id="download", pool_id=pool_id, folder=str(folder), **arguments)
    return run_task(task).result


def rows(path: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ObjectStoragePath(str(path)).read_bytes().splitlines()]


def fetched(toloka: EmulatorServer) -> int:
    """Return how often the bytes of a file were requested since this was called before."""
    calls = toloka.journal.requests("GET", BYTES)
    toloka.journal.clear()
    return len(calls)


def checked(found: list[dict[str, Any]], files: dict[str, bytes]) -> None:
    """Make sure that each file is there once, with its bytes, and has a row that says so."""
    assert sorted(row["attachment_id"] for row in found) == sorted(files)
    for row in found:
        content = files[row["attachment_id"]]
        assert ObjectStoragePath(row["path"]).read_bytes() == content
        assert (row["size"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert row["problem"] is None


def test_a_file_and_a_row_for_each_attachment(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 6, overlap=2)
    folder = tmp_path / "new" / "files"
    result = download(pool_id, folder)
    assert result == {
        "pool_id": pool_id,
        "folder": str(folder),
        "manifest": f"{folder}/manifest-{pool_id}.jsonl",
        "files": 12,
        "bytes": sum(map(len, files.values())),
        "unnamed": 0,
        "missing": 0,
    }
    found = rows(result["manifest"])
    checked(found, files)
    answers = [
        (one.id, task.id, "photo", solution["photo"], one.user_id)
        for one in sorted(assignments_of(toloka, pool_id), key=lambda one: one.id)
        for task, solution in zip(one.tasks, one.solutions or (), strict=True)
    ]
    names = ("assignment_id", "task_id", "field", "attachment_id", "user_id")
    assert [tuple(row[name] for name in names) for row in found] == answers
    assert {row["name"] for row in found} == {"My photo.png"}
    assert {row["media_type"] for row in found} == {"image/png"}
    paths = {str(path) for path in folder.iterdir()}
    assert paths == {row["path"] for row in found} | {result["manifest"]}
    assert Path(found[0]["path"]).name == f"{found[0]['assignment_id']}_{found[0]['attachment_id']}_My-photo.png"


def test_what_simulated_people_attach(toloka: EmulatorServer, tmp_path: Path) -> None:
    outputs = {"photo": {"type": "file"}, "more": {"type": "array_file"}, "label": {"type": "string"}}
    spec = {"input_spec": {"text": {"type": "string"}}, "output_spec": outputs}
    pool_id = toloka.add_pool([{"text": "a"}, {"text": "b"}], overlap=2, open=True, project={"task_spec": spec})
    toloka.clock.advance(3600)
    found = rows(download(pool_id, tmp_path)["manifest"])
    checked(found, {name: kept.content for name, kept in toloka.world.attachments.items()})
    assert {row["field"] for row in found} == {"photo", "more"}


@pytest.mark.parametrize("name", ["all.csv", "all.parquet", "all.jsonl.gz"])
def test_the_manifest_is_what_its_name_says(toloka: EmulatorServer, tmp_path: Path, name: str) -> None:
    pool_id, files = answered_pool(toloka, 4)
    manifest = tmp_path / "manifests" / name
    for expected in (4, 0):
        assert download(pool_id, tmp_path / "files", manifest=str(manifest))["manifest"] == str(manifest)
        assert fetched(toloka) == expected
    assert [path.name for path in manifest.parent.iterdir()] == [name]
    if name == "all.parquet":
        checked(parquet.read_table(manifest).to_pylist(), files)
    if name == "all.csv":
        with manifest.open(newline="") as file:
            assert [row["attachment_id"] in files for row in csv.DictReader(file)] == [True] * 4


@pytest.fixture(params=["local", "memory", "sftp"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "sftp":
        with sftp_server(tmp_path) as server:
            yield f"sftp://{server.connect(monkeypatch)}@/some/files"
    elif request.param == "memory":
        attach("memory", fs=MemoryFileSystem())  # which Airflow does not know
        yield f"memory://{tmp_path}/files"
    else:
        yield f"{tmp_path}/files"


def test_what_is_there_is_not_fetched_again(toloka: EmulatorServer, folder: str) -> None:
    pool_id, files = answered_pool(toloka, 6)
    found = rows(download(pool_id, folder)["manifest"])
    checked(found, files)
    assert fetched(toloka) == 6
    # In whatever run or task.
    task = DownloadAttachmentsOperator(task_id="other", pool_id=pool_id, folder=folder)
    result = run_task(task, TaskInstance(run_id="next", task_id="other")).result
    assert (result["files"], fetched(toloka)) == (6, 0)
    assert rows(result["manifest"]) == found

    ObjectStoragePath(found[0]["path"]).unlink()
    ObjectStoragePath(found[1]["path"]).write_bytes(b"half")
    assert download(pool_id, folder)["files"] == 6
    assert fetched(toloka) == 2
    checked(rows(result["manifest"]), files)


def test_answers_that_come_later(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 8)
    late = assignments_of(toloka, pool_id)[-1]
    late.status = AssignmentStatus.SUBMITTED
    assert download(pool_id, tmp_path)["files"] == 6
    late.status = AssignmentStatus.ACCEPTED
    fetched(toloka)
    checked(rows(download(pool_id, tmp_path)["manifest"]), files)
    assert fetched(toloka) == 2


@pytest.mark.parametrize(
    ("status", "number"), [("SUBMITTED", 2), ("REJECTED", 2), (["SUBMITTED", "ACCEPTED"], 4), ("ACCEPTED,REJECTED", 4)]
)
def test_a_status(toloka: EmulatorServer, tmp_path: Path, status: Any, number: int, capsys: Any) -> None:
    pool_id, _ = answered_pool(toloka, 6)
    statuses = ("SUBMITTED", "ACCEPTED", "REJECTED")
    for one, name in zip(assignments_of(toloka, pool_id), statuses, strict=True):
        one.status = AssignmentStatus(name)
    result = download(pool_id, tmp_path, status=status)
    assert result["files"] == len(rows(result["manifest"])) == number
    assert f"Not downloaded: {6 - number} more, of assignments with another status" in capsys.readouterr().out


def test_a_file_that_no_answer_names(toloka: EmulatorServer, tmp_path: Path, capsys: Any) -> None:
    pool_id, files = answered_pool(toloka, 2)
    [one] = assignments_of(toloka, pool_id)
    replaced = attachments.add(toloka.world, one, "blurred.png", "image/png", b"blurred")
    result = download(pool_id, tmp_path)
    assert (result["files"], result["unnamed"]) == (3, 1)
    found = rows(result["manifest"])
    checked(found, {**files, replaced.id: b"blurred"})
    assert [(row["assignment_id"], row["task_id"], row["field"]) for row in found[2:]] == [(one.id, None, None)]
    assert "No answer names 1 attachment of these assignments" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault", [{"status": 404, "code": "DOES_NOT_EXIST", "times": 2}, {"html": 404, "times": 2}], ids=["json", "html"]
)
def test_what_is_not_found_once_is_not_gone(toloka: EmulatorServer, tmp_path: Path, fault: dict[str, Any]) -> None:
    """It may be a slip of a proxy or a replica."""
    pool_id, files = answered_pool(toloka, 4)
    toloka.faults.add("GET", f"/api/v1/attachments/{sorted(files)[1]}/download", **fault)
    result = download(pool_id, tmp_path)
    assert (result["files"], result["missing"]) == (4, 0)
    checked(rows(result["manifest"]), files)


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_file_that_is_gone(toloka: EmulatorServer, tmp_path: Path, capsys: Any, is_listed: bool) -> None:
    pool_id, files = answered_pool(toloka, 4)
    gone = sorted(files)[1]
    if is_listed:
        toloka.faults.add("GET", f"/api/v1/attachments/{gone}/download", status=404, code="DOES_NOT_EXIST", times=3)
    else:
        attachment = toloka.world.attachments.pop(gone)
        for place in (attachment.pool_id, attachment.assignment_id):
            toloka.world.attachments_of[place].remove(attachment)
    result = download(pool_id, tmp_path)
    assert (result["files"], result["missing"]) == (3, 1)
    found = rows(result["manifest"])
    checked([row for row in found if row["attachment_id"] != gone], {n: files[n] for n in files if n != gone})
    [row] = [row for row in found if row["attachment_id"] == gone]
    assert (row["field"], row["path"], row["sha256"]) == ("photo", None, None)
    assert row["problem"] == "gone: 404 DOES_NOT_EXIST"
    log = capsys.readouterr().out
    assert "Missing at Toloka: 1 attachment that answers name" in log
    assert f"{gone} of assignment {row['assignment_id']}: gone: 404 DOES_NOT_EXIST" in log


def test_a_file_that_is_named_and_not_listed(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 4)
    toloka.world.attachments_of[pool_id].pop()
    result = download(pool_id, tmp_path)
    found = rows(result["manifest"])
    checked(found, files)
    assert {row["name"] for row in found} == {"My photo.png"}


def test_several_files_of_an_answer(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 2)
    [one] = assignments_of(toloka, pool_id)
    project = toloka.world.projects[toloka.world.pools[pool_id].body["project_id"]]
    project.body["task_spec"]["output_spec"] |= {"photos": {"type": "ARRAY_FILE"}, "extra": {"type": "file"}}
    names = sorted(files)
    one.solutions = [{"photos": names, "photo": None}, {"photos": [], "photo": "", "extra": names[0]}]
    result = download(pool_id, tmp_path)
    assert result["files"] == 2
    found = [(row["task_id"], row["field"], row["attachment_id"]) for row in rows(result["manifest"])]
    first, second = (task.id for task in one.tasks)
    assert found == [(first, "photos", names[0]), (first, "photos", names[1]), (second, "extra", names[0])]


@pytest.mark.parametrize("value", [5, {"id": "x"}, [["x"]]])
def test_a_value_that_is_no_attachment(toloka: EmulatorServer, tmp_path: Path, value: Any) -> None:
    pool_id, _ = answered_pool(toloka, 2)
    [one] = assignments_of(toloka, pool_id)
    one.solutions = [{"photo": value}, {}]
    with pytest.raises(
        AirflowFailException, match=f"Assignment {one.id} is not as documented .*no id of an attachment"
    ):
        download(pool_id, tmp_path)


def test_an_id_that_could_be_part_of_an_address(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, _ = answered_pool(toloka, 2)
    [one] = assignments_of(toloka, pool_id)
    one.solutions = [{"photo": "../pools"}, {"photo": "half \ud83d"}]
    result = download(pool_id, tmp_path)
    assert (result["files"], result["missing"], result["unnamed"]) == (2, 2, 2)
    problems = [row["problem"] for row in rows(result["manifest"]) if row["problem"]]
    assert all("which is no id" in problem for problem in problems)


def test_names_that_people_give(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 2, name="../../\u0444 CON:\ud83d.PNG")
    result = download(pool_id, tmp_path / "files")
    found = rows(result["manifest"])
    checked(found, files)
    assert {Path(row["path"]).parent for row in found} == {tmp_path / "files"}
    assert {row["name"] for row in found} == {"../../\u0444 CON:\\ud83d.PNG"}


def test_a_pool_without_files(toloka: EmulatorServer, tmp_path: Path, capsys: Any) -> None:
    pool_id = toloka.add_pool(2, open=True)
    toloka.clock.advance(3600)
    result = download(pool_id, tmp_path)
    assert (result["files"], result["bytes"], rows(result["manifest"])) == (0, 0, [])
    assert "has no output field of the type file" in capsys.readouterr().out


def test_faults(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 100)
    toloka.faults.add("GET", BYTES, status=429, retry_after=0, times=3, skip=10)
    toloka.faults.add("GET", BYTES, probability=0.05, status=503, retry_after=0)
    toloka.faults.add("GET", BYTES, probability=0.05, half_body=True)
    toloka.faults.add("GET", BYTES, probability=0.05, drop=True)
    checked(rows(download(pool_id, tmp_path)["manifest"]), files)


def test_a_failed_attempt_leaves_what_is_complete(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, files = answered_pool(toloka, 100)
    fault = toloka.faults.add("GET", BYTES, status=403, skip=60, times=1000)
    with pytest.raises(AirflowFailException, match="403"):
        download(pool_id, tmp_path, in_flight=4)
    assert not list(tmp_path.glob("manifest*"))
    before = [path for path in tmp_path.iterdir() if path.is_file()]
    assert 56 < len(before) < 100  # what the other threads have begun, they do not end
    for path in before:
        assert path.read_bytes() == files[path.name.split("_")[1]]
    toloka.faults.remove(fault)
    fetched(toloka)
    checked(rows(download(pool_id, tmp_path)["manifest"]), files)
    assert fetched(toloka) == 100 - len(before)
    assert len(list(tmp_path.iterdir())) == 101


def test_several_pools_in_one_folder(toloka: EmulatorServer, tmp_path: Path) -> None:
    both = [answered_pool(toloka, 4) for _ in range(2)]
    results = [download(pool_id, tmp_path) for pool_id, _ in both]
    for result, (_, files) in zip(results, both, strict=True):
        checked(rows(result["manifest"]), files)
    assert len(list(tmp_path.iterdir())) == 10


def test_the_event_of_an_asset(toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id, _ = answered_pool(toloka, 2)
    task = DownloadAttachmentsOperator(
        task_id="download", pool_id=pool_id, folder=str(tmp_path), outlets=[AssetAlias("files")]
    )
    outcome = run_task(task)
    [event] = outcome.outlet_events[AssetAlias("files")].asset_alias_events
    assert event.extra == outcome.result


def test_a_file_in_the_place_of_the_folder(toloka: EmulatorServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AirflowFailException, match=r"folder is '.*file', which is a file"):
        download("1", tmp_path / "file")


def test_a_store_that_cannot_replace_is_refused_before_anything_is_fetched(toloka: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match=r"folder is .*: a store of http cannot replace a file in one step"):
        download("1", "http://example.com/files")
    assert not toloka.journal.requests()


# What servers answer that the emulator does not

PROJECT = {"task_spec": {"output_spec": {"photo": {"type": "file"}}}, "id": "10", "status": "ACTIVE"}
FILE = {"id": "f-1", "name": "a.png", "media_type": "image/png", "details": {"assignment_id": "a-1", "user_id": "u"}}
ANSWER = {
    "id": "a-1",
    "pool_id": "21",
    "user_id": "u",
    "status": "ACCEPTED",
    "tasks": [{"id": "t-1", "input_values": {}}],
    "solutions": [{"output_values": {"photo": "f-1"}}],
}


@pytest.fixture
def scripted(server: ScriptedServer, connection: str) -> ScriptedServer:
    """A server with a pool that has one answer with one file."""
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/projects/10", {**PROJECT, "public_name": "P", "public_description": "D"})
    server.default("GET", "/assignments", {"items": [ANSWER], "has_more": False})
    server.default("GET", "/attachments", {"items": [FILE], "has_more": False})
    return server


CONTENT = content_of(30)


def test_what_breaks_off_is_fetched_again(scripted: ScriptedServer, tmp_path: Path) -> None:
    longer = {"Content-Length": str(len(CONTENT) + 100), "Connection": "close", "Content-Type": "image/png"}
    scripted.answer("GET", "/attachments/f-1/download", body=CONTENT, headers=longer, times=2)
    scripted.answer("GET", "/attachments/f-1/download", body=CONTENT, headers={"Content-Type": "image/png"})
    [row] = rows(download("21", tmp_path)["manifest"])
    checked([row], {"f-1": CONTENT})
    assert scripted.calls().count("GET /attachments/f-1/download") == 3


def test_a_large_file_that_breaks_off_late_is_fetched_again(scripted: ScriptedServer, tmp_path: Path) -> None:
    large = CONTENT * 1000
    longer = {"Content-Length": str(len(large) + 1), "Connection": "close"}
    scripted.answer("GET", "/attachments/f-1/download", body=large, headers=longer, times=2)
    scripted.answer("GET", "/attachments/f-1/download", body=large)
    checked(rows(download("21", tmp_path)["manifest"]), {"f-1": large})
    assert scripted.calls().count("GET /attachments/f-1/download") == 3


def test_another_media_type_than_listed(scripted: ScriptedServer, tmp_path: Path, capsys: Any) -> None:
    headers = {"Content-Type": "image/jpeg; q=1"}
    scripted.answer("GET", "/attachments/f-1/download", body=CONTENT, headers=headers)
    [row] = rows(download("21", tmp_path)["manifest"])
    assert row["media_type"] == "image/jpeg; q=1"
    assert "f-1: listed as image/png, it is image/jpeg; q=1" in capsys.readouterr().out


@pytest.mark.parametrize("headers", [{"Content-Type": "Image/PNG; charset=x"}, {}])
def test_the_same_media_type(scripted: ScriptedServer, tmp_path: Path, capsys: Any, headers: dict[str, str]) -> None:
    scripted.answer("GET", "/attachments/f-1/download", body=b"", headers=headers)
    [row] = rows(download("21", tmp_path)["manifest"])
    assert (row["size"], row["media_type"]) == (0, headers.get("Content-Type", "image/png"))
    assert "another type" not in capsys.readouterr().out


def test_a_file_that_comes_slowly(scripted: ScriptedServer, tmp_path: Path) -> None:
    headers = {"Content-Type": "image/png"}
    scripted.answer("GET", "/attachments/f-1/download", body=CONTENT[:60], headers=headers, drip=0.005)
    checked(rows(download("21", tmp_path)["manifest"]), {"f-1": CONTENT[:60]})
