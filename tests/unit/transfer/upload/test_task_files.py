"""How files and lists become tasks, and what is said about those that cannot."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from toloka_airflow.transfer.upload.task_files import MAX_LINE, SourceError, task_source

INPUT = {
    "image": {"type": "url"},
    "count": {"type": "integer", "required": False},
    "share": {"type": "float", "required": False},
    "flag": {"type": "boolean", "required": False},
    "extra": {"type": "json", "required": False},
    "tags": {"type": "array_string", "required": False},
    "sizes": {"type": "ARRAY_INTEGER", "required": False},
}
OUTPUT = {"answer": {"type": "string"}, "sure": {"type": "boolean"}}
GOOD = b'{"input_values": {"image": "a"}}\n'


def read(path: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(row.number, row.fields) for row in task_source(path).rows(lambda: (INPUT, OUTPUT))]


def write(path: Path, content: bytes | str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_json_lines(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"input_values": {"image": "\xc3\xa9"}}\r\n\n  {"input_values": {}, "overlap": 3}'
    expected = [(1, {"input_values": {"image": "é"}}), (3, {"input_values": {}, "overlap": 3})]
    assert read(write(tmp_path / "a.jsonl", content)) == expected
    assert read(write(tmp_path / "a.ndjson.gz", gzip.compress(content))) == expected


def test_lines_across_blocks(tmp_path: Path) -> None:
    tasks = [{"input_values": {"image": "x" * (number % 5000)}} for number in range(2000)]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, tasks)))
    assert [task for _, task in read(path)] == tasks


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "list"])
def test_how_much_has_been_read(tmp_path: Path, name: str) -> None:
    tasks = [{"input_values": {"image": os.urandom(500).hex()}} for _ in range(2000)]
    content = "\n".join(map(json.dumps, tasks)).encode()
    if name == "a.csv":
        content = "\n".join(["INPUT:image", *(task["input_values"]["image"] for task in tasks)]).encode()
    path = write(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    source = task_source(tasks if name == "list" else path)
    shares = [source.share_read() for _ in source.rows(lambda: (INPUT, OUTPUT))]
    assert all(share is not None for share in shares)
    assert shares == sorted(shares, key=float)  # type: ignore[arg-type]
    assert 0 < shares[0] < 0.4 < shares[1000] < shares[-1] == 1  # type: ignore[operator]


def test_csv(tmp_path: Path) -> None:
    header = "INPUT:image,INPUT:count,INPUT:share,INPUT:flag,INPUT:extra,INPUT:tags,INPUT:sizes,GOLDEN:sure,HINT:text"
    rows = ['u,7,1.5,TRUE,"{""a"": [1]}","a,b\\,c","[1, 2]",false,"two\nlines"', "", "v,,,,,,,,"]
    full = {
        "image": "u",
        "count": 7,
        "share": 1.5,
        "flag": True,
        "extra": {"a": [1]},
        "tags": ["a", "b,c"],
        "sizes": [1, 2],
    }
    golden = [{"output_values": {"sure": False}, "correctness_weight": 1}]
    control = {"known_solutions": golden, "infinite_overlap": True}
    task = {"input_values": full, "message_on_unknown_solution": "two\nlines", **control}
    content = "\r\n".join([header, *rows])
    expected = [(2, task), (5, {"input_values": {"image": "v"}})]
    assert read(write(tmp_path / "a.csv", content)) == expected
    assert read(write(tmp_path / "a.csv.gz", gzip.compress(content.encode()))) == expected


def test_overlap_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "INPUT:image,GOLDEN:sure,TASK:overlap\na,,3\nb,true,4\nc,true,\n")
    control = {"known_solutions": [{"output_values": {"sure": True}, "correctness_weight": 1}]}
    assert read(path) == [
        (2, {"input_values": {"image": "a"}, "overlap": 3}),
        (3, {"input_values": {"image": "b"}, "overlap": 4, **control}),
        (4, {"input_values": {"image": "c"}, "infinite_overlap": True, **control}),
    ]


def test_tsv(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "INPUT:image\tINPUT:tags\na, b\tc,d\n")
    assert read(path) == [(2, {"input_values": {"image": "a, b", "tags": ["c", "d"]}})]


@pytest.mark.parametrize("nested", [False, True])
def test_parquet(tmp_path: Path, nested: bool) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    plain = {"INPUT:image": ["a", "b"], "INPUT:count": [1.0, None], "INPUT:flag": ["true", None]}
    values = [{"image": "a", "count": 1, "flag": True}, {"image": "b", "count": None, "flag": None}]
    table = pa.table({"input_values": values, "overlap": [None, 3]} if nested else plain)
    parquet.write_table(table, tmp_path / "a.parquet")
    first, second = {"image": "a", "count": 1, "flag": True}, {"image": "b"}
    expected = [(1, {"input_values": first}), (2, {"input_values": second, **({"overlap": 3} if nested else {})})]
    assert read(str(tmp_path / "a.parquet")) == expected


@pytest.mark.parametrize("kind", [Path, ObjectStoragePath])
def test_paths(tmp_path: Path, kind: Any) -> None:
    assert read(kind(write(tmp_path / "a.jsonl", GOOD))) == [(1, {"input_values": {"image": "a"}})]


@pytest.mark.parametrize("tasks", [[{"input_values": {"image": "a"}}], ({"input_values": {"image": "a"}},)])
def test_lists(tasks: Any) -> None:
    assert read(tasks) == [(1, {"input_values": {"image": "a"}})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"input_values": ', r"it is not JSON: Expecting value \(column 17\)"),
        (b'{"input_values": {"a": NaN}}', "it is not JSON: NaN is no number"),
        (b'{"input_values": {"a": "\xff"}}', "it is not UTF-8: byte 25 is 0xff. Save the file as UTF-8"),
        (b'{"input_values": {"a": -1e999}}', "it is not JSON: -1e999 is no number"),
        (b'\xc2\xa0{"input_values": {}}', "it is not JSON"),
        (b'{"input_values": {}}\xe3\x80\x80', r"it is not JSON: Extra data \(column 21\)"),
        (b'\x1f{"input_values": {}}', "it is not JSON"),
        (b'{"image": "a"}', "input_values is None; a task is an object like"),
        (b'{"input_values": "a"}', "input_values is 'a'"),
        (b"[1]", r"it is \[1\]; a task is an object"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"input_values": {"a": "' + b"x" * MAX_LINE + b'"}}', f"it is longer than {MAX_LINE} bytes"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, problem: str) -> None:
    path = write(tmp_path / "a.jsonl", GOOD * 16 + line + b"\n" + GOOD)
    with pytest.raises(SourceError, match=f"^{path}, line 17: {problem}"):
        read(path)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ("a,x", "line 4: column INPUT:count: 'x' is no integer"),
        ("a,1_0", "line 4: column INPUT:count: '1_0' is no integer"),
        ("a", "line 4: it has 1 cell, but the header has 2$"),
        ("a,1,x", "line 4: it has 3 cells, but the header has 2; a cell with a comma in it must be in double quotes"),
        ('"a', "line 4: it is not CSV: unexpected end of data"),
        ('"a"b,1', "line 4: it is not CSV"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, cells: str, problem: str) -> None:
    path = write(tmp_path / "a.csv", f'INPUT:image,INPUT:count\n"u\nv",1\n{cells}\n')
    with pytest.raises(SourceError, match=f"^{path}, {problem}"):
        read(path)


def test_rows_that_bare_quotes_would_join_are_refused(tmp_path: Path) -> None:
    """Three tasks would be one, with the text of the first up to the last."""
    path = write(tmp_path / "a.tsv", 'INPUT:image\tINPUT:extra\na\t"so\nb\t1\nc\tand so"\n')
    with pytest.raises(SourceError, match=f"^{path}, line 2: by its quotes it is one row up to line 4"):
        read(path)


@pytest.mark.parametrize("text", ['INPUT:image\tINPUT:extra\na\t"[1,\n2]"\n', 'INPUT:image\n"a\nb"\n'])
def test_a_quoted_cell_of_a_tsv_may_span_lines(tmp_path: Path, text: str) -> None:
    assert len(read(write(tmp_path / "a.tsv", text))) == 1


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("share", "inf", "'inf' is no number"),
        ("flag", "yes", "'yes' is neither true nor false"),
        ("extra", "{", "'{' is not JSON"),
        ("sizes", "1,b", "'b' is no integer"),
        ("sizes", "[1", "'\\[1' is not JSON"),
    ],
)
def test_a_cell_of_another_type_is_named(tmp_path: Path, column: str, cell: str, problem: str) -> None:
    path = write(tmp_path / "a.tsv", f"INPUT:image\tINPUT:{column}\na\t{cell}\n")
    with pytest.raises(SourceError, match=f"^{path}, line 2: column INPUT:{column}: {problem}"):
        read(path)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("INPUT:count", "missing columns: INPUT:image; the project requires them"),
        ("INPUT:image,label", "unknown columns: label; known are INPUT:image, INPUT:count"),
        ("INPUT:image,INPUT:image", "there twice: the column INPUT:image"),
        (
            "INPUT:image;INPUT:count",
            "the header 'INPUT:image;INPUT:count' has semicolons and no comma: the cells of .csv",
        ),
        ("INPUT:image\tINPUT:count", r"the header 'INPUT:image\\tINPUT:count' has tabs and no comma"),
        ("sep=;\nINPUT:image;INPUT:count", "the header 'sep=;' has semicolons"),
        ("", "is empty; its first line must be a header"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, problem: str) -> None:
    path = write(tmp_path / "a.csv", header)
    with pytest.raises(SourceError, match=f"^{path}:? {problem}"):
        read(path)


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ("/no/such.jsonl", "tasks is '/no/such.jsonl', and there is no such file"),
        ("/no/such.xlsx", "whose format is not known; name the file .jsonl"),
        ("nowhere://a.jsonl", "which cannot be opened: .*nowhere"),
        ("", "a template or an upstream task gave no path"),
        (None, "tasks is None; it must be a list"),
        (7, "tasks is 7; it must be a list"),
        ({"input_values": {}}, "it must be a list"),
        ([{"input_values": {}}, "b"], "tasks, item 2: it is 'b'; a task is an object"),
    ],
)
def test_no_source(tasks: Any, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        read(tasks)


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(GOOD * 10_000)[:-20], gzip.compress(GOOD) + b"x"],
    ids=["no gzip", "cut off", "more after it"],
)
def test_damaged_gzip(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a.jsonl.gz", content)
    with pytest.raises(SourceError, match=rf"^{path}, line \d+: the compressed file"):
        read(path)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(SourceError, match="which is a folder; name one file"):
        read(str(tmp_path / "a.parquet"))


def test_parquet_with_input_values_twice(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"input_values": [{"image": "a"}], "INPUT:image": ["b"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="there twice: input values, in the columns input_values and INPUT:image"):
        read(str(tmp_path / "a.parquet"))


def test_damaged_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", b"no Parquet")
    with pytest.raises(SourceError, match=f"^{path}, row 1: it cannot be read as Parquet"):
        read(path)


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"install airflow-toloka\[parquet\]"):
        read(write(tmp_path / "a.parquet", b""))


def test_a_line_of_100_megabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    """In a process of its own, to measure its memory."""
    paths = [tmp_path / name for name in ("a.jsonl", "a.jsonl.gz", "a.csv")]
    for path in paths:
        path.write_bytes(b"INPUT:image\n" if path.suffix == ".csv" else GOOD)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(GOOD + b"\0" * 100_000_000, 1))
        else:
            # A hole in the file, which reads as zeros and takes no time to write.
            os.truncate(path, 100_000_000)
    code = (
        "import resource, sys; from toloka_airflow.transfer.upload.task_files import *\n"
        "spec, before = {'image': {'type': 'url'}}, 0\n"
        "for path in sys.argv[1:]:\n"
        "    source = task_source(path); source._source._path.fs\n"
        "    before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    try: list(source.rows(lambda: (spec, {})))\n"
        "    except SourceError as exc: print(exc)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    *errors, grown = run.stdout.splitlines()
    assert errors[-3:] == [f"{path}, line 2: it is longer than {MAX_LINE} bytes" for path in paths]
    assert int(grown) < 40_000
