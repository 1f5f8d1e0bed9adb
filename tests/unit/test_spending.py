"""A wait that ends, and closes its pool, when enough is spent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import NO_OPERATIONS, Outcome, ScriptedServer, connect, operation, pool, run_task
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.sensors import PoolSensor

MODES: dict[str, dict[str, Any]] = {"poke": {"deferrable": False}, "deferred": {"deferrable": True}}
both_modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka where an hour passes in a second, and operations are done at once."""
    with EmulatorServer(seed=1, speed=3600, crowd=CrowdSettings(size=2)) as server:
        connect(monkeypatch, server.url)
        server.progressions.set(Progression(seconds=0))
        yield server


def wait(mode: str, pool_id: str, **arguments: Any) -> Outcome:
    pace = {"poke_interval": 0.05, "progress_interval": 0.05, "timeout": 30}
    return run_task(PoolSensor(task_id="wait", pool_id=pool_id, **pace, **MODES[mode], **arguments))


@both_modes
def test_the_pool_is_closed_when_enough_is_spent(toloka: EmulatorServer, mode: str) -> None:
    pool_id = toloka.add_pool(1000, reward_per_assignment=0.5, open=True)
    result = wait(mode, pool_id, max_spend="3").result
    assert (result["status"], result["close_reason"], result["stopped_by"]) == ("CLOSED", "MANUAL", "max_spend")
    assert result["closed_at"]
    assert 3 <= result["progress"]["spent"] < 500
    assert toloka.pool(pool_id)["status"] == "CLOSED"


@both_modes
def test_what_was_spent_before_does_not_count(toloka: EmulatorServer, mode: str) -> None:
    pool_id = toloka.add_pool(1000, reward_per_assignment=0.5, open=True)
    assert wait(mode, pool_id, max_spend=3, spent_before=4.5).result["progress"]["spent"] >= 7.5


@both_modes
def test_a_pool_that_is_done_before_is_an_ordinary_end(toloka: EmulatorServer, mode: str) -> None:
    pool_id = toloka.add_pool(3, open=True)
    result = wait(mode, pool_id, max_spend=100).result
    assert (result["close_reason"], result["stopped_by"]) == ("COMPLETED", "closed")


def analytics(spent: Any) -> dict[str, Any]:
    return operation(type="ANALYTICS", details={"value": [{"request": {"name": "spent_budget"}, "result": spent}]})


def spend(server: ScriptedServer, dollars: int) -> None:
    """Answer that so much was spent, and that no operation is under way."""
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("POST", "/api/staging/analytics-2", analytics(dollars))
    server.default("GET", "/operations/op-1", analytics(dollars))


@both_modes
def test_a_closing_that_may_pass_is_tried_again_by_airflow(server: ScriptedServer, connection: str, mode: str) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    spend(server, 5)
    server.answer("POST", "/pools/21/close", 202, operation("FAIL", "POOL.CLOSE", id="op-2"))
    with pytest.raises(AirflowException, match="op-2") as caught:
        wait(mode, "21", max_spend=5)
    assert not isinstance(caught.value, AirflowFailException)


@both_modes
def test_an_update_does_not_end_the_wait(server: ScriptedServer, connection: str, mode: str) -> None:
    """The attempt after one that found the pool closed for update has to close it."""
    server.answer("GET", "/pools/21", json=pool("CLOSED", "FOR_UPDATE"), times=4)
    server.answer("GET", "/pools/21", json=pool("OPEN", "FOR_UPDATE"))
    server.default("GET", "/pools/21", pool("CLOSED", "MANUAL"))
    spend(server, 5)
    server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE", id="op-2"))
    assert wait(mode, "21", max_spend=5).result["stopped_by"] == "max_spend"


@pytest.mark.parametrize("status", ["OPEN", "LOCKED"])
@both_modes
def test_a_pool_that_is_open_again_is_not_closed(
    server: ScriptedServer, connection: str, mode: str, status: str
) -> None:
    server.default("GET", "/pools/21", pool(status, "FOR_UPDATE"))
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=2 if mode == "deferred" else 1)
    spend(server, 5)
    server.answer("POST", "/pools/21/close", 204)
    with pytest.raises(AirflowException, match=f"it is {status} by now"):
        wait(mode, "21", max_spend=5)


@both_modes
def test_a_pool_that_is_closed_for_update_is_not_closed(server: ScriptedServer, connection: str, mode: str) -> None:
    """Toloka answers that there is nothing to do, and opens it again by itself."""
    server.default("GET", "/pools/21", pool("CLOSED", "FOR_UPDATE"))
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=2 if mode == "deferred" else 1)
    spend(server, 5)
    server.answer("POST", "/pools/21/close", 204)
    with pytest.raises(AirflowException, match="reopens it by itself within 15 minutes") as caught:
        wait(mode, "21", max_spend=5)
    assert not isinstance(caught.value, AirflowFailException)


@both_modes
def test_an_operation_that_holds_the_pool_is_waited_for(server: ScriptedServer, connection: str, mode: str) -> None:
    server.default("GET", "/pools/21", pool("CLOSED", "MANUAL"))
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=2 if mode == "deferred" else 1)
    spend(server, 5)
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE", id="op-2"))
    assert wait(mode, "21", max_spend=5).result["stopped_by"] == "max_spend"


@both_modes
def test_a_pool_that_stays_locked_is_closed_by_the_next_attempt(
    server: ScriptedServer, connection: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    spend(server, 5)
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION", times=99)
    clock, sleep = time.monotonic, time.sleep
    pauses: list[float] = []
    # The pauses between two tries pass at once.
    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(pauses))
    monkeypatch.setattr(time, "sleep", lambda seconds: pauses.append(seconds) if seconds == 1.0 else sleep(seconds))
    with pytest.raises(AirflowException, match="Pool 21 was still locked after 60 s") as caught:
        wait(mode, "21", max_spend=5)
    assert not isinstance(caught.value, AirflowFailException)
    assert server.calls("POST").count("POST /pools/21/close") > 50


def test_nothing_is_measured_between_the_looks_of_a_task_that_is_put_off() -> None:
    with pytest.raises(ValueError, match="max_spend needs the mode poke or a deferrable sensor"):
        PoolSensor(task_id="wait", pool_id="21", mode="reschedule", max_spend=5, deferrable=False)


def test_it_measures_by_itself() -> None:
    assert PoolSensor(task_id="wait", pool_id="21", max_spend=5).progress_interval == 60


@both_modes
@pytest.mark.parametrize("value", ["", "much", -1, "inf"])
def test_no_amount_is_an_error(connection: str, mode: str, value: Any) -> None:
    with pytest.raises(ValueError, match="max_spend is"):
        wait(mode, "21", max_spend=value)
