"""That the same table gives the same tasks in every format, and that no cell is misread in any."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toloka_airflow.transfer.json_arrays import JsonArray, JsonArrayError
from toloka_airflow.transfer.strict_json import DuplicateKeyError, StrictDecoder
from toloka_airflow.transfer.upload.task_files import SourceError, task_source

TYPES = ("string", "url", "boolean", "integer", "float", "coordinates", "json", "file", "later")
INPUT: dict[str, Any] = {name: {"type": name, "required": False} for kind in TYPES for name in (kind, f"array_{kind}")}
OUTPUT = {"answer": {"type": "string"}, "count": {"type": "integer"}}
WARNING = "whose overlap is finite"


def rows(source: Any) -> list[Any]:
    return list(task_source(source).rows(lambda: (INPUT, OUTPUT)))


def read(source: Any) -> list[dict[str, Any]]:
    return [row.fields for row in rows(source)]


# The formats: each writes a file and returns what `tasks` is to be

Table = list[dict[str, Any]]
"""Rows by column; a column that a row does not have is empty there."""


def write_delimited(path: Path, table: Table) -> str:
    names = list(dict.fromkeys(name for row in table for name in row))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerows([names, *([row.get(name, "") for name in names] for row in table)])
    return str(path)


def write_parquet(path: Path, table: Table) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    names = list(dict.fromkeys(name for row in table for name in row))
    parquet.write_table(pa.table({name: [row.get(name) for row in table] for name in names}), path)
    return str(path)


def write_lines(path: Path, tasks: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    return str(path)


def write_json(path: Path, tasks: list[Any]) -> str:
    path.write_text(json.dumps(tasks, indent=2))
    return str(path)


def write_json_gz(path: Path, tasks: list[Any]) -> str:
    path.write_bytes(gzip.compress(json.dumps(tasks).encode()))
    return str(path)


def as_list(path: Path, tasks: list[Any]) -> Any:
    return tasks


TEXT_TABLES = {"csv": write_delimited, "tsv": write_delimited, "parquet": write_parquet}
JSON_FORMATS = {"jsonl": write_lines, "json": write_json, "json.gz": write_json_gz, "list": as_list}

text_tables = pytest.mark.parametrize("suffix", TEXT_TABLES)
json_formats = pytest.mark.parametrize("suffix", JSON_FORMATS)


def read_cells(tmp_path: Path, suffix: str, table: Table) -> list[dict[str, Any]]:
    return read(TEXT_TABLES[suffix](tmp_path / f"tasks.{suffix}", table))


def read_tasks(tmp_path: Path, suffix: str, tasks: list[Any]) -> list[dict[str, Any]]:
    return read(JSON_FORMATS[suffix](tmp_path / f"tasks.{suffix}", tasks))


# Cells with text


CELLS: list[tuple[str, str, Any]] = [
    ("array_string", 'Oak,"Pine, old"', ["Oak", "Pine, old"]),
    ("array_string", ' "Oak", "Pine, old" ', ["Oak", "Pine, old"]),
    ("array_string", r"Pine\, old,Oak,\,", ["Pine, old", "Oak", ","]),
    ("array_string", '"a\\,b","c\\"', ["a\\,b", "c\\"]),
    ("array_string", 'a,,"",', ["a", "", "", ""]),
    ("array_string", 'Oak, called "Old, one"', ["Oak", ' called "Old', ' one"']),
    ("array_string", '["Oak", "Pine, old"]', ["Oak", "Pine, old"]),
    ("array_string", "[]", []),
    # The example of Toloka's guide.
    (
        "array_string",
        'Hi,Very nice,"This, but",Text with "quotes".,Text with \\n or \\t,"Text with ""quotes"" and ,"',
        ["Hi", "Very nice", "This, but", 'Text with "quotes".', "Text with \\n or \\t", 'Text with "quotes" and ,'],
    ),
    ("array_url", "https://example.com/a,https://example.com/b", ["https://example.com/a", "https://example.com/b"]),
    ("coordinates", "22.3341,32.32", "22.3341,32.32"),
    ("coordinates", " 55.7558, -37.6173 ", "55.7558,-37.6173"),
    ("array_coordinates", '"22.3341,32.32","-1,+2"', ["22.3341,32.32", "-1,+2"]),
    ("array_coordinates", '["22.3341,32.32"]', ["22.3341,32.32"]),
    ("array_coordinates", r"22.3341\,32.32", ["22.3341,32.32"]),
    ("json", '{"a": [1, null], "b": "x\\\\y"}', {"a": [1, None], "b": "x\\y"}),
    ("json", r'{"a": 1\, "b": "x\, y"}', {"a": 1, "b": "x, y"}),
    ("json", '{"a": "\\\\,"}', {"a": "\\,"}),
    ("array_json", '{"a": 1, "b": [1, 2]},{"c": "x, y"}', [{"a": 1, "b": [1, 2]}, {"c": "x, y"}]),
    ("array_json", r'{"a": 1\, "b": [1\, 2]},{"c": 3}', [{"a": 1, "b": [1, 2]}, {"c": 3}]),
    ("array_json", '[{"a": 1, "b": null}]', [{"a": 1, "b": None}]),
    ("array_json", '["{", 1]', ["{", 1]),
    ("array_json", '{"a": 1}', [{"a": 1}]),
    ("array_json", "1, 2", [1, 2]),
    ("integer", "3.0", 3),
    ("integer", " +3. ", 3),
    ("integer", "-9007199254740993.00", -9007199254740993),
    ("array_integer", "1, 2.0,-3", [1, 2, -3]),
    ("array_integer", "[1, 2.0, 3e0]", [1, 2, 3]),
    ("float", "3", 3.0),
    ("array_float", '1,"2.5"', [1.0, 2.5]),
    ("boolean", "TRUE", True),
    ("array_boolean", "true, False", [True, False]),
    ("array_boolean", "[true]", [True]),
    ("string", ' [a, "b\\,c"] ', ' [a, "b\\,c"] '),
    ("later", "1,2", "1,2"),
    ("array_later", '1,"2,3"', ["1", "2,3"]),
]


@text_tables
@pytest.mark.parametrize(("kind", "cell", "value"), CELLS)
def test_a_cell(tmp_path: Path, suffix: str, kind: str, cell: str, value: Any) -> None:
    [task] = read_cells(tmp_path, suffix, [{f"INPUT:{kind}": cell}])
    assert task == {"input_values": {kind: value}}
    assert type(task["input_values"][kind]) is type(value)


def test_cells_as_they_are_in_files(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text(
        "INPUT:array_string,INPUT:array_coordinates,INPUT:array_json\n"
        '"Oak,""Pine, old""","""22.3341,32.32"",""22.3341,32.32""","{""a"": 1, ""b"": 2},{""a"": 3}"\n'
    )
    values = {
        "array_string": ["Oak", "Pine, old"],
        "array_coordinates": ["22.3341,32.32"] * 2,
        "array_json": [{"a": 1, "b": 2}, {"a": 3}],
    }
    assert read(path) == [{"input_values": values}]


