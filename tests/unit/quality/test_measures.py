"""Measures by their definitions, beside other implementations, and where there is nothing to measure."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest

from toloka_airflow.quality.agreement import (
    agreement_over_time,
    krippendorff_alpha,
    observed_agreement,
    task_entropy,
    vote_agreement,
)
from toloka_airflow.quality.answers import read_answers
from toloka_airflow.quality.by_person import wilson_interval
from toloka_airflow.quality.gate import Limits, check_quality
from toloka_airflow.quality.measures import measure_quality, rejected_share
from toloka_airflow.quality.methods.votes import Votes
from toloka_airflow.quality.truth import confusion_matrix, known_truth, labels_truth


def votes(ratings: Any) -> Votes:
    """Return votes of people (rows) on tasks (columns); nan is none."""
    matrix = np.asarray(ratings, dtype=float)
    people, tasks = np.nonzero(np.isfinite(matrix))
    labels = matrix[people, tasks].astype(np.int32)
    return Votes(
        tasks=tasks.astype(np.int32),
        people=people.astype(np.int32),
        labels=labels,
        task_count=matrix.shape[1],
        person_count=matrix.shape[0],
        label_count=int(labels.max(initial=-1)) + 1,
    )


def row(task: str, person: str, label: Any, known: Any = None, **more: Any) -> dict[str, Any]:
    solutions = {} if known is None else {"known_solutions": [{"output_values": {"label": each}} for each in known]}
    values = {"output_values": {"label": label}}
    return {"task_id": task, "user_id": person, "assignment_id": f"{task} {person}", **values, **solutions, **more}


# Krippendorff's own example, of four observers with missing data, without those that only one has seen.
NAN = math.nan
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def test_alpha_of_the_published_example() -> None:
    """0.743 is what the text of 2011 has for nominal data."""
    assert krippendorff_alpha(votes(PUBLISHED)).value == pytest.approx(0.743, abs=5e-4)


def test_alpha_equals_that_of_the_package() -> None:
    dice = np.random.default_rng(1)
    compared = 0
    for _ in range(200):
        people, tasks, values = dice.integers(2, 9), dice.integers(2, 40), dice.integers(2, 6)
        ratings = dice.integers(0, values, (people, tasks)).astype(float)
        ratings[:, : tasks // 2] = ratings[0, : tasks // 2]  # agreement
        ratings[dice.random((people, tasks)) < dice.random() * 0.8] = np.nan
        found = krippendorff_alpha(votes(ratings)).value
        if found is not None:
            assert found == pytest.approx(krippendorff.alpha(ratings, level_of_measurement="nominal"), abs=1e-9)
            compared += 1
    assert compared > 150


def test_alpha_of_digits_equals_that_of_the_package() -> None:
    """The real confusions of handwriting: 1,797 digits of ten classes, each looked at by three nearest neighbours."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, truth = digits.data, digits.target
    distances = ((images[:, None, :400:7] - images[None, :400:3, :400:7]) ** 2).sum(axis=2)
    ratings = truth[:400:3][np.argsort(distances, axis=1)[:, :3]].T.astype(float)
    ratings[np.random.default_rng(1).random(ratings.shape) < 0.2] = np.nan
    expected = krippendorff.alpha(ratings, level_of_measurement="nominal")
    assert 0.2 < expected < 0.99
    assert krippendorff_alpha(votes(ratings)).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        (np.empty((0, 0)), "no task has two votes"),
        ([[0, 1, 0], [NAN, NAN, NAN]], "no task has two votes"),
        ([[0, 0], [0, 0]], "all votes are for one value"),
        ([[0, 0, 1], [0, 0, NAN]], "all votes are for one value"),
    ],
)
def test_alpha_that_cannot_be_reckoned(ratings: Any, reason: str) -> None:
    found = krippendorff_alpha(votes(ratings))
    assert found.value is None
    assert reason in str(found.reason)
    assert found.as_json() == {"value": None, "reason": found.reason}


