"""How good people's answers are, by the control tasks among them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import TOKEN, connect, run_task
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import SET_BY_TOLOKA
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.restrictions import RestrictUsersOperator
from toloka_airflow.operators.skills import CreateSkillOperator, SetUserSkillsOperator
from toloka_airflow.quality.measures import measure_quality
from toloka_airflow.quality.people import accuracy_by_person
from toloka_airflow.quality.report import read_figures


def answer(person: str, given: Any, *known: Any, field: str = "label") -> dict[str, Any]:
    row = {"assignment_id": "a-1", "user_id": person, "task_id": "t-1", "output_values": {field: given}}
    return {**row, "known_solutions": [{"output_values": {field: value}} for value in known]} if known else row


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz", "answers.tsv", "answers.tsv.gz"])
def test_the_files_of_a_download(toloka: EmulatorServer, tmp_path: Path, name: str) -> None:
    """Each row is what the answers of the API itself give."""
    pool_id = toloka.add_pool(60, overlap=3, auto_accept_solutions=False)
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    golden = {"pool_id": pool_id, "known_solutions": [{"output_values": {"label": "yes"}}], "infinite_overlap": True}
    client.create_tasks([{**golden, "input_values": {"text": f"golden {number}"}} for number in range(10)])
    pool = client.get_pool(pool_id)
    mixer = {"real_tasks_count": 1, "golden_tasks_count": 1, "training_tasks_count": 0}
    body = {key: value for key, value in pool.raw.items() if key not in SET_BY_TOLOKA}
    client.update_pool(pool_id, {**body, "mixer_config": mixer})
    client.open_pool(pool_id)
    toloka.clock.advance(24 * 3600)
    path = str(tmp_path / name)
    run_task(GetAssignmentsOperator(task_id="get", pool_id=pool_id, path=path, status="SUBMITTED"))
    right, total = Counter[str](), Counter[str]()
    for assignment in client.list_assignments(pool_id=pool_id, status="SUBMITTED"):
        for task, solution in zip(assignment.tasks, assignment.solutions, strict=True):
            if task.raw.get("known_solutions"):
                total[str(assignment.user_id)] += 1
                right[str(assignment.user_id)] += solution == {"label": "yes"}
    assert len(total) > 3
    assert 0 < right.total() < total.total()
    expected = [
        {"user_id": person, "right": right[person], "total": total[person], "accuracy": right[person] / total[person]}
        for person in sorted(total)
    ]
    assert accuracy_by_person(path) == expected
    often = accuracy_by_person(path, tmp_path / "people.jsonl.gz", min_answers=3)
    assert often == [row for row in expected if row["total"] >= 3]
    lines = gzip.decompress((tmp_path / "people.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == often


def test_what_is_right() -> None:
    answers = [
        answer("a", "cat", "dog", "cat"),
        answer("a", "cow", "dog", "cat"),
        answer("a", "whatever"),
        answer("b", 3, 3.0),
        answer("b", None, "cat"),
        answer("c", "cat"),
        {**answer("d", "cat", "cat"), "output_values": {}},
    ]
    assert accuracy_by_person(answers) == [
        {"user_id": "a", "right": 1, "total": 2, "accuracy": 0.5},
        {"user_id": "b", "right": 1, "total": 2, "accuracy": 0.5},
        {"user_id": "d", "right": 0, "total": 1, "accuracy": 0.0},
    ]


@pytest.mark.parametrize(
    ("given", "known", "is_right"),
    [
        (True, 1, False),
        (3, "3", False),
        (["b", "a"], ["a", "b"], True),
        ({"a": True, "b": False}, {"a": True}, True),
        ({"x": 1.0}, {"x": 1}, True),
    ],
)
def test_values_are_equal_as_they_are_for_all_figures(given: Any, known: Any, is_right: bool) -> None:
    answers = [answer("a", given, known)]
    assert accuracy_by_person(answers)[0]["right"] == is_right
    [person] = measure_quality(answers, fields=["label"])["fields"]["label"]["by_person"]
    assert person["known"]["right"] == is_right
    [shown] = read_figures(answers).people
    assert (shown.right, shown.compared) == (is_right, 1)


def test_where_several_values_are_right_each_of_them_is() -> None:
    answers = [
        {**answer(person, given, "dog", "cat"), "task_id": f"t-{task}", "assignment_id": f"{person}-{task}"}
        for task in range(5)
        for person, given in (("a", "cat"), ("b", "dog"), ("c", "cow"))
    ]
    expected = [("a", 5, 5), ("b", 5, 5), ("c", 0, 5)]
    assert [(row["user_id"], row["right"], row["total"]) for row in accuracy_by_person(answers)] == expected
    people = measure_quality(answers, fields=["label"])["fields"]["label"]["by_person"]
    assert [(row["user_id"], row["known"]["right"], row["known"]["total"]) for row in people] == expected
    figures = read_figures(answers)
    assert figures.accuracy_by == "control tasks"
    assert sorted((person.id, person.right, person.compared) for person in figures.people) == expected


def test_nobody_has_answered(tmp_path: Path, toloka: EmulatorServer) -> None:
    """As in a window to which nobody came: nobody gets a skill, and nobody is restricted."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text("")
    people = str(tmp_path / "people.jsonl")
    assert accuracy_by_person(answers, people, fields=["label"]) == []
    skill_id = run_task(CreateSkillOperator(task_id="skill", name="Sees cats")).result
    set_skills = SetUserSkillsOperator(task_id="set_skills", skill_id=skill_id, values=people)
    restrict = RestrictUsersOperator(task_id="restrict", users=people, accuracy_below=0.6, scope="ALL_PROJECTS")
    assert run_task(set_skills).result["total"] == 0
    assert run_task(restrict).result["total"] == 0


