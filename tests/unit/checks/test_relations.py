"""What must fit together: each check fires on its path and its line, and is silent where all is well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.checked_configurations import NOW, POOL, PROJECT, TRAINING, as_file, changed, check_lines, rules
from toloka_airflow.checks import Document, Problem, check, check_config
from toloka_airflow.checks.documents import Documents
from toloka_airflow.checks.relations import check_relations
from toloka_airflow.checks.tasks import TaskCounts, check_tasks

DYNAMIC = {
    "type": "BASIC",
    "max_overlap": 5,
    "min_confidence": 0.85,
    "answer_weight_skill_id": "1",
    "fields": [{"name": "kind"}],
}
DISTRIBUTION = {"scope": "PROJECT", "distribution": "UNIFORM", "window_days": 7}
CHECKPOINTS = "quality_control.checkpoints_config.real_settings"
REQUIREMENT = "quality_control.training_requirement"


def relations(pool: dict[str, Any], **more: Any) -> list[Problem]:
    project = Document("project", more.pop("project", PROJECT))
    return list(check_relations(Documents(project, Document("pool", pool), **more), now=NOW))


def test_all_is_well() -> None:
    assert check(PROJECT, POOL, now=NOW) == []
    assert check(PROJECT, training=TRAINING, now=NOW) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"will_expire": "2029-11-30T23:59:59"}, ("error", "expired", "will_expire")),
        ({"will_expire": "2029-12-01T02:00:00+03:00"}, ("error", "expired", "will_expire")),
        ({"reward_per_assignment": 0.004}, ("error", "reward", "reward_per_assignment")),
        (
            {"auto_accept_solutions": False},
            ("warning", "manual-review", "auto_accept_solutions"),
        ),
        (
            {"auto_accept_solutions": False, "auto_accept_period_day": 7},
            ("warning", "manual-review", "auto_accept_period_day"),
        ),
        (
            {"dynamic_pricing_config.intervals": [{"from": 50, "to": 10, "reward_per_assignment": 1}]},
            ("error", "interval", "dynamic_pricing_config.intervals.0.from"),
        ),
        (
            {
                "dynamic_pricing_config.intervals": [
                    {"from": 50, "to": 90, "reward_per_assignment": 1},
                    {"from": 0, "to": 50, "reward_per_assignment": 0.001},
                ]
            },
            [
                ("error", "reward", "dynamic_pricing_config.intervals.1.reward_per_assignment"),
                ("error", "interval", "dynamic_pricing_config.intervals.1.from"),
            ],
        ),
        (
            {
                f"{CHECKPOINTS}.task_distribution_function": {
                    **DISTRIBUTION,
                    "intervals": [{"from": 1, "to": 100, "frequency": 5}, {"from": 100, "to": 200, "frequency": 5}],
                }
            },
            ("error", "interval", f"{CHECKPOINTS}.task_distribution_function.intervals.1.from"),
        ),
        (
            {"dynamic_overlap_config": {**DYNAMIC, "max_overlap": 3}},
            ("error", "dynamic-overlap-max", "dynamic_overlap_config.max_overlap"),
        ),
        (
            {"dynamic_overlap_config": DYNAMIC, "auto_close_after_complete_delay_seconds": 0},
            ("error", "dynamic-overlap-delay", "auto_close_after_complete_delay_seconds"),
        ),
        (
            {"dynamic_overlap_config": DYNAMIC, "auto_close_after_complete_delay_seconds": ...},
            ("error", "dynamic-overlap-delay", "dynamic_overlap_config"),
        ),
        (
            {"dynamic_overlap_config": DYNAMIC, "mixer_config": ...},
            ("warning", "dynamic-overlap", "dynamic_overlap_config"),
        ),
        (
            {"dynamic_overlap_config": {**DYNAMIC, "min_confidence": 0.6}},
            ("warning", "dynamic-overlap", "dynamic_overlap_config.min_confidence"),
        ),
        (
            {"dynamic_overlap_config": {**DYNAMIC, "min_confidence": 0.99}},
            ("warning", "dynamic-overlap", "dynamic_overlap_config.min_confidence"),
        ),
        (
            {
                "dynamic_overlap_config": DYNAMIC,
                "quality_control.configs.0.collector_config.type": "USERS_ASSESSMENT",
            },
            ("warning", "dynamic-overlap", "quality_control.configs.0"),
        ),
        (
            {"dynamic_overlap_config": {**DYNAMIC, "fields": [{"name": "kimd"}]}},
            ("error", "dynamic-overlap-field", "dynamic_overlap_config.fields.0.name"),
        ),
        (
            {"dynamic_overlap_config": {**DYNAMIC, "fields": [{"name": "kind"}, {"name": "comment"}]}},
            ("warning", "dynamic-overlap", "dynamic_overlap_config.fields.1.name"),
        ),
        (
            {REQUIREMENT: {"training_pool_id": "", "training_passing_skill_value": 60}},
            ("error", "training-requirement", f"{REQUIREMENT}.training_pool_id"),
        ),
        (
            {REQUIREMENT: {"training_pool_id": "None", "training_passing_skill_value": 60}},
            ("error", "training-requirement", f"{REQUIREMENT}.training_pool_id"),
        ),
        (
            {"mixer_config": {"real_tasks_count": 0, "golden_tasks_count": 0, "training_tasks_count": 0}},
            ("error", "mixer-empty", "mixer_config"),
        ),
        ({"mixer_config.min_real_tasks_count": 5}, ("error", "mixer-minimum", "mixer_config.min_real_tasks_count")),
        (
            {"mixer_config.min_training_tasks_count": 1},
            ("error", "mixer-minimum", "mixer_config.min_training_tasks_count"),
        ),
        (
            {"mixer_config.force_last_assignment": False, "mixer_config.force_last_assignment_delay_seconds": 9},
            ("warning", "mixer-order", "mixer_config.force_last_assignment_delay_seconds"),
        ),
        (
            {"assignments_issuing_config.issue_task_suites_in_creation_order": True},
            ("warning", "mixer-order", "assignments_issuing_config.issue_task_suites_in_creation_order"),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_pool(tmp_path: Path, changes: dict[str, Any], expected: Any) -> None:
    wanted = [expected] if isinstance(expected[0], str) else list(expected)
    document = as_file(tmp_path, "pool", changed(POOL, changes))
    problems = list(check_relations(Documents(Document("project", PROJECT), document), now=NOW))
    assert rules(problems) == wanted
    check_lines(problems)
    # While a DAG is parsed, errors are given that need neither a clock nor another configuration.
    at_parsing = [problem for problem in check_config(document) if problem.rule in {rule for _, rule, _ in wanted}]
    needs_more = {"expired", "dynamic-overlap-field", "training-requirement"}
    errors = [one for one in wanted if one[0] == "error" and one[1] not in needs_more]
    assert [one for one in rules(at_parsing) if one[1] not in needs_more] == errors


@pytest.mark.parametrize(
    "changes",
    [
        {"will_expire": "2029-12-01T00:00:01"},
        {"will_expire": "2029-12-01T04:00:00+03:00"},
        {"will_expire": "{{ params.expiry }}"},
        {"will_expire": ...},
        {"reward_per_assignment": 0.005},
        {"auto_accept_solutions": False, "auto_accept_period_day": 7, "will_expire": "2029-12-07T00:00:00"},
        {"auto_accept_solutions": False, "auto_accept_period_day": 7, "will_expire": ...},
        {
            "dynamic_pricing_config.intervals": [
                {"from": 0, "to": 60, "reward_per_assignment": 0.03},
                {"from": 61, "to": 100, "reward_per_assignment": 0.04},
            ]
        },
        {"dynamic_overlap_config": DYNAMIC},
        {REQUIREMENT: {"training_pool_id": "21", "training_passing_skill_value": 60}},
        {"mixer_config.min_real_tasks_count": 4, "mixer_config.min_golden_tasks_count": 0},
        {"mixer_config.force_last_assignment": True, "mixer_config.force_last_assignment_delay_seconds": 9},
        {"assignments_issuing_config.issue_task_suites_in_creation_order": True, "mixer_config": ...},
    ],
    ids=str,
)
def test_a_pool_with_which_nothing_is_wrong(changes: dict[str, Any]) -> None:
    assert relations(changed(POOL, changes)) == []


def test_the_message_says_within_how_many_days_to_review() -> None:
    pool = changed(POOL, {"auto_accept_solutions": False, "auto_accept_period_day": 7})
    [problem] = relations(pool)
    assert "after 7 days" in problem.message
    assert "open for 31" in problem.message
    assert "ReviewAssignmentsOperator" in problem.message


@pytest.mark.parametrize(
    ("spec", "level"),
    [
        ({"type": "string", "allowed_values": ["a"]}, None),
        ({"type": "boolean"}, None),
        ({"type": "integer", "min_value": 0, "max_value": 32}, None),
        ({"type": "integer", "min_value": 0, "max_value": 33}, "warning"),
        ({"type": "integer", "min_value": 0}, "warning"),
        ({"type": "float", "min_value": 0, "max_value": 1}, "warning"),
        ({"type": "string"}, "warning"),
        ({"type": "array_string", "allowed_values": ["a"]}, "error"),
        ({"type": "json"}, "error"),
        ({"type": "file"}, "error"),
        ({"type": "coordinates"}, "error"),
    ],
    ids=str,
)
def test_which_fields_a_dynamic_overlap_can_aggregate(spec: dict[str, Any], level: str | None) -> None:
    project = {"task_spec": {"input_spec": {}, "output_spec": {"kind": spec}}}
    problems = relations({**POOL, "dynamic_overlap_config": DYNAMIC}, project=project)
    assert [problem.level for problem in problems] == ([] if level is None else [level])


def test_a_training_that_the_pool_does_not_require(tmp_path: Path) -> None:
    training = as_file(tmp_path, "training", TRAINING)
    [problem] = relations(POOL, training=training)
    assert (problem.level, problem.rule, problem.file) == ("warning", "training-unused", training.file)
    required = {REQUIREMENT: {"training_pool_id": "21", "training_passing_skill_value": 60}}
    assert relations(changed(POOL, required), training=training) == []


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1, [("error", "training-tasks", "training_tasks_in_task_suite_count")]),
        (2, []),
    ],
)
def test_a_training_needs_a_page_of_tasks(total: int, expected: Any) -> None:
    documents = Documents(training=Document("training", TRAINING))
    assert rules(check_relations(documents, TaskCounts(training=total), now=NOW)) == expected


def test_a_training_that_cannot_be_passed() -> None:
    training = Document("training", {**TRAINING, "task_suites_required_to_pass": 3})
    problems = rules(check_relations(Documents(training=training), TaskCounts(training=5), now=NOW))
    assert problems == [("warning", "training-length", "task_suites_required_to_pass")]
    assert rules(check_relations(Documents(training=training), TaskCounts(training=6), now=NOW)) == []


# The mixer, and what there is


def counts(**given: Any) -> TaskCounts:
    return TaskCounts(**{"real": 40, "control": 4, **given})


@pytest.mark.parametrize(
    ("changes", "there", "expected"),
    [
        ({"mixer_config": ...}, counts(), ("error", "mixer-missing", "")),
        ({}, counts(control=0), ("error", "mixer-control", "mixer_config.golden_tasks_count")),
        (
            {"mixer_config.golden_tasks_count": 5},
            counts(),
            ("error", "mixer-control", "mixer_config.golden_tasks_count"),
        ),
        (
            {"mixer_config.golden_tasks_count": 5, "mixer_config.min_golden_tasks_count": 0},
            counts(control=0),
            ("warning", "mixer-unused", "mixer_config.golden_tasks_count"),
        ),
        (
            {"mixer_config.golden_tasks_count": 0},
            counts(),
            ("warning", "mixer-unused", "mixer_config.golden_tasks_count"),
        ),
        (
            {"mixer_config.training_tasks_count": 1},
            counts(),
            ("error", "mixer-training", "mixer_config.training_tasks_count"),
        ),
        ({}, counts(training=1), ("warning", "mixer-unused", "mixer_config.training_tasks_count")),
        ({}, counts(real=0), ("error", "mixer-real", "mixer_config.real_tasks_count")),
        (
            {"mixer_config.force_last_assignment": False},
            counts(real=3),
            ("error", "mixer-real", "mixer_config.real_tasks_count"),
        ),
        (
            {"mixer_config.real_tasks_count": 0},
            counts(),
            ("warning", "mixer-unused", "mixer_config.real_tasks_count"),
        ),
        ({"reward_per_assignment": 0}, counts(), ("error", "zero-reward", "reward_per_assignment")),
        ({}, counts(finite_control=2), ("warning", "control-overlap", "mixer_config.golden_tasks_count")),
        ({}, counts(real=401), ("warning", "few-control-tasks", "mixer_config.golden_tasks_count")),
        (
            {
                "mixer_config.golden_tasks_count": 0,
                "mixer_config.golden_task_distribution_function": {
                    **DISTRIBUTION,
                    "intervals": [{"from": 1, "to": 9, "frequency": 3}],
                },
            },
            counts(control=0),
            ("warning", "mixer-unused", "mixer_config.golden_tasks_count"),
        ),
    ],
    ids=str,
)
def test_the_mixer_and_the_tasks(
    tmp_path: Path, changes: dict[str, Any], there: TaskCounts, expected: tuple[str, str, str]
) -> None:
    pool = as_file(tmp_path, "pool", changed(POOL, changes))
    problems = list(check_relations(Documents(pool=pool), there, now=NOW))
    assert rules(problems) == [expected]
    check_lines(problems)


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, counts()),
        ({}, counts(real=400)),
        ({}, counts(real=1)),
        ({"mixer_config.golden_tasks_count": 4}, counts()),
        ({"mixer_config.golden_tasks_count": 9, "mixer_config.min_golden_tasks_count": 4}, counts()),
        ({"mixer_config.training_tasks_count": 2}, counts(training=2)),
        ({"mixer_config.force_last_assignment": False}, counts(real=4)),
        ({"reward_per_assignment": 0, "mixer_config.real_tasks_count": 0}, counts(real=0)),
        ({"mixer_config": ...}, None),
    ],
    ids=str,
)
def test_the_mixer_and_tasks_that_it_is_for(changes: dict[str, Any], there: TaskCounts | None) -> None:
    documents = Documents(pool=Document("pool", changed(POOL, changes)))
    assert rules(check_relations(documents, there, now=NOW)) == []


def test_control_tasks_may_come_in_a_file_of_their_own() -> None:
    real = [{"input_values": {"image": str(number)}} for number in range(8)]
    control = [
        {
            "input_values": {"image": "c"},
            "known_solutions": [{"output_values": {"kind": "cat"}}],
            "infinite_overlap": True,
        }
    ]
    assert check(PROJECT, POOL, tasks=(real, control), now=NOW) == []
    [problem] = check(PROJECT, POOL, tasks=real, now=NOW)
    assert problem.rule == "mixer-control"


# The fields of a project


@pytest.mark.parametrize(
    ("side", "spec", "expected"),
    [
        ("input_spec", {"type": "file"}, ("error", "input-file", "type")),
        ("input_spec", {"type": "array_file"}, ("error", "input-file", "type")),
        ("output_spec", {"type": "string", "hidden": True, "required": False}, ("warning", "hidden-output", "hidden")),
        ("input_spec", {"type": "integer", "min_value": 3, "max_value": 2}, ("error", "limits", "min_value")),
        ("input_spec", {"type": "string", "min_length": 3, "max_length": 2}, ("error", "limits", "min_length")),
        ("input_spec", {"type": "array_url", "min_size": 3, "max_size": 2}, ("error", "limits", "min_size")),
        ("input_spec", {"type": "string", "min_value": 3}, ("warning", "limit-unused", "min_value")),
        ("input_spec", {"type": "float", "max_length": 3}, ("warning", "limit-unused", "max_length")),
        ("input_spec", {"type": "json", "max_size": 3}, ("warning", "limit-unused", "max_size")),
        ("input_spec", {"type": "integer", "allowed_values": [1, "2"]}, ("error", "allowed-value", "allowed_values.1")),
        ("input_spec", {"type": "string", "allowed_values": [1]}, ("error", "allowed-value", "allowed_values.0")),
        (
            "input_spec",
            {"type": "array_integer", "max_value": 5, "allowed_values": [5, 6]},
            ("error", "allowed-value", "allowed_values.1"),
        ),
        ("input_spec", {"type": "array_string", "max_length": 5, "max_size": 2, "allowed_values": ["a"]}, None),
        ("input_spec", {"type": "FLOAT", "min_value": 0, "max_value": 0}, None),
        ("input_spec", {"type": "string", "hidden": True}, None),
        ("output_spec", {"type": "array_file", "required": False}, None),
        ("input_spec", {"type": "nothing", "min_value": 3, "max_value": 2}, None),
    ],
    ids=str,
)
def test_a_field(tmp_path: Path, side: str, spec: dict[str, Any], expected: tuple[str, str, str] | None) -> None:
    project = as_file(tmp_path, "project", changed(PROJECT, {f"task_spec.{side}.extra": spec}))
    problems = list(check_relations(Documents(project), now=NOW))
    wanted = [] if expected is None else [(*expected[:2], f"task_spec.{side}.extra.{expected[2]}")]
    assert rules(problems) == wanted
    check_lines(problems)


def test_tasks_and_relations_go_together() -> None:
    """The whole, by the public function."""
    tasks = [{"input_values": {"image": "a b"}}, {"input_values": {"imgae": "b"}}]
    problems = check(PROJECT, changed(POOL, {"mixer_config": ...}), tasks=tasks, now=NOW)
    assert {problem.rule for problem in problems} == {"url-syntax", "unknown-field", "required-field", "mixer-missing"}
    assert check_tasks(Documents())[1] is None
    off = {problem.rule for problem in check(PROJECT, POOL, tasks=tasks, off=["url-syntax"], now=NOW)}
    assert "url-syntax" not in off
