"""Which line of a Python file a value has that is given to a call."""

from __future__ import annotations

from textwrap import dedent

import pytest

from toloka_airflow._internal.literals import argument_lines

FILE = dedent(
    """\
    from copy import deepcopy
    from elsewhere import LIMITS

    MIXER = {
        "real": 9,
        "golden": 1,
    }
    POOL = {
        "name": "Pool",
        "mixer": MIXER,
        "rules": [
            {"type": "a"},
            {"type": "b",
             "value": 5},
        ],
    }
    annotated: dict = {"name": "x"}
    TWICE = {"name": 1}
    TWICE = {"name": 2}

    create(config=POOL)
    create(
        config={
            **POOL,
            "rules": [
                {"type": "c"},
            ],
            **LIMITS,
        },
        other={"name": "no"},
    )
    create(config=deepcopy(POOL) | {"name": "other"})
    create(config=made("up", 2))
    create(config=annotated)
    create(config=TWICE)
    create(config={"a": {"name": 1}, "a": made()}, plain=1)
    outer(create(config={"inner": 1}),
          config={"outer": 1})
    create(config=[*POOL, {"lost": 1}])
    create(LIMITS)
    def factory(MIXER):
        return create(config={"mixer": LIMITS, **{"own": 1}})
    NAME = "named"
    create(config={NAME: 1, LIMITS: 2})
    """
)


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(FILE.splitlines(), 1) if text in line)


def lines(call: str) -> dict[tuple[str | int, ...], int]:
    return argument_lines(FILE, line_of(call), "config")


def test_a_name_that_the_file_assigns() -> None:
    """But not one that means something else elsewhere in the file, such as the parameter of a function."""
    assert lines("create(config=POOL)") == {
        (): line_of("create(config=POOL)"),
        ("name",): line_of('"name": "Pool"'),
        ("mixer",): line_of('"mixer": MIXER'),
        ("rules",): line_of('"rules": ['),
        ("rules", 0): line_of('{"type": "a"}'),
        ("rules", 0, "type"): line_of('{"type": "a"}'),
        ("rules", 1): line_of('{"type": "b"'),
        ("rules", 1, "type"): line_of('{"type": "b"'),
        ("rules", 1, "value"): line_of('"value": 5'),
    }


def test_what_a_later_part_replaces_has_no_line_any_more() -> None:
    found = argument_lines(FILE, line_of("**POOL,") - 1, "config")
    assert found[("rules", 0, "type")] == line_of('{"type": "c"}')
    assert ("rules", 1) not in found
    assert found[("name",)] == line_of('"name": "Pool"')


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("create(config=deepcopy(POOL) |", {("name",): '"name": "other"', ("mixer",): '"mixer": MIXER'}),
        ("create(config=annotated)", {("name",): "annotated: dict"}),
        ("create(config=TWICE)", {}),
        ('create(config=made("up", 2))', {}),
        ("plain=1", {("a",): "plain=1"}),
        ("outer(create", {("inner",): "outer(create"}),
        ('config={"outer": 1})', {("outer",): 'config={"outer": 1})'}),
        ("[*POOL", {}),
        ("create(LIMITS)", {}),
        ("create(config={NAME", {("named",): "create(config={NAME"}),
        ("return create", {("mixer",): "return create", ("own",): "return create"}),
    ],
)
def test_a_call(call: str, expected: dict[tuple[str | int, ...], str]) -> None:
    found = lines(call)
    assert {path: found.get(path) for path in expected} == {path: line_of(text) for path, text in expected.items()}
    if not expected:
        assert found == {(): line_of(call)}


@pytest.mark.parametrize("source", ["", "create(config={'a': 1", "\0"])
def test_a_file_that_was_changed_since(source: str) -> None:
    assert argument_lines(source, 7, "config") == {(): 7}
