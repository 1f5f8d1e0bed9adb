"""Files of rows that are converted to another format once all rows are there."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import IO, Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile
from pyarrow import parquet

from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.storage.row_writers import RowWriter
from toloka_airflow.transfer.download.parquet_answers import ParquetAnswers, answer_columns

COLUMNS = answer_columns({}, {"result": {"type": "string"}})


class Upload(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is there when it is closed, as in a store."""

    def _upload_chunk(self, final: bool = False) -> bool:
        if final:
            self.fs.pipe_file(self.path, self.buffer.getvalue())
        return final


class Store(MemoryFileSystem):  # type: ignore[misc]
    store: dict[str, Any] = {}
    pseudo_dirs = [""]

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        is_upload = mode == "wb" and "data" not in options
        return Upload(self, path, mode) if is_upload else super()._open(path, mode, **options)


@pytest.fixture(params=["disk", "store"])
def path(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    """A path where a file is already."""
    if request.param == "disk":
        fs, folder, protocol = LocalFileSystem(), str(tmp_path), "file"
    else:
        fs, folder, protocol = Store(), "/bucket", "s3"
    fs.pipe_file(f"{folder}/rows.parquet", b"what was there")
    yield SimpleNamespace(fs=fs, path=f"{folder}/rows.parquet", protocol=protocol)
    fs.rm(folder, recursive=True)


def answers(file: IO[bytes]) -> RowWriter:
    return ParquetAnswers(file, COLUMNS, log=logging.getLogger("test"))


def row(number: int) -> bytes:
    return b'{"assignment_id":"a-%d","output_values":{"result":"cat"}}' % number


@pytest.mark.parametrize("part_bytes", [1, 10_000], ids=["parts", "no parts"])
@pytest.mark.parametrize("pages", [0, 1, 5])
def test_all_rows_are_converted(path: Any, part_bytes: int, pages: int) -> None:
    file = RowFile(path, key="k", part_bytes=part_bytes, is_converted=True)
    for number in range(pages):
        file.append([row(number)], cursor=str(number), counts={"rows": 1})
    assert path.fs.cat_file(path.path) == b"what was there"
    assert file.finish(answers) == ({"rows": pages} if pages else {})
    with path.fs.open(path.path) as content:
        found = parquet.read_table(content).column("assignment_id").to_pylist()
    assert found == [f"a-{number}" for number in range(pages)]
    assert path.fs.find(path.fs._parent(path.path)) == [path.path]


def test_an_error_while_converting_leaves_what_was_there(path: Any) -> None:
    """A footer, which is written at the end of the writer's life, would make a file that is whole and too short."""
    file = RowFile(path, key="k", part_bytes=1, is_converted=True)
    for number, line in enumerate((row(1), b"half a ro")):
        file.append([line], cursor=str(number), counts={"rows": 1})
    with pytest.raises(ValueError, match="Expecting value"):
        file.finish(answers)
    gc.collect()
    assert path.fs.cat_file(path.path) == b"what was there"
    assert not [name for name in path.fs.find(path.fs._parent(path.path)) if "joined" in name]
    assert RowFile(path, key="k", is_converted=True).cursor == "1"


class Blocks(RowWriter):
    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[list[bytes]] = []

    def write_lines(self, lines: list[bytes]) -> None:
        self.blocks.append(lines)


@pytest.mark.parametrize("at_once", [1, 7, 60])
@pytest.mark.parametrize("count", [0, 1, 3, 60])
def test_lines_come_in_blocks(count: int, at_once: int) -> None:
    """However many of them are given at once: what each block takes, such as a part of a column, should pay."""
    lines = [b"%d" % (number % 10) * 100_000 for number in range(count)]
    with Blocks() as writer:
        for start in range(0, count, at_once):
            writer.write(b"".join(line + b"\n" for line in lines[start : start + at_once]))
    assert [line for block in writer.blocks for line in block] == lines
    sizes = [sum(map(len, block)) for block in writer.blocks]
    assert all(size < 2**20 + 200_000 for size in sizes)
    assert len(sizes) <= 2 + count // 5