BAD_CELLS = [
    ("integer", "3.5", "'3.5' is no integer"),
    ("integer", "nan", "'nan' is no integer"),
    ("integer", "1e3", "'1e3' is no integer"),
    ("float", "nan", "'nan' is no number"),
    ("float", "2,5", "'2,5' is no number"),
    ("boolean", "yes", "'yes' is neither true nor false"),
    ("coordinates", "Berlin", "'Berlin' are no coordinates; write latitude,longitude"),
    ("coordinates", "1", "'1' are no coordinates"),
    ("array_coordinates", "22.3341,32.32", "'22.3341' are no coordinates; .* each pair of a list in quotes"),
    ("array_integer", '[1, "a"]', "'a' is no integer"),
    ("array_integer", "[1, 2.5]", "2.5 is no integer"),
    ("array_integer", "[1, true]", "True is no integer"),
    ("array_integer", "[1, null]", "None is no integer"),
    ("array_integer", "1,,2", "'' is no integer"),
    ("array_string", '["a", 1]', "1 is no text"),
    ("array_boolean", "[1]", "1 is neither true nor false"),
    ("array_float", "[true]", "True is no number"),
    ("array_string", '"Oak" tree,Pine', """'"Oak" tree' begins with a quote"""),
    ("array_string", 'Oak,"Pine', """'"Pine' begins with a quote"""),
    ("array_string", "[Oak", r"'\[Oak' is not JSON: Expecting value"),
    ("json", '{"a": 1, "a": 2}', "is not JSON: the key 'a' is there twice"),
    ("json", '{"a": NaN}', "NaN is no number that JSON has"),
    ("json", "{} {}", "is not JSON: Extra data"),
    ("array_json", '{"a": 1},{', "is not JSON: Expecting property name"),
    ("array_json", '{"a": {"b": 1, "b": 1}}', "the key 'b' is there twice"),
]