def test_what_json_does_not_have_is_named_with_its_answer() -> None:
    with pytest.raises(ValueError, match="answers, item 1: it has nan, which JSON does not have"):
        accuracy_by_person([answer("a", {"x": float("nan")}, {"x": 1})])


def test_some_fields_only() -> None:
    row = answer("a", "cat", "cat")
    row["output_values"]["comment"] = "mine"
    row["known_solutions"][0]["output_values"]["comment"] = "yours"
    assert accuracy_by_person([row])[0]["accuracy"] == 0
    assert accuracy_by_person([row], fields=["label"])[0]["accuracy"] == 1
    with pytest.raises(ValueError, match="answers: there is none to a control task with a known other, so nobody's"):
        accuracy_by_person([row], fields=["other"])
    with pytest.raises(ValueError, match="fields: no control task has a known lable"):
        accuracy_by_person([row], fields=["comment", "lable"])


@pytest.mark.parametrize(
    ("answers", "arguments", "message"),
    [
        ([{**answer("a", "x", "x"), "known_solutions": []}], {}, "answers: there is none to a control task"),
        ([{"user_id": "a", "accuracy": 1}], {}, "answers, item 1: it has no output_values, so it is no row of"),
        (["a"], {}, "answers, item 1: it is 'a'; an answer is an object"),
        ([{**answer("a", "x", "x"), "user_id": None}], {}, "answers, item 1: it has no user_id"),
        ([answer("a", "x", "x")], {"fields": "label"}, "fields is 'label'; it must be a list"),
        ([answer("a", "x", "x")], {"fields": []}, r"fields is \[\]; it must be a list"),
        ([answer("a", "x", "x")], {"min_answers": 0}, "min_answers is 0"),
        ("answers.xlsx", {}, "answers is '/?answers.xlsx', whose format is not known"),
        ("/nowhere/answers.jsonl", {}, "answers is '/nowhere/answers.jsonl', and there is no such file"),
        (None, {}, "answers is None"),
    ],
)
def test_what_cannot_be_used(answers: Any, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_by_person(answers, **arguments)


def test_it_needs_no_numpy() -> None:
    """Skills and restrictions are made of it where the extra is not installed."""
    code = f"""
import sys
sys.modules["numpy"] = None
from toloka_airflow.quality.people import accuracy_by_person
print(accuracy_by_person([{answer("a", 3, 3.0)!r}])[0]["accuracy"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1.0"
