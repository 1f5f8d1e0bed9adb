"""Answers in columns: every format alike, and what counts as a vote."""

from __future__ import annotations

import gzip
import json
import logging
import math
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toloka_airflow.quality.answer_files import decoder
from toloka_airflow.quality.answer_table import STATUSES
from toloka_airflow.quality.answer_values import plain_value
from toloka_airflow.quality.answers import AnswerTable, read_answers
from toloka_airflow.transfer.download.parquet_answers import ParquetAnswers, answer_columns
from toloka_airflow.transfer.download.tsv_answers import TsvAnswers

INPUTS = {"image": {"type": "url"}}
OUTPUTS = {
    "label": {"type": "string"},
    "count": {"type": "integer"},
    "sure": {"type": "boolean"},
    "tags": {"type": "array_string"},
    "checked": {"type": "json"},
}
LOG = logging.getLogger(__name__)


def row(task: str, person: str, *, number: int = 0, status: str = "ACCEPTED", **values: Any) -> dict[str, Any]:
    return {
        "assignment_id": f"{person}-{number}",
        "task_suite_id": f"s{number}",
        "pool_id": "21",
        "user_id": person,
        "status": status,
        "assignment_reward": 0.05,
        "submitted": f"2026-03-01T10:{number:02}:00.500",
        "task_id": task,
        "input_values": {"image": f"https://example.com/{task}.jpg"},
        "output_values": values,
    }