@text_tables
@pytest.mark.parametrize(("kind", "cell", "problem"), BAD_CELLS)
def test_a_bad_cell(tmp_path: Path, suffix: str, kind: str, cell: str, problem: str) -> None:
    with pytest.raises(SourceError, match=rf"(line 2|row 1): column INPUT:{kind}: .*{problem}"):
        read_cells(tmp_path, suffix, [{f"INPUT:{kind}": cell}])


# Values that have types already


def parquet_of(tmp_path: Path, column: str, cells: list[Any]) -> str:
    return write_parquet(tmp_path / "tasks.parquet", [{column: cell} for cell in cells])


@json_formats
@pytest.mark.parametrize(
    ("kind", "given", "value"), [("integer", 3.0, 3), ("integer", 1e3, 1000), ("array_integer", [1, 2.0], [1, 2])]
)
def test_whole_numbers_are_integers(tmp_path: Path, suffix: str, kind: str, given: Any, value: Any) -> None:
    solutions = [{"output_values": {"answer": "a", "count": 3.0}, "correctness_weight": 1.0}]
    task = {"input_values": {kind: given, "float": 2.0}, "infinite_overlap": True, "known_solutions": solutions}
    [read] = read_tasks(tmp_path, suffix, [task])
    # As text, since 3 == 3.0.
    solution = {"output_values": {"answer": "a", "count": 3}, "correctness_weight": 1.0}
    expected = {**task, "input_values": {kind: value, "float": 2.0}, "known_solutions": [solution]}
    assert json.dumps(read) == json.dumps(expected)


@pytest.mark.parametrize("nested", [False, True])
def test_whole_numbers_in_parquet(tmp_path: Path, nested: bool) -> None:
    """As pandas writes integers of which some are missing."""
    values: Table = [{"integer": 3.0, "array_integer": [1.0, 2.0]}, {"integer": None, "array_integer": None}]
    table: Table = [{f"INPUT:{name}": cell for name, cell in row.items()} for row in values]
    if nested:
        solutions = [{"output_values": {"count": 4.0}}]
        table = [{"input_values": row, "overlap": 2.0, "known_solutions": solutions} for row in values]
    else:
        table = [{**row, "GOLDEN:count": 4.0, "TASK:overlap": 2.0} for row in table]
    tasks = read(write_parquet(tmp_path / "tasks.parquet", table))
    assert json.dumps(tasks[0]["input_values"]) == '{"integer": 3, "array_integer": [1, 2]}'
    assert tasks[1]["input_values"] == {}
    assert [type(task["overlap"]) for task in tasks] == [int, int]
    assert [type(task["known_solutions"][0]["output_values"]["count"]) for task in tasks] == [int, int]


@json_formats
def test_a_whole_overlap_is_an_integer(tmp_path: Path, suffix: str) -> None:
    """As pandas gives it to a list."""
    [task] = read_tasks(tmp_path, suffix, [{"input_values": {}, "overlap": 3.0}])
    assert json.dumps(task) == '{"input_values": {}, "overlap": 3}'
    with pytest.raises(SourceError, match=r"(line|item) 1: overlap: 3.5 is no integer"):
        read_tasks(tmp_path, suffix, [{"input_values": {}, "overlap": 3.5}])


@json_formats
@pytest.mark.parametrize(("value", "problem"), [(3.5, "3.5 is no integer"), (1e17, r"1e\+17 is too large to be exact")])
def test_other_numbers_are_none(tmp_path: Path, suffix: str, value: float, problem: str) -> None:
    for path in ("input_values.integer", "input_values.array_integer", "known_solutions.0.output_values.count"):
        values = {"integer": value} if path.endswith(".integer") else {"array_integer": [1, value]}
        task: dict[str, Any] = {"input_values": values}
        if path.startswith("known"):
            task = {"input_values": {}, "known_solutions": [{"output_values": {"count": value}}]}
        with pytest.raises(SourceError, match=rf"(line|item) 1: {path}: {problem}"):
            read_tasks(tmp_path, suffix, [task])


