"""The form of configurations; that every mistake of one key is found is in `test_mutants`."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.documented_configurations import examples
from toloka_airflow.checks import Document, Problem
from toloka_airflow.checks.structure import check_structure, own_keys

EXAMPLES = {example.name: example.value for example in examples()}
POOL = EXAMPLES["pools.create.request.pool_long"]
PROJECT = EXAMPLES["projects.create.request.html_css_js_editor"]
TRAINING = EXAMPLES["trainings.create.request"]


class XComArg:
    """What a DAG has where a value is known when it runs."""


def changed(config: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a configuration with one value changed; a value of ``...`` takes the key away."""
    result: dict[str, Any] = copy.deepcopy(dict(config))
    *above, last = path.split(".")
    part: Any = result
    for step in above:
        part = part[int(step) if isinstance(part, list) else step]
    if value is ...:
        del part[last]
    else:
        part[int(last) if isinstance(part, list) else last] = value
    return result


def problems(kind: str, config: Mapping[str, Any], **options: Any) -> list[Problem]:
    file = options.pop("file", "")
    return list(check_structure(Document(kind, config, file), **options))  # type: ignore[arg-type]


def told(kind: str, config: Mapping[str, Any], **options: Any) -> list[tuple[str, str, str]]:
    found = problems(kind, config, **options)
    return [(problem.level, problem.rule, ".".join(map(str, problem.path))) for problem in found]


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("reward_per_assignment", "0.05", "wrong-type"),
        ("reward_per_assignment", -0.01, "out-of-range"),
        ("reward_per_assignment", math.nan, "wrong-type"),
        ("reward_per_assignment", math.inf, "wrong-type"),
        ("reward_per_assignment", True, "wrong-type"),
        ("reward_per_assignment", None, "wrong-type"),
        ("priority", 1.0, "wrong-type"),
        ("priority", True, "wrong-type"),
        ("priority", 101, "out-of-range"),
        ("assignment_max_duration_seconds", 4, "out-of-range"),
        ("auto_accept_period_day", 22, "out-of-range"),
        ("auto_accept_solutions", "true", "wrong-type"),
        ("quality_control.training_requirement.training_pool_id", None, "wrong-type"),
        ("dynamic_overlap_config.fields.0", None, "wrong-type"),
        ("quality_control.captcha_frequency", 7, "wrong-type"),
        ("quality_control.captcha_frequency", "ALWAYS", "unknown-value"),
        ("quality_control.training_requirement.training_passing_skill_value", 101, "out-of-range"),
        ("quality_control.training_requirement.training_pool_id", "", "wrong-form"),
        ("quality_control.training_requirement.training_pool_id", "٣", "wrong-form"),
        ("quality_control.training_requirement.training_pool_id", "21\n", "wrong-form"),
        ("quality_control.training_requirement.training_pool_id", -1, "wrong-form"),
        ("quality_control.training_requirement.training_pool_id", 21.0, "wrong-type"),
        ("quality_control.training_requirement.training_pool_id", True, "wrong-type"),
        ("quality_control.configs", {}, "wrong-type"),
        ("dynamic_pricing_config.intervals", [], "out-of-range"),
        ("dynamic_pricing_config.intervals.0.to", 101, "out-of-range"),
        ("dynamic_overlap_config.fields", [], "out-of-range"),
        ("dynamic_overlap_config.min_confidence", 1.1, "out-of-range"),
        ("defaults.default_overlap_for_new_tasks", 30001, "out-of-range"),
        ("mixer_config.real_tasks_count", 501, "out-of-range"),
        ("metadata", {"purpose": "test"}, "wrong-type"),
        ("will_expire", "2030-13-01T00:00:00", "wrong-form"),
        ("will_expire", "2030-02-30", "wrong-form"),
        ("will_expire", "2030-01-01 00:00:00", "wrong-form"),
        ("will_expire", "2030-W01-1", "wrong-form"),
        ("will_expire", "tomorrow", "wrong-form"),
        ("will_expire", 1900000000, "wrong-type"),
    ],
)
def test_a_value_that_cannot_be(path: str, value: object, rule: str) -> None:
    config = {**POOL, "metadata": {}}
    assert [(level, name) for level, name, at in told("pool", changed(config, path, value)) if at.startswith(path)] == [
        ("error", rule)
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("project_id", 83859),
        ("reward_per_assignment", 1),
        ("reward_per_assignment", 0.29),
        ("defaults.default_overlap_for_new_task_suites", 0),
        ("mixer_config.min_golden_tasks_count", None),
        ("metadata", {"purpose": ["test"], "none": []}),
        ("will_expire", "2030-01-01"),
        ("will_expire", "2030-01-01T13:00"),
        ("will_expire", "2030-01-01T00:00:00+03:00"),
        ("will_expire", "2030-01-01T13:00:00.123456Z"),
        ("quality_control.configs", ()),
        ("defaults", MappingProxyType({"default_overlap_for_new_task_suites": 3})),
    ],
)
def test_a_value_that_can_be(path: str, value: object) -> None:
    assert told("pool", changed(POOL, path, value)) == []


@pytest.mark.parametrize("value", ["", " "])
def test_a_name_that_must_be_there_is_not_empty(value: str) -> None:
    assert told("pool", changed(POOL, "private_name", value)) == [("error", "out-of-range", "private_name")]
    assert told("project", changed(PROJECT, "public_name", value)) == [("error", "out-of-range", "public_name")]


