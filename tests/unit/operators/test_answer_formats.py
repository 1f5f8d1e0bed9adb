"""Downloads in other formats than JSON Lines: the same answers, as the readers that people use find them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from pyarrow import parquet

from tests.support import ScriptedServer, connect, pool, run_task
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.transfer.upload.task_files import task_source

SCALARS = ("string", "url", "coordinates", "integer", "float", "boolean", "json")
EVERY_TYPE = {
    **{f"a_{name}": {"type": name, "required": False} for name in SCALARS},
    **{f"some_{name}": {"type": f"array_{name}", "required": False} for name in SCALARS},
}
OUTPUTS = {**EVERY_TYPE, "a file": {"type": "file"}}
TEXTS = [
    "",
    "cat",
    "Ünï \N{GRINNING FACE}",
    'a "quote"',
    "comma, here",
    "tab\there",
    "two\nlines",
    "back\\slash",
    "[x]",
]


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-01T00:00:00") as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


def script(
    server: ScriptedServer, assignments: list[dict[str, Any]], inputs: Any = EVERY_TYPE, outputs: Any = OUTPUTS
) -> None:
    """Make the server answer a download of pool 21."""
    server.default("GET", "/pools/21", pool())
    spec = {"input_spec": inputs, "output_spec": outputs}
    server.default("GET", "/projects/10", {"id": "10", "status": "ACTIVE", "task_spec": spec})
    server.default("GET", "/assignments", {"items": assignments, "has_more": False})


def assignment(number: int, *answers: dict[str, Any], status: str = "ACCEPTED", **more: Any) -> dict[str, Any]:
    """Return an assignment as the API answers it; an answer is its output values and what else is in its task."""
    return {
        "id": f"a-{number:06}",
        "task_suite_id": f"s-{number}",
        "pool_id": "21",
        "user_id": "u-1",
        "status": status,
        "reward": 0.05,
        "created": "2026-01-01T11:59:00",
        "submitted": "2026-01-01T12:00:00.5",
        "tasks": [
            {"id": f"t-{number}-{place}", "input_values": {}, **answer.get("task", {})}
            for place, answer in enumerate(answers)
        ],
        "solutions": [{"output_values": answer["output_values"]} for answer in answers],
        **more,
    }


def get(path: Path, pool_id: str = "21", **arguments: Any) -> Any:
    return run_task(GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=str(path), **arguments)).result


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_tsv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t", strict=True))


class TestParquet:
    def test_four_readers_find_the_same_columns_and_values(self, toloka: EmulatorServer, tmp_path: Path) -> None:
        mixer = {"real_tasks_count": 3, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = toloka.add_pool(7, overlap=3, open=True, mixer_config=mixer)
        toloka.clock.advance(3600)
        get(tmp_path / "rows.jsonl", pool_id)
        result = get(tmp_path / "rows.parquet", pool_id)
        assert (result["answers"], result["path"]) == (21, str(tmp_path / "rows.parquet"))
        wanted = read_lines(tmp_path / "rows.jsonl")
        for found in tables(tmp_path / "rows.parquet").values():
            assert [restored(row) for row in found] == [dated(row) for row in wanted]

    def test_a_column_for_each_type(self, server: ScriptedServer, connection: str, tmp_path: Path) -> None:
        values = {
            "a_string": "x",
            "a_url": "https://example.com",
            "a_coordinates": "55.7,37.6",
            "a_integer": 2**62,
            "a_float": 3,
            "a_boolean": True,
            "a_json": {"b": [1, None]},
            "some_string": ["x", None],
            "some_integer": [],
            "some_float": [1, 2.5],
            "some_json": [{"a": 1}, 2],
        }
        known = [{"output_values": {"a_string": "x"}, "correctness_weight": 1}]
        answer = {"output_values": {**values, "a file": "f-1"}, "task": {"input_values": values}}
        control = {"output_values": {}, "task": {"known_solutions": known}}
        script(server, [assignment(1, answer, control, rejected="2026-01-02T00:00:00", public_comment="No")])
        get(tmp_path / "rows.parquet")
        table = parquet.read_table(tmp_path / "rows.parquet")
        texts = dict.fromkeys(("a_string", "a_url", "a_coordinates", "a_json"), pyarrow.string())
        types = {**texts, "a_integer": pyarrow.int64(), "a_float": pyarrow.float64(), "a_boolean": pyarrow.bool_()}
        for name, kind in types.items():
            assert table.schema.field("input_values").type.field(name).type == kind
            several = table.schema.field("output_values").type.field(name.replace("a_", "some_"))
            assert several.type.value_type == kind
        assert table.schema.field("submitted").type == pyarrow.timestamp("us", "UTC")
        first, second = table.to_pylist()
        texts = {"a_json": '{"b":[1,null]}', "some_json": ['{"a":1}', "2"]}
        nothing = dict.fromkeys(OUTPUTS)
        assert first["output_values"] == {**nothing, **values, **texts, "a file": "f-1"}
        assert second["known_solutions"] == [{"output_values": {**nothing, "a_string": "x"}, "correctness_weight": 1.0}]
        assert first["known_solutions"] is None
        assert second["input_values"] == dict.fromkeys(EVERY_TYPE)
        assert first["rejected"] == datetime(2026, 1, 2, tzinfo=UTC)
        assert first["public_comment"] == "No"
        assert first["other_values"] is None

    def test_rows_of_every_kind_are_those_of_json_lines(
        self, server: ScriptedServer, connection: str, tmp_path: Path
    ) -> None:
        """Also with what does not fit its column, wherever it is."""
        numbers = random.Random(1)
        assignments = [
            assignment(number, *(made_up(numbers) for _ in range(10)), submitted=made_up_time(numbers))
            for number in range(200)
        ]
        for name in ("rows.jsonl", "rows.parquet"):
            script(server, assignments)
            get(tmp_path / name)
        found = [restored(row) for row in parquet.read_table(tmp_path / "rows.parquet").to_pylist()]
        wanted = [dated(row) for row in read_lines(tmp_path / "rows.jsonl")]
        assert len(found) == 2000
        assert found == wanted

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("a_string", 3),
            ("a_string", "half \ud83d"),
            ("a_integer", 3.5),
            ("a_integer", "3"),
            ("a_integer", True),
            ("a_integer", 2**63),
            ("a_integer", 2**70),
            ("a_float", 2**53 + 1),
            ("a_float", 10**400),
            ("a_float", "1"),
            ("a_float", False),
            ("a_boolean", "true"),
            ("a_boolean", 1),
            ("some_string", "x"),
            ("some_integer", [1, "2"]),
            ("some_float", [2**53 + 1]),
            ("of an older project", {"b": 1}),
        ],
    )
    def test_what_does_not_fit_is_in_another_column(
        self,
        server: ScriptedServer,
        connection: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        name: str,
        value: Any,
    ) -> None:
        fine = {"output_values": {"a_boolean": True}}
        script(server, [assignment(1, fine, {"output_values": {name: value, "a_url": "u"}}), assignment(2, fine)])
        get(tmp_path / "rows.parquet")
        first, odd, last = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
        assert (first["other_values"], last["other_values"]) == (None, None)
        assert json.loads(odd["other_values"]) == {"output_values": {name: value}}
        assert odd["output_values"] == {**dict.fromkeys(OUTPUTS), "a_url": "u"}
        output = capsys.readouterr().out
        assert "1 of 3 answers have values that the columns of the file cannot hold" in output
        assert "The first is of assignment a-000001" in output

    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-01-01T12:00:00.000001", datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)),
            ("2026-01-01T12:00", datetime(2026, 1, 1, 12, tzinfo=UTC)),
            ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
            ("2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
            ("2026-01-01T12:00:00.5+01:00", datetime(2026, 1, 1, 11, 0, 0, 500_000, tzinfo=UTC)),
            ("2026-01-01T12:00:00.1234567", None),
            ("2026-22-01T12:00:00", None),
            (1767268800, None),
        ],
    )
    def test_a_date(
        self, server: ScriptedServer, connection: str, tmp_path: Path, text: Any, moment: datetime | None
    ) -> None:
        script(server, [assignment(1, {"output_values": {}}, submitted=text)])
        get(tmp_path / "rows.parquet")
        [row] = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
        assert row["submitted"] == moment
        assert row["other_values"] == (None if moment else json.dumps({"submitted": text}, separators=(",", ":")))

    def test_a_training(self, server: ScriptedServer, connection: str, tmp_path: Path) -> None:
        script(server, [assignment(1, {"output_values": {"a_string": "x"}})])
        server.error("GET", "/pools/21", 404, "DOES_NOT_EXIST", times=2)
        server.default("GET", "/trainings/21", {"id": "21", "project_id": "10", "status": "CLOSED"})
        get(tmp_path / "rows.parquet")
        assert parquet.read_table(tmp_path / "rows.parquet")["output_values"][0]["a_string"].as_py() == "x"

    def test_no_answers_make_a_file_with_all_columns(
        self, server: ScriptedServer, connection: str, tmp_path: Path
    ) -> None:
        script(server, [])
        get(tmp_path / "rows.parquet")
        assert set(map(len, tables(tmp_path / "rows.parquet").values())) == {0}

    @pytest.mark.parametrize("inputs", [{}, {"text": {"type": "string"}}])
    def test_a_project_without_fields(
        self, server: ScriptedServer, connection: str, tmp_path: Path, inputs: dict[str, Any]
    ) -> None:
        """Parquet has no structs without fields, so there is no such column."""
        known = [{"output_values": {}, "correctness_weight": 1}]
        script(server, [assignment(1, {"output_values": {}, "task": {"known_solutions": known}})], inputs, {})
        get(tmp_path / "rows.parquet")
        for found in tables(tmp_path / "rows.parquet").values():
            assert ("input_values" in found[0]) == bool(inputs)
            assert "output_values" not in found[0]
            assert [dict(solution) for solution in found[0]["known_solutions"]] == [{"correctness_weight": 1.0}]

    def test_large_files_have_several_row_groups(self, toloka: EmulatorServer, tmp_path: Path) -> None:
        tasks = [{"text": f"{number}{'x' * 60_000}"} for number in range(15)]
        mixer = {"real_tasks_count": 3, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = toloka.add_pool(tasks, overlap=20, open=True, mixer_config=mixer)
        toloka.clock.advance(3600)
        get(tmp_path / "rows.jsonl", pool_id, page_size=20)
        get(tmp_path / "rows.parquet", pool_id, page_size=20)
        assert parquet.ParquetFile(tmp_path / "rows.parquet").num_row_groups > 1
        found = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
        assert [restored(row) for row in found] == [dated(row) for row in read_lines(tmp_path / "rows.jsonl")]

    def test_a_download_that_was_cut_off_is_resumed(
        self, toloka: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tasks = [{"text": f"{number}{'x' * 60_000}"} for number in range(15)]
        mixer = {"real_tasks_count": 3, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = toloka.add_pool(tasks, overlap=15, open=True, mixer_config=mixer)
        toloka.clock.advance(3600)
        toloka.faults.add("GET", "/api/v1/assignments", status=403, skip=13)
        with pytest.raises(AirflowFailException, match="403"):
            get(tmp_path / "rows.parquet", pool_id, page_size=5)
        assert not (tmp_path / "rows.parquet").exists()
        assert get(tmp_path / "rows.parquet", pool_id, page_size=5)["answers"] == 225
        assert "This attempt resumes after assignment" in capsys.readouterr().out
        rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
        assert len({(row["assignment_id"], row["task_id"]) for row in rows}) == 225
        assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]

    @pytest.mark.parametrize("kind", ["photo", "array_photo", "array_array_string"])
    def test_a_type_without_a_column_is_refused_before_the_download(
        self, server: ScriptedServer, connection: str, tmp_path: Path, kind: str
    ) -> None:
        script(server, [], outputs={"a": {"type": kind}})
        with pytest.raises(AirflowFailException, match=f"output field 'a' of the project is of the type '{kind}'"):
            get(tmp_path / "rows.parquet")
        assert not [call for call in server.calls() if "assignments" in call]

    def test_without_pyarrow_nothing_is_fetched(
        self, server: ScriptedServer, connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(AirflowFailException, match=r"rows.parquet.*install airflow-toloka\[parquet\]"):
            get(tmp_path / "rows.parquet")
        assert server.calls() == []

    def test_readers_of_json_lines_may_lose_a_field_that_is_late(
        self, server: ScriptedServer, connection: str, tmp_path: Path
    ) -> None:
        """As the documentation says; those of Parquet do not."""
        plain = [{"output_values": {"a_string": "x"}}] * 30_000
        late = {"output_values": {"a_string": "x", "a_url": "late"}}
        for name in ("rows.jsonl", "rows.parquet"):
            script(server, [assignment(1, *plain), assignment(2, late)])
            get(tmp_path / name)
        assert "a_url" not in polars.read_ndjson(tmp_path / "rows.jsonl")["output_values"].struct.fields
        assert "a_url" not in str(duckdb.sql(f"from '{tmp_path}/rows.jsonl'").types)
        assert polars.read_parquet(tmp_path / "rows.parquet")["output_values"][-1]["a_url"] == "late"
        found = duckdb.sql(
            f"from '{tmp_path}/rows.parquet' select output_values.a_url where assignment_id = 'a-000002'"
        )
        assert found.fetchall() == [("late",)]


class TestTsv:
    def test_it_is_that_of_tolokas_pages(self, server: ScriptedServer, connection: str, tmp_path: Path) -> None:
        known = [{"output_values": {"result": "cat"}, "correctness_weight": 1}]
        task = {"input_values": {"image": "https://example.com/1.jpg", "n": 1}}
        control = {**task, "known_solutions": known, "message_on_unknown_solution": "It purrs"}
        right, wrong = {"output_values": {"result": "cat"}}, {"output_values": {"result": "dog", "sure": False}}
        script(
            server,
            [
                assignment(1, {**right, "task": task}, {**wrong, "task": control}, accepted="2026-01-01T12:00:00.5"),
                assignment(2, {**wrong, "task": task}, {**wrong, "task": task}, status="REJECTED", public_comment="No"),
                assignment(3, {**right, "task": task}, status="SUBMITTED", public_comment="Not decided"),
            ],
            {"image": {"type": "URL"}, "n": {"type": "integer", "required": False}},
            {"result": {"type": "string"}, "sure": {"type": "boolean", "required": False}},
        )
        get(tmp_path / "rows.tsv", status="SUBMITTED,ACCEPTED,REJECTED")
        header, *rows = csv.reader(io.StringIO((tmp_path / "rows.tsv").read_text()), delimiter="\t")
        assert header == [
            *("INPUT:image", "INPUT:n", "OUTPUT:result", "OUTPUT:sure", "GOLDEN:result", "GOLDEN:sure", "HINT:text"),
            *("ASSIGNMENT:link", "ASSIGNMENT:assignment_id", "ASSIGNMENT:worker_id", "ASSIGNMENT:status"),
            *("ASSIGNMENT:started", "ASSIGNMENT:task_suite_id", "ASSIGNMENT:submitted", "ASSIGNMENT:accepted"),
            *("ASSIGNMENT:rejected", "ASSIGNMENT:reward", "ASSIGNMENT:task_id", "ACCEPT:verdict", "ACCEPT:comment"),
        ]
        image, sent = "https://example.com/1.jpg", "2026-01-01T12:00:00.5"

        def of(number: int, place: int, status: str, accepted: str = "") -> list[str]:
            link = f"{server.url}/task/21/a-00000{number}"
            begun = [f"a-00000{number}", "u-1", status, "2026-01-01T11:59:00", f"s-{number}"]
            return [link, *begun, sent, accepted, "", "0.05", f"t-{number}-{place}"]

        assert rows == [
            [image, "1", "cat", "", "", "", "", *of(1, 0, "APPROVED", sent), "+", ""],
            [image, "1", "dog", "false", "cat", "", "It purrs", *of(1, 1, "APPROVED", sent), "", ""],
            [image, "1", "dog", "false", "", "", "", *of(2, 0, "REJECTED"), "-", "No"],
            [image, "1", "dog", "false", "", "", "", *of(2, 1, "REJECTED"), "", ""],
            [image, "1", "cat", "", "", "", "", *of(3, 0, "SUBMITTED"), "", ""],
        ]

    @pytest.mark.parametrize(
        ("kind", "value", "cell"),
        [
            ("string", 'a "quote", a\ttab\nand \\', 'a "quote", a\ttab\nand \\'),
            ("string", "", ""),
            ("string", 3, "3"),
            ("integer", 12, "12"),
            ("float", 2.50, "2.5"),
            ("boolean", True, "true"),
            ("coordinates", "55.7,37.6", "55.7,37.6"),
            ("json", {"a": [1, "b"]}, '{"a":[1,"b"]}'),
            ("json", "text", '"text"'),
            ("json", {"a": "\ud83d"}, '{"a":"\\ud83d"}'),
            ("array_string", ["Oak", "Pine"], "Oak,Pine"),
            ("array_string", ["Oak", "Pine, old"], "Oak,Pine\\, old"),
            ("array_string", [], "[]"),
            ("array_string", [""], '[""]'),
            ("array_string", ["[x", "y"], '["[x","y"]'),
            ("array_string", ['say "no"', "y"], '["say \\"no\\"","y"]'),
            ("array_string", ["a\\", "b"], '["a\\\\","b"]'),
            ("array_string", [" a", "b"], '[" a","b"]'),
            ("array_string", ["a", None], '["a",null]'),
            ("array_integer", [1, 2], "1,2"),
            ("array_boolean", [True, False], "true,false"),
            ("array_coordinates", ["55.7,37.6", "1,2"], '"55.7,37.6","1,2"'),
            ("array_json", [{"a": 1, "b": 'say "no"'}, {}], '{"a":1,"b":"say \\"no\\""},{}'),
            ("array_json", [[1, 2], 3], "[[1,2],3]"),
        ],
    )
    def test_a_cell(
        self, server: ScriptedServer, connection: str, tmp_path: Path, kind: str, value: Any, cell: str
    ) -> None:
        script(server, [assignment(1, {"output_values": {"a": value}})], {}, {"a": {"type": kind}})
        get(tmp_path / "rows.tsv")
        [row] = read_tsv((tmp_path / "rows.tsv").read_bytes())
        assert row["OUTPUT:a"] == cell

    def test_a_task_is_uploaded_again_as_it_was(self, server: ScriptedServer, connection: str, tmp_path: Path) -> None:
        inputs = {f"some_{kind}": {"type": f"array_{kind}"} for kind in ("string", "integer", "float", "boolean")}
        inputs |= {"a_string": {"type": "string"}, "a_json": {"type": "json"}, "a_float": {"type": "float"}}
        numbers = random.Random(1)
        texts = [text for text in TEXTS if text]
        tasks = [
            {
                "some_string": [numbers.choice(TEXTS) for _ in range(numbers.randrange(4))],
                "some_integer": [numbers.randrange(-9, 9) for _ in range(numbers.randrange(4))],
                "some_float": [numbers.random() for _ in range(numbers.randrange(4))],
                "some_boolean": [numbers.random() < 0.5 for _ in range(numbers.randrange(4))],
                "a_string": numbers.choice(texts),
                "a_json": {"a": [numbers.choice(TEXTS), None]},
                "a_float": numbers.random(),
            }
            for _ in range(200)
        ]
        answers = [{"output_values": {}, "task": {"input_values": values}} for values in tasks]
        script(server, [assignment(1, *answers)], inputs, {})
        get(tmp_path / "rows.tsv")
        rows = read_tsv((tmp_path / "rows.tsv").read_bytes())
        with (tmp_path / "tasks.tsv").open("w", newline="") as file:
            names = [f"INPUT:{name}" for name in inputs]
            writer = csv.DictWriter(file, names, extrasaction="ignore", delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
        found = [row.fields["input_values"] for row in task_source(tmp_path / "tasks.tsv").rows(lambda: (inputs, {}))]
        assert found == tasks

    def test_compressed(self, server: ScriptedServer, connection: str, tmp_path: Path) -> None:
        answers = [assignment(number, {"output_values": {"a_string": "Ü"}}) for number in range(3)]
        for name in ("rows.tsv", "rows.TSV.gz"):
            script(server, answers)
            get(tmp_path / name)
        assert gzip.decompress((tmp_path / "rows.TSV.gz").read_bytes()) == (tmp_path / "rows.tsv").read_bytes()
        table = pandas.read_csv(tmp_path / "rows.tsv", sep="\t")
        assert list(table["OUTPUT:a_string"]) == ["Ü"] * 3

    def test_what_a_table_cannot_hold_is_in_the_log(
        self, server: ScriptedServer, connection: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        known = [{"output_values": {"a_string": text}} for text in ("right", "also right")]
        answer = {"output_values": {"a_string": "half \ud83d!"}, "task": {"known_solutions": known}}
        script(server, [assignment(1, answer)])
        get(tmp_path / "rows.tsv")
        [row] = read_tsv((tmp_path / "rows.tsv").read_bytes())
        assert (row["OUTPUT:a_string"], row["GOLDEN:a_string"]) == ("half \ufffd!", "right")
        output = capsys.readouterr().out
        assert "1 answer is to control tasks with several right answers" in output
        assert "No table can hold 1 half of a character" in output

    def test_a_field_without_a_column_leaves_the_file_that_was_there(
        self, server: ScriptedServer, connection: str, tmp_path: Path
    ) -> None:
        (tmp_path / "rows.tsv").write_text("what was there")
        script(server, [assignment(1, {"output_values": {"older": 1}})])
        with pytest.raises(AirflowFailException, match="t-1-0 of assignment a-000001 has OUTPUT:older"):
            get(tmp_path / "rows.tsv")
        assert (tmp_path / "rows.tsv").read_text() == "what was there"


@pytest.mark.parametrize("name", ["rows.parquet", "rows.tsv", "rows.tsv.gz"])
def test_assignments_as_they_are_have_no_columns(
    server: ScriptedServer, connection: str, tmp_path: Path, name: str
) -> None:
    with pytest.raises(AirflowFailException, match=f"{name}.*rows='assignments'"):
        get(tmp_path / name, rows="assignments")
    assert server.calls() == []


@pytest.mark.parametrize("name", ["rows.parquet.gz", "rows.csv", "rows.xlsx.zip"])
def test_other_formats_are_refused_before_anything_is_fetched(
    server: ScriptedServer, connection: str, tmp_path: Path, name: str
) -> None:
    with pytest.raises(AirflowFailException, match=name):
        get(tmp_path / name)
    assert server.calls() == []


def tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that each reader finds; that they find the same columns is asserted."""
    frames = {
        "pyarrow": parquet.read_table(path),
        "pandas": pandas.read_parquet(path, dtype_backend="pyarrow"),
        "polars": polars.read_parquet(path),
        "duckdb": duckdb.sql(f"from '{path}'"),
    }
    names = [list(getattr(frame, "column_names", None) or frame.columns) for frame in frames.values()]
    assert names == [names[0]] * 4
    return {
        "pyarrow": frames["pyarrow"].to_pylist(),
        "pandas": pyarrow.Table.from_pandas(frames["pandas"]).to_pylist(),
        "polars": frames["polars"].to_dicts(),
        "duckdb": [dict(zip(names[0], row, strict=True)) for row in frames["duckdb"].fetchall()],
    }