def test_nan_is_no_integer(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"item 1: input_values.integer: nan is no integer"):
        read([{"input_values": {"integer": float("nan")}}])
    with pytest.raises(SourceError, match=r"row 1: column INPUT:integer: nan is no integer"):
        read(parquet_of(tmp_path, "INPUT:integer", [float("nan")]))
    for suffix in ("jsonl", "json"):
        with pytest.raises(SourceError, match=r"(line|item) 1: it is not JSON: NaN is no number"):
            read_tasks(tmp_path, suffix, [{"input_values": {"integer": float("nan")}}])


@pytest.mark.parametrize(
    ("kind", "cell", "problem"),
    [
        ("integer", 3.5, "3.5 is no integer"),
        ("integer", True, "True is no integer"),
        ("string", 7, "7 is no text"),
        ("boolean", 1, "1 is neither true nor false"),
        ("float", False, "False is no number"),
        ("coordinates", 1.5, "1.5 are no coordinates"),
        ("string", b"a", "b'a' is no text"),
        ("array_integer", 1, "1 is no list"),
        ("array_string", ["a", None], "None is no text"),
    ],
)
def test_a_bad_cell_of_parquet(tmp_path: Path, kind: str, cell: Any, problem: str) -> None:
    with pytest.raises(SourceError, match=rf"row 1: column INPUT:{kind}: {problem}"):
        read(parquet_of(tmp_path, f"INPUT:{kind}", [cell]))
    with pytest.raises(SourceError, match=rf"row 1: column input_values.{kind}: {problem}"):
        read(parquet_of(tmp_path, "input_values", [{kind: cell}]))


def test_a_list_with_too_many_layers() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SourceError, match="item 2: it cannot be written as JSON: maximum recursion"):
        read([{"input_values": {}}, {"input_values": {"json": endless}}])


def test_numbers_of_numpy() -> None:
    values = {
        "integer": numpy.int64(3),
        "float": numpy.float64(1.5),
        "boolean": numpy.bool_(True),
        "array_integer": numpy.array([1.0, 2.0]),
        "array_float": [numpy.float32(0.5)],
    }
    [task] = read([{"input_values": values, "overlap": numpy.int32(2)}])
    expected = {"integer": 3, "float": 1.5, "boolean": True, "array_integer": [1, 2], "array_float": [0.5]}
    assert json.dumps(task) == json.dumps({"input_values": expected, "overlap": 2})
    assert isinstance(values["integer"], numpy.int64)
    with pytest.raises(SourceError, match=r"input_values.integer: 3.5 is no integer"):
        read([{"input_values": {"integer": numpy.float64(3.5)}}])


@json_formats
def test_what_else_is_wrong_the_api_says(tmp_path: Path, suffix: str) -> None:
    tasks = [{"input_values": {"integer": "3", "array_string": 1, "unknown": 1.5}, "overlap": "many"}]
    assert read_tasks(tmp_path, suffix, tasks) == tasks


def test_text_is_sent_as_it_was_read(tmp_path: Path) -> None:
    same = b'{ "input_values": {"float": 1.10, "string": "\\ud83d \\u00e9"} }'
    changed = b'{"input_values": {"integer": 3.0}}'
    (tmp_path / "tasks.jsonl").write_bytes(same + b"\n" + changed)
    (tmp_path / "tasks.json").write_bytes(b"[" + same + b",\n" + changed + b"]")
    for suffix in ("jsonl", "json"):
        assert [row.text for row in rows(tmp_path / f"tasks.{suffix}")] == [same, None]


# Rows


@text_tables
def test_empty_rows_are_skipped(tmp_path: Path, suffix: str) -> None:
    table: Table = [
        {"INPUT:string": "a", "INPUT:integer": "1", "TASK:overlap": "2"},
        {"INPUT:string": None},
        {"INPUT:string": "b", "INPUT:integer": None},
        {"INPUT:string": None},
    ]
    path = TEXT_TABLES[suffix](tmp_path / f"tasks.{suffix}", table)
    first = 1 if suffix == "parquet" else 2
    assert [(row.number, row.fields) for row in rows(path)] == [
        (first, {"input_values": {"string": "a", "integer": 1}, "overlap": 2}),
        (first + 2, {"input_values": {"string": "b"}}),
    ]


def test_rows_of_delimiters_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text('INPUT:string,INPUT:integer\n,\na,1\n,,,,\n""," "\n\n,\n')
    assert [(row.number, row.fields["input_values"]) for row in rows(path)] == [(3, {"string": "a", "integer": 1})]


