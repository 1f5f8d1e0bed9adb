"""
Kill a writer of rows at every step that it takes on the disk, let a second one finish, and check the file.

Run as a program of its own, because it forks. A step is whatever Python reports to audit hooks (files opened, renamed,
removed, folders made), and every write, half done and done.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fsspec.implementations.local import LocalFileOpener, LocalFileSystem

from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.storage.row_writers import RowWriter

PAGES, ROWS = 14, 3
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree"}

steps_left = 0


class Upload(io.BytesIO):
    """What is written to a store: there as a whole, once it is closed."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def close(self) -> None:
        if not self.closed:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            upload = Path(f"{ROOT}/upload")
            upload.write_bytes(self.getvalue())
            upload.replace(self.path)
        super().close()


class Store(LocalFileSystem):
    """Files on the disk that behave like an object store's."""

    cachable = False

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return Upload(path) if "w" in mode else super()._open(path, mode, **options)


def step(event: str = "open", arguments: tuple[Any, ...] = ()) -> None:
    global steps_left
    if event in STEPS and steps_left:
        steps_left -= 1
        if not steps_left:
            os.kill(os.getpid(), signal.SIGKILL)


def torn_write(file: LocalFileOpener, data: bytes) -> int:
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        file.f.write(piece)
        file.f.flush()
        step()
    return len(data)


class Table(RowWriter):
    """What writes the rows between two lines of its own."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.file = file
        file.write(b'"header"\n')

    def write_lines(self, lines: list[bytes]) -> None:
        self.file.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        self.file.write(b'"footer"\n')


def write(path: Any) -> dict[str, int]:
    file = RowFile(path, key="k", part_bytes=120, is_converted=is_table(path))
    for page in range(int(file.cursor or 0), PAGES):
        lines = [json.dumps({"page": page, "row": row}).encode() for row in range(ROWS)]
        file.append(lines, cursor=str(page + 1), counts={"rows": ROWS, "pages": 1})
    return file.finish(Table if is_table(path) else None)


def is_table(path: Any) -> bool:
    return str(path.path).endswith(".table")


def write_in_ranges(path: Any) -> dict[str, int]:
    """Write pages in ranges that take turns; those with much left are split."""
    file = RowFile(path, key="k", part_bytes=120)
    while left := [each for each in file.ranges if int(each.cursor or 0) < int(each.end or PAGES)]:
        for each in left:
            page, end = int(each.cursor or 0), int(each.end or PAGES)
            lines = [json.dumps({"page": page, "row": row}).encode() for row in range(ROWS)]
            each.append(lines, cursor=str(page + 1), counts={"rows": ROWS, "pages": 1})
            if end - page > 4:
                each.split([str(page + 3), str(page + 4)])
    return file.finish()


def attempt(path: Any, killed_at: int) -> int:
    """Write in a process of its own, killed at one of its steps; return its exit code, or minus the signal."""
    global steps_left
    child = os.fork()
    if not child:
        LocalFileOpener.write = torn_write
        sys.addaudithook(step)
        steps_left = killed_at
        os._exit(0 if WRITERS[writer](path) == {"rows": PAGES * ROWS, "pages": PAGES} else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check(path: Any) -> None:
    reader: Callable[[Any], Any] = gzip.open if path.path.endswith(".gz") else open
    with reader(path.path) as file:
        rows = [json.loads(line) for line in file]
    if is_table(path):
        assert (rows.pop(0), rows.pop()) == ("header", "footer")
    assert rows == [{"page": page, "row": row} for page in range(PAGES) for row in range(ROWS)]
    assert sorted(os.listdir(os.path.dirname(path.path))) == [os.path.basename(path.path)]


def kill_everywhere(path: Any) -> int:
    """Return how many steps there are."""
    killed_at = 0
    while True:
        killed_at += 1
        shutil.rmtree(os.path.dirname(path.path), ignore_errors=True)
        ends = [attempt(path, killed_at), attempt(path, killed_at * 7 % 40), attempt(path, 0)]
        assert set(ends) <= {0, -signal.SIGKILL}, ends
        assert ends[-1] == 0
        check(path)
        if ends[0] == 0:
            return killed_at


WRITERS = {"sequential": write, "ranges": write_in_ranges}
ROOT, kind, suffix, writer = sys.argv[1:]
fs, protocol = (Store(), "s3") if kind == "store" else (LocalFileSystem(), "file")
print(kill_everywhere(SimpleNamespace(fs=fs, path=f"{ROOT}/rows/of/answers{suffix}", protocol=protocol)))
