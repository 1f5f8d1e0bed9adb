"""What happens to the pool of a wait that is killed: it is closed, unless another run or attempt needs it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult
from airflow.triggers.base import BaseTrigger

from tests.support import NO_OPERATIONS, ScriptedServer, TaskInstance, connect, operation, pool, scripted_server
from tests.virtual_time import VirtualTime
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.triggers import PoolTrigger
from toloka_airflow.triggers.close_on_kill import IN_TRIGGERER, IN_WORKER, CloseLimits
from toloka_airflow.triggers.connections import threads
from toloka_airflow.triggers.poller import MAX_CONCURRENT_REQUESTS

EARLIER, SEEN, LATER, LATEST = (f"2026-01-31T{hour}:00:00.250" for hour in ("08", "09", "10", "11"))
CLOSE, CLOSE_TRAINING = "POST /pools/21/close", "POST /trainings/7/close"
NEEDS = {"quality_control": {"training_requirement": {"training_pool_id": "7"}}}
BUSY = ["cleared", "scheduled", "queued", "running", "deferred", "restarting", "up_for_retry", "up_for_reschedule"]
# Airflow before 3.3 does not tell triggers.
KILLED = ["trigger", "worker"] if hasattr(BaseTrigger, "on_kill") else ["worker"]

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
every_side = pytest.mark.parametrize("side", KILLED)
LIMITS = CloseLimits(timeout=50.0, state_timeout=60.0, pause=1.0)
"""Airflow answers in a thread of its own, so the time for its answer is real: there is plenty."""
pytestmark = pytest.mark.usefixtures("connection")


class Airflow:
    """Airflow's side of the line over which a task or trigger asks for the states of tasks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.states: dict[str, dict[str, str | None]] = {"manual__1": {"wait": "failed"}}
        self.asked: list[Any] = []
        self.asked_at: list[float] = []
        self.refuses_until = 0.0
        self.answers = threading.Event()
        self.answers.set()

    def connect(self) -> None:
        """Answer from now on; before, the connection to Toloka is read without Airflow."""
        self._monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self, raising=False)

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetTaskStates):
            self.asked.append(msg)
            self.asked_at.append(time.time())
            self.answers.wait(60)
            if time.time() < self.refuses_until:
                raise RuntimeError("API_SERVER_ERROR")
        return TaskStatesResult(task_states=self.states)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    airflow = Airflow(monkeypatch)
    yield airflow
    airflow.answers.set()


@pytest.fixture(autouse=True)
def toloka(server: ScriptedServer) -> None:
    """Nothing is under way at Toloka."""
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/operations/op-1", operation("SUCCESS", "POOL.CLOSE"))
    server.default("GET", "/pools", NO_OPERATIONS)
    server.default("GET", "/trainings/7", pool("OPEN", None, id="7"))


def kill(
    side: str,
    server: ScriptedServer,
    airflow: Airflow,
    *,
    map_index: int = -1,
    wanted: bool = True,
    training_id: str | None = None,
    limits: CloseLimits = LIMITS,
) -> list[str]:
    """
    Kill a wait after a poll of the pool, and return what it sent to Toloka then, apart from questions.

    In virtual time, so that nothing is given up because this machine is slow.
    """
    ti = TaskInstance(task_id="wait", map_index=map_index)
    with VirtualTime(None, START) as virtual:
        if side == "worker":
            sensor = PoolSensor(task_id="wait", pool_id="21", close_on_kill=wanted, training_id=training_id)
            sensor.close_limits = limits
            assert not sensor.poke({"ti": ti})  # type: ignore[typeddict-item]
            airflow.connect()
            sensor.on_kill()
        else:
            airflow.connect()
            virtual.run(kill_wholly(server, ti, wanted, limits, training_id))
    return server.calls("POST")


async def kill_wholly(
    server: ScriptedServer, ti: TaskInstance, wanted: bool, limits: CloseLimits, training_id: str | None
) -> None:
    trigger = await kill_trigger(server, ti, wanted, training_id)
    trigger.close_limits = limits
    await trigger.on_kill()


