"""The labels of answers that were downloaded, without a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, AssetAlias

from tests.support import connect, run_task
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.answer_aggregation import METHODS, AggregateAnswersOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.quality import methods


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        emulator.progressions.set(Progression(seconds=0))
        connect(monkeypatch, emulator.url)
        yield emulator


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet", "answers.tsv.gz"])
def test_the_rows_of_the_aggregation_at_toloka(toloka: EmulatorServer, tmp_path: Path, name: str) -> None:
    """The same keys and the same inputs, whatever format the answers are in."""
    pool_id = toloka.add_pool(12, overlap=3, open=True)
    toloka.clock.advance(3600)
    theirs, ours = tmp_path / "theirs.jsonl", tmp_path / "ours.jsonl"
    given = {"pool_id": pool_id, "fields": ["label"], "poll_interval": 0.01}
    run_task(AggregateSolutionsOperator(task_id="theirs", path=str(theirs), **given))
    run_task(GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=str(tmp_path / name)))
    task = AggregateAnswersOperator(task_id="ours", answers=str(tmp_path / name), path=str(ours), fields=["label"])
    outcome = run_task(task)
    expected, rows = read(theirs), read(ours)
    assert [sorted(row) for row in rows] == [sorted(row) for row in expected]
    # Toloka's own table does not name the pool.
    same = ("task_id", "input_values", "is_control", *([] if ".tsv" in name else ["pool_id"]))
    assert [[row[key] for key in same] for row in rows] == [[row[key] for key in same] for row in expected]
    assert (outcome.result["solutions"], outcome.result["votes"]) == (12, 36)


ROWS = [
    {"assignment_id": f"{task}{person}", "task_id": task, "user_id": person, "output_values": {"label": label}}
    for task, person, label in [("a", "p", 1), ("a", "q", 1), ("b", "p", 2), ("b", "q", 2)]
]


def test_assets_get_the_result(tmp_path: Path) -> None:
    outlets = [Asset("labels"), AssetAlias("any labels")]
    path = str(tmp_path / "labels.jsonl")
    task = AggregateAnswersOperator(task_id="ours", answers=ROWS, path=path, fields=["label"], outlets=outlets)
    outcome = run_task(task)
    assert outcome.outlet_events[outlets[0]].extra == outcome.result
    [event] = outcome.outlet_events[outlets[1]].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{path}"
    assert event.extra == outcome.result


def test_nothing_that_counts_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "status": "REJECTED"} for row in ROWS]
    task = AggregateAnswersOperator(task_id="ours", answers=rows, path=str(tmp_path / "l.jsonl"), fields=["label"])
    assert run_task(task).result["solutions"] == 0
    assert "has no row: no answer in label counts" in capsys.readouterr().out


def test_its_methods_are_those_there_are() -> None:
    """They are written down twice, as a DAG that is parsed imports no numpy."""
    assert tuple(methods.METHODS) == METHODS
    with pytest.raises(ValueError, match="method is 'mean'; it must be one of majority_vote, "):
        AggregateAnswersOperator(task_id="ours", answers="a.jsonl", path="b.jsonl", fields=["label"], method="mean")


def test_a_mistake_fails_without_a_retry(tmp_path: Path) -> None:
    task = AggregateAnswersOperator(
        task_id="ours", answers=ROWS, path=str(tmp_path / "l.jsonl"), fields=["label"], method="weighted_vote"
    )
    with pytest.raises(AirflowFailException, match="none for a control task"):
        run_task(task)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "labels.csv"}, r"path is 'labels.csv'; rows are JSON Lines: name the file \*.jsonl"),
        ({"path": "{{ params.output }}/{{ run_id }}/labels.csv"}, r"labels.csv'; rows are JSON Lines: name the file"),
        ({"fields": "label"}, "fields is 'label'; it must be a list of output fields"),
        ({"statuses": "ACCEPTED"}, "statuses is 'ACCEPTED'; it must be a list of statuses, of ACTIVE"),
        ({"statuses": ["APPROVED"]}, "statuses has 'APPROVED'; there are ACTIVE"),
    ],
)
def test_mistakes_are_found_when_the_dag_is_parsed(arguments: dict[str, Any], words: str) -> None:
    given = {"answers": "a.jsonl", "path": "b.jsonl", "fields": ["label"], **arguments}
    with pytest.raises(ValueError, match=words):
        AggregateAnswersOperator(task_id="ours", **given)


def test_what_templates_will_give_is_not_known_when_the_dag_is_parsed() -> None:
    AggregateAnswersOperator(task_id="ours", answers="{{ a }}", path="{{ b }}", fields="{{ fields }}")
    AggregateAnswersOperator(task_id="other", answers="{{ a }}", path="{{ b.c }}/{{ d }}", fields=["label"])


def test_labels_do_not_replace_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    task = AggregateAnswersOperator(task_id="ours", answers=str(path), path=f"file://{path}", fields=["label"])
    with pytest.raises(AirflowFailException, match="and so is answers, which would be overwritten"):
        run_task(task)
    assert read(path) == ROWS


def test_the_log_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "l.jsonl")
    result = run_task(AggregateAnswersOperator(task_id="ours", answers=ROWS, path=path, fields=["label"])).result
    assert (
        f"{path} has 2 labels of 4 votes, by dawid_skene_map; {result['mean_confidence']:.1%} of them are to be "
        "expected to be right"
    ) in capsys.readouterr().out
