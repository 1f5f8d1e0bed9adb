"""What is wrong with a task, and cannot change by itself, fails it without a retry; nothing is sent."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowNotFoundException
from airflow.sdk import DAG

from tests.support import NO_OPERATIONS, ScriptedServer, connect, from_templates, pool, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.label_until import label_until
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.assignments import GetAssignmentsOperator, ReviewAssignmentsOperator
from toloka_airflow.operators.attachments import DownloadAttachmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.estimates import EstimateOperator
from toloka_airflow.operators.lifecycle import (
    ArchivePoolOperator,
    ArchiveTrainingOperator,
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.operators.overlap import ChangeOverlapOperator
from toloka_airflow.operators.pools import (
    ClonePoolOperator,
    CloneTrainingOperator,
    CreatePoolOperator,
    CreateTrainingOperator,
)
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator, UpdateProjectOperator
from toloka_airflow.operators.restrictions import LiftRestrictionsOperator, RestrictUsersOperator
from toloka_airflow.operators.skills import CreateSkillOperator, SetUserSkillsOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.operators.updates import UpdatePoolOperator
from toloka_airflow.sensors import OperationSensor, PoolSensor
from toloka_airflow.windows import pool_window

pytestmark = pytest.mark.usefixtures("connection")

Make = Callable[..., Any]

ENDLESS = {key: value for key, value in POOL.items() if key != "will_expire"}
TRAINING = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}

TASKS: dict[str, tuple[Make, dict[str, Any]]] = {
    "aggregate": (AggregateSolutionsOperator, {"pool_id": "21", "fields": ["result"], "path": "/tmp/labels.jsonl"}),
    "archive pool": (ArchivePoolOperator, {"pool_id": "21"}),
    "archive project": (ArchiveProjectOperator, {"project_id": "10"}),
    "archive training": (ArchiveTrainingOperator, {"training_id": "7"}),
    "clone pool": (ClonePoolOperator, {"pool_id": "21"}),
    "clone training": (CloneTrainingOperator, {"training_id": "7"}),
    "create pool": (CreatePoolOperator, {"config": ENDLESS, "project_id": "10", "expires_in": 60}),
    "create project": (CreateProjectOperator, {"config": PROJECT}),
    "create tasks": (CreateTasksOperator, {"pool_id": "21", "tasks": [{"input_values": {}}]}),
    "change overlap": (ChangeOverlapOperator, {"pool_id": "21", "tasks": ["t-1"], "overlap": 3}),
    "create skill": (CreateSkillOperator, {"name": "careful"}),
    "lift restrictions": (LiftRestrictionsOperator, {}),
    "restrict users": (RestrictUsersOperator, {"users": ["u-1"], "scope": "ALL_PROJECTS"}),
    "set skills": (SetUserSkillsOperator, {"skill_id": "7", "values": {"u-1": 50}}),
    "update project": (UpdateProjectOperator, {"project_id": "10", "config": PROJECT}),
    "create training": (CreateTrainingOperator, {"config": TRAINING, "project_id": "10"}),
    "download attachments": (DownloadAttachmentsOperator, {"pool_id": "21", "folder": "/tmp/files"}),
    "get assignments": (GetAssignmentsOperator, {"pool_id": "21", "path": "/tmp/answers.jsonl"}),
    "open pool": (OpenPoolOperator, {"pool_id": "21"}),
    "open training": (OpenTrainingOperator, {"training_id": "7"}),
    "operation sensor": (OperationSensor, {"operation_id": "op-1", "soft_fail": True}),
    "pay bonuses": (PayBonusesOperator, {"bonuses": [{"user_id": "a", "amount": 1}], "max_total": 1}),
    "pool sensor": (PoolSensor, {"pool_id": "21", "soft_fail": True}),
    "deferred sensor": (PoolSensor, {"pool_id": "21", "deferrable": True, "never_fail": True}),
    "review": (ReviewAssignmentsOperator, {"pool_id": "21", "decisions": {}}),
    "update pool": (UpdatePoolOperator, {"pool_id": "21", "changes": {}}),
}
CLOSING: dict[str, tuple[Make, dict[str, Any]]] = {
    "close pool": (ClosePoolOperator, {"pool_id": "21"}),
    "close training": (CloseTrainingOperator, {"training_id": "7"}),
}
MISTAKES = [
    (name, argument, value)
    for name, argument, values in [
        ("aggregate", "fields", ["result", [], ["a", "b"], 5 * "x"]),
        ("aggregate", "path", [None, "None", 5]),
        ("create pool", "config", ["nothing.json", "pool.toml", None]),
        ("create pool", "expires_in", [-1, "soon"]),
        ("create pool", "project_id", ["None", "1/2"]),
        ("create project", "config", ["nothing.json"]),
        ("create tasks", "tasks", ["tasks.xml", None]),
        ("download attachments", "folder", ["", None, "None", 5]),
        ("download attachments", "manifest", ["", "files.xlsx", "hdfs:///files.csv", "/tmp/files.json"]),
        ("download attachments", "status", ["PERFECT", "SKIPPED", 5, []]),
        ("get assignments", "path", ["", "/tmp", "answers.csv"]),
        ("get assignments", "since", ["yesterday", "2030-01-01T00:00:00"]),
        ("get assignments", "status", ["PERFECT", 5]),
        ("get assignments", "until", ["", "2999-01-01T00:00:00Z"]),
        ("open pool", "not_after", ["soon", datetime(2030, 1, 1)]),
        ("open pool", "will_expire", ["2001-01-01T00:00:00Z", ""]),
        ("open pool", "expires_in", ["soon", 0]),
        ("open pool", "min_balance", ["much", -1]),
        ("open training", "not_after", ["soon"]),
        ("pay bonuses", "max_total", ["much", -1]),
        ("pool sensor", "until", ["soon"]),
        ("pool sensor", "max_spend", ["much", "NaN"]),
        ("deferred sensor", "until", ["soon"]),
        ("review", "decisions", [{"a-1": "ACCEPTED"}, [{}], "nothing.jsonl", {"a/1": {}}]),
        ("change overlap", "overlap", ["many", -1, 40_000]),
        ("change overlap", "tasks", [None, "nothing.jsonl", [{}]]),
        ("create skill", "config", ["nothing.yaml"]),
        ("lift restrictions", "users", ["nothing.csv", [None]]),
        ("restrict users", "scope", ["SYSTEM", None]),
        ("restrict users", "users", [None, ["u/1"]]),
        ("restrict users", "will_expire", ["soon", "2001-01-01T00:00:00Z"]),
        ("set skills", "values", [None, {"u-1": 101}, [{"user_id": "u-1"}]]),
        ("update project", "config", [None, "nothing.json", {**PROJECT, "id": "11"}]),
        ("update pool", "changes", [{"id": "22"}, "nothing.yaml"]),
    ]
    for value in values
]

WHEN_PARSED: list[tuple[Make, str, Any]] = [
    *((OpenPoolOperator, name, "soon") for name in ("not_after", "will_expire")),
    *((OpenPoolOperator, name, datetime(2030, 1, 1)) for name in ("not_after", "will_expire")),
    *((OpenPoolOperator, "expires_in", value) for value in ("soon", -1)),
    *((OpenPoolOperator, "min_balance", value) for value in ("much", -1)),
    (OpenTrainingOperator, "not_after", "soon"),
    *((closing, "opened_before", "soon") for closing in (ClosePoolOperator, CloseTrainingOperator)),
    *((PayBonusesOperator, "max_total", value) for value in (-1, "-0.01", "much", float("nan"))),
    (EstimateOperator, "max_total", -1),
    *((PoolSensor, name, "much") for name in ("until", "max_spend", "spent_before")),
    (PoolSensor, "max_spend", -1),
    (pool_window, "closes_at", "18:00"),
    (pool_window, "max_spend", -1),
    *((make, "fee", None) for make in (OpenPoolOperator, EstimateOperator, pool_window, label_until)),
    (EstimateOperator, "min_fee", None),
]
"""What limits money or time, and does so no more when people are being paid and the task fails."""
GIVEN: dict[Make, dict[str, Any]] = {
    **{make: given for make, given in (TASKS | CLOSING).values() if make is not PoolSensor},
    EstimateOperator: {"pool_id": "21"},
    PoolSensor: {"pool_id": "21"},
    pool_window: {"pool_id": "21"},
    label_until: {"pool_id": "21", "fields": ["result"], "folder": "/tmp/labels"},
}


def task(name: str, **arguments: Any) -> Any:
    make, given = (TASKS | CLOSING)[name]
    return make(task_id="task", **{**given, **arguments})


@pytest.fixture(autouse=True)
def a_closed_pool(server: ScriptedServer) -> None:
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/pools", {"items": [], "has_more": False})
    server.default("GET", "/operations", NO_OPERATIONS)


def refusal(name: str, **arguments: Any) -> AirflowException:
    """Return what a task fails with at once, a ValueError under its public name."""
    return failure(task(name, **arguments))


def failure(made: Any) -> AirflowException:
    with pytest.raises(AirflowFailException) as caught:
        run_task(made)
    assert isinstance(caught.value, ValueError)
    assert "\nValueError: " in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(("name", "argument", "value"), MISTAKES)
def test_an_argument(server: ScriptedServer, name: str, argument: str, value: Any) -> None:
    make, _ = TASKS[name]
    is_checked_before = any((each, other) == (make, argument) for each, other, _ in WHEN_PARSED)
    given = {argument: value}
    made = from_templates(partial(task, name), **given) if is_checked_before else task(name, **given)
    assert argument in str(failure(made))
    assert not {"POST", "PUT", "PATCH"} & {seen.method for seen in server.seen}


@pytest.mark.parametrize(("make", "argument", "value"), WHEN_PARSED)
def test_a_limit_that_is_none_is_an_error_of_the_dag(make: Make, argument: str, value: Any) -> None:
    name = {} if make in (pool_window, label_until) else {"task_id": "task"}
    with DAG("dag", schedule=None), pytest.raises(ValueError, match=rf"^{argument} is .* Help: .*#arguments$"):
        make(**name, **{**GIVEN[make], argument: value})


@pytest.mark.parametrize("name", TASKS)
def test_an_id(server: ScriptedServer, name: str) -> None:
    argument = next((argument for argument in TASKS[name][1] if argument.endswith("_id")), None)
    if argument is not None:
        assert str(refusal(name, **{argument: "None"})).startswith(f"{argument} is 'None'")
    assert server.seen == []


@pytest.mark.parametrize("name", TASKS)
def test_a_field_of_the_connection(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    connect(monkeypatch, server.url, timeout="soon")
    assert "Connection 'toloka_default': extra.timeout is 'soon'" in str(refusal(name))
    assert server.seen == []


@pytest.mark.parametrize("name", CLOSING)
def test_what_must_be_closed_is_tried_again(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A person may repair the connection meanwhile."""
    connect(monkeypatch, server.url, timeout="soon")
    with pytest.raises(AirflowException, match="Connection 'toloka_default'") as caught:
        run_task(task(name))
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("name", TASKS)
def test_a_connection_that_airflow_does_not_find_is_tried_again(name: str) -> None:
    """It says the same while its secrets backend is down."""
    with pytest.raises(AirflowNotFoundException) as caught:
        run_task(task(name, toloka_conn_id="nobody_defined_me"))
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("pool.json", '{"a": 1,\n "a": 2}', "line 2: no JSON: 'a' is there twice"),
        ("pool.json", '{"a":\n', "line 2: no JSON"),
        ("pool.yaml", "a: 1\nb: [1\nc: 2", "line 3: no YAML"),
    ],
)
def test_a_file_of_configuration(tmp_path: Path, file: str, content: str, place: str) -> None:
    """That was written after the DAG was parsed."""
    made = task("create pool", config=str(tmp_path / file))
    (tmp_path / file).write_text(content)
    error = failure(made)
    assert str(error).startswith(f"config: {tmp_path / file}, {place}")


def test_an_error_of_a_function_of_the_dag_is_tried_again(server: ScriptedServer) -> None:
    """Nobody knows whether it comes again: the function may ask a server."""

    def decide(assignment: Any) -> Any:
        raise ValueError("the model is not loaded yet")

    server.default(
        "GET", "/assignments", {"items": [{"id": "a-1", "pool_id": "21", "status": "SUBMITTED"}], "has_more": False}
    )
    with pytest.raises(ValueError, match="the model is not loaded yet") as caught:
        run_task(ReviewAssignmentsOperator(task_id="review", pool_id="21", decide=decide))
    assert type(caught.value) is ValueError
