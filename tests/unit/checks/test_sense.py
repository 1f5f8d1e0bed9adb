"""Warnings: each fires on its path and its line, and is silent where there is no reason for it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.checked_configurations import NOW, POOL, PROJECT, as_file, changed, check_lines, rules
from toloka_airflow.checks import Document, check
from toloka_airflow.checks.documents import Documents
from toloka_airflow.checks.rule_names import WARNINGS
from toloka_airflow.checks.sense import check_sense
from toloka_airflow.checks.tasks import TaskCounts

CONFIG = "quality_control.configs.0"
RULE = f"{CONFIG}.rules.0"
MANUAL = {"auto_accept_solutions": False, "auto_accept_period_day": 7}
BAN = {"type": "RESTRICTION_V2", "parameters": {"scope": "POOL", "duration_unit": "PERMANENT"}}
SKILL = {"category": "skill", "key": "2626"}


def collector(kind: str, *conditions: tuple[str, str, Any], action: Any = BAN, **parameters: Any) -> dict[str, Any]:
    """Return the change that makes a collector with one rule of the pool's."""
    return {
        CONFIG: {
            "collector_config": {"type": kind, "parameters": parameters},
            "rules": [
                {
                    "conditions": [
                        {"key": key, "operator": operator, "value": value} for key, operator, value in conditions
                    ],
                    "action": action,
                }
            ],
        }
    }


def on_skills(*conditions: tuple[str, Any]) -> dict[str, Any]:
    return {"filter": {"and": [{"or": [{**SKILL, "operator": op, "value": value}]} for op, value in conditions]}}


