"""A wait that ends, and closes its pool, when enough is spent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import (
    NO_OPERATIONS,
    ONE_ANSWER,
    Outcome,
    ScriptedServer,
    TaskInstance,
    connect,
    operation,
    pool,
    run_task,
)
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
    return run_task(PoolSensor(task_id="wait", pool_id=pool_id, **MODES[mode], **{**pace, **arguments}))


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


@both_modes
def test_what_is_not_reviewed_yet_counts(toloka: EmulatorServer, mode: str) -> None:
    pool_id = toloka.add_pool(1000, reward_per_assignment=0.5, open=True, auto_accept_solutions=False)
    result = wait(mode, pool_id, max_spend=3).result
    assert (result["stopped_by"], result["has_answers"], result["progress"]["spent"]) == ("max_spend", True, 0)
    assert 3 <= result["progress"]["committed"] < 500
    assert toloka.pool(pool_id)["status"] == "CLOSED"


def analytics(spent: Any, **counts: Any) -> dict[str, Any]:
    """Return an operation that measured what was spent, and how many answers were submitted, approved and rejected."""
    metrics = {"spent_budget": spent} | {f"{name}_assignments_count": count for name, count in counts.items()}
    values = [{"request": {"name": name}, "result": result} for name, result in metrics.items()]
    return operation(type="ANALYTICS", details={"value": values})


def spend(server: ScriptedServer, dollars: float, **counts: Any) -> None:
    """Answer that so much was spent, that no operation is under way, and that people have answered."""
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/assignments", ONE_ANSWER)
    server.default("POST", "/api/staging/analytics-2", analytics(dollars, **counts))
    server.default("GET", "/operations/op-1", analytics(dollars, **counts))


PRICES = {"reward_per_assignment": 0.25, "dynamic_pricing_config": {"intervals": [{"reward_per_assignment": 0.5}, {}]}}


@both_modes
@pytest.mark.parametrize(
    ("counts", "prices", "committed"),
    [
        ({"submitted": 9, "approved": 4, "rejected": 1}, {"reward_per_assignment": 0.25}, 1),
        ({"submitted": 9, "approved": 4, "rejected": 1}, PRICES, 2),
        ({"submitted": 9, "approved": 4, "rejected": 5}, PRICES, 0),
        # Counted one after another, while answers came in and were accepted.
        ({"submitted": 9, "approved": 10, "rejected": 0}, PRICES, 0),
        ({"submitted": 9, "approved": None, "rejected": 0}, PRICES, None),
        ({}, PRICES, None),
    ],
)
def test_spent_and_committed_are_told_apart_and_count_together(
    server: ScriptedServer, connection: str, mode: str, counts: dict[str, Any], prices: dict[str, Any], committed: Any
) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None, **prices), times=3 if mode == "deferred" else 2)
    server.default("GET", "/pools/21", pool("CLOSED", "MANUAL", **prices))
    spend(server, 3, **counts)
    server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE", id="op-2"))
    result = wait(mode, "21", max_spend=3 + (committed or 0)).result
    assert (result["stopped_by"], server.calls("POST").count(CLOSE)) == ("max_spend", 1)
    assert (result["progress"]["spent"], result["progress"]["committed"]) == (3, committed)


@both_modes
def test_a_little_less_than_the_limit_does_not_end_the_wait(server: ScriptedServer, connection: str, mode: str) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None, **PRICES), times=5)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED", **PRICES))
    spend(server, 3, submitted=9, approved=4, rejected=1)
    assert wait(mode, "21", max_spend=5.01).result["stopped_by"] == "closed"


FIRST, SECOND = "2026-11-01T09:00:00.250", "2026-11-02T09:00:00.250"
CLOSE = "POST /pools/21/close"
NOT_CLOSED = "Pool 21 was not closed: it was opened again by another run, at 2026-11-02 09:00:00.250000"


def resume(event: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a task that resumes after the triggerer."""
    task = PoolSensor(task_id="wait", pool_id="21", max_spend=5, deferrable=True)
    context: Any = {"ti": TaskInstance(), "outlet_events": {}}
    result: dict[str, Any] = task.resume_execution("execute_complete", {"event": event}, context)
    return result


def spent(last_started: str, **more: Any) -> dict[str, Any]:
    """Return the event of a triggerer that found the money spent."""
    subject = pool("OPEN", None, last_started=last_started)
    return {"kind": "spent", "deadline": 9e9, "subject": subject, "message": "", "version": 1, **more}


@pytest.mark.parametrize(
    "event",
    [
        spent(FIRST, opened_at="2026-11-01T09:00:00.250000+00:00"),
        # As an older version sends it.
        spent(FIRST),
        # The triggerer itself saw the second opening only, and knew that it is another one.
        spent(SECOND, opened_at="2026-11-01T09:00:00.250000+00:00"),
    ],
)
@pytest.mark.parametrize("is_locked", [False, True])
def test_an_event_that_is_handled_late_leaves_a_newer_opening_alone(
    server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str], event: dict[str, Any], is_locked: bool
) -> None:
    spend(server, 7)
    if is_locked:  # by the operation that opens it again
        server.answer("GET", "/pools/21", json=pool("LOCKED", "MANUAL", last_started=FIRST))
        server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.default("GET", "/pools/21", pool("OPEN", "MANUAL", last_started=SECOND))
    result = resume(event)
    assert (result["status"], result["close_reason"], result["stopped_by"]) == ("OPEN", None, "max_spend")
    assert server.calls("POST").count(CLOSE) == int(is_locked)
    assert NOT_CLOSED in capsys.readouterr().out


def test_an_opening_that_was_updated_since_is_closed(server: ScriptedServer, connection: str) -> None:
    spend(server, 7)
    server.answer("GET", "/pools/21", json=pool("OPEN", "FOR_UPDATE", last_started=SECOND))
    server.default("GET", "/pools/21", pool("CLOSED", "MANUAL", last_started=SECOND))
    server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE", id="op-2"))
    assert resume(spent(FIRST))["status"] == "CLOSED"


@both_modes
def test_a_wait_that_missed_the_end_of_its_opening_leaves_the_next_one_alone(
    server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    spend(server, 1)
    for dollars in (1, 1, 7):
        server.answer("POST", "/api/staging/analytics-2", json=analytics(dollars))
    server.answer("GET", "/pools/21", json=pool("OPEN", None, last_started=FIRST), times=2)
    server.default("GET", "/pools/21", pool("OPEN", "MANUAL", last_started=SECOND))
    result = wait(mode, "21", max_spend=5, progress_interval=0.0001).result
    assert (result["status"], result["stopped_by"]) == ("OPEN", "max_spend")
    assert CLOSE not in server.calls()
    assert NOT_CLOSED in capsys.readouterr().out


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
