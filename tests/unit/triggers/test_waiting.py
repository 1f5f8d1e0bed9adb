"""What the triggerer does while it waits, and how a wait ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.support import NO_OPERATIONS, TOKEN, ScriptedServer, fire, operation, pool
from tests.virtual_time import VirtualTime
from toloka_airflow.triggers import OperationTrigger, PoolTrigger
from toloka_airflow.triggers.waiting import CONNECTION_MISSING_TIMEOUT, OVERDUE_POLL_INTERVAL

OPERATION = "toloka_airflow.triggers.OperationTrigger"
POOL = "toloka_airflow.triggers.PoolTrigger"

pytestmark = pytest.mark.usefixtures("connection")


def stored(path: str = OPERATION, seconds: float = 20.0, **arguments: Any) -> dict[str, Any]:
    """Return the arguments of a trigger as they are stored."""
    subject = {"operation_id": "op-1"} if path == OPERATION else {"pool_id": "21"}
    common = {"toloka_conn_id": "toloka_default", "poll_interval": 0.01, "deadline": time.time() + seconds}
    return {**subject, **common, **arguments}


def wait(path: str = OPERATION, seconds: float = 20.0, **arguments: Any) -> dict[str, Any]:
    """Run a trigger from its stored form, and return its event."""
    event: dict[str, Any] = asyncio.run(fire(path, stored(path, seconds, **arguments)))
    return event


@pytest.mark.parametrize("polls", [0, 1, 3])
def test_waits_until_the_operation_ends(server: ScriptedServer, virtual: VirtualTime, polls: int) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=polls)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    began = virtual.now
    event = virtual.run(fire(OPERATION, stored(seconds=20)))
    assert event == {
        "kind": "finished",
        "subject": operation("SUCCESS"),
        "message": "",
        "deadline": began + 20,
        "version": 1,
        "opened_at": None,
        "subject_id": "op-1",
    }
    assert len(server.seen) == polls + 1


@pytest.mark.parametrize("status", ["SUCCESS", "FAIL", "TELEPORTED"])
def test_every_end_of_an_operation_is_reported_as_it_was(server: ScriptedServer, status: str) -> None:
    server.answer("GET", "/operations/op-1", json=operation(status))
    assert wait()["subject"]["status"] == status


@pytest.mark.parametrize(
    ("status", "reason"),
    [("CLOSED", "COMPLETED"), ("CLOSED", "EXPIRED"), ("CLOSED", None), ("ARCHIVED", "MANUAL"), ("FROZEN", "MANUAL")],
)
def test_every_end_of_a_pool_is_reported_as_it_was(server: ScriptedServer, status: str, reason: str | None) -> None:
    for busy in ("OPEN", "LOCKED"):
        server.answer("GET", "/pools/21", json=pool(busy, None))
    server.default("GET", "/pools/21", pool(status, reason, quality_control={"configs": ["large"]}))
    server.default("GET", "/operations", NO_OPERATIONS)
    event = wait(POOL)
    assert (event["kind"], event["subject"]["status"]) == ("finished", status)
    assert event["subject"].get("last_close_reason") == reason
    assert "quality_control" not in event["subject"]


def test_a_date_that_is_none_and_pending_with_finished_are_survived(server: ScriptedServer) -> None:
    odd = {"submitted": "2015-22-12T14:18:35", "finished": "2016-04-07T16:06:15.902", "progress": 100}
    server.answer("GET", "/operations/op-1", json=operation("PENDING", **odd))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS", **odd))
    assert wait()["subject"]["status"] == "SUCCESS"
    assert len(server.seen) == 2


def test_what_may_pass_is_tolerated(server: ScriptedServer) -> None:
    server.answer("GET", "/operations/op-1", drop=True)
    for status in (408, 429, 500, 502, 503, 504):
        server.error("GET", "/operations/op-1", status, "TROUBLE", headers={"Retry-After": "0"})
    server.error("GET", "/operations/op-1", 429, "TOO_MANY_REQUESTS", payload={"interval": "HOUR"})
    server.answer("GET", "/operations/op-1", 200, body=b"<html>")
    half = {"Content-Length": "900", "Connection": "close"}
    server.answer("GET", "/operations/op-1", 200, body=b'{"id": "op', headers=half)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert wait()["kind"] == "finished"
    assert len(server.seen) == 11


@pytest.mark.parametrize("retry_after", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_what_is_done_is_seen_though_the_server_wants_no_request_for_years(
    server: ScriptedServer, virtual: VirtualTime, retry_after: str
) -> None:
    server.error("GET", "/operations/op-1", 503, "BUSY", headers={"Retry-After": retry_after})
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    event = virtual.run(fire(OPERATION, stored(seconds=7 * 86400)))
    assert event["kind"] == "finished"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
@pytest.mark.parametrize("path", [OPERATION, POOL])
def test_an_answer_that_will_not_change_ends_the_wait(server: ScriptedServer, path: str, status: int) -> None:
    asked = "/operations/op-1" if path == OPERATION else "/pools/21"
    server.error("GET", asked, status, "REFUSED_FOR_GOOD", times=3)
    event = wait(path)
    assert event["kind"] == "refused"
    assert "REFUSED_FOR_GOOD" in event["message"]
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_wrong_answer_now_and_then_ends_nothing(server: ScriptedServer, status: int) -> None:
    for _ in range(3):
        server.error("GET", "/operations/op-1", status, "NOT_MEANT", times=2)
        server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert wait()["subject"]["status"] == "SUCCESS"


@pytest.mark.parametrize("answer", [[], {"id": "op-1"}, {"status": "SUCCESS"}])
def test_an_answer_that_is_no_operation_ends_the_wait(server: ScriptedServer, answer: Any) -> None:
    server.answer("GET", "/operations/op-1", json=answer, times=3)
    assert wait()["kind"] == "refused"


def test_the_deadline_is_kept_after_a_last_poll(server: ScriptedServer) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    event = wait(seconds=-1.0)
    assert event["kind"] == "timed_out"
    assert "RUNNING" in event["message"]
    assert len(server.seen) == 1


def test_a_restart_after_the_deadline_still_sees_the_success(server: ScriptedServer) -> None:
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert wait(seconds=-3600.0)["kind"] == "finished"


def test_the_deadline_ends_a_wait_that_only_fails(server: ScriptedServer) -> None:
    server.error("GET", "/operations/op-1", 503, "DOWN", times=100)
    event = wait(seconds=0.1)
    assert event["kind"] == "timed_out"
    assert "503 DOWN" in event["message"]


def test_a_wait_whose_time_is_up_polls_again_soon_if_toloka_does_not_answer(
    server: ScriptedServer, virtual: VirtualTime
) -> None:
    server.error("GET", "/pools/21", 503, "UNAVAILABLE", times=2)
    server.default("GET", "/pools/21", pool("OPEN", None))
    server.default("GET", "/operations", NO_OPERATIONS)
    began = virtual.now
    event = virtual.run(fire(POOL, stored(POOL, 9000.0, until=began - 1, poll_interval=900.0)))
    assert (event["kind"], event["subject"]["status"]) == ("time_is_up", "OPEN")
    assert server.calls("GET").count("GET /pools/21") == 3
    assert virtual.now - began == pytest.approx(2 * OVERDUE_POLL_INTERVAL, abs=1)


@pytest.mark.parametrize("until", [None, 1000.0])
def test_the_last_poll_is_at_the_deadline_or_when_the_time_is_up(
    server: ScriptedServer, virtual: VirtualTime, until: float | None
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    server.default("GET", "/operations", NO_OPERATIONS)
    began = virtual.now
    limit = None if until is None else began + until
    event = virtual.run(fire(POOL, stored(POOL, 2000.0, until=limit, poll_interval=700.0)))
    assert event["kind"] == ("timed_out" if until is None else "time_is_up")
    assert virtual.now - began == pytest.approx(until or 2000.0, abs=0.1)


def test_retry_after_puts_the_next_poll_off(server: ScriptedServer, virtual: VirtualTime) -> None:
    server.error("GET", "/operations/op-1", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "60"})
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    began = virtual.now
    assert virtual.run(fire(OPERATION, stored(seconds=600.0)))["kind"] == "finished"
    assert virtual.now - began == pytest.approx(60, abs=1)


def test_an_answer_that_will_not_change_is_not_waited_for(server: ScriptedServer, virtual: VirtualTime) -> None:
    server.error("GET", "/operations/op-1", 403, "ACCESS_DENIED", headers={"Retry-After": "3600"}, times=3)
    began = virtual.now
    assert virtual.run(fire(OPERATION, stored(seconds=9000.0)))["kind"] == "refused"
    assert virtual.now - began < 1


def test_retry_after_is_no_reason_to_miss_the_deadline(server: ScriptedServer, virtual: VirtualTime) -> None:
    server.error("GET", "/operations/op-1", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "60"})
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    began = virtual.now
    assert virtual.run(fire(OPERATION, stored(seconds=30.0)))["kind"] == "timed_out"
    assert virtual.now - began == pytest.approx(30, abs=1)


def test_a_missing_connection_is_refused(virtual: VirtualTime) -> None:
    event = virtual.run(fire(OPERATION, stored(toloka_conn_id="nobody_defined_this", seconds=60.0)))
    assert event["kind"] == "refused"
    assert "nobody_defined_this" in event["message"]


def test_a_connection_that_is_out_of_reach_for_a_while_is_waited_for(
    server: ScriptedServer, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow says of a connection that it is not defined also while its secrets backend is down."""
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    arguments = stored(toloka_conn_id="late", poll_interval=10.0, seconds=3600.0)

    async def define_later() -> Any:
        event = asyncio.create_task(fire(OPERATION, arguments))
        await asyncio.sleep(CONNECTION_MISSING_TIMEOUT - 20)
        assert not event.done()
        monkeypatch.setenv("AIRFLOW_CONN_LATE", os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"])
        return await event

    assert virtual.run(define_later())["kind"] == "finished"


def test_a_connection_that_stays_away_is_refused_long_before_the_deadline(virtual: VirtualTime) -> None:
    began = virtual.now
    arguments = stored(toloka_conn_id="nobody_defined_this", poll_interval=10.0, seconds=3600.0)
    event = virtual.run(fire(OPERATION, arguments))
    assert (event["kind"], event["deadline"]) == ("refused", began + 3600)
    assert virtual.now - began == pytest.approx(CONNECTION_MISSING_TIMEOUT, abs=11)


def test_a_connection_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"conn_type": "toloka", "password": TOKEN, "host": "http://192.0.2.1"}
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps(broken))
    event = wait(toloka_conn_id="broken")
    assert event["kind"] == "refused"
    assert "host" in event["message"]
    assert TOKEN not in event["message"]


