from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.documented_configurations import documented, examples
from tests.mutants import get, paths_of, with_value
from toloka_airflow.checks import Document, check, check_config, check_files
from toloka_airflow.checks.checking import kind_of
from toloka_airflow.checks.rule_names import WARNINGS

PROJECT = documented("projects.create.request.quickstart")
POOL = documented("pools.create.request.pool_long")
TRAINING = documented("trainings.create.request")
EXAMPLES = list(examples())


def write(file: Path, value: object) -> Path:
    file.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
    return file


def test_all_ways_to_give_a_configuration_are_the_same(tmp_path: Path) -> None:
    wrong = {**TRAINING, "privatename": "a"}
    file = write(tmp_path / "training.json", wrong)
    document = Document.read("training", file)
    for training in (wrong, file, str(file), document):
        assert [problem.rule for problem in check(training=training) if problem.level == "error"] == ["unknown-key"]
    assert check(training=file) == check(training=document) == check_files([file])


def test_the_document_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="pool is the Document of a training"):
        check(pool=Document("training", TRAINING))


def test_problems_are_in_the_order_of_their_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "training.json", {**TRAINING, "private_name": 5, "inherited_instructions": "no"})
    lines = [problem.line for problem in check(training=file)]
    assert lines == sorted(lines, key=int)  # type: ignore[arg-type]
    assert len(lines) == 2


def test_a_file_that_cannot_be_read_is_a_problem_with_its_line(tmp_path: Path) -> None:
    broken = write(tmp_path / "pool.yaml", "private_name: a\nprivate_name: b\n")
    gone = tmp_path / "gone.json"
    for problems in (check(pool=broken, project=gone), check_files([gone, broken])):
        assert {(problem.rule, Path(problem.file).name, problem.line) for problem in problems} == {
            ("unreadable", "pool.yaml", 2),
            ("unreadable", "gone.json", None),
        }


def test_warnings_are_switched_off_by_their_names_and_errors_are_not() -> None:
    wrong = {key: value for key, value in TRAINING.items() if key != "project_id"} | {"privatename": "a"}
    assert {problem.rule for problem in check(training=wrong)} == {"given-later", "unknown-key"}
    assert [problem.rule for problem in check(training=wrong, off=["given-later", "unknown-key"])] == ["unknown-key"]


@pytest.mark.parametrize("off", [["given-latr"], ["missing-key"], ["given-later", ""], "given-later"])
def test_a_name_that_no_warning_has_is_refused(tmp_path: Path, off: Any) -> None:
    for call in (lambda: check(training=TRAINING, off=off), lambda: check_files([], off=off)):
        with pytest.raises(ValueError, match=r"^off (has|is) '"):
            call()


def test_every_warning_says_what_it_is_about() -> None:
    assert WARNINGS
    assert all(name == name.lower() and about for name, about in WARNINGS.items())


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (PROJECT, "project"),
        (POOL, "pool"),
        (TRAINING, "training"),
        ({"task_spec": {}}, "project"),
        ({"filter": {}}, "pool"),
        ({"retry_training_after_days": 1}, "training"),
        ({"project_id": "1", "private_name": "a"}, None),
        ({}, None),
    ],
)
def test_what_a_file_is(tmp_path: Path, value: dict[str, Any], kind: str | None) -> None:
    assert kind_of(value) == kind
    rules = {problem.rule for problem in check_files([write(tmp_path / "some.json", value)])}
    assert ("unknown-file" in rules) == (kind is None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tasks.json", '[{"input_values": {"image": "https://example.com/1.jpg"}}]'),
        ("tasks.jsonl", '{"input_values": {"image": "https://example.com/1.jpg"}}'),
        ("tasks.csv", "INPUT:image\nhttps://example.com/1.jpg\n"),
    ],
)
def test_files_that_are_no_configurations_are_tasks(tmp_path: Path, name: str, content: str) -> None:
    files = [write(tmp_path / "project.json", PROJECT), write(tmp_path / name, content)]
    assert check_files(files) == []
    write(tmp_path / name, content.replace("image", "imag"))
    assert {(problem.level, Path(problem.file).name) for problem in check_files(files)} == {("error", name)}


def test_two_files_of_a_kind_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one.json", POOL), write(tmp_path / "other.json", POOL)
    with pytest.raises(ValueError, match=r"other\.json and another file both are of the kind pool"):
        check_files([one, other])


def test_while_a_dag_is_parsed_there_are_errors_only() -> None:
    config = {key: value for key, value in POOL.items() if key != "will_expire"} | {"favourite_colour": "red"}
    assert check_config(Document("pool", config), given=("will_expire",)) == []
    assert [problem.rule for problem in check_config(Document("pool", config))] == ["missing-key"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.data(), st.sampled_from(EXAMPLES), json_values)
def test_whatever_is_in_a_configuration_is_checked(data: st.DataObject, example: Any, value: Any) -> None:
    """Any value at any place is either fine or a problem that can be printed, never an exception."""
    path = data.draw(st.sampled_from(sorted(paths_of(example.value), key=str)))
    config = with_value(example.value, path, value)
    assert get(config, path) is value
    problems = (
        check(**{example.kind: config}, project=PROJECT) if example.kind == "pool" else check(**{example.kind: config})
    )
    assert all(str(problem) and json.dumps(problem.as_json()) for problem in problems)
    assert all(problem.level == "error" for problem in check_config(Document(example.kind, config)))