def test_agreement_entropy_and_confusion() -> None:
    given = votes([[0, 0, 1, 2, NAN], [0, 1, 1, NAN, NAN], [0, 1, 0, NAN, NAN], [0, 0, NAN, NAN, NAN]])
    assert np.nan_to_num(task_entropy(given), nan=-1).tolist() == pytest.approx([0, 1, 0.9183, 0, -1], abs=1e-4)
    each = vote_agreement(given)
    assert observed_agreement(given).value == pytest.approx(np.nanmean(each))
    by_task = [sorted(np.nan_to_num(each[given.tasks == task], nan=-1).tolist()) for task in range(4)]
    assert by_task == [[1] * 4, [pytest.approx(1 / 3)] * 4, [0, 0.5, 0.5], [-1]]


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Of R: prop.test(right, total, correct = FALSE).
    [(3, 3, 0.4385, 1), (0, 3, 0, 0.5615), (8, 10, 0.4902, 0.9433), (50, 100, 0.4038, 0.5962), (1, 1, 0.2065, 1)],
)
def test_wilson_interval(right: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(0, 0) is None


def test_accuracy_of_people_and_confusion() -> None:
    answers = [
        row("c1", "a", "cat", ["cat"]),
        row("c1", "b", "dog", ["cat"]),
        row("c2", "a", "cow", ["cow", "ox"]),
        row("c2", "b", "ox", ["cow", "ox"]),
        row("c2", "c", "cat", ["cow", "ox"]),
        row("t", "a", "cat"),
        row("t", "b", "cat"),
        row("t", "c", "dog"),
        row("u", "c", "dog"),
    ]
    labels = [
        {"task_id": "t", "output_values": {"label": "cat"}},
        {"task_id": "u", "output_values": {"label": "unheard of"}},
        {"task_id": "c1", "output_values": {"label": "dog"}},  # of a control task, more is known
        {"task_id": "another", "output_values": {"label": "dog"}},
    ]
    measured = measure_quality(answers, fields=["label"], labels=iter(labels))["fields"]["label"]
    people = {
        each["user_id"]: [(each[kind]["right"], each[kind]["total"]) for kind in ("known", "labels")]
        for each in measured["by_person"]
    }
    assert people == {"a": [(2, 2), (1, 1)], "b": [(1, 2), (1, 1)], "c": [(0, 1), (0, 2)]}
    assert (measured["accuracy"]["known"]["right"], measured["accuracy"]["known"]["total"]) == (3, 5)
    assert measured["confusion"]["known"] == {
        "values": ["cat", "cow", "dog", "ox"],
        "counts": [[1, 0, 1, 0], [0] * 4, [0] * 4, [0] * 4],
    }
    assert measured["confusion"]["labels"]["values"][-1] == "unheard of"
    assert measured["confusion"]["labels"]["counts"][-1] == [0, 0, 1, 0, 0]
    table = read_answers(answers, fields=["label"])
    assert confusion_matrix(table.votes("label"), known_truth(table, "label")).sum() == 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"task_id": "t", "output_values": {"lable": "cat"}}], "labels: none has the field 'label'; there are lable"),
        ([{"task_id": "t"}], "labels, item 1: it has no task_id and output_values"),
        ([{"task_id": "t", "output_values": {"label": value}} for value in "xy"], "item 2: task t has another label"),
    ],
)
def test_labels_that_cannot_be_used(labels: Any, message: str) -> None:
    table = read_answers([row("t", "a", "cat")], fields=["label"])
    with pytest.raises(ValueError, match=message):
        labels_truth(table, "label", labels)


def test_agreement_over_time() -> None:
    answers = [
        row(f"t{day}", person, "cat" if day < 3 or person == "a" else "dog", submitted=f"2026-03-{day + 1:02}T10:00:00")
        for day in range(6)
        for person in "ab"
    ]
    found = agreement_over_time(read_answers(answers, fields=["label"]), "label")
    assert found["period"] == 4 * 3600 * 6
    assert [(each["votes"], each["agreement"]) for each in found["periods"]] == [(2, 1)] * 3 + [(2, 0)] * 3
    assert found["periods"][0]["start"] == "2026-03-01T00:00:00+00:00"


def test_over_many_years_there_are_few_periods() -> None:
    answers = [
        row(f"t{year}", person, "cat", submitted=f"{year}-03-01T10:00:00")
        for year in range(2000, 2027)
        for person in "ab"
    ]
    assert len(agreement_over_time(read_answers(answers, fields=["label"]), "label")["periods"]) <= 30


def test_rejected_share_is_of_assignments() -> None:
    answers = [
        {**row(f"t{number}", "a", "cat"), "assignment_id": f"a{number // 4}", "status": status}
        for number, status in enumerate(["REJECTED"] * 4 + ["ACCEPTED"] * 4 + ["SUBMITTED"] * 8)
    ]
    assert rejected_share(read_answers(answers, fields=["label"])) == {"value": 0.25, "rejected": 1, "total": 4}


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [row("t", "a", "cat")],
        [row("t", "a", None)],
        [row("t", "a", "cat"), row("u", "a", "cat")],
        [row("t", "a", "cat"), row("t", "b", "cat")],
        [row("t", "a", "cat", ["cat"]), row("t", "b", "dog", ["cat"])],
        [row("t", "a", "cat", status="REJECTED")],
        [row("t", person, {"x": number}) for number, person in enumerate("abc")],
    ],
)
def test_whatever_there_is_it_is_json_without_nan(answers: list[Any]) -> None:
    for labels in (None, [], [{"task_id": "t", "output_values": {"label": "cat"}}]):
        figures = measure_quality(answers, fields=["label"], labels=labels)
        again = json.loads(json.dumps(figures, allow_nan=False))
        assert again == figures
        assert missing_reasons(again) == []


