"""Figures of answers, and a gate that they pass or do not."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import Asset

from tests.support import Outcome, TaskInstance, from_templates, run_task
from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.quality import MeasureQualityOperator, QualityGateOperator


def answers(path: Path, *, wrong: int = 0) -> str:
    """Write what three people say of ten tasks, of which one is wrong some times."""
    with path.open("w") as file:
        for number in range(10):
            for person in "abc":
                label = "dog" if number % 2 else "cat"
                label = "cow" if person == "c" and number < wrong else label
                row = {
                    "assignment_id": f"{number}{person}",
                    "user_id": person,
                    "task_id": f"t{number}",
                    "status": "ACCEPTED",
                    "submitted": "2026-03-01T10:00:00",
                    "output_values": {"label": label},
                }
                print(json.dumps(row), file=file)
    return str(path)


def gate(path: Path, *, wrong: int = 0, outlets: Any = (), **arguments: Any) -> Outcome:
    given = {"answers": answers(path / "answers.jsonl", wrong=wrong), "fields": ["label"], **arguments}
    return run_task(QualityGateOperator(task_id="gate", outlets=outlets, **given))


def test_figures_are_returned_and_all_of_them_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.json"
    given = {"answers": answers(tmp_path / "answers.jsonl"), "fields": ["label"], "path": str(path)}
    result = run_task(MeasureQualityOperator(task_id="measure", **given)).result
    whole = json.loads(path.read_text())
    assert [each.name for each in path.parent.iterdir()] == ["figures.json"]
    assert result["fields"]["label"]["alpha"] == whole["fields"]["label"]["alpha"] == {"value": 1}
    assert len(whole["fields"]["label"]["by_person"]) == 3
    assert "by_person" not in result["fields"]["label"]
    assert result["path"] == str(path)
    assert len(json.dumps(result)) < 4000


def test_measuring_checks_its_target_first(tmp_path: Path) -> None:
    task = MeasureQualityOperator(task_id="m", answers="/nowhere.jsonl", fields=["label"], path="http://x/y.json")
    with pytest.raises(AirflowFailException, match="store of http cannot replace"):
        run_task(task)


def test_answers_that_are_good_enough(tmp_path: Path) -> None:
    asset = Asset("s3://bucket/labels")
    outcome = gate(tmp_path, min_agreement="0.9", min_answers="3", min_tasks=10, max_rejected=0.1, outlets=[asset])
    assert outcome.result["passed"]
    assert [(each["name"], each["value"]) for each in outcome.result["checks"]] == [
        ("min_agreement", 1),
        ("min_answers", 3),
        ("min_tasks", 10),
        ("max_rejected", 0),
    ]
    assert outcome.outlet_events[asset].extra == outcome.xcoms["figures"] == outcome.result


@pytest.mark.parametrize(("on_failure", "error"), [("fail", AirflowFailException), ("skip", AirflowSkipException)])
def test_answers_that_are_not(tmp_path: Path, on_failure: str, error: type[Exception]) -> None:
    task = QualityGateOperator(
        task_id="gate",
        answers=answers(tmp_path / "answers.jsonl", wrong=5),
        fields=["label"],
        min_agreement=0.8,
        min_answers=3,
        on_failure=on_failure,
    )
    instance = TaskInstance(task_id="gate")
    with pytest.raises(error) as refused:
        run_task(task, instance)
    alpha = instance.xcoms["figures"]["checks"][0]["value"]
    assert 0.4 < alpha < 0.8
    assert str(refused.value).partition(". Help: ")[0] == (
        f"The answers are not good enough. "
        f"Krippendorff's alpha in the field 'label' is {alpha:.4g}; min_agreement is 0.8. "
        "These limits hold: The least number of answers to a task in the field 'label' is 3; min_answers is 3"
    )


@pytest.mark.parametrize("on_failure", ["fail", "skip"])
def test_no_answers_are_not_good_enough(tmp_path: Path, on_failure: str) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    error = AirflowSkipException if on_failure == "skip" else AirflowFailException
    with pytest.raises(error, match="alpha in the field 'label' cannot be reckoned, as no task has two votes"):
        gate(tmp_path, answers=str(empty), min_agreement=-1, on_failure=on_failure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "A gate without a limit lets everything pass; give one of min_agreement"),
        ({"min_agreement": 0.5, "on_failure": "pass"}, "on_failure is 'pass'"),
        ({"min_confident": 0.5}, "labels is None; min_confident is about"),
    ],
)
def test_gates_that_cannot_be_made(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityGateOperator(task_id="gate", answers="a.jsonl", fields=["label"], **arguments)


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"min_agreement": "much"}, "min_agreement is 'much'; Krippendorff's alpha is a number from -1 to 1"),
    ({"min_agreement": True}, "min_agreement is True"),
    ({"min_agreement": "nan"}, "min_agreement is 'nan'"),
    ({"min_answers": 0}, "min_answers is 0; it must be a whole number"),
    ({"min_tasks": "1.5"}, "min_tasks is '1.5'"),
    ({"max_rejected": 10}, "max_rejected is 10; it must be a number from 0 to 1"),
    ({"min_tasks": "None"}, "min_tasks is 'None'"),
    ({"min_agreement": 60}, "min_agreement is 60; Krippendorff's alpha is a number from -1 to 1"),
    ({"min_tasks": 1, "fields": "label"}, "fields is 'label'; it must be a list of output fields"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), [*UNUSABLE, ({"min_tasks": 1, "statuses": ["DONE"]}, "statuses has 'DONE'; there are ")]
)
def test_limits_that_cannot_be_used_are_found_when_the_dag_is_parsed(arguments: Any, message: str) -> None:
    """And not behind the round that was paid for."""
    with pytest.raises(ValueError, match=message):
        QualityGateOperator(task_id="gate", answers="a.jsonl", **{"fields": ["label"], **arguments})


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE)
def test_limits_of_templates_that_cannot_be_used_fail_without_a_retry(
    tmp_path: Path, arguments: Any, message: str
) -> None:
    make = partial(QualityGateOperator, task_id="gate", answers=answers(tmp_path / "a.jsonl"))
    with pytest.raises(AirflowFailException, match=message):
        run_task(from_templates(make, **{"fields": ["label"], **arguments}))


def test_a_running_task_is_not_kept_from_its_work_by_the_dag_that_it_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """So an edit of the DAG keeps no other task of a run, such as the one that closes the pool, from running."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dag")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "close_pool")
    QualityGateOperator(task_id="gate", answers="a.jsonl", fields=["label"], min_agreement=60)