@text_tables
def test_rows_of_white_space_are_skipped(tmp_path: Path, suffix: str) -> None:
    table: Table = [{"INPUT:string": " ", "INPUT:url": "\t "}, {"INPUT:string": "a", "INPUT:url": " "}]
    assert read_cells(tmp_path, suffix, table) == [{"input_values": {"string": "a", "url": " "}}]


def test_null_rows_of_structs_are_skipped(tmp_path: Path) -> None:
    values: list[Any] = [{"string": "a", "json": {"b": 1}}, {"string": None, "json": {"b": None}}, None]
    path = write_parquet(tmp_path / "tasks.parquet", [{"input_values": value, "overlap": None} for value in values])
    assert read(path) == [{"input_values": {"string": "a", "json": {"b": 1}}}]


@text_tables
def test_the_file_that_toloka_hands_out(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    row = {
        "INPUT:string": "a",
        "GOLDEN:answer": "b",
        "HINT:text": "c",
        "HINT:default_language": "EN",
        "TASK:id": "0000000015--1",
        "TASK:overlap": "infinite",
        "TASK:remaining_overlap": "infinite",
    }
    source = task_source(
        TEXT_TABLES[suffix](tmp_path / f"tasks.{suffix}", [row, {"INPUT:string": "d", "TASK:id": "2"}])
    )
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert [row.fields for row in source.rows(lambda: (INPUT, OUTPUT))] == [
                {
                    "input_values": {"string": "a"},
                    "known_solutions": [{"output_values": {"answer": "b"}, "correctness_weight": 1}],
                    "message_on_unknown_solution": "c",
                    "infinite_overlap": True,
                },
                {"input_values": {"string": "d"}},
            ]
    left_out = "HINT:default_language, TASK:id, TASK:remaining_overlap"
    assert [record.message for record in caplog.records] == [
        f"{source.name}: the columns {left_out} are left out, as new tasks have none"
    ]


@text_tables
def test_people_as_columns(tmp_path: Path, suffix: str) -> None:
    row = {"INPUT:string": "a", "reserved_for": "u1,u2", "unavailable_for": '["u3"]'}
    assert read_cells(tmp_path, suffix, [row]) == [
        {"input_values": {"string": "a"}, "reserved_for": ["u1", "u2"], "unavailable_for": ["u3"]}
    ]


@text_tables
def test_white_space_is_no_part_of_the_id_of_a_person(tmp_path: Path, suffix: str) -> None:
    row = {"INPUT:string": "a", "reserved_for": "u1, u2 ", "unavailable_for": '[" u3"]'}
    [task] = read_cells(tmp_path, suffix, [row])
    assert (task["reserved_for"], task["unavailable_for"]) == (["u1", "u2"], ["u3"])
    with pytest.raises(SourceError, match=r"column reserved_for: 'u1,' has an empty id"):
        read_cells(tmp_path, suffix, [{"INPUT:string": "a", "reserved_for": "u1,"}])


@text_tables
@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("", "unknown columns: ''; known are"),
        ("INPUT:string\u200b", r"unknown columns: 'INPUT:string\\u200b' \(did you mean INPUT:string\?\); known are"),
        (" INPUT:string", r"unknown columns: ' INPUT:string' \(did you mean INPUT:string\?\)"),
        ("INPUT:strnig", r"unknown columns: INPUT:strnig \(did you mean INPUT:string\?\)"),
        ("input:string", r"unknown columns: input:string \(did you mean INPUT:string\?\)"),
        ("url", r"unknown columns: url \(did you mean INPUT:url\?\)"),
        ("answer", r"unknown columns: answer \(did you mean GOLDEN:answer\?\)"),
        ("TASK:reserved_for", r"\(did you mean reserved_for\?\)"),
        ("quite another", "unknown columns: quite another; known are INPUT:string"),
    ],
)
def test_an_unknown_column(tmp_path: Path, suffix: str, column: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        read_cells(tmp_path, suffix, [{column: "a", "INPUT:json": "1"}])


@text_tables
def test_bad_cells_are_told_at_once(tmp_path: Path, suffix: str) -> None:
    table: Table = [{"INPUT:integer": "1", "INPUT:boolean": "true"} for _ in range(5)]
    table[1] = {"INPUT:integer": "x", "INPUT:boolean": "y"}
    table[3] = {"INPUT:integer": "z", "INPUT:boolean": "true"}
    path = TEXT_TABLES[suffix](tmp_path / f"tasks.{suffix}", table)
    unit, second, fourth = ("row", 2, 4) if suffix == "parquet" else ("line", 3, 5)
    with pytest.raises(SourceError) as raised:
        read(path)
    assert str(raised.value) == (
        f"{path}, {unit} {second}: column INPUT:integer: 'x' is no integer; "
        f"column INPUT:boolean: 'y' is neither true nor false; "
        f"{unit} {fourth}: column INPUT:integer: 'z' is no integer"
    )


@json_formats
def test_bad_tasks_are_told_at_once(tmp_path: Path, suffix: str) -> None:
    tasks: list[Any] = [{"input_values": {}}, 7, {"input_values": {"integer": 1.5}}, {"input_values": {}}, {}]
    with pytest.raises(SourceError, match=r" 2: it is 7; .* 3: input_values.integer: 1.5 .* 5: input_values is None"):
        read_tasks(tmp_path, suffix, tasks)


def test_no_more_than_20_are_told(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text("INPUT:integer,INPUT:float\n" + "x,y\n" * 50)
    with pytest.raises(SourceError) as raised:
        read(path)
    assert str(raised.value).count(" is no ") == 20
    assert "line 11: column INPUT:float: 'y' is no number; these are the first 20" in str(raised.value)


def test_what_comes_before_a_bad_cell_is_read(tmp_path: Path) -> None:
    """Since it is sent while the file is read."""
    path = tmp_path / "tasks.csv"
    path.write_text("INPUT:integer\n1\n2\nx\n3\n")
    source = task_source(path).rows(lambda: (INPUT, OUTPUT))
    assert [next(source).number, next(source).number] == [2, 3]
    with pytest.raises(SourceError, match="line 4"):
        next(source)


def test_a_file_that_breaks_off_behind_a_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text('INPUT:integer\nx\n"1')
    with pytest.raises(SourceError, match=r"line 2: column INPUT:integer: 'x' .*, line 3: it is not CSV"):
        read(path)


CONTROL = {"input_values": {}, "known_solutions": [{"output_values": {"answer": "a"}}]}


@json_formats
def test_control_tasks_with_a_finite_overlap(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    endless = [{**CONTROL, "infinite_overlap": True}, {**CONTROL, "message_on_unknown_solution": "A lesson"}]
    real = [{"input_values": {}, "overlap": 3}, {"input_values": {}, "known_solutions": []}]
    source = task_source(
        JSON_FORMATS[suffix](tmp_path / f"tasks.{suffix}", [CONTROL, {**CONTROL, "overlap": 3}, *endless, *real])
    )
    for _ in range(2):
        assert len(list(source.rows(lambda: (INPUT, OUTPUT)))) == 6
    [record] = [record for record in caplog.records if WARNING in record.message]
    assert record.levelno == logging.WARNING
    assert record.message.startswith(f"{source.name} has 2 control tasks {WARNING}")
    caplog.clear()
    read_tasks(tmp_path, suffix, [*endless, *real])
    assert WARNING not in caplog.text


def test_control_tasks_of_a_training_are_endless_by_default(caplog: pytest.LogCaptureFixture) -> None:
    def log(tasks: list[Any]) -> str:
        caplog.clear()
        list(task_source(tasks).rows(lambda: (INPUT, OUTPUT), lambda: True))
        return caplog.text

    assert WARNING not in log([CONTROL])
    assert f"has 1 control task {WARNING}" in log([CONTROL, {**CONTROL, "overlap": 3}])


# JSON


@pytest.mark.parametrize(
    "line",
    [
        '{"input_values": {"string": "a", "string": "a"}}',
        '{"input_values": {}, "input_values" : {}}',
        '{"input_values": {"json": [{"a": {"b": 1, "b": 2}}]}}',
        '{"input_values": {"string": "\\":", "url": 1, "url": 2}}',
        '{"input_values": {"string": "a"}, "input_values"\t: {}}',
        '{"input_values": {"string": "a"}, "input_values"\r : {}}',
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_key_that_is_there_twice(tmp_path: Path, suffix: str, line: str) -> None:
    good = '{"input_values": {"string": "\\": a :", "json": {"string" : [{"string": 1}]}}}'
    text = f"{good}\n{line}\n" if suffix == "jsonl" else f"[{good},{line}]"
    (tmp_path / f"tasks.{suffix}").write_text(text)
    with pytest.raises(SourceError, match=r"(line|item) 2: the key '\w+' is there twice in one object"):
        read(tmp_path / f"tasks.{suffix}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r": it is not JSON: Expecting \[ \(line 1, column 1\); it must be an array of tasks"),
        ('{"input_values": {}}', r": it is not JSON: Expecting \[ .* A file with an object a line is called .jsonl"),
        ("\n [", r", item 1: it is not JSON: Expecting value \(line 2, column 3\)"),
        ('[{"input_values": {}}', r", item 1: it is not JSON: Expecting , or \] \(line 1, column 22\)"),
        ('[{"input_values": {}},\n]', r", item 2: it is not JSON: Expecting value \(line 2, column 1\)"),
        ('[{"input_values": {}}] {}', r", item 1: it is not JSON: Expecting the end of the file \(line 1, column 24\)"),
        ('[\n{"input_values": {}},\n{"input_values": {"a": 1e999}}]', r", item 2: .*1e999 is no number .*\(line 3,"),
        ("[" * 100_000, r", item 1: it is not JSON: maximum recursion"),
        ("[[]]", r", item 1: it is \[\]; a task is an object"),
        ('[{"input_values": {"string": "' + "x" * 5_000_000 + '"}}', ", item 1: it is longer than 4194304 characters"),
    ],
)
def test_a_broken_array(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=f"^{path}{problem}"):
        read(path)


def test_an_array_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(b'\xef\xbb\xbf[{"input_values": {"string": "\xff"}}]')
    with pytest.raises(SourceError, match="it is not UTF-8: byte 34 of the file is 0xff"):
        read(path)


@pytest.mark.parametrize("text", ["[]", "\ufeff [ ] \n"])
def test_an_array_without_tasks(tmp_path: Path, text: str) -> None:
    (tmp_path / "tasks.json").write_text(text)
    assert read(tmp_path / "tasks.json") == []


def test_an_array_is_not_read_at_once(tmp_path: Path) -> None:
    """In a process of its own, to measure its memory."""
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"input_values": {"string": "x" * 1000}} for _ in range(60_000)], indent=1))
    code = (
        "import resource, sys; from toloka_airflow.transfer.upload.task_files import *\n"
        "source = task_source(sys.argv[1]); source._source._path.fs\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(1 for row in source.rows(dict)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    count, grown = map(int, run.stdout.splitlines()[-2:])
    assert count == 60_000
    assert grown < 20_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    st.lists(JSON.filter(lambda item: type(item) not in (int, float))),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.integers(1, 40),
)
def test_an_array_in_blocks_of_any_size(items: list[Any], indent: int | None, ascii_only: bool, size: int) -> None:
    text = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode()
    blocks = (text[start : start + size] for start in range(0, len(text), size))
    array = JsonArray(lambda: next(blocks, b""), 1000)
    found = []
    while item := array.next_item():
        found.append(item[0])
        assert json.loads(item[1]) == item[0]
    assert found == items


@settings(deadline=None)
@given(st.lists(st.sampled_from(["\n", "1,", "{}", '"a\n"', "x", ",", "[1]"])), st.integers(1, 20))
def test_where_an_array_breaks_does_not_depend_on_the_blocks(parts: list[str], size: int) -> None:
    text = ("[\n" + "".join(parts)).encode()

    def problem(size: int) -> tuple[int, str]:
        blocks = (text[start : start + size] for start in range(0, len(text), size))
        array = JsonArray(lambda: next(blocks, b""), 1000)
        with pytest.raises(JsonArrayError) as raised:
            all(iter(array.next_item, None))
        return array.number, str(raised.value)

    assert problem(size) == problem(1000)


TOKENS = '{ } [ ] , : "a" "b" "a": "a" : "\\":" "\\u0022:" 1 1.0 1e400 NaN -Infinity 2e-1 01 "\\ud83d" "é" "\\x" null'


def reference(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise DuplicateKeyError
        return dict(pairs)

    def refuse(text: str) -> Any:
        raise ValueError(text)

    def number(text: str) -> float:
        return float(text) if abs(float(text)) != float("inf") else refuse(text)

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=number)


def outcome(function: Callable[[Any], Any], text: Any) -> Any:
    try:
        return function(text)
    except ValueError as exc:
        return type(exc)


@settings(deadline=None, max_examples=500)
@given(
    st.lists(st.sampled_from([*TOKENS.split(), '"a" :', '"a"\t:', " "]), max_size=25).map("".join).map(str.strip)
    | JSON.map(json.dumps)
)
def test_both_decoders_agree(text: str) -> None:
    assert outcome(StrictDecoder().loads, text.encode()) == outcome(reference, text)


# Tables in all formats

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
PERSON = TEXT.filter(lambda text: text == text.strip())
NUMBER = st.floats(-90, 90).map(lambda number: f"{number:.4f}")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "url": TEXT.map("https://example.com/{}".format),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "coordinates": st.tuples(NUMBER, NUMBER).map(",".join),
    "json": st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3),
    "file": TEXT,
}
VALUES |= {f"array_{name}": st.lists(values, max_size=3) for name, values in VALUES.items()}
OTHER_VALUES = {name: values for name, values in VALUES.items() if name != "url"}
TASKS = st.fixed_dictionaries(
    # Always there: a row without any value is no task in a table.
    {"input_values": st.fixed_dictionaries({"url": VALUES["url"]}, optional=OTHER_VALUES)},
    optional={
        "overlap": st.integers(1, 30_000) | st.just("infinite"),
        "known_solutions": st.fixed_dictionaries({"answer": TEXT}, optional={"count": VALUES["integer"]}),
        "message_on_unknown_solution": TEXT,
        "reserved_for": st.lists(PERSON, min_size=1, max_size=2),
        "unavailable_for": st.lists(PERSON, min_size=1, max_size=2),
    },
)


