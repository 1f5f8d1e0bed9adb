"""Values of fields: each rule finds its mistake and nothing else, and text that the upload reads is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toloka_airflow.checks.task_values import TYPES, ValuesCheck, value_check
from toloka_airflow.emulator.forms.values import check_values
from toloka_airflow.transfer.values import value_reader

INFINITY = float("inf")
CASES: list[tuple[Mapping[str, Any], list[Any], list[tuple[Any, str]]]] = [
    ({"type": "string"}, ["", "a"], [(1, "field-type"), (True, "field-type"), (["a"], "field-type")]),
    ({"type": "STRING"}, ["a"], [(1, "field-type")]),
    ({"type": "url"}, ["https://example.com", "disk/image.png"], [(1, "field-type")]),
    ({"type": "file"}, ["an id"], [(1, "field-type")]),
    ({"type": "integer"}, [0, -1, 2**70], [("1", "field-type"), (1.0, "field-type"), (True, "field-type")]),
    ({"type": "float"}, [0, -1.5], [("1", "field-type"), (False, "field-type")]),
    ({"type": "boolean"}, [True, False], [(1, "field-type"), (0, "field-type"), ("true", "field-type")]),
    ({"type": "json"}, [{}, [1], "a", 1], []),
    ({"type": "of a newer API"}, [{}, [1], "a", 1], []),
    (
        {"type": "coordinates"},
        ["55.75,37.62", "55.75, 37.62", "-90,180"],
        [("55.75", "field-type"), ("91,0", "field-type"), ("0,181", "field-type"), (55.75, "field-type")],
    ),
    ({"type": "array_integer"}, [[], [1, 2]], [(1, "field-type"), ([1, "2"], "field-type"), ("1,2", "field-type")]),
    ({"type": "array_url", "min_size": 1, "max_size": 2}, [["a"]], [([], "field-range"), (["a"] * 3, "field-range")]),
    ({"type": "string", "min_length": 2, "max_length": 3}, ["ab"], [("a", "field-range"), ("abcd", "field-range")]),
    ({"type": "string", "max_length": 1}, ["", "a"], [("ab", "field-range")]),
    ({"type": "integer", "min_value": 1, "max_value": 3}, [1, 3], [(0, "field-range"), (4, "field-range")]),
    ({"type": "float", "min_value": 0.5}, [0.5, 1], [(0.4, "field-range")]),
    ({"type": "string", "pattern": "[a-z]+"}, ["ab"], [("", "field-pattern"), ("a1", "field-pattern")]),
    # Java's \d is ASCII; what Python cannot compile is left to Toloka.
    ({"type": "string", "pattern": r"\d+"}, ["12"], [("٣", "field-pattern")]),
    ({"type": "string", "pattern": r"\p{L}+"}, ["a", "1"], []),
    ({"type": "string", "allowed_values": ["yes", "no"]}, ["yes"], [("Yes", "allowed-value"), ("a", "allowed-value")]),
    ({"type": "integer", "allowed_values": [1, 2]}, [1], [(3, "allowed-value"), (True, "field-type")]),
    ({"type": "array_string", "allowed_values": ["a"]}, [["a", "a"]], [(["a", "b"], "allowed-value")]),
    ({"type": "boolean", "allowed_values": [True]}, [True], [(False, "allowed-value")]),
    ({"type": "string", "allowed_values": []}, ["anything"], []),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "right", "wrong"), CASES, ids=lambda value: str(value)[:60])
def test_a_value(spec: Mapping[str, Any], right: list[Any], wrong: list[tuple[Any, str]]) -> None:
    check = value_check(spec)
    assert [check(value) for value in right] == [None] * len(right)
    assert [found.rule if (found := check(value)) else None for value, _ in wrong] == [rule for _, rule in wrong]


def test_a_misspelt_value_has_the_nearest_allowed_one() -> None:
    wrong = value_check({"type": "string", "allowed_values": ["positive", "negative"]})("postive")
    assert wrong is not None
    assert "did you mean 'positive'?" in wrong.message


def test_fields_that_are_missing_unknown_or_null() -> None:
    specs = {"image": {"type": "url"}, "title": {"type": "string", "required": False}}
    check = ValuesCheck(specs)
    assert list(check.wrong({"image": "a", "title": None})) == []
    found = [(name, wrong.rule) for name, wrong in check.wrong({"image": None, "tilte": "a"})]
    assert found == [("tilte", "unknown-field"), ("image", "required-field")]
    assert "did you mean 'title'?" in next(check.wrong({"image": "a", "tilte": "a"}))[1].message
    assert list(ValuesCheck(specs, partly=True).wrong({})) == []


ANY_TEXT = st.text(max_size=8) | st.from_regex(r"[-+]?[0-9]{1,3}(\.[0-9])?", fullmatch=True)
CELLS = ANY_TEXT | st.sampled_from(["true", "False", "1,2", '"a,b",c', "55.7,37.6", '["a", "b"]', '{"a": 1}', "[1]"])


@settings(derandomize=True, database=None, deadline=None)
@given(kind=st.sampled_from([*TYPES, *(f"array_{kind}" for kind in TYPES)]), cell=CELLS)
def test_what_the_upload_reads_from_text_is_of_its_type(kind: str, cell: str) -> None:
    try:
        value = value_reader(kind)(cell)
    except ValueError:
        return
    wrong = value_check({"type": kind})(value)
    # The ranges of coordinates are not the reader's.
    assert wrong is None or (kind.endswith("coordinates") and "coordinates are" in wrong.message)


NUMBERS = st.integers(-3, 3) | st.sampled_from([-0.5, 0.5, 1.5])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "ab", "abc", "1", "10,20", "100,20"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
SPECS = st.fixed_dictionaries(
    {"type": st.sampled_from([*TYPES, *(f"array_{kind}" for kind in TYPES)])},
    optional={
        "required": st.booleans(),
        "min_value": NUMBERS,
        "max_value": NUMBERS,
        "min_length": st.integers(0, 3),
        "max_length": st.integers(0, 3),
        "allowed_values": st.lists(st.sampled_from(["a", "ab", "abc"]), min_size=1) | st.lists(NUMBERS, min_size=1),
    },
)


@settings(derandomize=True, database=None, deadline=None)
@given(specs=st.dictionaries(st.sampled_from("xyz"), SPECS), values=st.dictionaries(st.sampled_from("wxyz"), VALUES))
def test_the_emulator_refuses_the_same(specs: dict[str, Any], values: dict[str, Any]) -> None:
    """Two readings of the documentation agree on which fields are wrong."""
    ours = {name for name, _ in ValuesCheck(specs).wrong(values)}
    theirs = {name.removeprefix("at.") for name in check_values(values, specs, at="at")}
    # That no allowed value is of the field's type is said of the project, once.
    undecided = {name for name in theirs - ours if not any(map(_of_type(specs[name]), specs[name]["allowed_values"]))}
    assert ours == theirs - undecided


def _of_type(spec: Mapping[str, Any]) -> Callable[[Any], bool]:
    check = value_check({"type": spec["type"].removeprefix("array_")})
    return lambda value: check(value) is None
