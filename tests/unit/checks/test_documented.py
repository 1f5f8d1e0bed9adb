"""Nothing is wrong with what Toloka's documentation shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.documented_configurations import Example, examples
from toloka_airflow.checks import Document, Problem, check, check_config, check_files

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = list(examples())
ADVICE: dict[str, dict[str, str]] = {
    "pools.quality_control.accept_ban": {
        "rate-as-fraction": "its own comment says 40 %, but rejected_assignments_rate is in percent, so 0.4 is 0.4 %",
    },
    "projects.create.request.template_builder": {
        "template-field": "the interface writes result, but the field is category",
        "template-unwritten": "category is required, and nobody can give it",
    },
}
"""The documented examples that contradict the documentation or themselves, by the warnings that say so, and how."""

TEXTS: dict[str, Callable[[object], str]] = {
    "json": lambda value: json.dumps(value, indent=2),
    "yaml": lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True),
}


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level == "error"]


def test_all_of_them_are_there() -> None:
    kinds = [example.kind for example in EXAMPLES]
    assert (kinds.count("project"), kinds.count("pool"), kinds.count("training")) == (7, 37, 7)


def advice(example: Example) -> set[str]:
    return set(ADVICE.get(example.name, ()))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_nothing_is_wrong_with_it(example: Example) -> None:
    problems = check(**{example.kind: example.value}, now=example.day_before)
    assert errors(problems) == []
    assert {problem.rule for problem in problems} == advice(example)
    assert check_config(Document(example.kind, example.value)) == []


@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_nothing_is_wrong_with_a_file_of_it(tmp_path: Path, example: Example, suffix: str) -> None:
    """What it is is found out; and the warnings that are in `ADVICE` can be switched off."""
    file = tmp_path / f"configuration.{suffix}"
    file.write_text(TEXTS[suffix](example.value))
    assert check_files([file], off=advice(example), now=example.day_before) == []


def test_all_others_are_silent() -> None:
    """A warning about an example is a decision, which is made here and not by adding to the list alone."""
    assert {name: set(advice) for name, advice in ADVICE.items()} == {
        "pools.quality_control.accept_ban": {"rate-as-fraction"},
        "projects.create.request.template_builder": {"template-field", "template-unwritten"},
    }


def test_the_configurations_of_the_example_dags_lack_only_what_their_operators_give() -> None:
    """The operator that creates the pool of `label_with_training` gives it the training, too."""
    folder = ROOT / "dags_examples" / "reviews"
    files = sorted(folder.glob("*.yaml"))
    assert [file.stem for file in files] == ["pool", "project", "training"]
    problems = check_files(files)
    assert [(Path(problem.file).stem, problem.rule, problem.path) for problem in problems] == [
        ("pool", "given-later", ("project_id",)),
        ("pool", "given-later", ("will_expire",)),
        ("pool", "no-quality-rule", ("quality_control",)),
        ("training", "given-later", ("project_id",)),
        ("training", "training-unused", ()),
    ]
    for file in files:
        document = Document.read(file.stem, file)  # type: ignore[arg-type]
        assert check_config(document, given=("project_id", "will_expire")) == []
