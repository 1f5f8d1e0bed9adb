"""Configurations with which nothing is wrong and that have sense, and changes of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from toloka_airflow.checks import Document, Problem

NOW = datetime(2029, 12, 1, tzinfo=UTC)
INTERFACE: dict[str, Any] = {
    "view": {
        "type": "view.list",
        "items": [
            {"type": "view.image", "url": {"type": "data.input", "path": "image"}},
            {
                "type": "field.radio-group",
                "data": {"type": "data.output", "path": "kind"},
                "options": [{"label": "Cat", "value": "cat"}, {"label": "Dog", "value": "dog"}],
                "validation": {"type": "condition.required"},
            },
        ],
    },
    "plugins": [
        {"type": "plugin.toloka", "layout": {"kind": "scroll"}},
        {"type": "plugin.hotkeys", "1": {"type": "action.set", "data": {"$ref": "vars.kind"}, "payload": "cat"}},
    ],
    "vars": {"kind": {"type": "data.output", "path": "kind"}},
}
PROJECT: dict[str, Any] = {
    "public_name": "Cats and dogs",
    "public_description": "Say what is in a picture",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}, "source": {"type": "json", "required": False}},
        "output_spec": {
            "kind": {"type": "string", "allowed_values": ["cat", "dog"]},
            "comment": {"type": "string", "required": False, "max_length": 100},
        },
        "view_spec": {"type": "tb", "config": json.dumps(INTERFACE), "settings": {"showSkip": True}},
    },
    "assignments_issuing_type": "AUTOMATED",
}
POOL: dict[str, Any] = {
    "project_id": "1",
    "private_name": "Pictures",
    "may_contain_adult_content": False,
    "will_expire": "2030-01-01T00:00:00",
    "reward_per_assignment": 0.05,
    "assignment_max_duration_seconds": 300,
    "auto_close_after_complete_delay_seconds": 60,
    "quality_control": {
        "configs": [
            {
                "collector_config": {"type": "SKIPPED_IN_ROW_ASSIGNMENTS"},
                "rules": [
                    {
                        "conditions": [{"key": "skipped_in_row_count", "operator": "GTE", "value": 10}],
                        "action": {
                            "type": "RESTRICTION_V2",
                            "parameters": {"scope": "PROJECT", "duration_unit": "DAYS", "duration": 1},
                        },
                    }
                ],
            }
        ]
    },
    "mixer_config": {"real_tasks_count": 4, "golden_tasks_count": 1, "training_tasks_count": 0},
    "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
}
TRAINING: dict[str, Any] = {
    "project_id": "1",
    "private_name": "Training",
    "may_contain_adult_content": False,
    "inherited_instructions": True,
    "assignment_max_duration_seconds": 300,
    "training_tasks_in_task_suite_count": 2,
    "task_suites_required_to_pass": 1,
}


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with other values, by their paths with dots; a value of ``...`` takes the key away."""
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for path, value in changes.items():
        *above, last = path.split(".")
        part: Any = result
        for step in above:
            part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
        if value is ...:
            del part[last]
        else:
            part[int(last) if isinstance(part, list) else last] = value
    return result


def as_file(folder: Path, kind: Any, config: Mapping[str, Any]) -> Document:
    """Write a configuration, and return it as it is read."""
    file = folder / f"{kind}.yaml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False, width=1_000_000))
    return Document.read(kind, file)


def rules(problems: Iterable[Problem]) -> list[tuple[str, str, str]]:
    """Return level, rule and path of each problem."""
    return [(problem.level, problem.rule, ".".join(map(str, problem.path))) for problem in problems]


def check_lines(problems: Iterable[Problem]) -> None:
    """Check that the last key of each path that is in the file is on the line of the problem."""
    for problem in problems:
        lines = Path(problem.file).read_text().splitlines()
        assert problem.line is not None
        document = Document.read("pool", problem.file)
        for length in range(len(problem.path), 0, -1):
            if document.at(*problem.path[:length]) is not None:
                key = problem.path[length - 1]
                assert f"{key}:" in lines[problem.line - 1] if isinstance(key, str) else "- " in lines[problem.line - 1]
                break
        else:
            assert problem.line == 1