def as_task(made: dict[str, Any]) -> dict[str, Any]:
    task = dict(made)
    if task.get("overlap") == "infinite" or ("known_solutions" in task and "overlap" not in task):
        task.pop("overlap", None)
        task["infinite_overlap"] = True
    if "known_solutions" in task:
        task["known_solutions"] = [{"output_values": task["known_solutions"], "correctness_weight": 1}]
    return task


def as_row(made: dict[str, Any]) -> dict[str, Any]:
    row = {f"INPUT:{name}": value for name, value in made["input_values"].items()}
    row |= {f"GOLDEN:{name}": value for name, value in made.get("known_solutions", {}).items()}
    names = {"overlap": "TASK:overlap", "message_on_unknown_solution": "HINT:text"}
    others = ("overlap", "message_on_unknown_solution", "reserved_for", "unavailable_for")
    return row | {names.get(name, name): made[name] for name in others if name in made}


def as_text(column: str, value: Any) -> str:
    """Return a cell as people write it."""
    if isinstance(value, str):
        return value
    if column == "INPUT:array_json" and value:
        return ",".join(map(json.dumps, value))
    if isinstance(value, list) and value and isinstance(value[0], str):
        return ",".join('"' + item.replace('"', '""') + '"' for item in value)
    return json.dumps(value)