def many(seed: int = 1) -> list[dict[str, Any]]:
    """Return answers with values of every type, some of which are not there."""
    dice, rows = random.Random(seed), []
    for number in range(40):
        for person in "abc":
            task = f"t{number}"
            values = {
                "label": dice.choice(["cat", "dog", "0012"]),
                "count": dice.choice([1, 2, 10]),
                "sure": dice.random() < 0.5,
                "tags": dice.sample(["red", "green", "blue"], dice.randint(0, 3)),
                "checked": {name: dice.random() < 0.5 for name in dice.sample(["x", "y", "z"], 3)},
            }
            answer = row(task, person, number=number, status=dice.choice(["ACCEPTED", "SUBMITTED", "REJECTED"]))
            answer["output_values"] = {name: value for name, value in values.items() if dice.random() < 0.9}
            if number % 10 == 0:
                answer["known_solutions"] = [{"output_values": {"label": "cat", "tags": ["blue", "red"]}}]
            rows.append(answer)
    return rows


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write answers as `GetAssignmentsOperator` does."""
    lines = [json.dumps(row).encode() for row in rows]
    content = b"".join(line + b"\n" for line in lines)
    if ".jsonl" in path.name:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path
    with path.open("wb") as file:
        if path.suffix == ".parquet":
            writer: Any = ParquetAnswers(file, answer_columns(INPUTS, OUTPUTS), log=LOG)
        else:
            compressed = path.suffix == ".gz"
            writer = TsvAnswers(file, INPUTS, OUTPUTS, link=str, compressed=compressed, log=LOG)
        with writer:
            writer.write(content)
    return path


def columns(table: AnswerTable) -> dict[str, Any]:
    """Return a table as what can be compared."""
    found: dict[str, Any] = {
        "ids": (table.task_ids, table.person_ids, table.assignment_ids),
        "numbers": [column.tolist() for column in (table.tasks, table.people, table.assignments, table.statuses)],
        "times": table.submitted.tolist(),
        "rewards": table.rewards.tolist(),
        "control": table.is_control.tolist(),
    }
    for name, field in table.fields.items():
        found[name] = (field.values, field.labels.tolist(), field.known.tolist())
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.tsv", "a.tsv.gz"])
def test_every_format_is_read_alike(name: str, tmp_path: Path) -> None:
    rows = many()
    expected = columns(read_answers(rows, fields=[*OUTPUTS]))
    assert sorted(map(len, expected["tags"][0])) == [0, 1, 1, 1, 2, 2, 2, 3]
    assert expected["checked"][0][-1] == {}
    assert expected["label"][0] == ("0012", "cat", "dog")
    assert columns(read_answers(written(rows, tmp_path / name), fields=[*OUTPUTS])) == expected


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = many()
    expected = columns(read_answers(rows, fields=[*OUTPUTS]))
    random.Random(2).shuffle(rows)
    assert columns(read_answers(written([*rows, *rows[:20]], tmp_path / "a.jsonl"), fields=[*OUTPUTS])) == expected


def test_whole_assignments(tmp_path: Path) -> None:
    """Files of ``rows="assignments"`` say when a page was begun, and so how long an answer took."""
    assignment = {
        "id": "a1", "pool_id": "21", "user_id": "u1", "status": "REJECTED", "reward": 0.1,
        "created": "2026-03-01T10:00:00", "submitted": "2026-03-01T10:01:00",
        "tasks": [{"id": "t1", "input_values": {}}, {"id": "t2", "input_values": {}}],
        "solutions": [{"output_values": {"label": "cat"}}, {"output_values": {"label": "dog"}}],
    }  # fmt: skip
    active = {"id": "a2", "user_id": "u2", "status": "ACTIVE", "tasks": [{"id": "t1", "input_values": {}}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(assignment) + "\n" + json.dumps({**active, "solutions": None}) + "\n")
    table = read_answers(path, fields=["label"])
    assert (table.task_ids, table.seconds.tolist(), table.rewards.tolist()) == (("t1", "t2"), [30, 30], [0.1])
    assert [STATUSES[code] for code in table.statuses] == ["REJECTED"] * 2
    assert len(table.votes("label").tasks) == 0
    assert len(read_answers(path, fields=["label"], statuses=["REJECTED"]).votes("label").tasks) == 2


def test_seconds_in_toloka_s_own_table(tmp_path: Path) -> None:
    answers = [{**row(f"t{number}", "a", label="cat"), "created": "2026-03-01T09:59:00.500"} for number in range(3)]
    assert read_answers(written(answers, tmp_path / "a.tsv"), fields=["label"]).seconds.tolist() == [20, 20, 20]
    assert np.isnan(read_answers(many(), fields=["label"]).seconds).all()


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        (3, 3.0, True),
        ([1, 2.0], [2, 1], True),
        (["a", "b", "a"], ["b", "a"], True),
        ({"a": True, "b": False}, {"a": True}, True),
        ({"a": False}, {}, True),
        ({"x": 1, "y": 2.0}, {"y": 2, "x": 1}, True),
        ([[1, 2], [3, 4]], [[3, 4], [1, 2]], False),
        (True, 1, False),
        (3, "3", False),
        ([], None, False),
        ("", None, True),
        (" \n", None, True),
        (float("nan"), None, True),
        (np.int64(3), 3.0, True),
        (np.array(["b", "a"]), ["a", "b"], True),
        (1e300, 1e300, True),
    ],
)
def test_what_is_equal(one: Any, other: Any, is_equal: bool) -> None:
    assert (json.dumps(plain_value(one)) == json.dumps(plain_value(other))) is is_equal


def test_the_last_submitted_answer_of_a_person_counts() -> None:
    answers = [
        row("t", "a", number=2, label="second"),
        row("t", "a", number=1, label="first"),
        row("t", "a", number=3, label="rejected", status="REJECTED"),
        row("t", "a", number=4, label=None),
        row("t", "b", number=1, label="first"),
        {**row("t", "b", number=2, label="of unknown time"), "submitted": None},
        {**row("t", "c", number=1, label="lower"), "submitted": None},
        {**row("t", "c", number=2, label="higher"), "submitted": None},
    ]
    table = read_answers(answers, fields=["label"])
    votes = table.votes("label")
    assert [table.field("label").values[code] for code in votes.labels] == ["second", "first", "higher"]
    assert (votes.task_count, votes.person_count, votes.label_count) == (1, 3, 6)
    assert (votes.tasks.dtype, votes.people.dtype, votes.labels.dtype) == (np.int32, np.int32, np.int32)


def test_a_row_that_is_there_twice_counts_once_with_its_later_status() -> None:
    answers = [row("t", "a", status="REJECTED", label="x"), row("t", "a", status="SUBMITTED", label="x")]
    table = read_answers(answers, fields=["label"])
    assert (len(table), STATUSES[table.statuses[0]]) == (1, "REJECTED")


def test_control_tasks_and_their_inputs(tmp_path: Path) -> None:
    def known(*labels: str) -> dict[str, Any]:
        return {"known_solutions": [{"output_values": {"label": label}} for label in labels]}

    answers = [
        {**row("one", "a", label="cat"), **known("cat")},
        {**row("several", "a", label="cat"), **known("dog", "cow")},
        {**row("of another field", "a", label="cat"), "known_solutions": [{"output_values": {"other": 1}}]},
        row("real", "a", label="cat"),
    ]
    table = read_answers(written(answers, tmp_path / "a.jsonl"), fields=["label"], inputs=True)
    field = table.field("label")
    assert table.task_ids == ("of another field", "one", "real", "several")
    assert table.is_control.tolist() == [True, True, False, True]
    assert field.known.tolist() == [-1, field.values.index("cat"), -1, -1]
    assert field.alternatives == {3: (field.values.index("cow"), field.values.index("dog"))}
    assert table.inputs is not None
    assert [json.loads(text)["image"] for text in table.inputs] == [
        f"https://example.com/{t}.jpg" for t in table.task_ids
    ]
    assert json.loads(table.known_solutions[1]) == known("cat")["known_solutions"]
    assert (table.pool_ids, table.pools.tolist()) == (("21",), [0] * 4)


def test_rows_as_they_are_downloaded_take_the_fast_way() -> None:
    """A row that msgspec refuses is read, too, but four times as slowly."""
    for answer in many():
        assert (
            decoder.decode(json.dumps({**answer, "accepted": None, "public_comment": "?"})).task_id == answer["task_id"]
        )


def test_odd_texts(tmp_path: Path) -> None:
    """Half a character, which people do send, other spellings of a value, an empty line and a byte order mark."""
    path = tmp_path / "a.jsonl"
    texts = [r'"\ud83d"', r'"caf\u00e9"', '"café"', "1e0", "1"]
    lines = []
    for number, text in enumerate(texts):
        lines.append(json.dumps(row("t", f"p{number}", label="?")).replace('"?"', text))
    path.write_text("\ufeff" + "\n\n".join(lines))
    table = read_answers(path, fields=["label"])
    assert table.field("label").values == (1, "caf\u00e9", "\ud83d") or len(table.field("label").values) == 3


def test_no_answers(tmp_path: Path) -> None:
    for answers in ([], written([], tmp_path / "a.jsonl"), written([], tmp_path / "a.parquet")):
        table = read_answers(answers, fields=["label"])
        assert (len(table), table.task_ids, len(table.votes("label").tasks)) == (0, (), 0)


def test_a_column_that_nobody_filled_in_is_a_field(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.tsv"):
        path = written([row("t", "a", label="cat")], tmp_path / name)
        assert read_answers(path, fields=["label", "count"]).field("count").labels.tolist() == [-1]


def test_texts_with_commas_stay_texts_in_a_tsv(tmp_path: Path) -> None:
    answers = [row("t", "a", label="yes, clearly"), row("t", "b", label="no")]
    path = written(answers, tmp_path / "a.tsv")
    assert read_answers(path, fields=["label"]).field("label").values == ("no", "yes, clearly")


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.tsv"])
def test_nan_among_numbers_is_no_answer(tmp_path: Path, name: str) -> None:
    """The API may answer it, and a download writes it; in a TSV it must not make texts of the numbers beside it."""
    answers = [row("t", "a", count=3), row("t", "b", count=math.nan), row("t", "c", count=10)]
    answers += [{**row("u", "a", count=3), "known_solutions": [{"output_values": {"count": math.nan}}]}]
    field = read_answers(written(answers, tmp_path / name), fields=["count"]).field("count")
    assert field.values == (10, 3)  # sorted by their text
    assert field.labels.tolist() == [1, -1, 0, 1]
    assert (field.known.tolist(), field.alternatives) == ([-1, -1], {})


@pytest.mark.parametrize("other", ["Anna", "true", None])
def test_nan_among_texts_is_a_text_in_a_tsv(tmp_path: Path, other: str | None) -> None:
    answers = [row("t", "a", label="NaN"), row("t", "b", label=other)]
    field = read_answers(written(answers, tmp_path / "a.tsv"), fields=["label"]).field("label")
    assert "NaN" in field.values


GOOD = json.dumps(row("t", "a", label="cat"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 2: it is not JSON"),
        ("5", "line 2: it is 5; an answer is an object"),
        ('{"label": "cat"}', "line 2: it has no output_values"),
        (GOOD.replace('"t"', "null"), "line 2: it has no task_id"),
        (GOOD.replace('"user_id": "a"', '"user_id": ""'), "line 2: it has no user_id"),
        (GOOD.replace('{"label": "cat"}', "[]"), r"line 2: output_values is \[\]; it must be an object"),
        (GOOD.replace('"cat"', "Infinity"), "line 2: output_values.label: it has inf, which JSON does not have"),
        (GOOD.replace("ACCEPTED", "ACCEPTD"), "line 2: status is 'ACCEPTD'; .*did you mean 'ACCEPTED'?"),
        (GOOD.replace("2026-03-01T", "yesterday"), "line 2: submitted or created is no time"),
    ],
)
def test_rows_that_cannot_be_read(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{GOOD}\n{text}\n")
    with pytest.raises(ValueError, match=f"answers: .*a.jsonl, {message}"):
        read_answers(path, fields=["label"])


@pytest.mark.parametrize(
    ("answers", "arguments", "message"),
    [
        ([row("t", "a", label="cat")], {"fields": ["lable"]}, "has the field 'lable'; .*did you mean 'label'"),
        ([row("t", "a", label="cat")], {"fields": ["OUTPUT:label"]}, "did you mean 'label'"),
        ([{"task": "t", "worker": "a", "label": "cat"}], {"fields": ["label"]}, "an answer is an object like {"),
        ([{"OUTPUT:label": "a", "ASSIGNMENT:worker_id": "b"}], {"fields": ["label"]}, "has no ASSIGNMENT:task_id"),
        ([], {"fields": "label"}, "fields is 'label'; it must be a list"),
        ([], {"fields": []}, r"fields is \[\]; it must be a list"),
        ([], {"fields": ["label"], "statuses": ["DONE"]}, "statuses: 'DONE' is none; there are ACCEPTED"),
        (None, {"fields": ["label"]}, "answers is None"),
        ("", {"fields": ["label"]}, "answers is ''"),
        ("[1]", {"fields": ["label"]}, "and no path"),
        ("/nowhere/a.jsonl", {"fields": ["label"]}, "and there is no such file"),
        ("/nowhere/a.parquet", {"fields": ["label"]}, "and there is no such file"),
        ("a.xlsx", {"fields": ["label"]}, "whose format is not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(answers: Any, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_answers(answers, **arguments)


def test_a_status_by_the_name_of_tolokas_pages(tmp_path: Path) -> None:
    rows = [{**row("t", "a", label="cat"), "status": "APPROVED"}]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(rows[0]))
    for answers in (rows, path):
        table = read_answers(answers, fields=["label"], statuses=["ACCEPTED"])
        assert len(table.vote_rows("label")) == 1


def test_a_field_that_was_not_read() -> None:
    table = read_answers([row("t", "a", label="cat")], fields=["label"])
    with pytest.raises(ValueError, match=r"field is 'labels'; there are label; did you mean 'label'\?"):
        table.votes("labels")


def test_memory_is_bounded_by_columns(tmp_path: Path) -> None:
    """Whatever else is in a row takes no memory: 20,000 answers of a megabyte for each thousand."""
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        for number in range(20_000):
            answer = row(f"t{number // 5}", f"p{number % 50}", number=0, label="cat", comment="x" * 1000)
            print(json.dumps(answer), file=file)
    tracemalloc.start()
    table = read_answers(path, fields=["label"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 20_000
    assert peak < 8_000_000 < path.stat().st_size


@pytest.mark.parametrize("module", ["aggregating", "answers", "crowd_kit", "gate", "measures", "methods", "report"])
def test_what_is_said_without_numpy(module: str) -> None:
    code = f"import sys; sys.modules['numpy'] = None; import toloka_airflow.quality.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        "ImportError: The quality of answers is reckoned by numpy: pip install 'airflow-toloka[quality]'" in done.stderr
    )