@pytest.mark.parametrize("same", ["answers", "labels"])
def test_figures_do_not_replace_what_they_are_of(tmp_path: Path, same: str) -> None:
    path = answers(tmp_path / "a.jsonl")
    text = Path(path).read_text()
    given = {"answers": "other.jsonl", "path": f"file://{path}", same: path}
    with pytest.raises(AirflowFailException, match=f"and so is {same}, which would be overwritten"):
        run_task(MeasureQualityOperator(task_id="measure", fields=["label"], **given))
    assert Path(path).read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_tasks": 1, "fields": ["lable"]}, "no answer has the field 'lable'.* did you mean 'label'"),
        ({"min_tasks": 1, "answers": "/nowhere.jsonl"}, "and there is no such file"),
        (
            {"min_confident": 1, "labels": [{"task_id": "t", "output_values": {}}]},
            "labels, item 1: it has neither confidence nor score",
        ),
    ],
)
def test_arguments_that_cannot_be_used_fail_without_a_retry(tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        gate(tmp_path, **arguments)


@pytest.mark.parametrize("method", ["dawid_skene_map", "majority_vote"])
@pytest.mark.parametrize("on_failure", ["fail", "skip"])
def test_labels_that_nothing_shows_to_be_right_are_not_sure(tmp_path: Path, on_failure: str, method: str) -> None:
    """Here each task has one answer, so nobody's was ever compared with another one."""
    rows = [
        {"task_id": f"t{task}", "user_id": f"u{task % 7}", "output_values": {"label": "cat" if task % 3 else "dog"}}
        for task in range(60)
    ]
    labels = str(tmp_path / "labels.jsonl")
    run_task(AggregateAnswersOperator(task_id="a", answers=rows, path=labels, fields=["label"], method=method))
    error = AirflowSkipException if on_failure == "skip" else AirflowFailException
    with pytest.raises(error, match=r"0\.9 sure cannot be reckoned, as the labels have scores and no confidence"):
        gate(tmp_path, answers=rows, labels=labels, min_confident=0, on_failure=on_failure)


def test_tasks_whose_answers_do_not_count_are_not_answered(tmp_path: Path) -> None:
    rows = [
        {"task_id": f"t{number}", "user_id": "u", "status": status, "output_values": values}
        for number, (status, values) in enumerate(
            [
                ("ACCEPTED", {"label": "cat"}),
                ("REJECTED", {"label": "cat"}),
                ("SKIPPED", {}),
                ("ACCEPTED", {"label": ""}),
            ]
        )
    ]
    assert gate(tmp_path, answers=rows, min_tasks=1).result["checks"][0]["value"] == 1
    with pytest.raises(AirflowFailException, match="The number of answered tasks is 1; min_tasks is 2"):
        gate(tmp_path, answers=rows, min_tasks=2)


def test_labels_of_other_tasks_do_not_make_these_sure(tmp_path: Path) -> None:
    labels = [{"task_id": f"old{task}", "output_values": {"label": "cat"}, "confidence": 1} for task in range(99)]
    with pytest.raises(AirflowFailException, match=r"0\.9 sure is 0 \(0 of 10"):
        gate(tmp_path, labels=labels, min_confident=0.9)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("dawid_skene_map", "10 of 10"),
        ("my model", "10 of 10, by the confidence of my model"),
        (None, "10 of 10, by the confidence of a method that the labels do not name"),
    ],
)
def test_it_says_whose_confidence_it_takes(tmp_path: Path, method: str | None, reason: str) -> None:
    named = {} if method is None else {"method": method}
    labels = [{"task_id": f"t{i}", "output_values": {"label": "cat"}, "confidence": 1, **named} for i in range(10)]
    [check] = gate(tmp_path, labels=labels, min_confident=0.9).result["checks"]
    assert (check["passed"], check["reason"]) == (True, reason)


