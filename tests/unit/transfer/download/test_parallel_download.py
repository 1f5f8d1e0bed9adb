"""Downloads in several ranges of ids: each answer once, in the order of ids, whatever happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from airflow.sdk import ObjectStoragePath

from tests.support import TOKEN, let_time_pass
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.download.answer_rows import read_answers
from toloka_airflow.transfer.download.parallel_download import ParallelDownload
from toloka_airflow.transfer.pace import LOG_INTERVAL

PAGES = "/api/v1/assignments"
ANSWERED = [AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED, AssignmentStatus.REJECTED]
MIXER = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}


class Log:
    """What was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *values: Any) -> None:
        self.lines.append(text % values)


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-01T00:00:00") as server:
        yield server


@pytest.fixture(scope="module")
def pool_id(emulator: EmulatorServer) -> str:
    """A pool with 320 assignments, half of them a day after the others."""
    tasks = [{"text": f"{number}"} for number in range(80)]
    pool_id = emulator.add_pool(tasks, overlap=2, open=True, mixer_config=MIXER, auto_accept_solutions=False)
    emulator.clock.advance(86400)
    more = [{"pool_id": pool_id, "input_values": values, "overlap": 2} for values in tasks]
    client(emulator).create_tasks(more, open_pool=True)
    emulator.clock.advance(86400)
    return pool_id


@pytest.fixture
def toloka(emulator: EmulatorServer) -> Iterator[EmulatorServer]:
    yield emulator
    emulator.faults.clear()


def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url, first_pause=0.001))


def ids(toloka: EmulatorServer, pool_id: str) -> list[str]:
    return [assignment.id for assignment in client(toloka).list_assignments(pool_id=pool_id, status=ANSWERED)]


def download(
    toloka: EmulatorServer,
    pool_id: str,
    path: Path,
    *,
    in_flight: int = 4,
    page_size: int = 5,
    status: Any = ANSWERED,
    read: Any = read_answers,
    log: Any = None,
) -> list[str]:
    """Download, and return the ids of the rows."""
    file = RowFile(ObjectStoragePath(f"file://{path}"), key="k", part_bytes=3000)
    ParallelDownload(
        file,
        client(toloka),
        pages=lambda client, read, after, until: client.read_assignments(
            pool_id, read, page_size=page_size, after=after, until=until, status=status
        ),
        read=read,
        find_last=lambda client: client.find_last_assignment(pool_id, status=status),
        in_flight=in_flight,
        log=log or Log(),
    ).run()
    counts = file.finish()
    rows = [json.loads(line)["assignment_id"] for line in path.read_bytes().splitlines()]
    assert counts == ({"assignments": len(rows), "answers": len(rows)} if rows else {})
    return rows


def requests(toloka: EmulatorServer) -> list[dict[str, list[str]]]:
    """Return what was asked for, in order."""
    return [parse_qs(entry["query"]) for entry in toloka.journal.requests(method="GET", path=PAGES)]


@pytest.mark.parametrize("in_flight", [1, 2, 8, 64])
@pytest.mark.parametrize("page_size", [1, 7, 300])
def test_every_answer_once_and_in_order(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, in_flight: int, page_size: int
) -> None:
    rows = download(toloka, pool_id, tmp_path / "rows.jsonl", in_flight=in_flight, page_size=page_size)
    assert rows == ids(toloka, pool_id)
    assert len(rows) == 320
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(("page_size", "pages"), [(1000, 1), (320, 1), (300, 2)])
def test_a_pool_of_few_pages_takes_few_requests(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, page_size: int, pages: int
) -> None:
    """One for each page, and beside the first, unless that is quicker, another to find out how far the ids go."""
    before = len(requests(toloka))
    download(toloka, pool_id, tmp_path / "rows.jsonl", page_size=page_size, in_flight=8)
    assert pages <= len(requests(toloka)) - before <= pages + 1


