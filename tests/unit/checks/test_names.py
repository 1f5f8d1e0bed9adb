"""Names that go with other names; that misspelt ones are found is in `test_mutants`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documented_configurations import documented
from toloka_airflow.checks import Document, Problem
from toloka_airflow.checks.names import check_names
from toloka_airflow.checks.rules import ACTIONS, COLLECTORS, CONDITIONS, UNDOCUMENTED_ACTIONS

BAN = {"scope": "PROJECT", "duration_unit": "DAYS", "duration": 10}
ON_SKIPS = {"key": "skipped_in_row_count", "operator": "GTE", "value": 10}


def config(
    collector: str = "SKIPPED_IN_ROW_ASSIGNMENTS",
    condition: Any = None,
    action: str = "RESTRICTION_V2",
    parameters: Any = None,
    **collected: Any,
) -> dict[str, Any]:
    return {
        "collector_config": {"type": collector, **({"parameters": collected} if collected else {})},
        "rules": [
            {
                "conditions": [condition or ON_SKIPS],
                "action": {"type": action, "parameters": BAN if parameters is None else parameters},
            }
        ],
    }


def problems(*configs: Any, kind: str = "pool", file: str = "") -> list[Problem]:
    return list(check_names(Document(kind, {"quality_control": {"configs": list(configs)}}, file)))  # type: ignore[arg-type]


def told(*configs: Any, **options: Any) -> list[tuple[str, str]]:
    """Return the rules that are broken, and where, without the way there."""
    at = len(("quality_control", "configs", 0))
    return [(found.rule, ".".join(map(str, found.path[at:]))) for found in problems(*configs, **options)]


def condition(key: str, operator: str, value: Any) -> dict[str, Any]:
    return {"key": key, "operator": operator, "value": value}


def test_the_tables_fit_together() -> None:
    assert {key for collector in COLLECTORS.values() for key in collector.conditions} == set(CONDITIONS)
    used = {action for collector in COLLECTORS.values() for action in collector.actions}
    assert used | set(UNDOCUMENTED_ACTIONS) == set(ACTIONS)


def test_all_that_goes_together_is_silent() -> None:
    for name, collector in COLLECTORS.items():
        collected: dict[str, Any] = dict.fromkeys(collector.parameters, 1)
        for key in collector.conditions:
            value: Any = {"integer": 1, "number": 0.5, "boolean": True, "id": "7"}.get(CONDITIONS[key].value.kind)
            value = value or CONDITIONS[key].value.choices[0]
            for operator in CONDITIONS[key].operators:
                for action in (*collector.actions, *UNDOCUMENTED_ACTIONS):
                    parameters: dict[str, Any] = {
                        parameter: spec.choices[0] if spec.choices else {"integer": 1, "id": "7"}.get(spec.kind, "text")
                        for parameter, spec in (ACTIONS[action] or {}).items()
                        if spec.kind != "boolean"
                    }
                    if "from_field" in parameters:
                        parameters["from_field"] = collector.output_fields[0]
                    told_of = config(name, condition(key, operator, value), action, parameters, **collected)
                    assert told(told_of) == told(told_of, kind="project") == []


@pytest.mark.parametrize(
    ("key", "operator", "value", "rule", "at"),
    [
        ("total_answers_count", "GT", 2.5, "wrong-type", "value"),
        ("total_answers_count", "GT", "2", "wrong-type", "value"),
        ("total_answers_count", "GT", True, "wrong-type", "value"),
        ("total_answers_count", "GT", -1, "out-of-range", "value"),
        ("correct_answers_rate", "LT", 101, "out-of-range", "value"),
        ("correct_answer_rate", "LT", 50, "unknown-value", "key"),
        ("fail_rate", "LT", 50, "not-of-collector", "key"),
        ("assignments_accepted_count", "LT", 50, "not-of-collector", "key"),
    ],
)
def test_a_condition_of_a_majority_vote(key: str, operator: str, value: object, rule: str, at: str) -> None:
    wrong = config("MAJORITY_VOTE", condition(key, operator, value), answer_threshold=2)
    assert told(wrong) == [(rule, f"rules.0.conditions.0.{at}")]


@pytest.mark.parametrize(
    ("collector", "key", "operator", "value", "rule", "at"),
    [
        ("ASSIGNMENTS_ASSESSMENT", "assessment_event", "NE", "REJECT", "wrong-operator", "operator"),
        ("ASSIGNMENTS_ASSESSMENT", "assessment_event", "EQ", "REJECTED", "unknown-value", "value"),
        ("USERS_ASSESSMENT", "pool_access_revoked_reason", "GT", "RESTRICTION", "wrong-operator", "operator"),
        ("USERS_ASSESSMENT", "pool_access_revoked_reason", "EQ", 1, "wrong-type", "value"),
        ("USERS_ASSESSMENT", "skill_id", "EQ", "", "wrong-form", "value"),
        ("USERS_ASSESSMENT", "skill_id", "EQ", 0.5, "wrong-type", "value"),
    ],
)
def test_a_condition_on_something_else_than_a_number(
    collector: str, key: str, operator: str, value: object, rule: str, at: str
) -> None:
    wrong = config(collector, condition(key, operator, value), "CHANGE_OVERLAP", {"delta": 1})
    assert told(wrong) == [(rule, f"rules.0.conditions.0.{at}")]


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("RESTRICTION_V2", {}, [("missing-key", "scope"), ("missing-key", "duration_unit")]),
        ("RESTRICTION_V2", {"scope": "POOL", "duration_unit": "DAYS"}, [("missing-key", "duration")]),
        ("RESTRICTION_V2", {"scope": "POOL", "duration_unit": "PERMANENT"}, []),
        ("RESTRICTION_V2", {**BAN, "duration": 0}, [("out-of-range", "duration")]),
        ("RESTRICTION_V2", {**BAN, "duration": "10"}, [("wrong-type", "duration")]),
        ("RESTRICTION_V2", {**BAN, "duration_unit": "WEEKS"}, [("unknown-value", "duration_unit")]),
        ("RESTRICTION_V2", {**BAN, "scope": "Project"}, [("unknown-value", "scope")]),
        ("RESTRICTION_V2", {"scope": "POOL", "duration_unit": "DAYS", "durations": 1}, [("unknown-key", "durations")]),
        ("RESTRICTION_V2", {**BAN, "duration_days": 1}, [("misplaced-key", "duration_days")]),
        ("RESTRICTION_V2", {**BAN, "colour": 1}, [("unknown-key", "colour")]),
        ("RESTRICTION", {"scope": "POOL", "duration_days": 0}, [("out-of-range", "duration_days")]),
        ("SET_SKILL", {"skill_id": "7", "skill_value": 101}, [("out-of-range", "skill_value")]),
        ("SET_SKILL", {"skill_id": "", "skill_value": 1}, [("wrong-form", "skill_id")]),
        ("SET_SKILL", {"skill_value": 1}, [("missing-key", "skill_id")]),
        ("REJECT_ALL_ASSIGNMENTS", {}, [("missing-key", "public_comment")]),
        ("APPROVE_ALL_ASSIGNMENTS", {"scope": "POOL"}, [("misplaced-key", "scope")]),
        ("CLEAN_COLLECTOR", {"whatever": 1}, []),
        ("RESTRICTION_V2", {**BAN, "private_comment": None}, [("null-value", "private_comment")]),
        ("RESTRICTION_V2", {**BAN, "scope": None}, [("wrong-type", "scope")]),
    ],
)
def test_the_parameters_of_an_action(action: str, parameters: object, expected: list[tuple[str, str]]) -> None:
    found = told(config(action=action, parameters=parameters))
    assert found == [(rule, f"rules.0.action.parameters.{name}") for rule, name in expected]


def test_an_action_that_does_not_go_with_its_collector() -> None:
    found = problems(config(action="CHANGE_OVERLAP", parameters={"delta": 1}))
    assert [(problem.rule, problem.path[-1]) for problem in found] == [("not-of-collector", "type")]
    assert found[0].message.startswith("CHANGE_OVERLAP does not go with SKIPPED_IN_ROW_ASSIGNMENTS, but RESTRICTION, ")
    wrong = config(action="SET_SKILL_FROM_OUTPUT_FIELD", parameters={"skill_id": 7, "from_field": "fail_rate"})
    assert told(wrong) == [("not-of-collector", "rules.0.action.type")]


@pytest.mark.parametrize(
    ("field", "is_known"),
    [
        ("correct_answers_rate", True),
        ("incorrect_answers_rate", True),
        ("wrong_answers_rate", True),
        ("total_answers_count", True),
        ("golden_set_correct_answers_rate", False),
        ("success_rate", False),
        ("", False),
    ],
)
def test_what_a_skill_is_set_from_is_counted_by_the_collector(field: str, is_known: bool) -> None:
    of_votes = condition("total_answers_count", "GT", 2)
    parameters = {"skill_id": "43", "from_field": field}
    found = told(config("MAJORITY_VOTE", of_votes, "SET_SKILL_FROM_OUTPUT_FIELD", parameters, answer_threshold=3))
    assert found == ([] if is_known else [("unknown-value", "rules.0.action.parameters.from_field")])


def test_the_parameters_of_a_collector() -> None:
    of_votes = condition("total_answers_count", "GT", 2)
    at = "collector_config.parameters"
    assert told(config("MAJORITY_VOTE", of_votes)) == [("missing-key", f"{at}.answer_threshold")]
    wrong = config("MAJORITY_VOTE", of_votes, answer_treshold=3, fast_submit_threshold_seconds=1, history_size=0)
    assert told(wrong) == [
        ("unknown-key", f"{at}.answer_treshold"),
        ("misplaced-key", f"{at}.fast_submit_threshold_seconds"),
        ("out-of-range", f"{at}.history_size"),
    ]


def test_a_message_names_the_nearest_that_fits() -> None:
    found = problems(config("MAJORTY_VOTE"))
    assert found[0].message.startswith('the type of a collector is "MAJORTY_VOTE"; it must be ACCEPTANCE_RATE, ')
    assert found[0].message.endswith("; did you mean 'MAJORITY_VOTE'?")
    wrong = config("GOLDEN_SET", condition("correct_answer_rate", "GT", 2))
    assert problems(wrong)[0].message.endswith("; did you mean 'correct_answers_rate'?")


@pytest.mark.parametrize("told_of", [None, 5, "text", [], {}, [[]], {"configs": 1}, {"configs": [None, 1, [], {}]}])
def test_what_has_another_form_is_passed_over(told_of: object) -> None:
    assert list(check_names(Document("pool", {"quality_control": told_of}))) == []


def test_what_is_known_when_the_dag_runs_is_passed_over() -> None:
    later = config("{{ params.collector }}", condition("{{ params.key }}", "GT", 1), "{{ params.action }}")
    assert told(later) == []
    assert told(config(parameters={**BAN, "duration": "{{ params.days }}", "{{ a }}": 1})) == []
    assert len(told(later, file="pool.yaml")) == 3


@pytest.mark.parametrize(
    ("balance", "missing"),
    [
        ({"type": "TOP_PERCENTAGE_BY_QUALITY", "percent": 80}, None),
        ({"type": "TOP_PERCENTAGE_BY_QUALITY", "count": 80}, "percent"),
        ({"type": "BEST_CONCURRENT_USERS_BY_QUALITY", "count": 20}, None),
        ({"type": "BEST_CONCURRENT_USERS_BY_QUALITY"}, "count"),
        ({"type": "BEST_CONCURRENT_USERS_BY_QUALITY", "counts": 1}, None),  # that is said of the misspelt key
        ({"type": "ANOTHER"}, None),
        ([], None),
    ],
)
def test_the_balance_of_speed_and_quality(balance: object, missing: str | None) -> None:
    pool = {**documented("pools.create.request.pool_minimal"), "speed_quality_balance": balance}
    found = [(problem.rule, problem.path) for problem in check_names(Document("pool", pool))]
    assert found == ([("missing-key", ("speed_quality_balance", missing))] if missing else [])


def test_an_interface_of_template_builder_has_its_components() -> None:
    project = documented("projects.create.request.template_builder")
    view = project["task_spec"]["view_spec"]
    config = view.pop("config")
    assert [(problem.rule, problem.path[-1]) for problem in check_names(Document("project", project))] == [
        ("missing-key", "config")
    ]
    view["confg"] = config  # that is said of the misspelt key
    assert list(check_names(Document("project", project))) == []
    del view["confg"]
    view["type"] = "classic"
    assert list(check_names(Document("project", project))) == []