def test_it_does_not_take_what_toloka_calls_confidence(tmp_path: Path) -> None:
    """Nobody says that nine in ten of its labels with 0.9 are right."""
    method = "toloka:DAWID_SKENE"
    labels = [
        {"task_id": f"t{i}", "output_values": {"label": "cat"}, "confidence": 1, "method": method} for i in range(10)
    ]
    with pytest.raises(
        AirflowFailException, match="cannot be reckoned, as the confidence of the labels is that of Tol"
    ):
        gate(tmp_path, labels=labels, min_confident=0.9)


def test_a_limit_that_an_upstream_task_did_not_give_is_no_missing_limit(tmp_path: Path) -> None:
    task = QualityGateOperator(
        task_id="gate",
        answers=answers(tmp_path / "a.jsonl"),
        fields=["label"],
        min_tasks=1,
        min_agreement="{{ limit }}",
    )
    task.min_agreement = None
    with pytest.raises(
        AirflowFailException, match="min_agreement is None: a template or an upstream task gave no limit"
    ):
        run_task(task)


def test_arguments_are_templates() -> None:
    gate = QualityGateOperator(
        task_id="gate", answers="{{ x }}.jsonl", fields=["{{ x }}"], labels="{{ x }}", min_confident="0.{{ y }}"
    )
    gate.render_template_fields({"x": "a", "y": "5"})  # type: ignore[typeddict-unknown-key]
    assert (gate.answers, gate.fields, gate.labels, gate.min_confident) == ("a.jsonl", ["a"], "a", "0.5")


@pytest.mark.parametrize(
    "kind",
    [
        MeasureQualityOperator,
        partial(QualityGateOperator, min_tasks=1),
        partial(AggregateAnswersOperator, path="labels.jsonl"),
    ],
)
def test_what_is_said_without_numpy(kind: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("toloka_airflow.quality")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    task = kind(task_id="quality", answers=answers(tmp_path / "a.jsonl"), fields=["label"])
    with pytest.raises(AirflowFailException, match=r"by numpy: pip install 'airflow-toloka\[quality\]'"):
        run_task(task)