async def kill_trigger(
    server: ScriptedServer, ti: TaskInstance, wanted: bool = True, training_id: str | None = None
) -> PoolTrigger:
    """Kill a wait that has polled the pool, and return it for its ``on_kill`` to be called."""
    first = PoolTrigger(
        pool_id="21",
        close_on_kill=wanted,
        training_id=training_id,
        last_started=SEEN,
        toloka_conn_id="toloka_default",
        poll_interval=60.0,
        deadline=time.time() + 60,
    )
    trigger = PoolTrigger(**json.loads(json.dumps(first.serialize()[1])))
    trigger.task_instance = ti  # type: ignore[assignment]
    trigger.close_limits = LIMITS
    waiting = asyncio.create_task(anext(aiter(trigger.run())))  # type: ignore[arg-type]
    while trigger._last_known is None and not waiting.done():
        await asyncio.sleep(0.005)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    return trigger


def seen_once(server: ScriptedServer, started: str = SEEN) -> None:
    """Answer the look before the kill."""
    server.answer("GET", "/pools/21", json=pool("OPEN", None, last_started=started))


@every_side
@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", None])
def test_the_pool_of_a_wait_that_is_over_is_closed(
    server: ScriptedServer, airflow: Airflow, side: str, state: str | None
) -> None:
    airflow.states = {} if state is None else {"manual__1": {"wait": state}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE]
    [asked] = airflow.asked
    assert (asked.dag_id, asked.run_ids, asked.task_ids, asked.map_index) == ("dag", ["manual__1"], ["wait"], -1)


@every_side
@pytest.mark.parametrize("state", BUSY)
def test_the_pool_of_a_wait_with_a_newer_attempt_is_not_closed(
    server: ScriptedServer, airflow: Airflow, side: str, state: str
) -> None:
    if (side, state) == ("worker", "running"):
        pytest.skip("this very attempt is running")
    airflow.states = {"manual__1": {"wait": None if state == "cleared" else state}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill(side, server, airflow) == []


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_a_trigger_closes_the_pool_though_airflow_cancels_it_again(server: ScriptedServer, airflow: Airflow) -> None:
    """Airflow does so a second after it called ``on_kill``, and takes the trigger for ended then."""
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    airflow.connect()

    async def interrupt() -> None:
        trigger = await kill_trigger(server, TaskInstance(task_id="wait"))
        closing = asyncio.create_task(trigger.on_kill())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        while not server.calls("POST"):
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(interrupt(), 60))
    assert server.calls("POST") == [CLOSE]


