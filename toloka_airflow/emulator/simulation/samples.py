"""Projects, pools and trainings for those who only care that there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.world.clock import DAY, format_date

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toloka_airflow.emulator.world.entities import Json

LIFETIME = 300 * DAY
TYPES: tuple[tuple[type, str], ...] = ((str, "string"), (bool, "boolean"), (int, "integer"), (float, "float"))


def project(inputs: Iterable[Json] = ({"text": ""},)) -> Json:
    """Return a project that asks for yes or no about inputs like these."""
    spec = {name: {"type": _type(value)} for values in inputs for name, value in values.items()}
    return {
        "public_name": "Sample",
        "public_description": "Say yes or no",
        "assignments_issuing_type": "AUTOMATED",
        "task_spec": {
            "input_spec": spec,
            "output_spec": {"label": {"type": "string", "allowed_values": ["yes", "no"]}},
        },
    }


def _type(value: Any) -> str:
    return next((name for kind, name in TYPES if isinstance(value, kind)), "json")


def pool(now: int, overlap: int = 1) -> Json:
    """Return a pool of single tasks that pays a cent for each."""
    return {
        "private_name": "Sample",
        "may_contain_adult_content": False,
        "will_expire": format_date(now + LIFETIME),
        "reward_per_assignment": 0.01,
        "assignment_max_duration_seconds": 600,
        "defaults": {"default_overlap_for_new_task_suites": overlap, "default_overlap_for_new_tasks": overlap},
        "mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0},
    }


def training() -> Json:
    """Return a training with one task on a page."""
    return {
        "private_name": "Sample",
        "may_contain_adult_content": False,
        "assignment_max_duration_seconds": 600,
        "inherited_instructions": True,
        "training_tasks_in_task_suite_count": 1,
        "task_suites_required_to_pass": 1,
    }


def tasks(count: int) -> list[Json]:
    """Return tasks for the sample project."""
    return [{"input_values": {"text": f"Task {number}"}} for number in range(count)]