def missing_reasons(figures: Any, path: str = "") -> list[str]:
    """Return where a figure is null and nothing says why."""
    if isinstance(figures, list):
        return [found for each in figures for found in missing_reasons(each, path)]
    if not isinstance(figures, dict):
        return []
    found = [path] if None in figures.values() and "reason" not in figures and "user_id" not in figures else []
    return found + [deep for name, each in figures.items() for deep in missing_reasons(each, f"{path}.{name}")]


def test_free_text_has_no_confusion_matrix() -> None:
    answers = [row(f"t{number}", "a", f"text {number}", ["right"]) for number in range(60)]
    found = measure_quality(answers, fields=["label"])["fields"]["label"]["confusion"]["known"]
    assert found["reason"] == "there are 61 values; 50 at most"


# The gate


def passed(answers: Any, labels: Any = None, **limits: Any) -> list[tuple[float | None, bool]]:
    table = read_answers(answers, fields=["label"])
    return [(each.value, each.is_passed) for each in check_quality(table, ["label"], Limits(**limits), labels)]


def test_limits() -> None:
    answers = [row(task, person, task) for task in "xyz" for person in "ab"]
    assert passed(answers, min_agreement=1) == [(1, True)]
    assert passed(answers, min_answers=2, min_tasks=4) == [(2, True), (3, False)]
    assert passed([*answers, row("new", "a", "x")], min_answers=2) == [(1, False)]
    assert passed([*answers, row("new", "a", "x", ["x"])], min_answers=2) == [(2, True)]
    assert passed(answers, max_rejected=0) == [(0, True)]
    assert passed([*answers, row("x", "c", "x", status="REJECTED")], max_rejected=0.1) == [(1 / 7, False)]


def test_what_cannot_be_reckoned_does_not_pass() -> None:
    one = [row("x", "a", "cat")]
    for limits in ({"min_agreement": -1}, {"max_rejected": 1}, {"min_answers": 1}, {"min_confident": 0}):
        assert passed([], labels=[], **limits) == [(None, False)]
    assert passed(one, min_agreement=-1) == [(None, False)]


def test_confidence_of_labels() -> None:
    answers = [row(task, "a", "cat") for task in "wxyz"] + [row("control", "a", "cat", ["cat"])]
    labels = [
        {"task_id": "x", "output_values": {"label": "cat"}, "confidence": 0.95},
        {"task_id": "y", "output_values": {"label": "cat"}, "confidence": 0.5},
        {"task_id": "z", "output_values": {"label": None}, "confidence": None},
        {"task_id": "control", "output_values": {"label": "cat"}, "confidence": 1},
        {"task_id": "unanswered", "output_values": {"label": "cat"}, "confidence": 0.9},
    ]
    # w has no label, so it is not sure; and a label of a task that is not there makes none of these sure.
    assert passed(answers, labels, min_confident=0.25) == [(0.25, True)]
    several = [{**each, "confidence": {"label": each["confidence"], "other": 0.1}} for each in labels]
    assert passed(answers, several, min_confident=0.4) == [(0, False)]
    labels = [{"task_id": "x", "output_values": {"label": "cat"}, "score": 0.95}]
    assert passed(answers, labels, min_confident=0) == [(None, False)]
    labels = [{"task_id": "x", "output_values": {"label": "cat"}}]
    with pytest.raises(ValueError, match="labels, item 1: it has neither confidence nor score"):
        passed(answers, labels, min_confident=0.4)


def test_files(tmp_path: Path) -> None:
    path, labels = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row("t", person, "cat")) + "\n" for person in "abc"))
    labels.write_text(json.dumps({"task_id": "t", "output_values": {"label": "cat"}, "confidence": 0.99}) + "\n")
    figures = measure_quality(path, fields=["label"], labels=labels)
    assert figures["fields"]["label"]["accuracy"]["labels"]["value"] == 1
    assert passed(path, labels, min_confident=1) == [(1, True)]