def test_a_worker_that_is_stopped_while_its_task_runs_closes_the_pool(server: ScriptedServer, airflow: Airflow) -> None:
    airflow.states = {"manual__1": {"wait": "running"}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill("worker", server, airflow) == [CLOSE]


@every_side
def test_mapped_tasks_are_told_apart(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    airflow.states = {"manual__1": {"wait_3": "queued"}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill(side, server, airflow, map_index=3) == []
    assert airflow.asked[0].map_index == 3


@every_side
def test_a_pool_that_was_opened_again_is_not_closed(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    seen_once(server)
    server.default("GET", "/pools/21", pool("OPEN", "MANUAL", last_started=LATER))
    assert kill(side, server, airflow) == []


@every_side
@pytest.mark.parametrize("status", ["OPEN", "CLOSED"])
def test_the_training_is_closed_after_the_pool(
    server: ScriptedServer, airflow: Airflow, side: str, status: str
) -> None:
    seen_once(server)
    # The list says that the pool is open, but is older than the close.
    server.answer("GET", "/pools", json={"items": [pool("OPEN", None, **NEEDS)], "has_more": False})
    server.answer("GET", "/pools/21", json=pool(status, None, last_started=SEEN, **NEEDS))
    server.default("GET", "/pools/21", pool("CLOSED", last_started=SEEN, **NEEDS))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    server.error("POST", "/trainings/7/close", 503, "REMOTE_SERVICE_UNAVAILABLE")
    server.answer("POST", "/trainings/7/close", 202, operation("PENDING", "TRAINING.CLOSE"))
    expected = [CLOSE] * (status == "OPEN") + [CLOSE_TRAINING] * 2
    assert kill(side, server, airflow, training_id="7") == expected
    assert server.unexpected == []


@every_side
@pytest.mark.parametrize("status", ["OPEN", "LOCKED", "FROZEN"])
def test_a_training_that_another_pool_needs_is_not_closed(
    server: ScriptedServer, airflow: Airflow, side: str, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = pool(status, None, id="22", **NEEDS)
    server.answer("GET", "/pools", json={"items": [other], "has_more": False})
    server.default("GET", "/pools/22", other)
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN, **NEEDS))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow, training_id="7") == [CLOSE]
    assert f"Training 7 was not closed: pool 22, which requires it, is {status}" in capsys.readouterr().out


@every_side
def test_a_newer_attempt_keeps_its_training_even_if_the_pool_is_closed_by_now(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    airflow.states = {"manual__1": {"wait": "queued"}}
    seen_once(server)
    server.default("GET", "/pools/21", pool("CLOSED", last_started=SEEN, **NEEDS))
    assert kill(side, server, airflow, training_id="7") == []


@every_side
@pytest.mark.parametrize("why", ["newer attempt", "another run"])
def test_a_training_stays_open_with_its_pool(server: ScriptedServer, airflow: Airflow, side: str, why: str) -> None:
    if why == "newer attempt":
        airflow.states = {"manual__1": {"wait": "queued"}}
    seen_once(server)
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=LATER if why == "another run" else SEEN))
    assert kill(side, server, airflow, training_id="7") == []
    assert "GET /trainings/7" not in server.calls()


@every_side
def test_a_training_that_cannot_be_closed_is_said(
    server: ScriptedServer, airflow: Airflow, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    server.error("POST", "/trainings/7/close", 401, "OAUTH_AUTHENTICATION_ERROR", times=100)
    assert CLOSE in kill(side, server, airflow, training_id="7")
    assert "Training 7 may stay OPEN, close it by hand" in capsys.readouterr().out


def test_a_training_without_close_on_kill_is_refused() -> None:
    with pytest.raises(ValueError, match="training_id is '7', which does nothing without close_on_kill=True"):
        PoolSensor(task_id="wait", pool_id="21", training_id="7")


@every_side
@pytest.mark.parametrize("looks", [0, 6])
def test_a_pool_that_is_updated_is_closed_when_it_is_open_again(
    server: ScriptedServer, airflow: Airflow, side: str, looks: int
) -> None:
    """Toloka reopens it by itself, which is no opening by another run."""
    seen_once(server)
    server.answer("GET", "/pools/21", json=pool("CLOSED", "FOR_UPDATE", last_started=SEEN), times=looks)
    server.default("GET", "/pools/21", pool("OPEN", "FOR_UPDATE", last_started=LATER))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE]


@every_side
def test_a_pool_that_was_closed_for_update_a_moment_ago_is_closed_when_it_opens_again(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    """Toloka says that there is nothing to close, as it does for a pool that is closed for good."""
    server.answer("GET", "/pools/21", json=pool("OPEN", None, last_started=SEEN), times=2)
    server.answer("POST", "/pools/21/close", 204)
    server.answer("GET", "/pools/21", json=pool("CLOSED", "FOR_UPDATE", last_started=SEEN), times=2)
    server.default("GET", "/pools/21", pool("OPEN", "FOR_UPDATE", last_started=LATER))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE] * 2


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_an_update_of_a_pool_that_was_opened_for_somebody_else_changes_nothing(
    server: ScriptedServer, airflow: Airflow
) -> None:
    seen_once(server, started=LATER)
    server.default("GET", "/pools/21", pool("OPEN", "FOR_UPDATE", last_started=LATEST))
    assert kill("trigger", server, airflow) == []


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_a_triggerer_that_stops_says_what_may_stay_open(
    server: ScriptedServer, airflow: Airflow, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default("GET", "/pools/21", pool("LOCKED", None, last_started=SEEN))
    airflow.connect()

    async def stop() -> None:
        trigger = await kill_trigger(server, TaskInstance(task_id="wait"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trigger.on_kill(), 20)

    with VirtualTime(None, START) as virtual:
        virtual.run(stop())
    assert "stopped before pool 21 was closed; close it by hand" in capsys.readouterr().out


@every_side
def test_a_pool_in_a_state_that_is_not_known_is_not_taken_for_closed(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    seen_once(server)
    server.default("GET", "/pools/21", pool("FROZEN", "MANUAL", last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE]


@every_side
def test_a_server_that_asks_for_patience_does_not_get_more_than_there_is(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", 503, "REMOTE_SERVICE_UNAVAILABLE", headers={"Retry-After": "3600"})
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE] * 2


@every_side
def test_a_closing_that_fails_is_tried_again(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE", id="op-0"))
    server.answer("GET", "/operations/op-0", json=operation("RUNNING", "POOL.CLOSE", id="op-0"))
    server.answer("GET", "/operations/op-0", drop=True)
    server.answer("GET", "/operations/op-0", json=operation("FAIL", "POOL.CLOSE", id="op-0"))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE] * 2
    assert server.unexpected == []


@every_side
def test_the_first_opening_that_a_wait_sees_is_its_own(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    """A wait that begins while the pool is being opened has only seen when the round before began."""
    opening = {"items": [operation("PENDING", "POOL.OPEN")], "has_more": False}
    server.answer("GET", "/operations", json=opening)
    server.answer("GET", "/pools/21", json=pool("CLOSED", "COMPLETED", last_started=EARLIER))
    server.default("GET", "/pools/21", pool("OPEN", "COMPLETED", last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE]


@every_side
@pytest.mark.parametrize("status", ["CLOSED", "ARCHIVED"])
def test_there_may_be_nothing_to_close(server: ScriptedServer, airflow: Airflow, side: str, status: str) -> None:
    seen_once(server)
    server.default("GET", "/pools/21", pool(status, last_started=SEEN))
    assert kill(side, server, airflow) == []


@every_side
def test_trouble_is_overcome(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    seen_once(server)
    server.answer("GET", "/pools/21", drop=True)
    server.answer("GET", "/pools/21", json=pool("LOCKED", None, last_started=SEEN), times=2)
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.error("POST", "/pools/21/close", 503, "REMOTE_SERVICE_UNAVAILABLE")
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE] * 3


@every_side
def test_a_close_that_is_blocked_does_not_depend_on_what_blocks_it(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE] * 2
    assert "GET /operations" not in server.calls()


@every_side
@pytest.mark.parametrize(("status", "tries"), [(409, 1), (401, None), (404, None), (503, None)])
def test_what_cannot_be_closed_is_said_and_given_up(
    server: ScriptedServer, airflow: Airflow, side: str, status: int, tries: int | None
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", status, "TROUBLE", times=200)
    sent = kill(side, server, airflow)
    # Every second at first, and then every ten.
    assert len(sent) == (tries or pytest.approx(23, abs=1))


@every_side
def test_an_airflow_that_does_not_answer_does_not_keep_the_pool_open(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    airflow.answers.clear()
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow, limits=CloseLimits(timeout=50.0, state_timeout=0.2)) == [CLOSE]


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_a_trigger_waits_for_an_airflow_that_is_slow(server: ScriptedServer, airflow: Airflow) -> None:
    """The first request of a triggerer takes longer than a worker would wait, as Airflow imports its API then."""
    airflow.answers.clear()
    threading.Timer(0.5, airflow.answers.set).start()
    airflow.states = {"manual__1": {"wait": "deferred"}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill("trigger", server, airflow, limits=CloseLimits(timeout=0.5, state_timeout=60.0)) == []


@every_side
@pytest.mark.parametrize(("state", "sent"), [("queued", []), ("failed", [CLOSE])])
def test_an_airflow_that_refuses_to_answer_is_asked_again(
    server: ScriptedServer, airflow: Airflow, side: str, state: str, sent: list[str]
) -> None:
    airflow.states = {"manual__1": {"wait": state}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    seconds, limits = (900, IN_TRIGGERER) if side == "trigger" else (1, IN_WORKER)
    airflow.refuses_until = START.timestamp() + seconds
    assert kill(side, server, airflow, limits=limits) == sent
    pauses = [later - earlier for earlier, later in pairwise(airflow.asked_at)]
    assert pauses == sorted(pauses)
    assert 1 <= len(pauses) < 50


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_pool_is_closed_without_an_answer_after_twenty_minutes_and_of_a_run_that_is_gone_at_once(
    server: ScriptedServer, airflow: Airflow, is_gone: bool
) -> None:
    """And what then keeps it from being closed has as long to pass as ever."""
    airflow.states = {}
    airflow.refuses_until = 0.0 if is_gone else float("inf")
    began = START.timestamp() + (0 if is_gone else 1200)
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", 503, "REMOTE_SERVICE_UNAVAILABLE", times=20)
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill("trigger", server, airflow, limits=IN_TRIGGERER) == [CLOSE] * 21
    assert airflow.asked_at[20 if is_gone else -21] == pytest.approx(began, abs=30)


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_an_answer_that_is_late_is_used_and_not_asked_for_twice(server: ScriptedServer, airflow: Airflow) -> None:
    airflow.answers.clear()
    airflow.states = {"manual__1": {"wait": "deferred"}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))

    def answer_to_the_fourth_try() -> None:
        while len(server.calls("GET")) < 5 and not airflow.answers.wait(0.005):
            pass
        airflow.answers.set()

    threading.Thread(target=answer_to_the_fourth_try, daemon=True).start()
    assert kill("trigger", server, airflow, limits=IN_TRIGGERER) == []
    assert len(airflow.asked) == 1


@every_side
def test_nothing_is_closed_that_nobody_asked_to_close(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill(side, server, airflow, wanted=False) == []
    assert airflow.asked == []


class KilledError(BaseException):
    """What a signal handler of Airflow raises."""


@pytest.mark.skipif(len(KILLED) < 2, reason="Airflow before 3.3 does not notify triggers")
def test_the_pool_is_closed_with_the_connection_as_it_is(
    server: ScriptedServer, airflow: Airflow, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))

    async def run(other: ScriptedServer) -> None:
        trigger = await kill_trigger(server, TaskInstance(task_id="wait"))
        connect(monkeypatch, other.url)
        await asyncio.sleep(LIMITS.pause)
        await trigger.on_kill()

    with scripted_server() as other:
        other.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
        other.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE"))
        airflow.connect()
        virtual.run(run(other))
        assert (server.calls("POST"), other.calls("POST"), other.unexpected) == ([], [CLOSE], [])


@pytest.mark.parametrize("killed_in", ["the pool", "its progress"])
def test_a_sensor_that_is_killed_in_its_first_poll_closes_the_pool(
    server: ScriptedServer, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.default("POST", "/api/staging/analytics-2", operation("PENDING", "ANALYTICS"))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    sensor = PoolSensor(task_id="wait", pool_id="21", close_on_kill=True, progress_interval=60)
    send = requests.Session.request

    def interrupted(session: Any, method: str, url: str, **arguments: Any) -> Any:
        if url.endswith("/pools/21" if killed_in == "the pool" else "/analytics-2"):
            monkeypatch.setattr(requests.Session, "request", send)
            raise KilledError
        return send(session, method, url, **arguments)

    monkeypatch.setattr(requests.Session, "request", interrupted)
    with pytest.raises(KilledError):
        sensor.poke({"ti": TaskInstance(task_id="wait")})  # type: ignore[typeddict-item]
    airflow.connect()
    sensor.on_kill()
    assert server.calls("POST") == [CLOSE]


@pytest.mark.parametrize("kind", ["spent", "finished"])
def test_a_sensor_that_is_killed_after_its_wait_in_the_triggerer(
    server: ScriptedServer, airflow: Airflow, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It closes the pool if it was about to close it, and else has nothing to close."""
    answer = pool("OPEN" if kind == "spent" else "CLOSED", "COMPLETED", last_started=SEEN)
    server.default("GET", "/pools/21", answer)
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    server.answer("POST", "/trainings/7/close", 202, operation("PENDING", "TRAINING.CLOSE"))
    sensor = PoolSensor(
        task_id="wait", pool_id="21", close_on_kill=True, training_id="7", progress_interval=60, deferrable=True
    )
    send = requests.Session.request

    def interrupted(session: Any, method: str, url: str, **arguments: Any) -> Any:
        if method == "POST":
            monkeypatch.setattr(requests.Session, "request", send)
            raise KilledError
        return send(session, method, url, **arguments)

    monkeypatch.setattr(requests.Session, "request", interrupted)
    event = {"kind": kind, "deadline": 9e9, "subject": answer, "message": "", "version": 1}
    context: Any = {"ti": TaskInstance(task_id="wait"), "outlet_events": {}}
    with pytest.raises(KilledError):
        sensor.resume_execution("execute_complete", {"event": event}, context)
    airflow.connect()
    sensor.on_kill()
    assert server.calls("POST") == ([CLOSE, CLOSE_TRAINING] if kind == "spent" else [])


def test_a_sensor_that_begins_anew_has_nothing_to_close_yet(server: ScriptedServer) -> None:
    """An attempt before it in the same process, as with `dag.test()`, has polled."""
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED", last_started=SEEN))
    sensor = PoolSensor(task_id="wait", pool_id="21", close_on_kill=True)
    context: Any = {"ti": TaskInstance(task_id="wait"), "outlet_events": {}}
    sensor.execute(context)
    sensor.pool_id = "None"
    with pytest.raises(ValueError, match="pool_id is 'None'"):
        sensor.execute(context)
    sensor.on_kill()
    assert server.calls("POST") == []


def test_a_sensor_that_never_looked_closes_nothing(server: ScriptedServer) -> None:
    PoolSensor(task_id="wait", pool_id="21", close_on_kill=True).on_kill()
    assert server.seen == []


def test_a_trigger_that_is_stopped_or_cleaned_up_closes_nothing(server: ScriptedServer) -> None:
    """What Airflow does when a triggerer restarts: it cancels, and calls `cleanup`, but not `on_kill`."""
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    arguments: dict[str, Any] = {"toloka_conn_id": "toloka_default", "poll_interval": 60.0, "deadline": 9e9}
    trigger = PoolTrigger(pool_id="21", close_on_kill=True, last_started=SEEN, **arguments)
    trigger.task_instance = SimpleNamespace(task_id="wait")  # type: ignore[assignment]

    async def restart() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(trigger.run())), 30)  # type: ignore[arg-type]
        await trigger.cleanup()

    with VirtualTime(None, START) as virtual:
        virtual.run(restart())
    assert server.calls("POST") == []
    assert "GET /pools/21" in server.calls()


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_a_trigger_closes_the_pool_while_looks_are_not_answered(server: ScriptedServer, airflow: Airflow) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    airflow.connect()
    answered = threading.Event()

    async def close() -> None:
        trigger = await kill_trigger(server, TaskInstance(task_id="wait"))
        busy = threads("toloka_default", "polls")
        polls = [busy.submit(answered.wait, 120) for _ in range(2 * MAX_CONCURRENT_REQUESTS)]
        await trigger.on_kill()
        assert not any(poll.done() for poll in polls)

    try:
        asyncio.run(close())
    finally:
        answered.set()
    assert server.calls("POST") == [CLOSE]
