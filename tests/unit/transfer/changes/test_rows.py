"""Rows from lists and files: all are checked, and what is wrong is said at once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from toloka_airflow.transfer.changes.rows import check_repeatable, read_rows

WANTED = {"u-1": "5", "u-2": "7.5", "u-3": "None"}
ROWS = [{"user_id": "u-1", "value": 5}, {"user_id": "u-2", "value": 7.5, "more": "x"}, {"user_id": "u-3"}]


def read(source: Any) -> dict[str, str]:
    def value(fields: Mapping[str, Any]) -> str:
        if fields.get("value") == "bad":
            raise ValueError("value is 'bad'")
        return str(fields.get("value"))

    return read_rows("values", source, "user_id", value, value_name="value")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.JSONL.GZ", "rows.csv", "rows.tsv.gz", "rows.ndjson"])
def test_a_file(tmp_path: Path, name: str) -> None:
    separator = {"csv": ",", "tsv": "\t"}.get(name.split(".")[1])
    lines = [json.dumps(row) for row in ROWS]
    if separator:
        table = [["\ufeffuser_id", "value", "more"], ["u-1", "5", '"a ""b"""'], [" u-2 ", "7.5", "x"], ["", "", ""]]
        lines = [separator.join(cells) for cells in [*table, ["u-3", "", "y"]]]
    content = "\r\n".join([*lines, "", ""]).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert read(str(path)) == read(path) == WANTED


def test_a_list_a_mapping_and_plain_ids() -> None:
    assert read(ROWS) == read(tuple(ROWS)) == WANTED
    assert read({"u-1": 5, "u-2": {"value": 7.5}, "u-3": None}) == WANTED
    assert read(["u-1", 5]) == {"u-1": "None", "5": "None"}
    assert read([]) == {}


def test_what_is_wrong_is_said_at_once() -> None:
    rows = [
        {"user_id": "a"},
        {"user_id": "a"},
        {"value": 1},
        {"user_id": "b/c"},
        {"user_id": "d", "value": "bad"},
        ["e"],
    ]
    with pytest.raises(ValueError) as refused:
        read(rows)
    assert str(refused.value).splitlines()[:3] == [
        "values: nothing was sent, as these rows cannot be used:",
        "  item 2: user_id a is there twice, first in item 1",
        "  item 3: it has no user_id; its fields are value",
    ]
    assert [line.split(":")[0] for line in str(refused.value).splitlines()[3:]] == [
        "  item 4",
        "  item 5",
        "  item 6",
    ]


@pytest.mark.parametrize("text", ["[{'user_id': 'a'}]", ' {"a": 1}\n', "['a']"])
def test_the_text_of_a_list_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match=r"^values is the text .*, and no path\. .* \(`task\.output`\)"):
        read(text)


def test_not_too_much_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"user_id": "a", "value": "bad"}\n' * 5000)
    with pytest.raises(ValueError) as refused:
        read(str(path))
    first, *shown, last = str(refused.value).splitlines()
    assert first == f"values: nothing was sent, as these rows of {path} cannot be used:"
    assert (len(shown), shown[0], last) == (20, "  line 1: value is 'bad'", "  and more")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b'{"user_id": "a"}\n{', "line 2: it is not JSON"),
        ("rows.csv", b"user_id;value\na;1", "the header 'user_id;value' has semicolons"),
        ("rows.csv", b"user_id,value,value\na,1,2", "there twice: the column value"),
        ("rows.csv", b"user_id,value\na", "line 2: it has 1 cell, but the header has 2"),
        ("rows.csv", b'user_id,value\na,"1', "line 2: it is not CSV"),
        ("rows.tsv", "user_id\tvalue\n".encode("utf-16"), "line 1: it is not UTF-8"),
        ("rows.jsonl.gz", b"no gzip", "the compressed file breaks off or is damaged"),
        ("rows.parquet", b"", "it cannot be read as Parquet"),
        ("rows.xlsx", b"", "whose format is not known"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match="rows") as refused:
        read(str(path))
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("source", [None, "", "None", 5, b"rows.jsonl", "/nowhere/rows.jsonl"])
def test_no_rows(source: Any) -> None:
    with pytest.raises(ValueError, match=r"^values is "):
        read(source)


def test_what_can_be_read_only_once() -> None:
    check_repeatable("values", ROWS)
    with pytest.raises(ValueError, match=r"values is <generator .*which can be read only once"):
        check_repeatable("values", (row for row in ROWS))