@pytest.mark.parametrize("trigger", [OperationTrigger, PoolTrigger])
def test_the_stored_form_makes_the_same_trigger(trigger: Any) -> None:
    subject: dict[str, Any] = {"operation_id": "op-1"}
    if trigger is PoolTrigger:
        started = "2026-01-31T09:00:00.250"
        more = {"until": 9e8, "progress_interval": 60.0, "max_spend": 12.5, "close_on_kill": True}
        more["ignore_close_for_update"] = True
        subject = {"pool_id": "21", **more, "last_started": started, "training_id": "7"}
    first = trigger(**subject, toloka_conn_id="toloka_default", poll_interval=5.0, deadline=1e9)
    path, arguments = first.serialize()
    assert path == f"toloka_airflow.triggers.{trigger.__name__}"
    assert set(arguments) == {*subject, "toloka_conn_id", "poll_interval", "deadline"}
    assert trigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)
    assert TOKEN not in f"{first!r} {arguments}"


def test_the_event_loop_is_free_while_toloka_is_slow(server: ScriptedServer) -> None:
    """Two triggers whose first answer comes late do not hold up each other, nor the loop, which lets it come."""
    answered = threading.Event()
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"), held=answered, times=2)
    arguments = stored()

    async def both() -> None:
        waits = [asyncio.create_task(fire(OPERATION, arguments)) for _ in range(2)]
        async with asyncio.timeout(50):
            while len(server.seen) < 2:
                await asyncio.sleep(0.01)
        assert not any(wait.done() for wait in waits)
        answered.set()
        assert [(await wait)["kind"] for wait in waits] == ["finished"] * 2

    asyncio.run(both())


def test_importing_triggers_imports_no_http_client() -> None:
    code = "import sys, toloka_airflow.triggers.shared_waits; print('requests' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1] == "False"


def test_a_wait_that_no_clock_of_others_ends_keeps_its_deadline(server: ScriptedServer) -> None:
    """A time-out of this machine's own, such as that of a file system with certificates, is a failed poll."""
    trigger = OperationTrigger(**stored(seconds=0.2))

    class OnABrokenDisk:
        def fetch(self, client: Any) -> Any:
            raise TimeoutError("The disk does not answer")

    trigger.tracker = OnABrokenDisk()  # type: ignore[assignment]

    async def run() -> Any:
        async with asyncio.timeout(10):
            return [event.payload async for event in trigger.run()]

    [event] = asyncio.run(run())
    assert event["kind"] == "timed_out"
    assert "The disk does not answer" in event["message"]
