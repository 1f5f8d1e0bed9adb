"""From a file of answers to a file of labels."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from toloka_airflow.quality.aggregating import aggregate_answers
from toloka_airflow.quality.crowd_kit import crowd_kit_columns
from toloka_airflow.quality.methods import METHODS


def answer(task: str, person: str, given: dict[str, Any], *known: Any, **more: Any) -> dict[str, Any]:
    row = {
        "assignment_id": f"{task}-{person}",
        "task_id": task,
        "pool_id": "21",
        "user_id": person,
        "status": "ACCEPTED",
        "input_values": {"text": f"What is {task}?"},
        "output_values": given,
        **more,
    }
    return {**row, "known_solutions": [{"output_values": value} for value in known]} if known else row


def labelled(task: str, *given: str | None, field: str = "label") -> list[dict[str, Any]]:
    return [
        answer(task, f"p{place}", {} if value is None else {field: value}) for place, value in enumerate(given) if value
    ]


ANSWERS = [
    *labelled("t3", "cat", "cat", "dog"),
    *labelled("t1", "dog", "dog", "dog"),
    answer("t2", "p0", {"label": "cat"}, {"label": "cat"}),
    answer("t2", "p1", {"label": "cat"}, {"label": "cat"}),
    answer("t2", "p2", {"label": "dog"}, {"label": "cat"}),
    answer("t4", "p1", {"label": "cat"}, status="REJECTED"),
    answer("t5", "p1", {"label": ""}),
]


def aggregated(path: Path, answers: Any = ANSWERS, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    result = aggregate_answers(answers, path, **{"fields": ["label"], **arguments})
    data = path.read_bytes()
    return result, [json.loads(line) for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()]


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.jsonl.gz"])
def test_a_row_for_each_task_with_votes(tmp_path: Path, name: str) -> None:
    result, rows = aggregated(tmp_path / name)
    assert rows == [
        {
            "pool_id": "21",
            "task_id": task,
            "confidence": row["confidence"],
            "method": "dawid_skene_map",
            "output_values": {"label": label},
            "input_values": {"text": f"What is {task}?"},
            "is_control": task == "t2",
            **({"known_solutions": [{"output_values": {"label": "cat"}}]} if task == "t2" else {}),
        }
        for task, label, row in zip(["t1", "t2", "t3"], ["dog", "cat", "cat"], rows, strict=True)
    ]
    assert all(1 / 2 < row["confidence"] < 1 for row in rows)
    mean = result.pop("mean_confidence")
    assert mean == pytest.approx(sum(row["confidence"] for row in rows) / 3, abs=1e-6)
    assert result == {
        "path": str(tmp_path / name),
        "method": "dawid_skene_map",
        "solutions": 3,
        "votes": 9,
        "without_votes": 2,
    }
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize("method", METHODS)
def test_only_what_is_calibrated_is_called_confidence(tmp_path: Path, method: str) -> None:
    result, rows = aggregated(tmp_path / "labels.jsonl", method=method)
    name = "confidence" if method == "dawid_skene_map" else "score"
    assert {key for row in rows for key in row} & {"confidence", "score"} == {name}
    assert {row["method"] for row in rows} == {method}
    assert ("mean_confidence" in result) == (name == "confidence")
    assert [row["output_values"]["label"] for row in rows] == ["dog", "cat", "cat"]
    if method == "majority_vote":
        assert [row["score"] for row in rows] == [1.0, 0.666667, 0.666667]


SINGLE = [answer(f"t{task}", f"p{task % 4}", {"label": "cat" if task % 3 else "dog"}) for task in range(40)]


def test_no_confidence_where_no_answer_was_compared(tmp_path: Path) -> None:
    """Who is never checked is never found wrong, which does not make anybody right."""
    result, rows = aggregated(tmp_path / "labels.jsonl", SINGLE)
    assert result["mean_confidence"] is None
    assert result["solutions"] == len(rows) == 40
    assert {row["score"] for row in rows} == {1.0}
    assert not any("confidence" in row for row in rows)
    votes = {each["task_id"]: each["output_values"] for each in SINGLE}
    assert {row["task_id"]: row["output_values"] for row in rows} == votes


def test_no_confidence_where_a_field_was_not_compared(tmp_path: Path) -> None:
    both = [{**each, "output_values": {**each["output_values"], "tag": "new"}} for each in SINGLE]
    again = [answer(each["task_id"], "p9", each["output_values"]) for each in SINGLE]
    result, rows = aggregated(tmp_path / "labels.jsonl", [*both, *again], fields=["label", "tag"])
    assert result["mean_confidence"] is None
    assert all(set(row["scores"]) == {"label", "tag"} for row in rows)
    result, _ = aggregated(tmp_path / "labels.jsonl", [*both, *again], fields=["label"])
    assert result["mean_confidence"] > 0.8


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_does_not_matter(tmp_path: Path, method: str) -> None:
    many = [
        answer(f"t{task}", f"p{person}", {"label": (task + person * task % 5) % 3}, *([{"label": 1}] * (task % 9 == 1)))
        for task in range(40)
        for person in range(task % 7, 7)
    ]
    aggregated(tmp_path / "first.jsonl", many, method=method)
    for seed in range(3):
        random.Random(seed).shuffle(many)
        aggregated(tmp_path / "again.jsonl", many, method=method)
        assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


def test_fields_are_aggregated_each_by_itself(tmp_path: Path) -> None:
    answers = [
        answer("t1", "p1", {"label": "cat", "tags": ["big", "old"], "sure": True}),
        answer("t1", "p2", {"label": "cat", "tags": ["old", "big"], "sure": True}),
        answer("t1", "p3", {"label": "dog", "tags": ["old", "big"], "sure": False}),
        answer("t2", "p1", {"label": "cat"}),
        answer("t3", "p1", {"tags": []}),
    ]
    result, rows = aggregated(
        tmp_path / "labels.jsonl", answers, fields=["label", "tags", "sure"], method="majority_vote"
    )
    assert [row["output_values"] for row in rows] == [
        {"label": "cat", "tags": ["big", "old"], "sure": True},
        {"label": "cat"},
        {"tags": []},
    ]
    assert rows[0]["scores"] == {"label": 0.666667, "tags": 1.0, "sure": 0.666667}
    assert rows[0]["score"] == 0.666667
    assert rows[1]["scores"] == {"label": 1.0}
    assert (result["solutions"], result["votes"], result["without_votes"]) == (3, 11, 0)


def test_control_tasks_may_be_left_out(tmp_path: Path) -> None:
    """They show who is good all the same."""
    path = tmp_path / "labels.jsonl"
    all_rows = aggregated(path)[1]
    result, rows = aggregated(path, only_real_tasks=True)
    assert rows == [row for row in all_rows if not row["is_control"]]
    assert result["solutions"] == 2


def test_other_statuses(tmp_path: Path) -> None:
    rows = aggregated(tmp_path / "labels.jsonl", statuses=["REJECTED"])[1]
    assert [row["task_id"] for row in rows] == ["t4"]


def test_no_answers(tmp_path: Path) -> None:
    result, rows = aggregated(tmp_path / "labels.jsonl", [])
    assert rows == []
    assert (result["solutions"], result["mean_confidence"]) == (0, None)


def test_a_file_that_is_there_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("before")
    with pytest.raises(ValueError, match="item 12"):
        aggregated(path, [*ANSWERS, {"task_id": "t9"}])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert len(aggregated(path)[1]) == 3


def test_what_a_killed_call_left_is_not_used(tmp_path: Path) -> None:
    """Its answers may have been others."""
    (tmp_path / "labels.jsonl.aggregated.parts").mkdir()
    (tmp_path / "labels.jsonl.aggregated.parts" / "000000.json").write_text("{")
    assert len(aggregated(tmp_path / "labels.jsonl")[1]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "mean"}, "method is 'mean'; it must be one of majority_vote, weighted_vote, dawid_skene"),
        ({"fields": ["lable"]}, "no answer has the field 'lable'"),
        ({"fields": "label"}, "fields is 'label'"),
        ({"path": ""}, "path is ''"),
        ({"path": "labels.parquet"}, "rows are JSON Lines"),
        (
            {"method": "weighted_vote", "answers": labelled("t1", "a", "b")},
            "'label' cannot be aggregated by weighted_vote: votes: there is none for a control task",
        ),
    ],
)
def test_arguments_that_cannot_be_used(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    given = {"answers": ANSWERS, "path": tmp_path / "labels.jsonl", "fields": ["label"], **arguments}
    with pytest.raises(ValueError, match=message):
        aggregate_answers(**given)
    assert list(tmp_path.iterdir()) == []


def test_the_columns_of_crowd_kit() -> None:
    columns = crowd_kit_columns(ANSWERS, field="label")
    rows = list(zip(*columns.values(), strict=True))
    assert list(columns) == ["task", "worker", "label"]
    assert rows[:4] == [("t1", "p0", "dog"), ("t1", "p1", "dog"), ("t1", "p2", "dog"), ("t2", "p0", "cat")]
    assert len(rows) == 9
    numbers = [answer("t1", "p1", {"label": 2}), answer("t1", "p2", {"label": ["b", "a"]})]
    assert crowd_kit_columns(numbers, field="label")["label"] == ["2", '["a","b"]']
