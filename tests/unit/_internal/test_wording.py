"""What a number is followed by, and that no message puts a plural behind a number that may be one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from toloka_airflow._internal.wording import counted, plural

PACKAGE = Path(__file__).parents[3] / "toloka_airflow"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if PACKAGE / "emulator" not in path.parents]
NOUNS = (
    "answers assignments attachments bonuses cells days errors files items labels mistakes operations pages people "
    "pools problems restrictions rounds rows runs solutions tasks triggers votes waits warnings windows"
)
PLURAL = re.compile(rf" (?:[a-z]+ ){{0,2}}(?:{NOUNS.replace(' ', '|')})\b")
LENGTH = re.compile(r"(len|sum)\(")
AFTER_NUMBER = re.compile(rf"%d(?={PLURAL.pattern})")
MANY = (
    "{len(problems)} mistakes",
    "{len(windows)} windows; the first",
    "{len(pools)} open pools",
    "{len(names):,} methods",
    "{len(group):,} people",
    "{len(people):,} people: banned ones",
    "{len(self.voted)} tasks are too many",
    "{len(self.tasks)} tasks, {len(self.people)} people",
)
"""What is only said of more than one."""


def test_the_noun_goes_with_the_number() -> None:
    assert [counted(number, "page") for number in (0, 1, 2)] == ["0 pages", "1 page", "2 pages"]
    assert [counted(number, "bonus is", "bonuses are") for number in (1, 2)] == ["1 bonus is", "2 bonuses are"]
    assert plural(1.0, "day") == "day"


def numbers_before_plurals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the line and the text of each length, or %d, that a plural follows, whatever the number is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, node.value) for _ in AFTER_NUMBER.finditer(node.value))
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                is_length = isinstance(value, ast.FormattedValue) and LENGTH.match(ast.unparse(value.value))
                if is_length and isinstance(text, ast.Constant) and PLURAL.match(str(text.value)):
                    yield node.lineno, ast.unparse(node)


def test_what_would_be_found() -> None:
    text = "f'{len(a)} bonuses'; f'{len(a)} of them'; 'Sent %d more tasks'; f'{counted(a, 1)}'"
    assert [line for line, _ in numbers_before_plurals(ast.parse(text))] == [1, 1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_plural_follows_a_number_that_may_be_one(path: Path) -> None:
    found = numbers_before_plurals(ast.parse(path.read_text()))
    assert [text for _, text in found if not any(many in text for many in MANY)] == []
