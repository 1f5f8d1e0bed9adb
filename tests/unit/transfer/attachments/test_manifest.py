"""The manifest: the same rows in each format, read again by the next download."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from pyarrow import parquet

from toloka_airflow.transfer.attachments.index import COLUMNS, StoredFile
from toloka_airflow.transfer.attachments.manifest import check_manifest, read_stored, write_manifest

ROW: dict[str, Any] = {
    "assignment_id": "a-1",
    "task_id": "t-1",
    "field": "photo",
    "attachment_id": "f-1",
    "user_id": "u",
    "name": 'Ünï, "x"\n=1.png',
    "path": "/folder/a-1_f-1_x.png",
    "size": 2**40,
    "media_type": "image/png",
    "sha256": "ab" * 32,
    "created": "2026-01-01T00:00:00.000",
    "problem": None,
}
MISSING = dict.fromkeys(COLUMNS) | {"assignment_id": "a-2", "attachment_id": "f-2", "problem": "gone"}
NAMES = ("m.jsonl", "m.jsonl.gz", "m.csv", "m.parquet")


def write(path: Path, rows: list[dict[str, Any]]) -> ObjectStoragePath:
    target = ObjectStoragePath(str(path))
    check_manifest(target)
    write_manifest(target, rows, key="k")
    return target


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
        return [{**row, "size": row["size"] and int(row["size"])} for row in rows]
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [[], [ROW, MISSING], [ROW] * 2500], ids=["none", "two", "many"])
def test_rows_come_back(tmp_path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    target = write(tmp_path / name, rows)
    assert read(tmp_path / name) == rows
    stored = StoredFile("f-1", ROW["path"], 2**40, "image/png", "ab" * 32)
    assert list(read_stored(target)) == [stored for row in rows if row["path"]]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_half_of_a_character(tmp_path: Path, name: str) -> None:
    target = write(tmp_path / name, [{**ROW, "media_type": None, "problem": "half \\ud83d"}])
    assert [file.media_type for file in read_stored(target)] == [None]


@pytest.mark.parametrize("name", ["m.xlsx", "m.json", "m", "m.csv.gz"])
def test_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"by its name it is JSON Lines, CSV or Parquet: \*\.jsonl, "):
        check_manifest(ObjectStoragePath(str(tmp_path / name)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("line", [b"no manifest", b'{"path": "x"}', b"\xff\xfe", b"[]", b"path"])
def test_what_is_no_manifest(tmp_path: Path, name: str, line: bytes) -> None:
    (tmp_path / name).write_bytes(line + b"\n" + line + b"\n")
    with pytest.raises(ValueError):
        list(read_stored(ObjectStoragePath(str(tmp_path / name))))


def test_there_is_none(tmp_path: Path) -> None:
    assert list(read_stored(ObjectStoragePath(str(tmp_path / "m.jsonl")))) == []
