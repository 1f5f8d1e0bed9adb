"""
The mistakes that a program makes in every documented configuration are found, on their lines.

What counts as a mutant is written in `tests.mutants`. It is found if a problem is reported on the line of the key or
value that is wrong, and for what is missing, on the line of what it is missing in. All are checked with the lines that
they would have in a file; one of `EVERY` is really written to a file, as JSON and as YAML, and read from there. Where
fields of answers are named, the project is checked with the pool, as nothing else says what they are called.

A mutant that only has a warning is found as well: the API may be newer than this package, and a key that is near to
none that is known may be one of its new keys; how many there are is printed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

import pytest
import yaml

from tests.documented_configurations import Example, documented, examples
from tests.mutants import Mutant, Path, mutants
from toloka_airflow.checks import Document, Problem, check

PROJECT = Document("project", documented("projects.create.request.quickstart"))
LEAST_SHARE = 0.95
EVERY = 40

ADVICE = ("rate-as-fraction", "template-field", "template-unwritten")
"""What is said of some examples as they are; said of a mutant, it is no sign that the mistake is found."""

NOT_FOUND: dict[str, str] = {}
"""What is not found, by the name of the mutant, and why that changes neither money nor people."""


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


def expected_line(mutant: Mutant, lines: Mapping[Path, int]) -> int:
    return lines[mutant.path[:-1] if mutant.kind == "required" else mutant.path]


def found(mutant: Mutant, example: Example) -> list[Problem]:
    """Return what is reported of a mutant on its line."""
    lines = dict(json_lines(mutant.value))
    document = Document(example.kind, mutant.value, "mutant.json", lines)  # type: ignore[arg-type]
    project = PROJECT if "dynamic_overlap_config" in mutant.value else None
    problems = check(**{"project": project, example.kind: document}, now=example.day_before, off=ADVICE)
    line = expected_line(mutant, lines)
    return [problem for problem in problems if (problem.file, problem.line) == (document.file, line)]


@pytest.mark.parametrize("example", list(distinct()), ids=lambda example: example.name)
def test_mistakes_are_found_on_their_lines(example: Example) -> None:
    made, warned = Counter[str](), 0
    missed: list[str] = []
    for mutant in mutants(example.kind, example.value, example.inside):
        made[mutant.kind] += 1
        problems = found(mutant, example)
        warned += bool(problems) and all(problem.level == "warning" for problem in problems)
        if not problems:
            missed.append(mutant.named)
    total = made.total()
    print(f"{example.name}: {total - len(missed)} of {total} found, {warned} as warnings; {dict(made)}")
    assert total > 0
    assert (total - len(missed)) / total >= LEAST_SHARE
    assert {name for name in missed if name not in NOT_FOUND} == set()


def test_what_is_not_found_is_really_not_found() -> None:
    """No reason is left for what is found by now; and there are as many mutants as the documentation says."""
    every = [
        (mutant, example) for example in distinct() for mutant in mutants(example.kind, example.value, example.inside)
    ]
    print(f"{len(every)} mutants")
    assert len(every) > 10_000
    listed = {mutant.named for mutant, example in every if mutant.named in NOT_FOUND and not found(mutant, example)}
    assert listed == set(NOT_FOUND)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("example", list(distinct()), ids=lambda example: example.name)
def test_mistakes_are_found_in_files(tmp_path: FilePath, example: Example, suffix: str) -> None:
    write, lines = FORMATS[suffix]
    file = tmp_path / f"mutant.{suffix}"
    for mutant in islice(mutants(example.kind, example.value, example.inside), 0, None, EVERY):
        file.write_text(write(mutant.value))
        in_memory = [(problem.rule, problem.path) for problem in found(mutant, example)]
        project = PROJECT if "dynamic_overlap_config" in mutant.value else None
        problems = check(**{"project": project, example.kind: file}, now=example.day_before, off=ADVICE)
        line = expected_line(mutant, dict(lines(mutant.value)))
        on_its_line = [(problem.rule, problem.path) for problem in problems if problem.line == line]
        assert set(in_memory) <= set(on_its_line), mutant.named


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("example", list(distinct()), ids=lambda example: example.name)
def test_the_lines_of_this_test_are_those_of_the_text(example: Example, suffix: str) -> None:
    """A key is on the line where this test thinks it is."""
    write, lines = FORMATS[suffix]
    text = write(example.value).splitlines()
    for path, line in lines(example.value):
        if path and isinstance(path[-1], str):
            assert path[-1] in text[line - 1]
