"""
Quality control rules as clients send them: collectors, their conditions, and what is done about people.

The names are those of the API's reference, of its guide and of the official client, whose pages also tell which
conditions and actions go with a collector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.schema import KINDS, REQUIRED, Field, Form, examine
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

TEXT = Field("string")
HISTORY: Form = {"history_size": Field("integer", minimum=1)}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {"EQ": eq, "NE": ne, "GT": gt, "GTE": ge, "LT": lt, "LTE": le}
COMPARISONS = tuple(COMPARE)


@dataclass(frozen=True)
class Collector:
    """What a collector counts: its parameters, the keys of its conditions, and the actions that it can lead to."""

    keys: tuple[str, ...]
    actions: tuple[str, ...]
    parameters: Form


@dataclass(frozen=True)
class Identity:
    """A condition on something that is no number; `choices` are its values, and any id if there are none."""

    operators: tuple[str, ...]
    choices: tuple[Any, ...] = ()


RATES = ("correct_answers_rate", "incorrect_answers_rate")
GOLDEN_RATES = ("golden_set_correct_answers_rate", "golden_set_incorrect_answers_rate")
WITHOUT_FIELD = ("RESTRICTION", "RESTRICTION_V2", "APPROVE_ALL_ASSIGNMENTS", "REJECT_ALL_ASSIGNMENTS", "SET_SKILL")
ABOUT_PEOPLE = (*WITHOUT_FIELD, "SET_SKILL_FROM_OUTPUT_FIELD")
# The reference names them and says no more: they go with any collector, and nothing is done.
UNEXPLAINED = ("CLEAN_ASSIGNMENTS_HISTORY", "CLEAN_COLLECTOR", "SET_POOL_COMPLETE")

COLLECTORS: dict[str, Collector] = {
    "ACCEPTANCE_RATE": Collector(
        ("total_assignments_count", "accepted_assignments_rate", "rejected_assignments_rate"), ABOUT_PEOPLE, HISTORY
    ),
    "ANSWER_COUNT": Collector(("assignments_accepted_count",), WITHOUT_FIELD, {}),
    "ASSIGNMENTS_ASSESSMENT": Collector(
        (
            "pending_assignments_count",
            "accepted_assignments_count",
            "rejected_assignments_count",
            "assessment_event",
        ),
        ("CHANGE_OVERLAP",),
        {},
    ),
    "ASSIGNMENT_SUBMIT_TIME": Collector(
        ("total_submitted_count", "fast_submitted_count"),
        WITHOUT_FIELD,
        {**HISTORY, "fast_submit_threshold_seconds": Field("integer", required=True, minimum=1)},
    ),
    "CAPTCHA": Collector(("stored_results_count", "success_rate", "fail_rate"), ABOUT_PEOPLE, HISTORY),
    "GOLDEN_SET": Collector(
        ("total_answers_count", *RATES, "golden_set_answers_count", *GOLDEN_RATES), ABOUT_PEOPLE, HISTORY
    ),
    "INCOME": Collector(("income_sum_for_last_24_hours",), WITHOUT_FIELD, {}),
    "MAJORITY_VOTE": Collector(
        ("total_answers_count", *RATES),
        ABOUT_PEOPLE,
        {**HISTORY, "answer_threshold": Field("integer", required=True, minimum=1)},
    ),
    "SKIPPED_IN_ROW_ASSIGNMENTS": Collector(("skipped_in_row_count",), WITHOUT_FIELD, {}),
    "TRAINING": Collector(
        ("submitted_assignments_count", "total_answers_count", *RATES, "next_assignment_available"), ABOUT_PEOPLE, {}
    ),
    "USERS_ASSESSMENT": Collector(("pool_access_revoked_reason", "skill_id"), ("CHANGE_OVERLAP",), {}),
}
# All other conditions are on numbers.
IDENTITIES: dict[str, Identity] = {
    "assessment_event": Identity(("EQ",), ("ACCEPT", "ACCEPT_AFTER_REJECT", "REJECT")),
    "next_assignment_available": Identity(COMPARISONS, (True, False)),
    "pool_access_revoked_reason": Identity(("EQ", "NE"), ("SKILL_CHANGE", "RESTRICTION")),
    "skill_id": Identity(("EQ", "NE")),
}
KEYS = tuple(sorted({key for collector in COLLECTORS.values() for key in collector.keys}))

SCOPE = Field("string", required=True, choices=("POOL", "PROJECT", "ALL_PROJECTS"))
SKILL_ID = Field("id", required=True)
DURATION = Field("integer", minimum=1, maximum=10_000_000)
ACTIONS: dict[str, Form] = {
    "APPROVE_ALL_ASSIGNMENTS": {"public_comment": TEXT},
    "CHANGE_OVERLAP": {
        "delta": Field("integer", required=True, minimum=-30_000, maximum=30_000),
        "open_pool": Field("boolean"),
    },
    "REJECT_ALL_ASSIGNMENTS": {"public_comment": TEXT},
    "RESTRICTION": {"scope": SCOPE, "duration_days": DURATION, "private_comment": TEXT},
    "RESTRICTION_V2": {
        "scope": SCOPE,
        "duration": DURATION,
        "duration_unit": Field("string", required=True, choices=("MINUTES", "HOURS", "DAYS", "PERMANENT")),
        "private_comment": TEXT,
    },
    "SET_SKILL": {"skill_id": SKILL_ID, "skill_value": Field("number", required=True, minimum=0, maximum=100)},
    "SET_SKILL_FROM_OUTPUT_FIELD": {"skill_id": SKILL_ID, "from_field": Field("string", required=True)},
    **{name: {} for name in UNEXPLAINED},
}


def check_config(config: Json, at: str) -> Problems:
    """Return what is wrong with a collector and its rules, whose names are known, by field path."""
    kind = config["collector_config"]["type"]
    collector = COLLECTORS[kind]
    _, problems = examine(
        config["collector_config"].get("parameters", {}), collector.parameters, at=f"{at}.collector_config.parameters."
    )
    for i, rule in enumerate(config["rules"]):
        place = f"{at}.rules.{i}"
        for j, condition in enumerate(rule["conditions"]):
            problems |= _check_condition(condition, kind, f"{place}.conditions.{j}")
        problems |= _check_action(rule["action"], kind, f"{place}.action")
    return problems


def _check_condition(condition: Json, kind: str, at: str) -> Problems:
    key, operator, value = condition["key"], condition["operator"], condition["value"]
    if key not in COLLECTORS[kind].keys:
        return {f"{at}.key": _not_with(kind, COLLECTORS[kind].keys)}
    identity = IDENTITIES.get(key)
    if identity is None:
        return {} if number(value) is not None else {f"{at}.value": _wrong_kind("number")}
    if operator not in identity.operators:
        return {f"{at}.operator": _one_of(identity.operators)}
    if identity.choices and value not in identity.choices:
        return {f"{at}.value": _one_of(identity.choices)}
    return {} if identity.choices or KINDS["id"][0](value) else {f"{at}.value": _wrong_kind("id")}


def _check_action(action: Json, kind: str, at: str) -> Problems:
    name = action["type"]
    if name not in (*COLLECTORS[kind].actions, *UNEXPLAINED):
        return {f"{at}.type": _not_with(kind, COLLECTORS[kind].actions)}
    parameters = action.get("parameters", {})
    _, problems = examine(parameters, ACTIONS[name], at=f"{at}.parameters.")
    if problems:
        return problems
    if name == "SET_SKILL_FROM_OUTPUT_FIELD" and parameters["from_field"] not in COLLECTORS[kind].keys:
        return {f"{at}.parameters.from_field": _not_with(kind, COLLECTORS[kind].keys)}
    needs_duration = name == "RESTRICTION_V2" and parameters["duration_unit"] != "PERMANENT"
    return {f"{at}.parameters.duration": REQUIRED} if needs_duration and parameters.get("duration") is None else {}


def number(value: Any) -> float | None:
    """Return the number of a condition: the documentation also writes numbers as text; None if it is none."""
    is_number = NUMBER.fullmatch(value) if isinstance(value, str) else KINDS["number"][0](value)
    return float(value) if is_number else None


def skills(body: Json) -> Iterator[tuple[str, str]]:
    """Return the skills that the rules of a pool or a project name, each with its field path."""
    for i, config in enumerate(body.get("quality_control", {}).get("configs", [])):
        for j, rule in enumerate(config["rules"]):
            at = f"quality_control.configs.{i}.rules.{j}"
            for k, condition in enumerate(rule["conditions"]):
                if condition["key"] == "skill_id":
                    yield f"{at}.conditions.{k}.value", str(condition["value"])
            if "skill_id" in rule["action"].get("parameters", {}):
                yield f"{at}.action.parameters.skill_id", str(rule["action"]["parameters"]["skill_id"])


def _not_with(kind: str, fitting: tuple[str, ...]) -> Json:
    return problem("VALUE_NOT_ALLOWED", f"{kind} goes with {', '.join(fitting)}")


def _one_of(choices: tuple[Any, ...]) -> Json:
    return problem("UNKNOWN_ENUM_VALUE", f"Value must be one of {', '.join(map(str, choices))}")


def _wrong_kind(kind: str) -> Json:
    _, code, message = KINDS[kind]
    return problem(code, message)


CONDITION: Form = {
    "key": Field("string", required=True, choices=KEYS),
    "operator": Field("string", required=True, choices=COMPARISONS),
    "value": Field("any", required=True),
}
ANY_PARAMETERS: Mapping[str, Field] = {
    "answer_threshold": Field("integer"),
    "fast_submit_threshold_seconds": Field("integer"),
    **HISTORY,
}
CONFIG: Form = {
    "collector_config": Field(
        "object",
        required=True,
        fields={
            "type": Field("string", required=True, choices=tuple(COLLECTORS)),
            "uuid": TEXT,
            "parameters": Field("object", fields=ANY_PARAMETERS),
        },
    ),
    "rules": Field(
        "array",
        required=True,
        each=Field(
            "object",
            fields={
                "conditions": Field("array", required=True, each=Field("object", fields=CONDITION)),
                "action": Field(
                    "object",
                    required=True,
                    fields={
                        "type": Field("string", required=True, choices=tuple(ACTIONS)),
                        "parameters": Field("object"),
                    },
                ),
            },
        ),
    ),
}
CONFIGS = Field("array", each=Field("object", fields=CONFIG, also=check_config))
