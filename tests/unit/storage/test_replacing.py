"""A file is put in its place as a whole, by what each store can do; other stores are refused beforehand."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tests.sftp_server import SftpServer, sftp_server
from tests.support import ScriptedServer, run_task
from tests.unit.storage.test_row_files import Store
from toloka_airflow._internal.troubleshooting import PAGE
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.calls import TolokaCallOperator
from toloka_airflow.operators.quality import MeasureQualityOperator
from toloka_airflow.operators.quality_report import QualityReportOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.storage.replacing import check_replaceable, path_errors, replacing
from toloka_airflow.storage.row_files import RowFile

HDFS = "hdfs:///labels.jsonl"
BONUS = {"user_id": "u", "assignment_id": "a", "amount": 0.1, "public_title": {"EN": "Thanks"}}
OLD, NEW = b"old\n" * 1000, b"new\n" * 2000


def local(folder: Path) -> Any:
    return SimpleNamespace(fs=LocalFileSystem(), path=f"{folder}/rows/answers.jsonl", protocol="file")


def memory(folder: Path) -> Any:
    return SimpleNamespace(fs=MemoryFileSystem(), path=f"{folder}/rows/answers.jsonl", protocol="memory")


def object_store(folder: Path) -> Any:
    return SimpleNamespace(fs=Store(), path=f"{folder}/rows/answers.jsonl", protocol="s3")


def over_sftp(server: SftpServer) -> Any:
    from sshfs import SSHFileSystem

    fs = SSHFileSystem(**server.login, skip_instance_cache=True)
    return SimpleNamespace(fs=fs, path="/rows/answers.jsonl", protocol="sftp")


@pytest.fixture(params=[local, memory, object_store, over_sftp])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param is over_sftp:
        with sftp_server(tmp_path) as server:
            yield over_sftp(server)
        return
    yield request.param(tmp_path)


def everything(path: Any) -> list[str]:
    return sorted(path.fs.find(path.fs._parent(path.path)))


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    """As two attempts of one task are that are alive; each has a name of its own to write under."""
    path = local(tmp_path)
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert everything(path) == [path.path]
    with path.fs.open(path.path, "rb") as file:
        assert file.read() == b"first"


@pytest.mark.parametrize("there", [False, True])
def test_the_old_file_is_read_until_the_new_one_is_whole(path: Any, there: bool) -> None:
    if there:
        path.fs.makedirs(path.fs._parent(path.path), exist_ok=True)
        path.fs.pipe_file(path.path, OLD)
    with replacing(path, f"{path.path}.parts/joined") as file:
        file.write(NEW)
        assert (path.path in everything(path)) == there
        assert not there or path.fs.cat_file(path.path) == OLD
    assert path.fs.cat_file(path.path) == NEW
    assert everything(path) == [path.path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(path: Any, error: type[BaseException]) -> None:
    path.fs.makedirs(path.fs._parent(path.path), exist_ok=True)
    path.fs.pipe_file(path.path, OLD)

    def write() -> None:
        with replacing(path, f"{path.path}.parts/joined") as file:
            file.write(NEW)
            raise error("in between")

    with pytest.raises(error, match="in between"):
        write()
    assert path.fs.cat_file(path.path) == OLD
    assert everything(path) == [path.path]


def test_an_upload_that_cannot_even_be_given_up_fails_by_its_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = object_store(tmp_path)
    path.fs.pipe_file(path.path, OLD)

    def discard() -> None:
        raise OSError("still no connection")

    def write() -> None:
        with replacing(path, f"{path.path}.parts/joined") as file:
            monkeypatch.setattr(file, "discard", discard)
            raise ConnectionError("no connection")

    with pytest.raises(ConnectionError, match=r"^no connection"):
        write()
    assert path.fs.cat_file(path.path) == OLD


@pytest.mark.parametrize("protocol", ["webhdfs", "hdfs", "smb", "ftp", "sftp"])
def test_another_store_is_refused_before_anything_is_done(protocol: str) -> None:
    path: Any = SimpleNamespace(fs=MemoryFileSystem(), path=f"/{protocol}/rows.jsonl", protocol=protocol)
    for attempt in (lambda: RowFile(path, key="k"), lambda: replacing(path, "/other").__enter__()):
        with pytest.raises(ValueError, match=f"a store of {protocol} .* copy it from there in a task of its own"):
            attempt()
    assert not path.fs.exists(f"/{protocol}")


@pytest.mark.parametrize(
    "task",
    [
        GetAssignmentsOperator(task_id="get", pool_id="21", path=HDFS),
        AggregateSolutionsOperator(task_id="aggregate", pool_id="21", fields=["label"], path=HDFS),
        CreateTasksOperator(task_id="upload", pool_id="21", tasks=[{"input_values": {}}], ids_path=HDFS),
    ],
    ids=lambda task: task.task_id,
)
def test_nothing_is_sent_for_a_file_that_cannot_be_put_in_its_place(
    server: ScriptedServer, connection: str, task: Any
) -> None:
    with pytest.raises(AirflowFailException) as told:
        run_task(task)
    assert server.calls() == []
    page = (Path(__file__).parents[3] / "docs/files.md").read_text()
    [quoted] = re.findall(r"(?ms)^path is .*?(?=^```)", page)
    assert " ".join(quoted.split()) in str(told.value)


NOWHERE = f"{__file__}/rows.jsonl"
"""Below a file, which no user can write to."""


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (GetAssignmentsOperator(task_id="get", pool_id="21", path=NOWHERE), "path"),
        (AggregateSolutionsOperator(task_id="aggregate", pool_id="21", fields=["a"], path=NOWHERE), "path"),
        (AggregateAnswersOperator(task_id="labels", answers=[], fields=["a"], path=NOWHERE), "path"),
        (
            MeasureQualityOperator(task_id="measure", answers=[], fields=["a"], path=f"{__file__}/rows.json"),
            "path",
        ),
        (QualityReportOperator(task_id="report", answers=[], path=f"{__file__}/rows.html"), "path"),
        (CreateTasksOperator(task_id="ids", pool_id="21", tasks=[{"input_values": {}}], ids_path=NOWHERE), "ids_path"),
        (PayBonusesOperator(task_id="pay", bonuses=[BONUS], max_total=1, refused_path=NOWHERE), "refused_path"),
        (DownloadAttachmentsOperator(task_id="files", pool_id="21", folder=NOWHERE), "folder"),
        (TolokaCallOperator(task_id="call", method="GET", path="/pools", answer_path=NOWHERE), "answer_path"),
    ],
    ids=lambda each: getattr(each, "task_id", None),
)
def test_nothing_is_sent_for_a_file_that_cannot_be_written(
    server: ScriptedServer, connection: str, task: Any, name: str
) -> None:
    with pytest.raises(AirflowFailException) as told:
        run_task(task)
    assert server.calls("POST") == server.calls("PATCH") == []
    assert re.match(rf"{name} is '{re.escape(__file__)}/rows\.\w+', which cannot be written where", str(told.value))
    assert str(told.value).endswith(
        f"({__file__} is no folder). Name one in a folder that this process may write to, or let it write there. "
        f"Help: {PAGE}#paths-and-files"
    )


def test_what_is_only_found_out_by_writing_names_the_argument_too() -> None:
    """Nobody can make a folder there, not even root, who may write anywhere."""
    folder = "/proc/no-such-folder"
    path: Any = SimpleNamespace(fs=LocalFileSystem(), path=f"{folder}/a.jsonl", protocol="file")
    with pytest.raises(FileNotFoundError, match=f"^manifest is .* cannot be written where this runs \\(.*{folder}"):
        replacing(path, name="manifest").__enter__()
    file = RowFile(path, key="k", name="ids_path")
    file.append([b"{}"], cursor="1", counts={})
    with pytest.raises(FileNotFoundError, match=f"^ids_path is .*{folder}"):
        file.put_parts()


def test_a_store_that_lets_nobody_write_names_the_argument_too() -> None:
    class Closed(Store):
        def _open(self, *args: Any, **kwargs: Any) -> Any:
            raise PermissionError("Access Denied")

    path: Any = SimpleNamespace(fs=Closed(), path="/bucket/a.jsonl", protocol="s3")
    with pytest.raises(PermissionError, match=r"^path is .* \(Access Denied\)"), replacing(path):
        pass


def test_a_full_disk_is_nothing_that_an_argument_has_wrong(tmp_path: Path) -> None:
    """The next attempt may find room."""
    with pytest.raises(OSError, match="No space"), path_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_sftp_server_that_cannot_replace_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with sftp_server(tmp_path, can_replace=False) as server:
        path = over_sftp(server)
        path.fs.pipe_file(path.path, OLD)
        for attempt in (lambda: RowFile(path, key="k"), lambda: replacing(path, "/other").__enter__()):
            with pytest.raises(ValueError, match=r"no posix-rename@openssh\.com"):
                attempt()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "rows/answers.jsonl"]
    assert (tmp_path / "rows/answers.jsonl").read_bytes() == OLD


def test_a_store_without_a_provider_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ValueError, match=r"^folder is 'gs://bucket/x': .* gs; install the provider of this store"):
        check_replaceable(ObjectStoragePath("gs://bucket/x"), name="folder")


def test_a_folder_of_the_name_is_not_replaced(tmp_path: Path) -> None:
    with sftp_server(tmp_path) as server:
        path = over_sftp(server)
        path.fs.makedirs(f"{path.path}/other")
        check_replaceable(path)
        with pytest.raises(Exception, match=r"rename|[Dd]irectory"), replacing(path, f"{path.path}.parts/j") as file:
            file.write(NEW)
    assert (tmp_path / "rows/answers.jsonl/other").is_dir()
    assert not list(tmp_path.rglob("j"))


WRITER = """
import json, sys
from types import SimpleNamespace
from sshfs import SSHFileSystem
from toloka_airflow.storage.row_files import RowFile

