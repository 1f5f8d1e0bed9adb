"""
Kill a download in several ranges at points all over it, while some of its requests fail, and let others go on.

Run as a program of its own, because it forks. It counts what Python reports to audit hooks: requests that are sent, and
files that are opened or removed, in whichever thread.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from itertools import count
from pathlib import Path
from types import SimpleNamespace

from fsspec.implementations.local import LocalFileSystem

from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.download.answer_rows import read_answers
from toloka_airflow.transfer.download.parallel_download import ParallelDownload

STEPS = {"http.client.send", "open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
POINTS = 10
ANSWERED = ["SUBMITTED", "ACCEPTED", "REJECTED"]

URL, POOL_ID, FOLDER = sys.argv[1:]
PATH = f"{FOLDER}/rows.jsonl"

steps_left = 0


def step(event: str, arguments: tuple[object, ...]) -> None:
    global steps_left
    if event in STEPS and steps_left:
        steps_left -= 1
        if not steps_left:
            os.kill(os.getpid(), signal.SIGKILL)


def download() -> None:
    file = RowFile(SimpleNamespace(fs=LocalFileSystem(), path=PATH, protocol="file"), key="k", part_bytes=3000)
    ParallelDownload(
        file,
        TolokaClient(ClientSettings("a-token-of-somebody", base_url=URL, first_pause=0.001)),
        pages=lambda client, read, after, until: client.read_assignments(
            POOL_ID, read, page_size=4, after=after, until=until, status=ANSWERED
        ),
        read=read_answers,
        find_last=lambda client: client.find_last_assignment(POOL_ID, status=ANSWERED),
        in_flight=4,
        log=SimpleNamespace(info=lambda *said: None),
    ).run()
    file.finish()


def attempt(killed_at: int) -> int:
    """Download in a process of its own, killed at one of its steps; return its exit code, or minus the signal."""
    global steps_left
    child = os.fork()
    if not child:
        sys.addaudithook(step)
        steps_left = killed_at
        download()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ranges_left() -> int:
    """Return how many ranges the killed attempts have left parts of."""
    return len({file.name.rpartition("-")[0] for file in Path(f"{PATH}.k.parts").glob("*.json")})


def main() -> None:
    """Print what a complete file has, how many steps it took, and in how many ranges the killed ones were."""
    most = next(number for number in count(40, 40) if attempt(number) == 0)
    wanted = Path(PATH).read_bytes()
    ranges = []
    for point in range(1, POINTS + 1):
        shutil.rmtree(FOLDER, ignore_errors=True)
        # How many steps there are varies: those who share the work do not always meet. The last ones join the file.
        ends = [attempt(most * point // (POINTS + 7))]
        ranges.append(ranges_left())
        ends += [attempt(most * (point * 7 % POINTS + 1) // (2 * POINTS)), attempt(0)]
        assert set(ends) <= {0, -signal.SIGKILL}, ends
        assert ends[0] != 0, f"not killed at point {point}"
        assert ends[-1] == 0, ends
        assert Path(PATH).read_bytes() == wanted
        assert os.listdir(FOLDER) == ["rows.jsonl"]
    ids = [json.loads(line)["assignment_id"] for line in wanted.splitlines()]
    print(json.dumps({"ids": ids, "ranges": ranges}))


warnings.simplefilter("error")
main()
