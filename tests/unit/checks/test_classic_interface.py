"""The HTML of a classic interface, held against the fields of the project."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checked_configurations import PROJECT, changed, rules
from toloka_airflow.checks import Document
from toloka_airflow.checks.classic_interface import check_markup

CAT = '{{field type="radio" name="kind" value="cat" label="A cat"}}'
DOG = "{{field type='radio' name='kind' value='dog' hotkey='2'}}"
COMMENT = '{{field type="textarea" name="comment"}}'
IMAGE = "<img src='{{image}}'>"


def found(markup: Any, **view: Any) -> list[tuple[str, str, str]]:
    spec = {"type": "classic", "markup": markup, **view}
    document = Document("project", changed(PROJECT, {"task_spec.view_spec": spec}), file="project.yaml")
    return rules(check_markup(document))


@pytest.mark.parametrize(
    "markup",
    [
        f"{IMAGE}{CAT}{DOG}{COMMENT}",
        f"{IMAGE}{{{{{{source}}}}}}{CAT}{DOG}",
        f"<!-- {{{{imgae}}}} --> {{{{! imgae }}}} {CAT}{DOG}",
        # In a block, a name may be one of what it repeats.
        f"{{{{#each source}}}}{{{{imgae}}}}{{{{/each}}}}{CAT}",
        '{{field type="select" name="kind"}}',
        "",
        None,
    ],
)
def test_nothing_is_wrong_with_it(markup: Any) -> None:
    assert found(markup) == []


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (f"{{{{imgae}}}}{CAT}{DOG}", ("error", "markup-field")),
        (f"{{{{headline}}}}{CAT}{DOG}", ("warning", "markup-field")),
        (f"{CAT}{DOG}{COMMENT}".replace("comment", "coment"), ("error", "markup-field")),
        (f"{CAT}{DOG}{COMMENT}".replace("comment", "remarks"), ("warning", "markup-field")),
        (f"{CAT}{DOG}{DOG.replace('dog', 'cow')}", ("error", "markup-option")),
        (CAT, ("warning", "markup-option")),
    ],
)
def test_what_does_not_fit(markup: str, expected: tuple[str, str]) -> None:
    assert found(markup) == [(*expected, "task_spec.view_spec.markup")]


def test_what_a_script_may_do_is_not_judged() -> None:
    assert found(CAT, script="addButtons()") == []


def test_another_interface_is_not_read() -> None:
    assert found("{{imgae}}", type="tb") == []
