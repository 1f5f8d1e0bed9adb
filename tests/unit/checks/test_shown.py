"""Nothing is wrong with the configurations that this project shows: in its examples, its documentation, its demo."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from toloka_airflow.checks import Document, check_config
from toloka_airflow.checks.checking import kind_of

ROOT = Path(__file__).resolve().parents[3]
SUPPLIED = ("project_id", "will_expire", "training_pool_id", "training_passing_skill_value")
BLOCK = re.compile(r"^( *)```(python|yaml|json)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
WRONG = {
    "docs/checks.md: Animals": {"unknown-key", "unknown-value"},
    "docs/checks.md: School": {"wrong-type"},
}
"""What is shown because it is wrong, and what is said of it."""

NOT_KNOWN = object()
"""What stands for the value of an expression."""


def configurations(file: Path) -> Iterator[dict[str, Any]]:
    """Iterate over what a file shows that is a whole configuration, by its keys."""
    if file.suffix == ".yaml":
        yield yaml.safe_load(file.read_text())
        return
    blocks = [("python", file.read_text())] if file.suffix == ".py" else []
    for indent, language, text in BLOCK.findall(file.read_text()) if file.suffix == ".md" else []:
        blocks.append((language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)))
    for language, text in blocks:
        if language == "python":
            yield from _dicts(text)
        else:
            yield from _object(text)


def _object(text: str) -> Iterator[dict[str, Any]]:
    """Return what is shown as JSON or YAML, if it is one object and not some lines of JSON or a part."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    if isinstance(value, dict):
        yield value


def _dicts(text: str) -> Iterator[dict[str, Any]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return  # a part of a DAG, such as a line with `...`
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            value = _value(node)
            assert isinstance(value, dict)
            yield value


def _value(node: ast.AST) -> Any:
    """Return the value of a literal; what is computed is not known."""
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    return node.value if isinstance(node, ast.Constant) else NOT_KNOWN


def shown() -> Iterator[tuple[str, Document]]:
    for file in sorted(
        [
            *ROOT.glob("*.md"),
            *(ROOT / "docs").glob("*.md"),
            *(file for folder in ("dags_examples", "demo") for file in (ROOT / folder).rglob("*") if file.is_file()),
        ]
    ):
        if file.suffix not in (".md", ".py", ".yaml"):
            continue
        for value in configurations(file):
            kind = kind_of(value)
            if kind and len(value) > 2:  # a dict with one of the keys is an answer, or what is changed of one
                name = value.get("private_name", value.get("public_name"))
                yield f"{file.relative_to(ROOT)}: {kind if name is NOT_KNOWN else name}", Document(kind, value)


SHOWN = list(shown())


def test_there_are_some() -> None:
    kinds = [document.kind for _, document in SHOWN]
    assert set(kinds) == {"project", "pool", "training"}
    assert len(kinds) >= 10


@pytest.mark.parametrize(("name", "document"), SHOWN, ids=[name for name, _ in SHOWN])
def test_it_has_no_error(name: str, document: Document) -> None:
    assert {problem.rule for problem in check_config(document, given=SUPPLIED)} == WRONG.get(name, set())


def test_what_is_wrong_is_shown() -> None:
    assert WRONG.keys() <= {name for name, _ in SHOWN}