GOLDEN_0 = {"mixer_config.golden_tasks_count": 0}
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"quality_control": ...}, "no-quality-rule", "quality_control"),
    ({"quality_control.configs": []}, "no-quality-rule", "quality_control"),
    ({**MANUAL, "auto_accept_period_day": 15}, "long-review", "auto_accept_period_day"),
    (
        {**GOLDEN_0, "defaults.default_overlap_for_new_tasks": 1},
        "single-overlap",
        "defaults.default_overlap_for_new_tasks",
    ),
    (
        {"mixer_config": ..., "defaults.default_overlap_for_new_task_suites": 1},
        "single-overlap",
        "defaults.default_overlap_for_new_task_suites",
    ),
    # Rules that never act
    (
        collector("GOLDEN_SET", ("total_answers_count", "GT", 5), ("total_answers_count", "LT", 6)),
        "never-met",
        f"{RULE}.conditions.1",
    ),
    (collector("GOLDEN_SET", ("correct_answers_rate", "GT", 100)), "never-met", f"{RULE}.conditions.0"),
    (
        collector("GOLDEN_SET", ("total_answers_count", "GT", 10), history_size=10),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        collector("MAJORITY_VOTE", ("total_answers_count", "EQ", 11), history_size=10, answer_threshold=2),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        {**GOLDEN_0, **collector("GOLDEN_SET", ("golden_set_answers_count", "GTE", 3))},
        "never-met",
        f"{CONFIG}.collector_config.type",
    ),
    (
        {
            **GOLDEN_0,
            "mixer_config.training_tasks_count": 1,
            **collector("GOLDEN_SET", ("golden_set_correct_answers_rate", "LT", 60)),
        },
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=4),
        "never-met",
        f"{CONFIG}.collector_config.parameters.answer_threshold",
    ),
    (
        collector("TRAINING", ("correct_answers_rate", "LT", 50)),
        "never-met",
        f"{CONFIG}.collector_config.type",
    ),
    (collector("CAPTCHA", ("fail_rate", "GT", 50)), "never-met", f"{CONFIG}.collector_config.type"),
    (
        collector("ASSIGNMENTS_ASSESSMENT", ("assessment_event", "EQ", "REJECT")),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        collector("ASSIGNMENTS_ASSESSMENT", ("rejected_assignments_count", "GTE", 1)),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        collector("ASSIGNMENTS_ASSESSMENT", ("pending_assignments_count", "GT", 0)),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (collector("ACCEPTANCE_RATE", ("rejected_assignments_rate", "GT", 0)), "never-met", f"{RULE}.conditions.0"),
    (
        collector("USERS_ASSESSMENT", ("pool_access_revoked_reason", "EQ", "SKILL_CHANGE")),
        "never-met",
        f"{RULE}.conditions.0",
    ),
    (
        {**on_skills(("GT", 50)), **collector("USERS_ASSESSMENT", ("skill_id", "EQ", "43"))},
        "never-met",
        f"{RULE}.conditions.0",
    ),
    # Other rules without sense
    ({f"{RULE}.conditions": []}, "empty-rule", f"{RULE}.conditions"),
    ({f"{CONFIG}.rules": []}, "empty-rule", f"{CONFIG}.rules"),
    (
        collector("GOLDEN_SET", ("correct_answers_rate", "LT", 0.6)),
        "rate-as-fraction",
        f"{RULE}.conditions.0.value",
    ),
    (collector("GOLDEN_SET", ("correct_answers_rate", "LTE", 100)), "always-met", f"{RULE}.conditions"),
    (collector("SKIPPED_IN_ROW_ASSIGNMENTS", ("skipped_in_row_count", "GTE", 0)), "always-met", f"{RULE}.conditions"),
    (
        collector(
            "ASSIGNMENT_SUBMIT_TIME", ("fast_submitted_count", "GTE", 2), fast_submit_threshold_seconds=300
        ),
        "fast-threshold",
        f"{CONFIG}.collector_config.parameters.fast_submit_threshold_seconds",
    ),
    (
        collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=3),
        "majority-threshold",
        f"{CONFIG}.collector_config.parameters.answer_threshold",
    ),
    (
        collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=1),
        "majority-threshold",
        f"{CONFIG}.collector_config.parameters.answer_threshold",
    ),
    (
        {f"{RULE}.action": {"type": "REJECT_ALL_ASSIGNMENTS", "parameters": {"public_comment": "Skipped"}}},
        "review-action",
        f"{RULE}.action.type",
    ),
    (on_skills(("GT", 80), ("LT", 20)), "empty-audience", "filter.and.1.or.0"),
    (on_skills(("GT", 100)), "empty-audience", "filter.and.0.or.0"),
    ({"filter": {"and": [{**SKILL, "operator": "EQ", "value": 1}, {**SKILL, "operator": "EQ", "value": 2}]}},
     "empty-audience", "filter.and.1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "rule", "path"), CASES, ids=str)
def test_a_pool_without_sense(tmp_path: Path, changes: dict[str, Any], rule: str, path: str) -> None:
    pool = as_file(tmp_path, "pool", changed(POOL, changes))
    documents = Documents(Document("project", PROJECT), pool)
    problems = [problem for problem in check_sense(documents) if problem.rule == rule]
    assert rules(problems) == [("warning", rule, path)]
    check_lines(problems)
    # It is switched off by its name.
    of_all = [problem.rule for problem in check(PROJECT, pool, now=NOW)]
    assert rule in of_all
    assert rule in WARNINGS
    assert rule not in [problem.rule for problem in check(PROJECT, pool, now=NOW, off=[rule])]


@pytest.mark.parametrize(
    "changes",
    [
        {**MANUAL, "auto_accept_period_day": 14, "will_expire": "2029-12-03T00:00:00"},
        {"defaults.default_overlap_for_new_tasks": 1},  # there are control tasks
        {**GOLDEN_0, "defaults.default_overlap_for_new_tasks": ...},  # it is the tasks'
        {**MANUAL, **GOLDEN_0, "defaults.default_overlap_for_new_tasks": 1, "will_expire": "2029-12-03T00:00:00"},
        {"mixer_config": ..., "defaults.default_overlap_for_new_task_suites": 2},
        collector("GOLDEN_SET", ("total_answers_count", "GT", 5), ("total_answers_count", "LT", 7)),
        collector("GOLDEN_SET", ("total_answers_count", "GT", 9), history_size=10),
        collector("GOLDEN_SET", ("total_answers_count", "EQ", 10), ("correct_answers_rate", "LT", 60), history_size=10),
        collector("GOLDEN_SET", ("golden_set_answers_count", "GTE", 3), ("golden_set_correct_answers_rate", "LT", 60)),
        {
            **GOLDEN_0, "mixer_config.training_tasks_count": 1,
            **collector("GOLDEN_SET", ("total_answers_count", "GT", 1)),
        },
        {"mixer_config": ..., **collector("GOLDEN_SET", ("golden_set_answers_count", "GTE", 3))},
        collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=2),
        {
            **collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=4),
            "quality_control.checkpoints_config.real_settings.target_overlap": 5,
        },
        {
            **collector("TRAINING", ("correct_answers_rate", "LT", 50)),
            "quality_control.training_requirement": {"training_pool_id": "1", "training_passing_skill_value": 1},
        },
        {"type": "TRAINING", **collector("TRAINING", ("submitted_assignments_count", "EQ", 5))},
        {**MANUAL, **collector("ASSIGNMENTS_ASSESSMENT", ("assessment_event", "EQ", "REJECT"))},
        collector("ASSIGNMENTS_ASSESSMENT", ("assessment_event", "EQ", "ACCEPT")),
        collector("ASSIGNMENTS_ASSESSMENT", ("rejected_assignments_count", "LTE", 1)),
        {**MANUAL, **collector("ACCEPTANCE_RATE", ("rejected_assignments_rate", "GT", 30))},
        collector("ACCEPTANCE_RATE", ("rejected_assignments_rate", "GT", 30), history_size=10),
        {**on_skills(("GT", 50)), **collector("USERS_ASSESSMENT", ("skill_id", "EQ", 2626))},
        collector("USERS_ASSESSMENT", ("pool_access_revoked_reason", "EQ", "RESTRICTION")),
        {
            **collector("USERS_ASSESSMENT", ("pool_access_revoked_reason", "EQ", "SKILL_CHANGE")),
            "quality_control.training_requirement": {"training_pool_id": "1", "training_passing_skill_value": 60},
        },
        collector("GOLDEN_SET", ("correct_answers_rate", "LT", 60)),
        collector("GOLDEN_SET", ("correct_answers_rate", "EQ", 0)),
        collector("GOLDEN_SET", ("correct_answers_rate", "LT", 1)),
        collector("ASSIGNMENT_SUBMIT_TIME", ("fast_submitted_count", "GTE", 2), fast_submit_threshold_seconds=299),
        collector(
            "GOLDEN_SET",
            ("total_answers_count", "GTE", 0),
            action={"type": "SET_SKILL_FROM_OUTPUT_FIELD", "parameters": {"skill_id": "1", "from_field": "a"}},
        ),
        {
            **MANUAL,
            f"{RULE}.action": {"type": "REJECT_ALL_ASSIGNMENTS", "parameters": {"public_comment": "Skipped"}},
        },
        on_skills(("GT", 20), ("LT", 80)),
        on_skills(("GTE", 50), ("LTE", 50)),
        {"filter": {"and": [{"or": [{**SKILL, "operator": "GT", "value": v} for v in (80, 100)]}]}},
    ],
    ids=str,
)  # fmt: skip
def test_a_pool_with_sense(changes: dict[str, Any]) -> None:
    documents = Documents(Document("project", PROJECT), Document("pool", changed(POOL, changes)))
    assert rules(check_sense(documents)) == []


