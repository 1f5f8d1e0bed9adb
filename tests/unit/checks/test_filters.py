"""Filters; that misspelt names are found is in `test_mutants`."""

from __future__ import annotations

from typing import Any

import pytest

from toloka_airflow.checks import Document, Problem
from toloka_airflow.checks.filters import KEYS, MAX_DEPTH, check_filter

COUNTRY = {"category": "profile", "key": "country", "operator": "EQ", "value": "US"}
SKILL = {"category": "skill", "key": "2", "operator": "GTE", "value": 60}


def problems(told: Any, file: str = "") -> list[Problem]:
    return list(check_filter(Document("pool", {"filter": told}, file)))


def rules(told: Any, file: str = "") -> list[tuple[str, str]]:
    return [(problem.rule, ".".join(map(str, problem.path))) for problem in problems(told, file)]


def of(category: str, key: Any, operator: Any, value: Any) -> dict[str, Any]:
    return {"and": [{"category": category, "key": key, "operator": operator, "value": value}]}


def test_every_key_with_every_operator_is_silent() -> None:
    for category, keys in KEYS.items():
        for name, key in keys.items():
            value = key.value.choices[0] if key.value.choices else key.value.kind == "boolean" or 7
            for operator in key.operators:
                assert rules(of(category, name, operator, value)) == []


@pytest.mark.parametrize(
    ("category", "key", "operator", "value"),
    [
        ("profile", "languages", "IN", ["EN", "ZH-HANS"]),
        ("profile", "date_of_birth", "LT", -1),
        ("computed", "region_by_ip", "IN", None),
        ("computed", "os_version", "GTE", 14.4),
        ("computed", "os_family", "EQ", "UNKNOWN"),
        ("skill", 1124, "GT", 59.7),
        ("skill", "2", "GTE", "60"),
        ("skill", "2", "EQ", None),
    ],
)
def test_a_condition_that_can_be(category: str, key: object, operator: str, value: object) -> None:
    assert rules(of(category, key, operator, value)) == []


@pytest.mark.parametrize(
    ("category", "key", "operator", "value", "rule", "at"),
    [
        ("profil", "country", "EQ", "US", "unknown-value", "category"),
        ("profile", "contry", "EQ", "US", "unknown-value", "key"),
        ("profile", "os_family", "EQ", "IOS", "misplaced-key", "key"),
        ("profile", "country", "IN", "US", "wrong-operator", "operator"),
        ("profile", "country", "eq", "US", "unknown-value", "operator"),
        ("profile", "country", "EQ", "USA", "unknown-value", "value"),
        ("profile", "country", "EQ", "UK", "unknown-value", "value"),
        ("profile", "country", "EQ", ["US"], "wrong-type", "value"),
        ("profile", "country", "EQ", None, "wrong-type", "value"),
        ("profile", "adult_allowed", "EQ", "true", "wrong-type", "value"),
        ("profile", "languages", "EQ", "EN", "wrong-operator", "operator"),
        ("profile", "languages", "IN", "en", "unknown-value", "value"),
        ("profile", "languages", "IN", ["EN", "English"], "unknown-value", "value.1"),
        ("profile", "languages", "IN", [], "wrong-type", "value"),
        ("profile", "city", "IN", "Berlin", "wrong-type", "value"),
        ("computed", "region_by_ip", "EQ", 84, "wrong-operator", "operator"),
        ("computed", "device_category", "EQ", "SMARTPHON", "unknown-value", "value"),
        ("computed", "client_type", "EQ", "DESKTOP", "unknown-value", "value"),
        ("skill", "", "EQ", 1, "wrong-form", "key"),
        ("skill", "language", "EQ", 1, "wrong-form", "key"),
        ("skill", "2", "IN", 1, "wrong-operator", "operator"),
        ("skill", "2", "GTE", 101, "out-of-range", "value"),
        ("skill", "2", "GTE", "many", "wrong-type", "value"),
        ("skill", "2", "GTE", None, "missing-key", "value"),
    ],
)
def test_a_condition_that_cannot_be(
    category: str, key: object, operator: str, value: object, rule: str, at: str
) -> None:
    found = problems(of(category, key, operator, value))
    assert [(problem.level, problem.rule, problem.path) for problem in found] == [
        ("error", rule, ("filter", "and", 0, *(int(step) if step.isdigit() else step for step in at.split("."))))
    ]


def test_a_value_that_is_near_to_none_of_a_list_with_more_is_a_warning() -> None:
    for told in (of("computed", "os_family", "EQ", "SYMBIAN"), of("profile", "shoe_size", "EQ", 44)):
        assert [(problem.level, problem.rule) for problem in problems(told)] == [("warning", "unknown-value")]


@pytest.mark.parametrize("told", [{}, None, {"and": [{"or": [COUNTRY, COUNTRY]}, SKILL]}, {"or": [{"and": [SKILL]}]}])
def test_groups(told: object) -> None:
    assert rules(told) == []


@pytest.mark.parametrize(
    ("told", "rule", "at"),
    [
        (COUNTRY, "wrong-form", "filter"),
        ({"adn": [COUNTRY]}, "unknown-key", "filter.adn"),
        ({"AND": [COUNTRY]}, "unknown-key", "filter.AND"),
        ({"and": [COUNTRY], "or": [SKILL]}, "wrong-form", "filter.or"),
        ({"and": COUNTRY}, "wrong-type", "filter.and"),
        ({"and": []}, "empty-filter", "filter.and"),
        ({"and": ["US"]}, "wrong-type", "filter.and.0"),
        ({"and": [{}]}, "wrong-type", "filter.and.0"),
        ({"and": [{**COUNTRY, "valu": "US"}]}, "unknown-key", "filter.and.0.valu"),
        ({"and": [{"category": "skill", "key": "2"}]}, "missing-key", "filter.and.0.operator"),
        ({"and": [SKILL | {"key": str(number)} for number in range(200)]}, "out-of-range", "filter"),
    ],
)
def test_a_group_that_cannot_be(told: object, rule: str, at: str) -> None:
    assert rules(told) == [(rule, at)]


def test_groups_within_groups_have_an_end() -> None:
    told: Any = {"and": [COUNTRY]}
    for _ in range(MAX_DEPTH + 1):
        told = {"and": [told]}
    assert [rule for rule, _ in rules(told)] == ["out-of-range"]


def test_what_is_known_when_the_dag_runs_is_passed_over() -> None:
    told = {"and": ["{{ a }}", of("profile", "{{ key }}", "{{ operator }}", "{{ value }}")]}
    assert rules(told) == rules({"or": "{{ conditions }}"}) == rules(of("skill", "{{ id }}", "EQ", object())) == []
    assert len(rules(told, "pool.yaml")) == 2
