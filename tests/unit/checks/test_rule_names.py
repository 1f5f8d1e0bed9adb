"""Every rule has a name that says what it is about, and every name a rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import toloka_airflow.checks
from toloka_airflow.checks.rule_names import ERRORS, WARNINGS

MODULES = sorted(Path(toloka_airflow.checks.__file__).parent.glob("*.py"))
NAME = re.compile(r"[a-z]+(-[a-z]+)*")


def strings(*, except_for: str) -> set[str]:
    trees = (ast.parse(path.read_text()) for path in MODULES if path.stem != except_for)
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_rule_is_named() -> None:
    """Whatever looks like a name of several words is one."""
    found = {text for text in strings(except_for="rule_names") if NAME.fullmatch(text) and "-" in text}
    assert found - WARNINGS.keys() - ERRORS.keys() == set()


def test_every_name_has_a_rule() -> None:
    assert (WARNINGS.keys() | ERRORS.keys()) - strings(except_for="rule_names") == set()


def test_names_and_reasons_are_plain() -> None:
    for name, about in [*WARNINGS.items(), *ERRORS.items()]:
        assert NAME.fullmatch(name)
        assert about
        assert not about.endswith(".")
        assert "|" not in about
