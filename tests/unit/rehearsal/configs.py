"""Configurations that the tests rehearse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from toloka_airflow.rehearsal import Crowd, Rehearsal, rehearse

START = datetime(2030, 1, 1, tzinfo=UTC)
RESULT = {"type": "string", "allowed_values": ["cat", "dog", "other"]}
RIGHT = {"known_solutions": [{"output_values": {"result": "cat"}}], "infinite_overlap": True}


def project(**output_spec: Any) -> dict[str, Any]:
    return {
        "public_name": "Animals",
        "public_description": "Which animal is it?",
        "assignments_issuing_type": "AUTOMATED",
        "task_spec": {"input_spec": {"image": {"type": "url"}}, "output_spec": output_spec or {"result": RESULT}},
    }


def pool(*rules: dict[str, Any], golden: int = 0, real: int = 1, overlap: int = 3, **changes: Any) -> dict[str, Any]:
    made = {
        "private_name": "First",
        "may_contain_adult_content": False,
        "reward_per_assignment": 0.02,
        "assignment_max_duration_seconds": 3600,
        "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": overlap},
        "mixer_config": {"real_tasks_count": real, "golden_tasks_count": golden, "training_tasks_count": 0},
    }
    return made | ({"quality_control": {"configs": list(rules)}} if rules else {}) | changes


def tasks(count: int, golden: int = 0) -> list[dict[str, Any]]:
    real = [{"input_values": {"image": f"https://example.com/{i}"}} for i in range(count)]
    return real + [{"input_values": {"image": f"https://example.com/known-{i}"}, **RIGHT} for i in range(golden)]


def ban_below(share: int) -> dict[str, Any]:
    """Ban who has less than a share of the control tasks right, in percent, after three."""
    conditions = [
        {"key": "golden_set_answers_count", "operator": "GTE", "value": 3},
        {"key": "golden_set_correct_answers_rate", "operator": "LT", "value": share},
    ]
    ban = {"type": "RESTRICTION_V2", "parameters": {"scope": "PROJECT", "duration_unit": "PERMANENT"}}
    return {
        "collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": 10}},
        "rules": [{"conditions": conditions, "action": ban}],
    }


ANSWER_AGAIN = {
    "collector_config": {"type": "USERS_ASSESSMENT"},
    "rules": [
        {
            "conditions": [{"key": "pool_access_revoked_reason", "operator": "EQ", "value": "RESTRICTION"}],
            "action": {"type": "CHANGE_OVERLAP", "parameters": {"delta": 1, "open_pool": True}},
        }
    ],
}
"""What a banned person answered is given to somebody else, too."""


def skill(skill_id: str, operator: str, value: float | None) -> dict[str, Any]:
    return {"category": "skill", "key": skill_id, "operator": operator, "value": value}


def rehearsed(
    pool: dict[str, Any],
    tasks: Any,
    *,
    project: dict[str, Any] = project(),  # noqa: B008 - nobody changes it
    training: dict[str, Any] | None = None,
    people: int = 20,
    pace: float | None = None,
    accuracy: float = 0.85,
    runs: int = 3,
    **options: Any,
) -> Rehearsal:
    crowd = Crowd(people, pace, accuracy)
    return rehearse(project, pool, training, tasks, crowd=crowd, runs=runs, **{"start": START} | options)