# With the tasks


def counts(overlaps: dict[float | None, int], **given: Any) -> TaskCounts:
    found = TaskCounts(**{"real": sum(overlaps.values()), "control": 0, **given})
    found.overlaps.update(overlaps)
    return found


@pytest.mark.parametrize(
    ("changes", "there", "expected"),
    [
        (GOLDEN_0, counts({None: 5}), []),
        (GOLDEN_0, counts({None: 5, 1: 1}), [("single-overlap", "")]),
        (
            {**GOLDEN_0, "defaults.default_overlap_for_new_tasks": 1},
            counts({None: 5}),
            [("single-overlap", "defaults.default_overlap_for_new_tasks")],
        ),
        ({**GOLDEN_0, "defaults.default_overlap_for_new_tasks": 1}, counts({3: 5}), []),
        ({}, counts({1: 9}, control=9), []),
        (
            collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=3),
            counts({5: 9}, control=9),
            [],
        ),
        (
            collector("MAJORITY_VOTE", ("correct_answers_rate", "LT", 50), answer_threshold=3),
            counts({2: 9}, control=9),
            [("never-met", f"{CONFIG}.collector_config.parameters.answer_threshold")],
        ),
        # Four of 40 tasks on a page, one of nine control tasks: nine pages.
        (collector("ANSWER_COUNT", ("assignments_accepted_count", "GTE", 9)), counts({3: 40}, control=9), []),
        (
            collector("ANSWER_COUNT", ("assignments_accepted_count", "GT", 9)),
            counts({3: 40}, control=9),
            [("never-met", f"{RULE}.conditions.0")],
        ),
        (collector("INCOME", ("income_sum_for_last_24_hours", "GTE", 0.45)), counts({3: 40}, control=9), []),
        (
            collector("INCOME", ("income_sum_for_last_24_hours", "GTE", 0.46)),
            counts({3: 40}, control=9),
            [("never-met", f"{RULE}.conditions.0")],
        ),
    ],
    ids=str,
)
def test_a_pool_and_its_tasks(changes: dict[str, Any], there: TaskCounts, expected: list[tuple[str, str]]) -> None:
    documents = Documents(Document("project", PROJECT), Document("pool", changed(POOL, changes)))
    assert [found[1:] for found in rules(check_sense(documents, there))] == expected


