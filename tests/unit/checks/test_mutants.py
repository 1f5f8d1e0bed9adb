"""
The mistakes that a program makes in every documented configuration are found, on their lines.

What counts as a mutant is written in `tests.mutants`. Each is written to a file and checked alone; it is found if a
problem is reported on the line of the key or value that is wrong, and for what is missing, on the line of what it is
missing in. Pools are checked beside the project of the quick start, to which the documented ones fit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
import yaml

from tests.documented_configurations import FOLDER, Example, examples
from tests.mutants import Mutant, Path, mutants
from toloka_airflow.checks import Problem, check_files

PROJECT = "projects.create.request.quickstart"
LEAST_SHARE = 0.95
EVERY = 25
"""One of so many mutants is also written as YAML, which takes long to read."""

NOT_FOUND: dict[str, str] = {}
"""What is not found, and why that changes neither money nor people; every one of these is really not found."""


def distinct() -> Iterator[Example]:
    """Iterate over the examples; answers that are the same as a request are not mutated twice."""
    seen: set[str] = set()
    for example in examples():
        text = json.dumps([example.value, example.inside])
        if text not in seen:
            seen.add(text)
            yield example


def json_lines(value: Any, at: Path = (), line: int = 1) -> Iterator[tuple[Path, int]]:
    """Iterate over the line of each value in JSON with a value on a line."""
    yield at, line
    for key, part in _items(value):
        line += 1
        yield from json_lines(part, (*at, key), line)
        line += _json_rows(part) - 1


def _json_rows(value: Any) -> int:
    rows = [_json_rows(part) for _, part in _items(value)]
    return sum(rows) + 2 if rows else 1


def yaml_lines(value: Any, at: Path = (), line: int = 1) -> Iterator[tuple[Path, int]]:
    """Iterate over the line of each value in YAML as `yaml.safe_dump` writes it in blocks."""
    yield at, line if at else 1
    for key, part in _items(value):
        begin = line if isinstance(key, int) else line + 1  # what is in a list begins beside its dash
        yield (*at, key), line
        yield from list(yaml_lines(part, (*at, key), begin))[1:]
        line += _yaml_rows(part) if isinstance(key, int) and _is_filled(part) else 1 + _yaml_rows(part)


def _yaml_rows(value: Any) -> int:
    return sum(
        _yaml_rows(part) if isinstance(key, int) and _is_filled(part) else 1 + _yaml_rows(part)
        for key, part in _items(value)
    )


def _is_filled(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000)


Lines = Callable[[Any], Iterator[tuple[Path, int]]]
FORMATS: dict[str, tuple[Callable[[Any], str], Lines]] = {
    "json": (lambda value: json.dumps(value, indent=1), json_lines),
    "yaml": (as_yaml, yaml_lines),
}


def problems_of(mutant: Mutant, example: Example, folder: FilePath, suffix: str) -> list[Problem]:
    """Return what is reported of a mutant at its line."""
    write, lines = FORMATS[suffix]
    file = folder / f"mutant.{suffix}"
    file.write_text(write(mutant.value))
    path = mutant.path[:-1] if mutant.kind == "required" else mutant.path
    line = dict(lines(mutant.value))[path]
    return [problem for problem in check_one(example, file) if problem.line == line and problem.file == str(file)]


def check_one(example: Example, file: FilePath) -> list[Problem]:
    """Check a configuration, a pool beside a project."""
    beside = [FOLDER / f"{PROJECT}.json"] if example.kind == "pool" else []
    return check_files([file, *beside])


@pytest.mark.parametrize("example", list(distinct()), ids=lambda example: example.name)
def test_mistakes_are_found_on_their_lines(tmp_path: FilePath, example: Example) -> None:
    made, warned = Counter[str](), 0
    missed: list[str] = []
    for number, mutant in enumerate(mutants(example.kind, example.value, example.inside)):
        made[mutant.kind] += 1
        found = problems_of(mutant, example, tmp_path, "json")
        warned += bool(found) and all(problem.level == "warning" for problem in found)
        if not found:
            missed.append(mutant.named)
        if number % EVERY == 0:
            assert bool(problems_of(mutant, example, tmp_path, "yaml")) == bool(found), mutant.named
    total = made.total()
    print(f"{example.name}: {total - len(missed)} of {total} found, {warned} as warnings; {dict(made)}")
    assert total > 0
    assert (total - len(missed)) / total >= LEAST_SHARE
    assert [name for name in missed if name not in NOT_FOUND] == []


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("example", list(distinct()), ids=lambda example: example.name)
def test_the_lines_of_this_test_are_those_of_the_text(example: Example, suffix: str) -> None:
    """A key is on the line where this test thinks it is."""
    write, lines = FORMATS[suffix]
    text = write(example.value).splitlines()
    for path, line in lines(example.value):
        if path and isinstance(path[-1], str):
            assert path[-1] in text[line - 1]
