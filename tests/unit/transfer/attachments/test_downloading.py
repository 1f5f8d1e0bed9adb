"""Downloads of attachments as processes that are killed, and in how much memory."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from tests.attached_files import answered_pool
from tests.support import TOKEN, ScriptedServer, let_time_pass
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaConnectionError
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.transfer.attachments.downloading import download_attachments
from toloka_airflow.transfer.attachments.folder import AttachmentFolder, FilePath
from toloka_airflow.transfer.pace import LOG_INTERVAL

BYTES = "/api/v1/attachments/{id}/download"
NUMBER = 1000


def test_what_is_killed_at_four_points_goes_on(tmp_path: Path) -> None:
    """With faults at two requests in a hundred."""
    with EmulatorServer(seed=1, frozen=True) as toloka:
        pool_id, files = answered_pool(toloka, NUMBER)
        for path in (BYTES, "/api/v1/attachments", "/api/v1/assignments"):
            toloka.faults.add("GET", path, probability=0.01, status=503, retry_after=0)
            toloka.faults.add("GET", path, probability=0.01, half_body=True)
        program = Path(__file__).with_name("killed_downloads.py")
        folder = tmp_path / "files"
        said = json.loads(
            subprocess.check_output([sys.executable, program, toloka.url, pool_id, folder], text=True, timeout=300)
        )
        requests = len(toloka.journal.requests("GET", BYTES))
    assert said["ends"] == [-signal.SIGKILL] * 4 + [0]
    assert said["files"] == sorted(set(said["files"])), "each attempt got further than the one before"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]
    assert sorted(row["attachment_id"] for row in rows) == sorted(files)
    for row in rows:
        content = Path(row["path"]).read_bytes()
        assert content == files[row["attachment_id"]]
        assert (row["size"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert {path.name for path in folder.iterdir()} == {Path(row["path"]).name for row in rows} | {"manifest.jsonl"}
    # Fetched again is what faults have broken, and of each killed attempt what was not in the journal yet.
    assert requests < NUMBER * 1.1 + 4 * 150


def download(client: TolokaClient, pool_id: str, path: Path, *, fs: Any = None, **arguments: Any) -> dict[str, int]:
    folder = AttachmentFolder(FilePath(fs or LocalFileSystem(), str(path), "file", str(path)), key="k")
    arguments = {"statuses": ["ACCEPTED"], "fields": ["photo"], "in_flight": 4, "log": Log(), **arguments}
    return download_attachments(client, pool_id, folder, folder.file("manifest.jsonl"), **arguments)


class Log:
    """A log that is kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *arguments: object) -> None:
        self.lines.append(text % arguments)

    warning = info


def client_of(url: str, **settings: Any) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=url, first_pause=0.001, **settings))


MEASURED = """
import resource, sys
from pathlib import Path
from tests.unit.transfer.attachments.test_downloading import client_of, download
url, pool_id, few_id, folder = sys.argv[1:]
download(client_of(url), few_id, Path(folder) / "few")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert download(client_of(url), pool_id, Path(folder) / "many")["files"] == 10_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_ten_thousand_files_take_the_same_memory(tmp_path: Path) -> None:
    with EmulatorServer(seed=1, frozen=True) as toloka:
        few_id, _ = answered_pool(toloka, 500)
        pool_id, _ = answered_pool(toloka, 10_000)
        arguments = [sys.executable, "-c", MEASURED, toloka.url, pool_id, few_id, str(tmp_path)]
        said = subprocess.check_output(arguments, text=True, timeout=300)
    kilobytes = int(said.splitlines()[-1])
    assert kilobytes < 20_000


def test_a_file_that_always_breaks_off_is_never_there(server: ScriptedServer, tmp_path: Path) -> None:
    facts = {"id": "a-1", "task_suite_id": "s-1", "pool_id": "21", "user_id": "u", "status": "ACCEPTED"}
    answer = {**facts, "tasks": [{"id": "t"}], "solutions": [{"output_values": {"photo": "f-1"}}]}
    server.answer("GET", "/assignments", json={"items": [answer], "has_more": False})
    server.answer("GET", "/attachments", json={"items": [], "has_more": False})
    server.default("GET", "/attachments/f-1", {"id": "f-1", "name": "a.png", "details": {}})
    longer = {"Content-Length": "10000000", "Connection": "close"}
    server.answer("GET", "/attachments/f-1/download", body=b"x" * 300_000, headers=longer, times=50)
    with pytest.raises(TolokaConnectionError, match="f-1/download got no answer"):
        download(client_of(server.url, retry_budget=0.05), "21", tmp_path)
    assert server.calls().count("GET /attachments/f-1/download") > 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, opened = Log(), count(1)

    class Disk(LocalFileSystem):  # type: ignore[misc]
        """A disk for which time passes when the 20th file is written."""

        def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
            if mode == "wb" and next(opened) == 20:
                let_time_pass(monkeypatch, LOG_INTERVAL + 1)
            return super().open(path, mode, **options)

    with EmulatorServer(seed=1, frozen=True) as toloka:
        pool_id, _ = answered_pool(toloka, 40)
        download(client_of(toloka.url), pool_id, tmp_path, log=log, fs=Disk())
    assert log.lines[0] == f"Pool {pool_id} has 40 files of ACCEPTED assignments"
    assert re.search(r"Written: \d+ files \(\d+ a second\), \d+ bytes .*; about \d+%, \d+ s left", log.lines[1])
    assert log.lines[-1].endswith("that is all")
