"""Nothing is wrong with what Toloka's documentation shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.documented_configurations import Example, examples
from toloka_airflow.checks import Document, Problem, check, check_config, check_files

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = list(examples())
BEFORE_THEY_EXPIRE = datetime(2022, 1, 1, tzinfo=UTC)
TEXTS: dict[str, Callable[[object], str]] = {
    "json": lambda value: json.dumps(value, indent=2),
    "yaml": lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True),
}


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level == "error"]


def test_all_of_them_are_there() -> None:
    kinds = [example.kind for example in EXAMPLES]
    assert (kinds.count("project"), kinds.count("pool"), kinds.count("training")) == (7, 27, 7)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_is_silent(example: Example) -> None:
    assert check(**{example.kind: example.value}, now=BEFORE_THEY_EXPIRE) == []
    assert check_config(Document(example.kind, example.value)) == []


@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_is_silent_as_a_file_whose_kind_is_found_out(tmp_path: Path, example: Example, suffix: str) -> None:
    file = tmp_path / f"configuration.{suffix}"
    file.write_text(TEXTS[suffix](example.value))
    assert check_files([file], now=BEFORE_THEY_EXPIRE) == []


def test_the_configurations_of_the_example_dags_lack_only_what_their_operators_give() -> None:
    folder = ROOT / "dags_examples" / "reviews"
    files = sorted(folder.glob("*.yaml"))
    assert [file.stem for file in files] == ["pool", "project", "training"]
    problems = check_files(files)
    assert [(Path(problem.file).stem, problem.rule, problem.path) for problem in problems] == [
        ("pool", "given-later", ("project_id",)),
        ("pool", "given-later", ("will_expire",)),
        ("training", "given-later", ("project_id",)),
    ]
    for file in files:
        document = Document.read(file.stem, file)  # type: ignore[arg-type]
        assert check_config(document, given=("project_id", "will_expire")) == []
