"""The expressions of `docs/statistics.md` can be parsed, and are about what the page says is reported."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import pytest

from toloka_airflow.get_provider_info import get_provider_info

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text()
EXPRESSIONS = re.findall(r"^```promql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(toloka\.[\w.]+)` \| (\w+)[^|]* \| ([^|]*) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_about_what_is_reported(expression: str) -> None:
    promql_parser.parse(expression)
    known = {name.replace(".", "_"): kind for name, kind, _ in ROWS}
    names = re.findall(r"airflow_(toloka_\w+)", expression)
    assert names
    for name in names:
        assert known[name.removesuffix("_total")] in (["counter"] if name.endswith("_total") else known.values())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_labels_that_are_reported(expression: str) -> None:
    labels = set(re.findall(r"by \(([^)]*)\)", expression))
    tags = [
        set(re.findall(r"`(\w+)`", tags))
        for name, _, tags in ROWS
        if re.search(rf"airflow_{name.replace('.', '_')}(_total)?\b", expression)
    ]
    for group in labels:
        for label in group.split(", "):
            assert all(label in own for own in tags), label


def test_all_options_are_described() -> None:
    options = get_provider_info()["config"]["toloka"]["options"]
    names = {name for name in options if name.startswith("statistics_")}
    assert set(re.findall(r"^\| `\[toloka\] (\w+)` \|", PAGE, re.MULTILINE)) == names
