"""A project and a pool as dicts, as they are in practice; `benchmarks.check_parsing` parses it."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from airflow.sdk import DAG

from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator

VIEW = {
    "view": {
        "type": "view.list",
        "items": [
            {"type": "view.image", "url": {"type": "data.input", "path": "image"}},
            {
                "type": "field.button-radio-group",
                "data": {"type": "data.output", "path": "animal"},
                "options": [{"label": animal, "value": animal} for animal in ("cat", "dog", "other")],
                "validation": {"type": "condition.required"},
            },
        ],
    }
}
PROJECT = {
    "public_name": "Which animal is it?",
    "public_description": "Say which animal is in a photo",
    "public_instructions": "Press the button of the animal in the photo.",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}, "image_id": {"type": "string", "hidden": True}},
        "output_spec": {"animal": {"type": "string", "allowed_values": ["cat", "dog", "other"]}},
        "view_spec": {"type": "tb", "config": json.dumps(VIEW), "settings": {"showSkip": True, "showTimer": True}},
    },
}
BAN = {
    "action": {
        "type": "RESTRICTION_V2",
        "parameters": {"scope": "PROJECT", "duration": 10, "duration_unit": "DAYS", "private_comment": "Wrong"},
    },
}
POOL = {
    "private_name": "Animals",
    "may_contain_adult_content": False,
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 600,
    "auto_accept_solutions": False,
    "auto_accept_period_day": 7,
    "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 9, "golden_tasks_count": 1, "training_tasks_count": 0},
    "filter": {
        "and": [
            {"or": [{"category": "profile", "key": "adult_allowed", "operator": "EQ", "value": True}]},
            {
                "or": [
                    {"category": "computed", "key": "client_type", "operator": "EQ", "value": "TOLOKA_APP"},
                    {"category": "computed", "key": "client_type", "operator": "EQ", "value": "BROWSER"},
                ]
            },
            {"or": [{"category": "profile", "key": "languages", "operator": "IN", "value": "EN"}]},
        ]
    },
    "quality_control": {
        "configs": [
            {
                "collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": 10}},
                "rules": [
                    {
                        "conditions": [
                            {"key": "golden_set_answers_count", "operator": "GTE", "value": 5},
                            {"key": "golden_set_correct_answers_rate", "operator": "LT", "value": 60},
                        ],
                        **BAN,
                    }
                ],
            },
            {
                "collector_config": {
                    "type": "ASSIGNMENT_SUBMIT_TIME",
                    "parameters": {"fast_submit_threshold_seconds": 9},
                },
                "rules": [{"conditions": [{"key": "fast_submitted_count", "operator": "GTE", "value": 3}], **BAN}],
            },
            {
                "collector_config": {"type": "SKIPPED_IN_ROW_ASSIGNMENTS"},
                "rules": [{"conditions": [{"key": "skipped_in_row_count", "operator": "GTE", "value": 10}], **BAN}],
            },
        ]
    },
}

with DAG("labelling", schedule=None, default_args={"check_config": os.environ["CHECK_CONFIG"] == "True"}):
    project = CreateProjectOperator(task_id="create_project", config=PROJECT)
    CreatePoolOperator(task_id="create_pool", config=POOL, project_id=project.output, expires_in=timedelta(days=1))
