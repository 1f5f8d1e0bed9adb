"""
The rules of quality control: collectors, what their conditions are about, and actions.

From the API reference (types of collectors, actions and operators), the pages of its documentation on each rule
(toloka.ai/docs/api: accept_ban, captcha, completed, earn_limit, fast, goldenset, mv, restore-task-overlap, skipped),
which have the keys, types, units and what is required, and the reference of the official Python client
(toloka.client.collectors, .conditions, .actions), which has what goes with what. Where the pages say that conditions
are joined by OR, they mean rules: the reference says AND.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from toloka_airflow.checks.specs import Spec

OPERATORS = ("EQ", "NE", "GT", "GTE", "LT", "LTE")
IDENTITY = ("EQ", "NE")

_COUNT = Spec("integer", minimum=0)
_RATE = Spec("number", minimum=0, maximum=100, unit="percent")


@dataclass(frozen=True)
class Condition:
    """What a condition compares with: values, by these operators."""

    value: Spec
    operators: tuple[str, ...] = OPERATORS

    @property
    def is_a_number(self) -> bool:
        """Return whether the value can be made the value of a skill."""
        return self.value.kind in ("integer", "number")


CONDITIONS: dict[str, Condition] = {
    "accepted_assignments_count": Condition(_COUNT),
    "accepted_assignments_rate": Condition(_RATE),
    "assessment_event": Condition(Spec("text", choices=("ACCEPT", "ACCEPT_AFTER_REJECT", "REJECT")), ("EQ",)),
    "assignments_accepted_count": Condition(_COUNT),
    "correct_answers_rate": Condition(_RATE),
    "fail_rate": Condition(_RATE),
    "fast_submitted_count": Condition(_COUNT),
    "golden_set_answers_count": Condition(_COUNT),
    "golden_set_correct_answers_rate": Condition(_RATE),
    "golden_set_incorrect_answers_rate": Condition(_RATE),
    "income_sum_for_last_24_hours": Condition(Spec("number", minimum=0, unit="US dollars")),
    "incorrect_answers_rate": Condition(_RATE),
    "next_assignment_available": Condition(Spec("boolean"), IDENTITY),
    "pending_assignments_count": Condition(_COUNT),
    "pool_access_revoked_reason": Condition(Spec("text", choices=("SKILL_CHANGE", "RESTRICTION")), IDENTITY),
    "rejected_assignments_count": Condition(_COUNT),
    "rejected_assignments_rate": Condition(_RATE),
    "skill_id": Condition(Spec("id"), IDENTITY),
    "skipped_in_row_count": Condition(_COUNT),
    "stored_results_count": Condition(_COUNT),
    "submitted_assignments_count": Condition(_COUNT),
    "success_rate": Condition(_RATE),
    "total_answers_count": Condition(_COUNT),
    "total_assignments_count": Condition(_COUNT),
    "total_submitted_count": Condition(_COUNT),
}

_SCOPE = Spec("text", required=True, choices=("POOL", "PROJECT", "ALL_PROJECTS"))
_SKILL_ID = Spec("id", required=True)
_TEXT = Spec("text")

ACTIONS: dict[str, dict[str, Spec] | None] = {
    "APPROVE_ALL_ASSIGNMENTS": {"public_comment": _TEXT},
    "CHANGE_OVERLAP": {
        "delta": Spec("integer", required=True, minimum=-30_000, maximum=30_000),
        "open_pool": Spec("boolean"),
    },
    "REJECT_ALL_ASSIGNMENTS": {"public_comment": Spec("text", required=True)},
    # Without a duration, people are banned for ever.
    "RESTRICTION": {
        "scope": _SCOPE,
        "duration_days": Spec("integer", minimum=1, unit="days"),
        "private_comment": _TEXT,
    },
    "RESTRICTION_V2": {
        "scope": _SCOPE,
        "duration_unit": Spec("text", required=True, choices=("MINUTES", "HOURS", "DAYS", "PERMANENT")),
        "duration": Spec("integer", minimum=1, unit="of duration_unit"),
        "private_comment": _TEXT,
    },
    "SET_SKILL": {
        "skill_id": _SKILL_ID,
        "skill_value": Spec("integer", required=True, minimum=0, maximum=100),
    },
    # What from_field may be goes by the collector.
    "SET_SKILL_FROM_OUTPUT_FIELD": {"skill_id": _SKILL_ID, "from_field": Spec("text", required=True)},
    # The reference has their names and says no more of them.
    "CLEAN_ASSIGNMENTS_HISTORY": None,
    "CLEAN_COLLECTOR": None,
    "SET_POOL_COMPLETE": None,
}
"""The actions and their parameters; None if these are not documented."""

UNDOCUMENTED_ACTIONS = tuple(name for name, parameters in ACTIONS.items() if parameters is None)

_ABOUT_PEOPLE = ("RESTRICTION", "RESTRICTION_V2", "APPROVE_ALL_ASSIGNMENTS", "REJECT_ALL_ASSIGNMENTS", "SET_SKILL")
_BY_A_RATE = (*_ABOUT_PEOPLE, "SET_SKILL_FROM_OUTPUT_FIELD")
_ABOUT_TASKS = ("CHANGE_OVERLAP",)
_RATES = ("correct_answers_rate", "incorrect_answers_rate")

HISTORY_SIZE = Spec("integer", minimum=1, unit="the last answers that count; all if it is left out")


@dataclass(frozen=True)
class Collector:
    """
    What is counted.

    :param conditions: The keys of its conditions.
    :param actions: What it can lead to.
    :param parameters: Its parameters.
    """

    conditions: tuple[str, ...]
    actions: tuple[str, ...]
    parameters: dict[str, Spec] = field(default_factory=dict)

    @property
    def output_fields(self) -> tuple[str, ...]:
        """Return what a skill can be set from."""
        numbers = tuple(name for name in self.conditions if CONDITIONS[name].is_a_number)
        # The pages name it beside correct_answers_rate, the client has incorrect_answers_rate instead.
        return (*numbers, "wrong_answers_rate") if "correct_answers_rate" in numbers else numbers


COLLECTORS: dict[str, Collector] = {
    "ACCEPTANCE_RATE": Collector(
        ("total_assignments_count", "accepted_assignments_rate", "rejected_assignments_rate"),
        _BY_A_RATE,
        {"history_size": HISTORY_SIZE},
    ),
    "ANSWER_COUNT": Collector(("assignments_accepted_count",), _ABOUT_PEOPLE),
    "ASSIGNMENTS_ASSESSMENT": Collector(
        (
            "pending_assignments_count",
            "accepted_assignments_count",
            "rejected_assignments_count",
            "assessment_event",
        ),
        _ABOUT_TASKS,
    ),
    "ASSIGNMENT_SUBMIT_TIME": Collector(
        ("total_submitted_count", "fast_submitted_count"),
        _ABOUT_PEOPLE,
        {
            "fast_submit_threshold_seconds": Spec("integer", required=True, minimum=1, unit="seconds"),
            "history_size": HISTORY_SIZE,
        },
    ),
    "CAPTCHA": Collector(
        ("stored_results_count", "success_rate", "fail_rate"), _BY_A_RATE, {"history_size": HISTORY_SIZE}
    ),
    "GOLDEN_SET": Collector(
        (
            "total_answers_count",
            *_RATES,
            "golden_set_answers_count",
            "golden_set_correct_answers_rate",
            "golden_set_incorrect_answers_rate",
        ),
        _BY_A_RATE,
        {"history_size": HISTORY_SIZE},
    ),
    "INCOME": Collector(("income_sum_for_last_24_hours",), _ABOUT_PEOPLE),
    "MAJORITY_VOTE": Collector(
        ("total_answers_count", *_RATES),
        _BY_A_RATE,
        {
            "answer_threshold": Spec("integer", required=True, minimum=1, unit="people who are the majority"),
            "history_size": HISTORY_SIZE,
        },
    ),
    "SKIPPED_IN_ROW_ASSIGNMENTS": Collector(("skipped_in_row_count",), _ABOUT_PEOPLE),
    "TRAINING": Collector(
        ("submitted_assignments_count", "total_answers_count", *_RATES, "next_assignment_available"), _BY_A_RATE
    ),
    "USERS_ASSESSMENT": Collector(("pool_access_revoked_reason", "skill_id"), _ABOUT_TASKS),
}