path = SimpleNamespace(fs=SSHFileSystem(**json.loads(sys.argv[1])), path="/rows/answers.jsonl", protocol="sftp")
file = RowFile(path, key="k", part_bytes=100_000)
for page in range(int(file.cursor or 0), 40):
    rows = [b'{"page": %d, "row": %d}' % (page, row) for row in range(1000)]
    file.append(rows, cursor=str(page + 1), counts={"rows": len(rows)})
print(file.finish()["rows"])
"""
WRITTEN = b"".join(b'{"page": %d, "row": %d}\n' % (page, row) for page in range(40) for row in range(1000))


@pytest.mark.parametrize(
    ("moment", "count", "left"),
    [("write", 1, OLD), ("write", 3, OLD), ("renamed", 1, WRITTEN)],
    ids=["first write", "third write", "renamed"],
)
def test_a_writer_over_sftp_that_is_killed_while_joining_leaves_a_whole_file(
    tmp_path: Path, moment: str, count: int, left: bytes
) -> None:
    target = tmp_path / "rows/answers.jsonl"
    target.parent.mkdir()
    target.write_bytes(OLD)
    seen: list[str] = []

    def kill(name: str, path: str, *_: str) -> None:
        """Kill the writer when it has begun to join its parts, and no longer only looks whether it can rename."""
        if "/joined-" in path:
            seen.append(name)
            if seen.count(moment) == count and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait(30)

    with sftp_server(tmp_path) as server:
        command = [sys.executable, "-c", WRITER, json.dumps(server.login)]
        server.on_call = kill
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert process.wait(60) == -signal.SIGKILL
        assert target.read_bytes() == left
        server.on_call = lambda *_: None
        assert subprocess.check_output(command, text=True) == "40000\n"
    assert target.read_bytes() == WRITTEN
    assert list(target.parent.iterdir()) == [target]


def test_the_login_is_that_of_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sftp_server(tmp_path) as server:
        path = ObjectStoragePath(f"sftp://{server.connect(monkeypatch)}@/new/rows.jsonl")
        with replacing(path, f"{path.path}.joined") as file:
            file.write(NEW)
    assert (tmp_path / "new/rows.jsonl").read_bytes() == NEW