# With the project


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"quality_control": ...}, "no-quality-rule"),
        ({"auto_accept_solutions": False}, "manual-review"),
        (MANUAL, "manual-review"),
    ],
    ids=str,
)
def test_a_pool_by_itself_is_not_judged_as_a_round(changes: dict[str, Any], rule: str) -> None:
    """The project may have the rules; and a file says nothing of who reviews, and when."""
    pool = changed(POOL, changes)
    assert check(pool=pool, now=NOW) == []
    assert [problem.rule for problem in check(PROJECT, pool, now=NOW)] == [rule]


def test_rules_of_the_project_are_enough() -> None:
    rules_of_project = {"quality_control": POOL["quality_control"]}
    pool = Document("pool", changed(POOL, {"quality_control": ...}))
    assert rules(check_sense(Documents(Document("project", {**PROJECT, **rules_of_project}), pool))) == []


def test_rules_of_a_project_are_checked_by_themselves() -> None:
    fragment = changed(POOL, collector("GOLDEN_SET", ("correct_answers_rate", "GT", 101)))["quality_control"]
    project = Document("project", {**PROJECT, "quality_control": fragment})
    assert rules(check_sense(Documents(project))) == [("warning", "never-met", f"{RULE}.conditions.0")]


def test_nobody_can_skip() -> None:
    project = Document("project", changed(PROJECT, {"task_spec.view_spec.settings.showSkip": False}))
    found = rules(check_sense(Documents(project, Document("pool", POOL))))
    assert found == [("warning", "never-met", f"{CONFIG}.collector_config.type")]


# Pay


@pytest.mark.parametrize("least", [0.61, "0.61", Decimal("0.61"), 1])
def test_less_pay_than_was_stated(tmp_path: Path, least: Any) -> None:
    pool = as_file(tmp_path, "pool", POOL)
    [problem] = check_sense(Documents(pool=pool), min_pay_per_hour=least)
    assert (problem.level, problem.rule, problem.path) == ("warning", "pay-per-hour", ("reward_per_assignment",))
    assert "0.05 dollars for a page of 300 seconds are 0.60 an hour" in problem.message
    assert "if it takes all of assignment_max_duration_seconds" in problem.message
    check_lines([problem])


def test_enough_pay() -> None:
    documents = Documents(pool=Document("pool", POOL))
    assert list(check_sense(documents)) == []
    assert list(check_sense(documents, min_pay_per_hour=0.6)) == []
    assert list(check_sense(documents, min_pay_per_hour=1.8, seconds_per_page=100)) == []
    [problem] = check_sense(documents, min_pay_per_hour=1.81, seconds_per_page=100)
    assert "if it takes as stated" in problem.message


def test_prices_by_skill() -> None:
    prices = [{"from": 0, "to": 50, "reward_per_assignment": 0.04}, {"from": 51, "to": 100, "reward_per_assignment": 1}]
    pool = Document("pool", changed(POOL, {"dynamic_pricing_config.intervals": prices}))
    found = rules(check_sense(Documents(pool=pool), min_pay_per_hour=0.5))
    assert found == [("warning", "pay-per-hour", "dynamic_pricing_config.intervals.0.reward_per_assignment")]


@pytest.mark.parametrize("value", [0, -1, "much", float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["min_pay_per_hour", "seconds_per_page"])
def test_a_figure_that_is_none(name: str, value: Any) -> None:
    figures = {"min_pay_per_hour": 1, name: value}
    with pytest.raises(ValueError, match=f"{name} is .*; it must be a number above 0"):
        list(check_sense(Documents(pool=Document("pool", POOL)), **figures))
