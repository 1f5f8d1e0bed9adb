"""What is done soon is waited for in the worker, though the task is deferrable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support import NO_OPERATIONS, Outcome, ScriptedServer, operation, pool, run_task
from tests.virtual_time import VirtualTime
from toloka_airflow.get_provider_info import get_provider_info
from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.sensors import OperationSensor, PoolSensor

pytestmark = pytest.mark.usefixtures("connection", "by_default")

CASES: dict[str, Callable[..., Any]] = {
    "operator": lambda **more: OpenPoolOperator(task_id="open", pool_id="21", deferrable=True, **more),
    "sensor": lambda **more: OperationSensor(task_id="wait", operation_id="op-1", deferrable=True, **more),
}
each = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


@pytest.fixture
def by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option that all other tests have."""
    monkeypatch.delenv("AIRFLOW__TOLOKA__DEFER_AFTER")


def run(server: ScriptedServer, virtual: VirtualTime, task: Any, polls: int) -> tuple[Outcome, float]:
    """Run a task whose operation is done at a poll, and return how it ended, and after how many seconds."""
    server.default("GET", "/pools/21", pool("CLOSED"))
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", "/pools/21/open", 202, operation("PENDING"))
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=polls - 1)
    server.default("GET", "/operations/op-1", operation("SUCCESS"))
    began = virtual.now
    outcome = run_task(task, triggerer=virtual.run)
    return outcome, virtual.now - began


@each
@pytest.mark.parametrize("interval", [60.0, 0.25])
def test_what_is_done_in_some_seconds_is_not_deferred(
    server: ScriptedServer, virtual: VirtualTime, make: Callable[..., Any], interval: float
) -> None:
    task = make()
    name = "poke_interval" if isinstance(task, OperationSensor) else "poll_interval"
    outcome, seconds = run(server, virtual, make(**{name: interval}), polls=4)
    assert outcome.result == "op-1"
    assert outcome.triggers == []
    assert seconds <= 4 * min(interval, 1.0) + 0.1


@each
def test_what_takes_longer_is_deferred(server: ScriptedServer, virtual: VirtualTime, make: Callable[..., Any]) -> None:
    deadline = virtual.now + make().timeout
    outcome, _ = run(server, virtual, make(), polls=9)
    [(_, arguments)] = outcome.triggers
    assert outcome.result == "op-1"
    # Since the start of the task, and not since its deferral.
    assert arguments["deadline"] == pytest.approx(deadline, abs=0.1)


@each
@pytest.mark.parametrize("none", [0, 0.0, timedelta(0)])
def test_a_task_may_be_deferred_at_once(
    server: ScriptedServer, virtual: VirtualTime, make: Callable[..., Any], none: Any
) -> None:
    outcome, _ = run(server, virtual, make(defer_after=none), polls=2)
    assert len(outcome.triggers) == 1


@each
def test_the_option_is_for_all_tasks_without_the_argument(
    server: ScriptedServer, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
) -> None:
    monkeypatch.setenv("AIRFLOW__TOLOKA__DEFER_AFTER", "0")
    assert len(run(server, virtual, make(), polls=2)[0].triggers) == 1
    assert run(server, virtual, make(defer_after=timedelta(seconds=3)), polls=1)[0].triggers == []


@each
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "soon", True])
def test_what_is_no_number_of_seconds_is_refused(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any], value: Any
) -> None:
    with pytest.raises(ValueError, match=r"^defer_after is .*; it must be 0 or a positive number of seconds"):
        make(defer_after=value)
    monkeypatch.setenv("AIRFLOW__TOLOKA__DEFER_AFTER", str(value))
    with pytest.raises(
        ValueError, match=r"^The option \[toloka\] defer_after is .*; it must be 0 or a positive number"
    ):
        make()


@each
@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_a_timeout_of_seconds_ends_in_the_triggerer_as_ever(
    server: ScriptedServer, virtual: VirtualTime, make: Callable[..., Any], how: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException

    is_sensor = isinstance(make(), OperationSensor)
    task = make(timeout=2, **({how: True} if is_sensor else {}))
    with pytest.raises(AirflowSkipException if is_sensor else AirflowException):
        run(server, virtual, task, polls=100)


def test_a_pool_is_waited_for_in_the_triggerer_at_once(server: ScriptedServer, virtual: VirtualTime) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None))
    server.default("GET", "/pools/21", pool("CLOSED"))
    server.default("GET", "/pools", {"items": [], "has_more": False})
    server.default("GET", "/operations", NO_OPERATIONS)
    task = PoolSensor(task_id="wait", pool_id="21", deferrable=True)
    assert len(run_task(task, triggerer=virtual.run).triggers) == 1


def test_the_provider_info_has_the_default() -> None:
    options = get_provider_info()["config"]["toloka"]["options"]
    assert float(options["defer_after"]["default"]) == OpenPoolOperator(task_id="open", pool_id="21").defer_after