def restored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of Parquet as that of JSON Lines, without what is null."""
    found: dict[str, Any] = json.loads(row.pop("other_values") or "{}")
    for name, value in row.items():
        if isinstance(value, dict):
            fields = {key: parsed(key, item) for key, item in value.items() if item is not None}
            others = found.get(name, {})
            found[name] = {**fields, **others} if isinstance(others, dict) else others
        elif value is not None:
            found[name] = value
    for solution in row.get("known_solutions") or ():
        values = solution["output_values"]
        solution["output_values"] = {key: parsed(key, item) for key, item in values.items() if item is not None}
    return comparable(found)


def parsed(name: str, value: Any) -> Any:
    if name == "a_json":
        return json.loads(value)
    return [None if item is None else json.loads(item) for item in value] if name == "some_json" else value


def dated(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of JSON Lines with the dates of Parquet, and without nulls among its fields."""
    for name in ("submitted", "accepted", "rejected"):
        if isinstance(row.get(name), str) and len(row[name]) < 27:
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=UTC)
    for values in (row["input_values"], row["output_values"]):
        for name in [name for name, value in values.items() if value is None]:
            del values[name]
    return comparable(row)


def comparable(value: Any) -> Any:
    """Return a value in which True is not 1."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return ("boolean", value) if isinstance(value, bool) else value


def made_up(numbers: random.Random) -> dict[str, Any]:
    """Return an answer with values of every type, of which some are wrong."""
    task: dict[str, Any] = {"input_values": made_up_values(numbers, EVERY_TYPE)}
    if numbers.random() < 0.1:
        known = {name: value for name, value in made_up_values(numbers, OUTPUTS).items() if value is not None}
        task["known_solutions"] = [{"output_values": known, "correctness_weight": 0.5}]
    return {"output_values": made_up_values(numbers, OUTPUTS), "task": task}


def made_up_values(numbers: random.Random, spec: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in spec if numbers.random() < 0.7]
    return {name: made_up_value(numbers, spec[name]["type"]) for name in names}


def made_up_value(numbers: random.Random, kind: str) -> Any:
    if numbers.random() < 0.1:
        return None
    if kind.startswith("array_"):
        return [made_up_scalar(numbers, kind.removeprefix("array_")) for _ in range(numbers.randrange(4))]
    return made_up_scalar(numbers, kind)


def made_up_scalar(numbers: random.Random, kind: str) -> Any:
    if numbers.random() < 0.01:
        return numbers.choice(["\ud83d", 2**70, 0.1, "text", {"a": 1}, ["x"], True, []])
    match kind:
        case "integer":
            return numbers.randrange(-(2**63), 2**63)
        case "float":
            return numbers.choice([numbers.random(), numbers.randrange(9), 1e300, 2**53])
        case "boolean":
            return numbers.random() < 0.5
        case "json":
            return numbers.choice([1, 2.5, "text", [1, None, {"a": []}], {"b": {"c": "Ü"}}, False])
    return numbers.choice(TEXTS)


def made_up_time(numbers: random.Random) -> str:
    return f"2026-01-01T12:00:00{numbers.choice(['', '.5', '.123', '.123456', '.1234567'])}"
