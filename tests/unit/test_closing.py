"""What happens to the pool of a wait that is killed: it is closed, unless somebody else needs it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult
from airflow.triggers.base import BaseTrigger

from tests.support import NO_OPERATIONS, ScriptedServer, TaskInstance, operation, pool
from toloka_airflow.api.models import Pool
from toloka_airflow.closing import Round
from toloka_airflow.looks import LOOKS_AT_A_TIME, threads
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.triggers import PoolTrigger

EARLIER, SEEN, LATER, LATEST = (f"2026-01-31T{hour}:00:00.250" for hour in ("08", "09", "10", "11"))
CLOSE = "POST /pools/21/close"
BUSY = ["cleared", "scheduled", "queued", "running", "deferred", "restarting", "up_for_retry", "up_for_reschedule"]
# Airflow before 3.3 does not tell triggers.
KILLED = ["trigger", "worker"] if hasattr(BaseTrigger, "on_kill") else ["worker"]

every_side = pytest.mark.parametrize("side", KILLED)
pytestmark = pytest.mark.usefixtures("connection")


class Airflow:
    """Airflow's side of the line over which a task or trigger asks for the states of tasks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.states: dict[str, dict[str, str | None]] = {"manual__1": {"wait": "failed"}}
        self.asked: list[Any] = []
        self.delay = 0.0

    def connect(self) -> None:
        """Answer from now on; before, the connection to Toloka is read without Airflow."""
        self._monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self, raising=False)

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetTaskStates):
            self.asked.append(msg)
            time.sleep(self.delay)
        return TaskStatesResult(task_states=self.states)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return Airflow(monkeypatch)


@pytest.fixture(autouse=True)
def toloka(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is under way at Toloka, and nobody waits for long."""
    monkeypatch.setattr("toloka_airflow.sensors.PATIENCE", 0.5)
    monkeypatch.setattr("toloka_airflow.triggers.TRIGGER_PATIENCE", 0.5)
    monkeypatch.setattr("toloka_airflow.closing.PAUSE", 0.01)
    monkeypatch.setattr("toloka_airflow.closing.STATE_PATIENCE", 0.2)
    monkeypatch.setattr("toloka_airflow.closing.WORKER_STATE_PATIENCE", 0.2)
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/operations/op-1", operation("SUCCESS", "POOL.CLOSE"))


def kill(side: str, server: ScriptedServer, airflow: Airflow, *, map_index: int = -1, wanted: bool = True) -> list[str]:
    """Kill a wait after a look at the pool, and return what it sent to Toloka then, apart from questions."""
    ti = TaskInstance(task_id="wait", map_index=map_index)
    if side == "worker":
        sensor = PoolSensor(task_id="wait", pool_id="21", close_on_kill=wanted)
        assert not sensor.poke({"ti": ti})  # type: ignore[typeddict-item]
        airflow.connect()
        sensor.on_kill()
    else:
        airflow.connect()
        asyncio.run(tell_trigger(server, ti, wanted))
    return server.calls("POST")


async def tell_trigger(server: ScriptedServer, ti: TaskInstance, wanted: bool) -> None:
    await (await kill_trigger(server, ti, wanted)).on_kill()


async def kill_trigger(server: ScriptedServer, ti: TaskInstance, wanted: bool = True) -> PoolTrigger:
    """Kill a wait that has looked at the pool, and return it for its ``on_kill`` to be called."""
    first = PoolTrigger(
        pool_id="21",
        close_on_kill=wanted,
        last_started=SEEN,
        toloka_conn_id="toloka_default",
        poll_interval=60.0,
        deadline=time.time() + 60,
    )
    trigger = PoolTrigger(**json.loads(json.dumps(first.serialize()[1])))
    trigger.task_instance = ti  # type: ignore[assignment]
    waiting = asyncio.create_task(anext(aiter(trigger.run())))  # type: ignore[arg-type]
    while not server.seen and not waiting.done():
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
def test_the_pool_of_a_wait_that_is_done_again_is_left_alone(
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

    asyncio.run(asyncio.wait_for(interrupt(), 10))
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
def test_a_pool_that_was_opened_again_is_left_alone(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    seen_once(server)
    server.default("GET", "/pools/21", pool("OPEN", "MANUAL", last_started=LATER))
    assert kill(side, server, airflow) == []


@every_side
@pytest.mark.parametrize("looks", [0, 6])
def test_a_pool_that_is_updated_is_closed_when_it_is_open_again(
    server: ScriptedServer, airflow: Airflow, side: str, looks: int
) -> None:
    """Toloka reopens it by itself, which is no opening for somebody else."""
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
            await asyncio.wait_for(trigger.on_kill(), 0.2)

    asyncio.run(stop())
    assert "stopped before pool 21 was closed; it may stay OPEN" in capsys.readouterr().out


def test_an_old_look_does_not_end_a_round() -> None:
    """Lists may be older than what was asked for by id."""
    old, new, undated = (Pool.from_api(pool("OPEN", None, last_started=date)) for date in (SEEN, LATER, None))
    own = Round("21").seen(new)
    for look in (old, undated, new):
        own = own.seen(look)
        assert not own.is_over(new)


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
@pytest.mark.parametrize(("status", "tries"), [(409, 1), (401, None), (404, None), (503, None)])
def test_what_cannot_be_closed_is_said_and_given_up(
    server: ScriptedServer, airflow: Airflow, side: str, status: int, tries: int | None
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.error("POST", "/pools/21/close", status, "TROUBLE", times=200)
    sent = kill(side, server, airflow)
    assert len(sent) == tries if tries else len(sent) > 5


@every_side
def test_an_airflow_that_does_not_answer_does_not_keep_the_pool_open(
    server: ScriptedServer, airflow: Airflow, side: str
) -> None:
    airflow.delay = 1.0
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    server.answer("POST", "/pools/21/close", 202, operation("PENDING", "POOL.CLOSE"))
    assert kill(side, server, airflow) == [CLOSE]


@pytest.mark.skipif("trigger" not in KILLED, reason="Airflow before 3.3 does not tell triggers")
def test_a_trigger_waits_for_an_airflow_that_is_slow(
    server: ScriptedServer, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question of a triggerer takes longer than a worker would wait, as Airflow imports its API then."""
    monkeypatch.setattr("toloka_airflow.closing.STATE_PATIENCE", 10.0)
    airflow.delay = 0.5
    airflow.states = {"manual__1": {"wait": "deferred"}}
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill("trigger", server, airflow) == []


@every_side
def test_nothing_is_closed_that_nobody_asked_to_close(server: ScriptedServer, airflow: Airflow, side: str) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, last_started=SEEN))
    assert kill(side, server, airflow, wanted=False) == []
    assert airflow.asked == []


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
            await asyncio.wait_for(anext(aiter(trigger.run())), 0.2)  # type: ignore[arg-type]
        await trigger.cleanup()

    asyncio.run(restart())
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
        looks = [threads("toloka_default", "looks").submit(answered.wait, 20) for _ in range(2 * LOOKS_AT_A_TIME)]
        await trigger.on_kill()
        assert not any(look.done() for look in looks)

    try:
        asyncio.run(close())
    finally:
        answered.set()
    assert server.calls("POST") == [CLOSE]