def test_work_is_shared(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    before = len(requests(toloka))
    download(toloka, pool_id, tmp_path / "rows.jsonl", page_size=2)
    asked = requests(toloka)[before:]
    assert len({query["id_lte"][0] for query in asked if "id_lte" in query}) >= 3
    assert len(asked) <= 160 * 1.2, "pages that are not full are few"


def test_what_is_complete_is_not_asked_for_again(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    toloka.faults.add("GET", PAGES, status=403, skip=60)
    with pytest.raises(TolokaApiError, match="403"):
        download(toloka, pool_id, tmp_path / "rows.jsonl", in_flight=4)
    wanted, before = ids(toloka, pool_id), len(requests(toloka))
    assert download(toloka, pool_id, tmp_path / "rows.jsonl", in_flight=4) == wanted
    assert len(requests(toloka)) - before < 32, "of 64 pages, about 60 were there"


def test_too_many_requests_make_fewer(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    toloka.faults.add("GET", PAGES, status=429, retry_after=0, times=6, skip=20)
    assert download(toloka, pool_id, tmp_path / "rows.jsonl", in_flight=8) == ids(toloka, pool_id)


def test_an_error_is_told_and_the_file_is_not_there(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    toloka.faults.add("GET", PAGES, status=403, skip=10)
    with pytest.raises(TolokaApiError, match="403"):
        download(toloka, pool_id, tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()


def test_answers_that_come_into_a_status_meanwhile(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    """They are in the file if their place had not been read yet; in any case no answer is missing or there twice."""
    before = set(ids(toloka, pool_id))
    known, lock = sorted(before), threading.Lock()
    accepted, read_before = [], set[str]()

    def read_and_accept(content: bytes) -> Any:
        """After each page, accept an answer that is next to it and one from anywhere."""
        page = read_answers(content)
        with lock:
            read_before.update(page.keys)
            for name in {known[len(accepted) * 7 % len(known)], known[-1 - len(accepted) % len(known)]}:
                if name not in accepted:
                    client(toloka).patch_assignment(name, status=AssignmentStatus.ACCEPTED, public_comment="Yes")
                    accepted.append(name)
        return page

    client(toloka).patch_assignment(known[0], status=AssignmentStatus.ACCEPTED, public_comment="Yes")
    accepted.append(known[0])
    submitted = [AssignmentStatus.SUBMITTED]
    rows = download(toloka, pool_id, tmp_path / "rows.jsonl", page_size=3, status=submitted, read=read_and_accept)
    assert rows == sorted(set(rows))
    never_accepted = before - set(accepted)
    assert never_accepted <= set(rows) <= before - {known[0]}
    assert set(rows) >= read_before & set(rows)


def test_progress(toloka: EmulatorServer, pool_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, pages = Log(), count(1)

    def read_slowly(content: bytes) -> Any:
        if next(pages) == 20:
            let_time_pass(monkeypatch, LOG_INTERVAL + 1)
        return read_answers(content)

    toloka.faults.add("GET", PAGES, delay=1.2, skip=30, times=1)
    download(toloka, pool_id, tmp_path / "rows.jsonl", log=log, read=read_slowly)
    assert re.search(r"assignments \(\d+ a second\), .*; about \d+%, \d+ s left", log.lines[0])
    assert log.lines[-1].endswith("that is all")


def test_what_is_killed_anywhere_goes_on(toloka: EmulatorServer, pool_id: str, tmp_path: Path) -> None:
    """At ten points, with faults at two requests in a hundred."""
    toloka.faults.add("GET", PAGES, probability=0.01, status=503)
    toloka.faults.add("GET", PAGES, probability=0.01, half_body=True)
    program = Path(__file__).with_name("killed_downloads.py")
    said = subprocess.check_output([sys.executable, program, toloka.url, pool_id, tmp_path / "new"], text=True)
    toloka.faults.clear()
    found = json.loads(said)
    assert found["ids"] == ids(toloka, pool_id)
    assert sum(number > 1 for number in found["ranges"]) >= 5, "several ranges were under way when it was killed"
