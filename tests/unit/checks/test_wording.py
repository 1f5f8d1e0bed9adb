from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mutants import misspelt
from toloka_airflow.checks.wording import MAX_SHOWN, did_you_mean, nearest, one_of, shown

KNOWN = (
    "assignment_max_duration_seconds",
    "auto_accept_period_day",
    "from",
    "to",
    "and",
    "or",
    "default_overlap_for_new_tasks",
    "default_overlap_for_new_task_suites",
    "MALE",
    "FEMALE",
)


@pytest.mark.parametrize("name", KNOWN)
def test_a_misspelt_name_is_near_to_what_it_stands_for(name: str) -> None:
    for _, wrong in misspelt(name):
        if wrong not in KNOWN:
            assert nearest(wrong, KNOWN) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("assignmentMaxDurationSeconds", "assignment_max_duration_seconds"),
        ("assignment-max-duration-seconds", "assignment_max_duration_seconds"),
        ("max_duration_seconds", "assignment_max_duration_seconds"),
        ("overlap_for_new_tasks", "default_overlap_for_new_tasks"),
        ("form", "from"),
        ("ot", "to"),
        ("note", None),
        ("id", None),
        ("colour", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_nearest(name: object, near: str | None) -> None:
    assert nearest(name, KNOWN) == near


def test_the_sign_of_an_operator() -> None:
    assert nearest(">=", ("EQ", "GT", "GTE")) == "GTE"
    assert nearest(">=", ("IN", "NOT_IN")) is None


def test_nothing_is_near_to_nothing() -> None:
    assert nearest("from", ()) is None


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=5))
def test_what_is_near_is_one_of_the_known(name: str, known: list[str]) -> None:
    near = nearest(name, known)
    assert near is None or near in known


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", '"é"'),
        (True, "true"),
        (None, "null"),
        (0.05, "0.05"),
        ({"a": [1]}, '{"a": [1]}'),
        (date(2030, 1, 1), "a date"),
        ({1, 2}, "a set"),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_is_long_is_shown_shortened() -> None:
    assert len(shown("a" * 1000)) == MAX_SHOWN
    assert shown("a" * 1000).endswith("a...")


def test_values_that_are_possible() -> None:
    assert one_of((True, False)) == "true, false"
    assert one_of(map(str, range(15))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"
    assert did_you_mean("from") == "; did you mean 'from'?"
    assert did_you_mean(None) == ""
