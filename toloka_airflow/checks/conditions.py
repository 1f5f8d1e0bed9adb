"""
What the conditions of a rule leave possible.

All conditions of a rule must be met at once (reference of pools). A count is an integer from 0, a rate 0 to 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from toloka_airflow.checks.values import items, number_of

COUNTS = frozenset(
    {
        *("total_answers_count", "golden_set_answers_count", "stored_results_count", "skipped_in_row_count"),
        *("total_submitted_count", "fast_submitted_count", "assignments_accepted_count", "total_assignments_count"),
        *("submitted_assignments_count", "pending_assignments_count", "accepted_assignments_count"),
        "rejected_assignments_count",
    }
)
RATES = frozenset(
    {
        *("correct_answers_rate", "incorrect_answers_rate", "success_rate", "fail_rate"),
        *("golden_set_correct_answers_rate", "golden_set_incorrect_answers_rate"),
        *("accepted_assignments_rate", "rejected_assignments_rate"),
    }
)
AMOUNTS = frozenset({"income_sum_for_last_24_hours"})
COMPLEMENTS = {
    "incorrect_answers_rate": "correct_answers_rate",
    "golden_set_incorrect_answers_rate": "golden_set_correct_answers_rate",
    "fail_rate": "success_rate",
}
"""Rates of which both together are 100."""
PARTS = {
    "fast_submitted_count": "total_submitted_count",
    "golden_set_answers_count": "total_answers_count",
}
"""Counts of what the other count has, too."""


@dataclass(frozen=True)
class Span:
    """
    Which numbers a value can be.

    :param low: The least; it is none of them if `above` is true.
    :param high: The greatest; it is none of them if `below` is true.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether there are none."""
        return self.low > self.high or (self.low == self.high and (self.above or self.below))

    def narrowed(self, other: Span) -> Span:
        """Return the numbers that are in both."""
        low, above = max((self.low, self.above), (other.low, other.above))
        high, at_or_below = min((self.high, not self.below), (other.high, not other.below))
        return Span(low, high, above, not at_or_below)


def natural_span(key: str) -> Span:
    """Return what a key can be without any condition."""
    return Span(0, 100) if key in RATES else Span(0, math.inf)


def span_of(key: str, conditions: Iterable[tuple[str, float]]) -> Span:
    """Return what a key can be, by the operators and values of its conditions."""
    span = natural_span(key)
    for operator, value in conditions:
        span = span.narrowed(_span(operator, value, is_count=key in COUNTS))
    return span


def is_always_met(key: str, operator: str, value: float) -> bool:
    """Return whether a condition is met whatever the value is."""
    own, all_of_it = _span(operator, value, is_count=key in COUNTS), natural_span(key)
    return operator != "NE" and own.narrowed(all_of_it) == all_of_it


def _span(operator: str, value: float, *, is_count: bool) -> Span:
    if operator == "EQ":
        return Span(value, value) if not is_count or value == int(value) else Span(1, 0)
    if operator in ("GT", "GTE"):
        if is_count:
            return Span(math.floor(value) + 1 if operator == "GT" else math.ceil(value), math.inf)
        return Span(value, math.inf, above=operator == "GT")
    if operator in ("LT", "LTE"):
        if is_count:
            return Span(-math.inf, math.ceil(value) - 1 if operator == "LT" else math.floor(value))
        return Span(-math.inf, value, below=operator == "LT")
    return Span(-math.inf, math.inf)


def numbers_of(conditions: Any) -> dict[str, list[tuple[int, str, float]]]:
    """Return the conditions on numbers by their keys, each with its index, its operator and its number."""
    by_key: dict[str, list[tuple[int, str, float]]] = {}
    for index, condition in items(conditions):
        if not isinstance(condition, Mapping):
            continue
        key, operator, value = condition.get("key"), condition.get("operator"), number_of(condition.get("value"))
        if isinstance(key, str) and key in COUNTS | RATES | AMOUNTS and isinstance(operator, str) and value is not None:
            by_key.setdefault(key, []).append((index, operator, value))
    return by_key


def impossible(conditions: Any) -> tuple[int, str] | None:
    """Return the index of a condition that can never be met, by itself or with the others, and why."""
    numbers = numbers_of(conditions)
    spans = {key: span_of(key, [(operator, value) for _, operator, value in given]) for key, given in numbers.items()}
    for key, given in numbers.items():
        last, *_ = given[-1]
        if spans[key].is_empty:
            if len(given) == 1:
                limits = "a rate is 0 to 100" if key in RATES else "a count is an integer from 0"
                return last, f"{key} is never that: {limits if key not in AMOUNTS else 'an amount is 0 or more'}"
            return (
                last,
                f"{key} cannot be {' and '.join(f'{operator} {value:g}' for _, operator, value in given)} at once",
            )
    for key, other in COMPLEMENTS.items():
        if key in spans and other in spans:
            span = spans[key]
            mirrored = Span(100 - span.high, 100 - span.low, span.below, span.above)
            if mirrored.narrowed(spans[other]).is_empty:
                return numbers[key][-1][0], f"{key} and {other} are 100 together, which these conditions rule out"
    for part, all_of_them in PARTS.items():
        if part in spans and all_of_them in spans and spans[part].low > spans[all_of_them].high:
            return numbers[part][-1][0], f"{part} is never more than {all_of_them}"
    return _different(conditions)


def _different(conditions: Any) -> tuple[int, str] | None:
    """Return a condition that wants another value of a key that has one value only."""
    wanted: dict[str, Any] = {}
    for index, condition in items(conditions):
        if not isinstance(condition, Mapping) or condition.get("operator") != "EQ":
            continue
        key, value = condition.get("key"), condition.get("value")
        if key in ("assessment_event", "pool_access_revoked_reason", "skill_id", "next_assignment_available"):
            if key in wanted and str(wanted[key]) != str(value):
                return index, f"{key} cannot be {wanted[key]} and {value} at once"
            wanted[key] = value
    return None