def typed_parquet(path: Path, table: Table) -> str:
    """Write columns with the types of their fields, as far as Parquet has them."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {"boolean": pa.bool_(), "integer": pa.int64(), "float": pa.float64()}
    kinds = {name: str(field["type"]) for name, field in {**INPUT, **OUTPUT}.items()}
    kinds |= {"text": "string", "overlap": "string", "reserved_for": "array_string", "unavailable_for": "array_string"}
    columns = {}
    for column in dict.fromkeys(name for row in table for name in row):
        kind = kinds[column.rpartition(":")[2]]
        write = json.dumps if kind.endswith("json") else str if column == "TASK:overlap" else lambda value: value
        single = types.get(kind.removeprefix("array_"), pa.string())
        is_array = kind.startswith("array_")
        cells = [row.get(column) for row in table]
        cells = [
            cell if cell is None else [write(item) for item in cell] if is_array else write(cell) for cell in cells
        ]
        columns[column] = pa.array(cells, pa.list_(single) if is_array else single)
    parquet.write_table(pa.table(columns), path)
    return str(path)


@settings(deadline=None, max_examples=60)
@given(st.lists(TASKS, min_size=1, max_size=4))
def test_the_same_tasks_from_every_format(made: list[dict[str, Any]]) -> None:
    expected = [as_task(task) for task in made]
    table = [as_row(task) for task in made]
    texts = [{name: as_text(name, value) for name, value in row.items()} for row in table]
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write_table in TEXT_TABLES.items():
            assert read(write_table(Path(folder) / f"texts.{suffix}", texts)) == expected, suffix
        assert read(typed_parquet(Path(folder) / "typed.parquet", table)) == expected
        for suffix, write in JSON_FORMATS.items():
            assert read(write(Path(folder) / f"tasks.{suffix}", expected)) == expected, suffix
