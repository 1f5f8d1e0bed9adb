"""What conditions leave possible, held against trying all values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toloka_airflow.checks.conditions import COUNTS, RATES, impossible, is_always_met
from toloka_airflow.checks.wording import shown

COMPARE = {
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
}
ORDERED = [operator for operator in COMPARE if operator != "NE"]
# The values of conditions are multiples of a half from -2 to 12 and 94 to 102, and those tried of a quarter.
LIMITS = st.sampled_from([n / 2 for n in (*range(-4, 25), *range(188, 206))])
TRIED = {"total_answers_count": range(110), "correct_answers_rate": [n / 4 for n in range(401)]}


def conditions(key: str, *pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "operator": operator, "value": value} for operator, value in pairs]


@settings(derandomize=True, database=None, deadline=None)
@given(
    key=st.sampled_from(sorted(TRIED)),
    pairs=st.lists(st.tuples(st.sampled_from(ORDERED), LIMITS), min_size=1, max_size=4),
)
def test_impossible_is_what_no_value_meets(key: str, pairs: list[tuple[str, float]]) -> None:
    is_met = any(all(COMPARE[operator](value, limit) for operator, limit in pairs) for value in TRIED[key])
    assert (impossible(conditions(key, *pairs)) is None) == is_met


@settings(derandomize=True, database=None, deadline=None)
@given(key=st.sampled_from(sorted(TRIED)), operator=st.sampled_from(sorted(COMPARE)), limit=LIMITS)
def test_always_met_is_what_all_values_meet(key: str, operator: str, limit: float) -> None:
    always = all(COMPARE[operator](value, limit) for value in TRIED[key])
    if is_always_met(key, operator, limit):
        assert always
    elif operator not in ("NE", "LT", "LTE"):  # of counts, greater ones were not tried
        assert not always


@settings(derandomize=True, database=None, deadline=None)
@given(
    first=st.tuples(st.sampled_from(ORDERED), LIMITS),
    second=st.tuples(st.sampled_from(ORDERED), LIMITS),
)
def test_two_rates_that_are_100_together(first: tuple[str, float], second: tuple[str, float]) -> None:
    both = conditions("correct_answers_rate", first) + conditions("incorrect_answers_rate", second)
    is_met = any(
        COMPARE[first[0]](rate, first[1]) and COMPARE[second[0]](100 - rate, second[1])
        for rate in TRIED["correct_answers_rate"]
    )
    assert (impossible(both) is None) == is_met


@settings(derandomize=True, database=None, deadline=None)
@given(
    first=st.tuples(st.sampled_from(ORDERED), LIMITS),
    second=st.tuples(st.sampled_from(ORDERED), LIMITS),
)
def test_a_count_of_what_another_counts_too(first: tuple[str, float], second: tuple[str, float]) -> None:
    both = conditions("fast_submitted_count", first) + conditions("total_submitted_count", second)
    is_met = any(
        COMPARE[first[0]](part, first[1]) and COMPARE[second[0]](total, second[1])
        for total in range(110)
        for part in range(total + 1)
    )
    assert (impossible(both) is None) == is_met


@pytest.mark.parametrize(
    ("given", "index"),
    [
        (conditions("assessment_event", ("EQ", "ACCEPT"), ("EQ", "REJECT")), 1),
        (conditions("assessment_event", ("EQ", "ACCEPT"), ("EQ", "ACCEPT")), None),
        (conditions("skill_id", ("EQ", "1"), ("EQ", 1)), None),
        (conditions("skill_id", ("EQ", "1"), ("EQ", "2")), 1),
        (conditions("skill_id", ("NE", "1"), ("NE", "2")), None),
        (conditions("total_answers_count", ("GTE", "10")), None),
        (conditions("total_answers_count", ("GT", "5"), ("LT", "3")), 1),
        (conditions("income_sum_for_last_24_hours", ("LT", 0)), 0),
        (conditions("income_sum_for_last_24_hours", ("GTE", 0.1)), None),
        (conditions("of_a_newer_api", ("LT", 0)), None),
        (conditions("total_answers_count", ("GT", None), ("LT", True)), None),
        (conditions("total_answers_count", ("IN", 5)), None),
        (None, None),
        ({}, None),
        (["a", {"key": []}], None),
    ],
    ids=shown,
)
def test_conditions(given: Any, index: int | None) -> None:
    found = impossible(given)
    assert (found and found[0]) == index


def test_a_key_is_either_a_count_or_a_rate() -> None:
    assert not COUNTS & RATES
