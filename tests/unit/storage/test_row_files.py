"""Files of rows: complete or not there, whatever happens to the writer."""

from __future__ import annotations

import gc
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from tests.sftp_server import sftp_server
from toloka_airflow.storage.row_files import RowFile


class Upload(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is there when it is closed, as in a store."""

    def _upload_chunk(self, final: bool = False) -> bool:
        if final:
            self.fs.pipe_file(self.path, self.buffer.getvalue())
        return final


class Store(MemoryFileSystem):  # type: ignore[misc]
    """A store that does not notice at once what others have removed."""

    store: dict[str, Any] = {}
    pseudo_dirs = [""]

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        is_upload = mode == "wb" and "data" not in options
        return Upload(self, path, mode) if is_upload else super()._open(path, mode, **options)

    def exists(self, path: str, **options: Any) -> bool:
        return True


@pytest.fixture(params=["file", "memory", "sftp"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/new/folder"
        return
    if request.param == "sftp":
        with sftp_server(tmp_path) as server:
            yield f"sftp://{server.connect(monkeypatch)}@/new/folder"
        return
    fs = MemoryFileSystem()
    attach("memory", fs=fs)
    yield "memory://bucket/folder"
    fs.rm("/bucket", recursive=True)


def page(number: int) -> dict[str, Any]:
    return {"lines": [b'{"n": %d}' % number], "cursor": str(number), "counts": {"rows": 1}}


def files(path: ObjectStoragePath) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in path.fs.find(path.fs._parent(path.path)))


def read(path: ObjectStoragePath) -> bytes:
    content = path.fs.cat_file(path.path)
    return gzip.decompress(content) if path.path.lower().endswith(".gz") else content


both_formats = pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.JSONL.GZ"])


@both_formats
@pytest.mark.parametrize("part_bytes", [1, 10_000], ids=["parts", "no parts"])
def test_a_file_is_there_when_it_is_finished(folder: str, name: str, part_bytes: int) -> None:
    path = ObjectStoragePath(f"{folder}/{name}")
    file = RowFile(path, key="k", part_bytes=part_bytes)
    for number in range(3):
        file.append(**page(number))
    assert not path.fs.exists(path.path)
    assert file.finish() == {"rows": 3}
    assert read(path) == b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'
    assert files(path) == [name]


@both_formats
def test_no_rows_make_an_empty_file(folder: str, name: str) -> None:
    path = ObjectStoragePath(f"{folder}/{name}")
    assert RowFile(path, key="k").finish() == {}
    assert read(path) == b""


@both_formats
def test_a_second_writer_goes_on_behind_the_last_part(folder: str, name: str) -> None:
    path = ObjectStoragePath(f"{folder}/{name}")
    first = RowFile(path, key="k", part_bytes=15)
    for number in range(5):
        first.append(**page(number))
    second = RowFile(path, key="k", part_bytes=15)
    assert (second.cursor, second.counts) == ("3", {"rows": 4})
    second.append(**page(4))
    assert second.finish() == {"rows": 5}
    assert read(path) == b"".join(b'{"n": %d}\n' % number for number in range(5))


def test_a_finished_file_is_replaced_by_a_writer_that_starts_anew(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    for number in (1, 2):
        file = RowFile(path, key="k", part_bytes=1)
        assert file.cursor is None
        file.append(**page(number))
        file.finish()
    assert read(path) == b'{"n": 2}\n'


def test_another_key_has_other_parts(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    RowFile(path, key="one", part_bytes=1).append(**page(1))
    assert RowFile(path, key="two").cursor is None


def test_an_attempt_that_is_still_alive_does_not_get_into_the_file(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    zombie = RowFile(path, key="k", part_bytes=1)
    zombie.append(**page(0))
    writer = RowFile(path, key="k", part_bytes=15)
    for number in (1, 2):
        writer.append(**page(number))  # one part
    zombie.append(**page(1))  # in the same place
    assert RowFile(path, key="k").cursor == "1"
    assert writer.finish() == {"rows": 3}
    assert read(path) == b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'


def test_a_part_that_does_not_follow_is_left_out(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    zombie, writer = RowFile(path, key="k", part_bytes=15), RowFile(path, key="k", part_bytes=1)
    for number in range(4):
        zombie.append(**page(number))  # two parts: up to 1, up to 3
    writer.append(**page(0))
    assert RowFile(path, key="k").cursor == "0"


def test_a_page_is_added_as_a_whole_or_not_at_all(folder: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"{}"
        raise OSError("gone")

    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    file = RowFile(path, key="k")
    with pytest.raises(OSError, match="gone"):
        file.append(broken(), cursor="1", counts={"rows": 2})
    file.append(**page(2))
    assert file.finish() == {"rows": 1}
    assert read(path) == b'{"n": 2}\n'


def test_an_error_while_joining_leaves_no_half_file(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    file = RowFile(path, key="k", part_bytes=1)
    for number in range(3):
        file.append(**page(number))
    [*_, last] = sorted(name for name in files(path) if not name.endswith(".json"))
    lost = path.fs.cat_file(f"{path.path}.k.parts/{last}")
    path.fs.rm_file(f"{path.path}.k.parts/{last}")
    with pytest.raises(FileNotFoundError):
        file.finish()
    assert not path.fs.exists(path.path)
    again = RowFile(path, key="k")
    assert again.cursor == "1"
    again.append([lost.strip()], cursor="2", counts={"rows": 1})
    assert again.finish() == {"rows": 3}


def test_an_attempt_that_is_late_leaves_the_finished_file_alone(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    zombie = RowFile(path, key="k", part_bytes=1)
    zombie.append(**page(0))
    RowFile(path, key="k").finish()
    with pytest.raises(FileNotFoundError, match=r"is gone: another attempt has finished .*/rows\.jsonl, or begun it"):
        zombie.finish()
    assert read(path) == b'{"n": 0}\n'


def test_a_store_that_tells_too_late_what_is_gone_keeps_the_finished_file() -> None:
    fs = Store()
    path = SimpleNamespace(fs=fs, path="/store/rows.jsonl", protocol="s3")
    zombie = RowFile(path, key="k", part_bytes=1)
    for number in range(2):
        zombie.append(**page(number))
    RowFile(path, key="k").finish()
    with pytest.raises(FileNotFoundError):
        zombie.finish()
    del zombie
    gc.collect()
    assert fs.cat_file(path.path) == b'{"n": 0}\n{"n": 1}\n'


def test_two_attempts_that_join_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ObjectStoragePath(f"file://{tmp_path}/rows.jsonl")
    file = RowFile(path, key="k", part_bytes=1)
    for number in range(2):
        file.append(**page(number))
    replace = os.replace

    def interrupted(*names: str) -> None:
        """Let another attempt begin to join, and be killed, between the last two steps of this one."""
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            RowFile(path, key="k").finish()
        replace(*names)

    def killed(*names: str) -> None:
        Path(names[0]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    assert file.finish() == {"rows": 2}
    assert read(path) == b'{"n": 0}\n{"n": 1}\n'


@pytest.mark.parametrize(("age", "cursor"), [(3500, "1"), (3700, None)])
def test_parts_that_are_too_old_are_removed(folder: str, age: float, cursor: str | None) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    file = RowFile(path, key="k", part_bytes=1)
    for number in range(2):
        file.append(**page(number))
    change(path, began=time.time() - age)
    assert RowFile(path, key="k", max_age=3600).cursor == cursor
    assert bool(files(path)) == bool(cursor)


@pytest.mark.parametrize("facts", [None, [], {"size": 9}, {"new": 1}])
def test_parts_of_another_version_are_not_there(folder: str, facts: Any) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    file = RowFile(path, key="k", part_bytes=1)
    file.append(**page(0))
    path.fs.pipe_file(f"{path.path}.k.parts/000000.json", json.dumps(facts).encode())
    assert RowFile(path, key="k").cursor is None


def change(path: ObjectStoragePath, **facts: Any) -> None:
    """Change what the description of the first part says."""
    description = f"{path.path}.k.parts/000000.json"
    path.fs.pipe_file(description, json.dumps({**json.loads(path.fs.cat_file(description)), **facts}).encode())


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.jsonl.zst", "rows.CSV", "rows.tsv.gz", "rows.xlsx"])
def test_a_name_that_asks_for_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"name the file \*\.jsonl or \*\.jsonl\.gz"):
        RowFile(ObjectStoragePath(f"file://{tmp_path}/{name}"), key="k")


def test_a_folder_is_refused_before_anything_is_written(folder: str) -> None:
    path = ObjectStoragePath(f"{folder}/rows.jsonl")
    path.fs.makedirs(path.path)
    with pytest.raises(ValueError, match="which is a folder"):
        RowFile(path, key="k")


class TestRanges:
    """Files that several threads write, in the order of their ranges."""

    @pytest.fixture
    def path(self, folder: str) -> ObjectStoragePath:
        return ObjectStoragePath(f"{folder}/rows.jsonl")

    @staticmethod
    def add(file_range: Any, *numbers: int) -> None:
        for number in numbers:
            file_range.append(**page(number))

    def test_rows_are_in_the_order_of_ranges(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k", part_bytes=20)
        [first] = file.ranges
        self.add(first, 0)
        third, fifth = first.split(["3", "6"])
        self.add(fifth, 7)
        [fourth] = third.split(["5"])
        [second] = first.split(["1"])
        assert file.ranges == [first, second, third, fourth, fifth]
        assert [each.end for each in file.ranges] == ["1", "3", "5", "6", None]
        self.add(fourth, 6)
        self.add(third, 4, 5)
        self.add(first, 1)
        self.add(second, 2, 3)
        assert file.finish() == {"rows": 8}
        assert read(path) == b"".join(b'{"n": %d}\n' % number for number in range(8))
        assert files(path) == ["rows.jsonl"]

    def test_each_goes_on_where_it_was(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k", part_bytes=1)
        [first] = file.ranges
        self.add(first, 0)
        [second, third] = first.split(["3", "6"])
        self.add(third, 7, 8)
        self.add(second, 4)
        again = RowFile(path, key="k", part_bytes=1)
        assert [(each.cursor, each.end) for each in again.ranges] == [("0", "3"), ("4", "6"), ("8", None)]
        assert again.counts == {"rows": 4}
        for each, numbers in zip(again.ranges, ((1, 2, 3), (5, 6), (9,)), strict=True):
            self.add(each, *numbers)
        assert again.finish() == {"rows": 10}
        assert read(path) == b"".join(b'{"n": %d}\n' % number for number in range(10))

    def test_a_range_that_no_part_speaks_of_is_read_by_the_one_it_was_split_from(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k", part_bytes=1)
        [first] = file.ranges
        self.add(first, 0)
        first.split(["3"])
        assert [(each.cursor, each.end) for each in RowFile(path, key="k").ranges] == [("0", None)]

    def test_what_is_split_off_is_known_before_its_first_part(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k", part_bytes=30)
        [first] = file.ranges
        self.add(first, 0)
        [second] = first.split(["3"])
        [third] = second.split(["6"])
        self.add(third, 7, 8, 9)  # too much in memory
        again = RowFile(path, key="k")
        assert [(each.cursor, each.end) for each in again.ranges] == [("0", "3"), ("3", "6"), ("9", None)]

    def test_all_ranges_have_the_memory_of_one(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k", part_bytes=100)
        ranges = [*file.ranges]
        self.add(ranges[0], 0)
        ranges += ranges[0].split([f"{number}0" for number in range(1, 9)])
        for _ in range(20):
            for each in ranges:
                each.append([b"x" * 9], cursor=f"{each.cursor}0", counts={})
                assert sum(each.size for each in file.ranges) < 100

    def test_parts_of_an_attempt_that_split_elsewhere_are_left_out(self, path: ObjectStoragePath) -> None:
        """Both are behind the same row, but the one's range ends earlier than the other's rows go."""
        writer = RowFile(path, key="k", part_bytes=1)
        self.add(writer.ranges[0], 0)
        zombie = RowFile(path, key="k", part_bytes=1)
        zombie.ranges[0].split(["9"])
        self.add(zombie.ranges[0], 1)  # says that its range ends with 9
        writer.ranges[0].split(["2"])
        self.add(writer.ranges[0], 1)  # in the same place: its ends with 2
        self.add(zombie.ranges[0], 2, 3)
        again = RowFile(path, key="k")
        assert [(each.cursor, each.end) for each in again.ranges] == [("1", "2"), ("2", None)]

    def test_an_attempt_that_ends_with_an_error_keeps_what_is_in_memory(self, path: ObjectStoragePath) -> None:
        file = RowFile(path, key="k")
        self.add(file.ranges[0], 0)
        [second] = file.ranges[0].split(["3"])
        self.add(second, 4)
        file.put_parts()
        assert [(each.cursor, each.end) for each in RowFile(path, key="k").ranges] == [("0", "3"), ("4", None)]


@pytest.mark.parametrize(
    ("writer", "suffix"),
    [("sequential", ".jsonl"), ("sequential", ".jsonl.gz"), ("sequential", ".table"), ("ranges", ".jsonl.gz")],
)
@pytest.mark.parametrize("kind", ["disk", "store"])
def test_a_writer_that_is_killed_anywhere_leaves_no_row_twice_and_none_out(
    tmp_path: Path, kind: str, suffix: str, writer: str
) -> None:
    program = Path(__file__).with_name("killed_writers.py")
    steps = subprocess.check_output([sys.executable, program, tmp_path, kind, suffix, writer], text=True)
    assert int(steps) > 40