def test_a_message_names_the_value_and_what_it_must_be() -> None:
    config = changed(PROJECT, "assignments_issuing_type", "AUTOMATD")
    assert [problem.message for problem in problems("project", config)] == [
        "assignments_issuing_type is \"AUTOMATD\"; it must be AUTOMATED, MAP_SELECTOR; did you mean 'AUTOMATED'?"
    ]
    config = changed(POOL, "dynamic_overlap_config.fields.0", "result")
    assert [problem.message for problem in problems("pool", config)] == [
        'an element of fields is "result"; it must be an object with fields'
    ]
    config = changed(POOL, "will_expire", "soon")
    assert [problem.message for problem in problems("pool", config)] == [
        'will_expire is "soon"; it must be a date in UTC, such as 2030-01-01T00:00:00'
    ]


def test_a_misspelt_key_is_reported_once_although_the_right_one_is_missing() -> None:
    config = {**changed(POOL, "reward_per_assignment", ...), "rewardPerAssignment": 0.05}
    found = problems("pool", config)
    assert [(problem.rule, problem.path) for problem in found] == [("unknown-key", ("rewardPerAssignment",))]
    assert found[0].message == "a pool has no key \"rewardPerAssignment\"; did you mean 'reward_per_assignment'?"


def test_a_key_of_another_object_says_where_it_belongs() -> None:
    found = problems("pool", {**POOL, "golden_tasks_count": 1, "inherited_instructions": True})
    assert [(problem.level, problem.rule, problem.message) for problem in found] == [
        ("error", "misplaced-key", 'a pool has no key "golden_tasks_count"; it belongs to mixer_config'),
        ("error", "misplaced-key", 'a pool has no key "inherited_instructions"; it belongs to a training'),
    ]
    found = problems("pool", changed(POOL, "mixer_config.default_overlap_for_new_tasks", 3))
    assert [problem.message for problem in found] == [
        'mixer_config has no key "default_overlap_for_new_tasks"; it belongs to defaults'
    ]


def test_a_key_that_is_near_to_none_is_a_warning_as_the_api_may_be_newer() -> None:
    assert told("pool", {**POOL, "favourite_colour": "red"}) == [("warning", "unknown-key", "favourite_colour")]


def test_null_is_a_warning_where_nothing_need_be() -> None:
    """An empty key of YAML is null: what was meant to be in it may have slipped out of it."""
    for path in (
        "quality_control",
        "quality_control.captcha_frequency",
        "filter",
        "mixer_config.force_last_assignment",
    ):
        assert told("pool", changed(POOL, path, None)) == [("warning", "null-value", path)]
    config = changed(PROJECT, "task_spec.input_spec.image.hidden", None)
    assert told("project", config) == [("warning", "null-value", "task_spec.input_spec.image.hidden")]
    config = changed(PROJECT, "task_spec.input_spec.image", None)
    assert told("project", config) == [("error", "wrong-type", "task_spec.input_spec.image")]


def test_names_that_the_requester_chooses_are_free() -> None:
    config = changed(PROJECT, "task_spec.input_spec", {"type": {"type": "url"}, "imag": {"type": "array_string"}})
    assert told("project", {**config, "metadata": {"publicname": ["a"]}}) == []


def test_what_the_operator_can_give_is_a_warning_until_it_is_known_what_it_gives() -> None:
    config = changed(changed(POOL, "project_id", ...), "quality_control.training_requirement.training_pool_id", ...)
    path = "quality_control.training_requirement.training_pool_id"
    assert told("pool", config) == [("warning", "given-later", path), ("warning", "given-later", "project_id")]
    assert told("pool", config, given=()) == [("error", "missing-key", path), ("error", "missing-key", "project_id")]
    assert told("pool", config, given=("project_id", "training_pool_id")) == []
    assert told("training", changed(TRAINING, "project_id", ...)) == [("warning", "given-later", "project_id")]
    config = changed(TRAINING, "private_name", ...)
    assert told("training", config, given=("private_name",)) == [("error", "missing-key", "private_name")]


@pytest.mark.parametrize("value", ["{{ params.value }}", "{% if a %}1{% endif %}", XComArg()])
@pytest.mark.parametrize("path", ["reward_per_assignment", "quality_control", "speed_quality_balance.type"])
def test_what_is_known_when_the_dag_runs_is_passed_over(path: str, value: object) -> None:
    assert told("pool", changed(POOL, path, value)) == []
    assert told("pool", {**POOL, "{{ params.key }}": 1}) == []


def test_the_content_of_a_file_is_not_templated() -> None:
    config = changed(POOL, "reward_per_assignment", "{{ params.value }}")
    assert told("pool", config, file="pool.yaml") == [("error", "wrong-type", "reward_per_assignment")]


def test_a_key_of_one_kind_tells_it() -> None:
    keys = own_keys()
    assert {"task_spec", "public_name"} <= keys["project"]
    assert {"reward_per_assignment", "filter"} <= keys["pool"]
    assert {"training_tasks_in_task_suite_count"} <= keys["training"]
    assert "project_id" not in keys["pool"] | keys["training"]
