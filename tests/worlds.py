"""What tests put into their local Toloka."""

from __future__ import annotations

from typing import Any

from toloka_airflow.api.client import TolokaClient

PROJECT: dict[str, Any] = {
    "public_name": "Questions",
    "public_description": "Answer them",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"text": {"type": "string"}},
        "output_spec": {"answer": {"type": "string", "allowed_values": ["yes", "no"]}},
        "view_spec": {"type": "classic", "markup": "{{text}}"},
    },
}
POOL: dict[str, Any] = {
    "private_name": "Pool",
    "may_contain_adult_content": False,
    "will_expire": "2030-01-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 600,
    "defaults": {"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 2},
    "mixer_config": {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0},
}


def digits() -> list[dict[str, Any]]:
    """Return what the images of the example show, for the simulated people."""
    from sklearn.datasets import load_digits

    return [
        {"match": {"image_id": f"digit-{number:04}"}, "output_values": {"digit": str(digit)}}
        for number, digit in enumerate(load_digits().target)
    ]


def small_pool(client: TolokaClient) -> str:
    """Create a project and a pool without tasks, and return the pool's id."""
    return client.create_pool({**POOL, "project_id": client.create_project(PROJECT).id}).id
