"""An Airflow connection that is changed, or cannot be read, while waits use it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import NO_OPERATIONS, ScriptedServer, Secrets, connect, fire, operation, pool, scripted_server
from tests.virtual_time import VirtualTime

OPERATION = "toloka_airflow.triggers.OperationTrigger"
POOL = "toloka_airflow.triggers.PoolTrigger"
INTERVAL = 60.0
pytestmark = pytest.mark.usefixtures("connection")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each connection was read; the backend stays in this process, where it does no harm."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.support.Secrets")
    Secrets.reads.clear()
    return Secrets.reads


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """The server that the connection leads to later."""
    with scripted_server() as script:
        yield script
    assert not script.unexpected


def stored(**arguments: Any) -> dict[str, Any]:
    common = {"toloka_conn_id": "toloka_default", "poll_interval": INTERVAL, "deadline": time.time() + 86400}
    return {**common, **arguments}


def waiting(path: str) -> asyncio.Task[Any]:
    subject = {"operation_id": "op-1"} if path == OPERATION else {"pool_id": "21"}
    return asyncio.create_task(fire(path, stored(**subject)))


@pytest.mark.parametrize("path", [OPERATION, POOL])
def test_a_changed_connection_is_noticed_within_an_interval(
    server: ScriptedServer, other: ScriptedServer, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for each in (server, other):
        each.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/operations/op-1", operation("RUNNING"))
    server.default("GET", "/pools/21", pool("OPEN", None))
    other.default("GET", "/operations/op-1", operation("SUCCESS"))
    other.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))

    async def run() -> tuple[Any, float]:
        wait = waiting(path)
        await asyncio.sleep(10 * INTERVAL)
        connect(monkeypatch, other.url)
        changed_at, polled = virtual.now, len(server.seen)
        event = await wait
        assert len(server.seen) == polled
        return event, virtual.now - changed_at

    event, elapsed = virtual.run(run())
    assert event["kind"] == "finished"
    assert elapsed <= INTERVAL


def test_it_is_read_once_in_an_interval_however_many_waits_there_are(
    server: ScriptedServer, virtual: VirtualTime, reads: Counter[str]
) -> None:
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/operations/op-1", operation("RUNNING"))
    server.default("GET", "/pools/21", pool("OPEN", None))

    async def run() -> None:
        waits = [waiting(path) for path in (OPERATION, POOL) * 25]
        await asyncio.sleep(20 * INTERVAL)
        for wait in waits:
            wait.cancel()

    virtual.run(run())
    assert len(server.seen) > 900
    assert 18 <= reads["toloka_default"] <= 23


def test_one_that_has_not_changed_keeps_its_sessions(server: ScriptedServer, virtual: VirtualTime) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=20)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert virtual.run(fire(OPERATION, stored(operation_id="op-1")))["kind"] == "finished"
    assert len({seen.port for seen in server.seen}) == 1


def test_one_that_cannot_be_read_is_used_as_it_was_and_logged_once(
    server: ScriptedServer,
    other: ScriptedServer,
    virtual: VirtualTime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.default("GET", "/operations/op-1", operation("RUNNING"))
    other.default("GET", "/operations/op-1", operation("SUCCESS"))

    async def run() -> Any:
        wait = waiting(OPERATION)
        await asyncio.sleep(INTERVAL)
        monkeypatch.delenv("AIRFLOW_CONN_TOLOKA_DEFAULT")
        polled = len(server.seen)
        await asyncio.sleep(30 * INTERVAL)
        assert len(server.seen) >= polled + 29
        connect(monkeypatch, other.url)
        return await wait

    with caplog.at_level("INFO", "toloka_airflow.triggers.connections"):
        assert virtual.run(run())["kind"] == "finished"
    ours = [record.getMessage() for record in caplog.records if record.name == "toloka_airflow.triggers.connections"]
    assert [text.partition(":")[0] for text in ours] == [
        "Could not read connection toloka_default again, so it is used as it was",
        "Connection toloka_default can be read again",
        "Connection toloka_default has changed; from now on it is used as it is now",
    ]


def test_one_that_becomes_useless_is_used_as_it_was(
    server: ScriptedServer, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=9)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))

    async def run() -> Any:
        wait = waiting(OPERATION)
        await asyncio.sleep(INTERVAL)
        connect(monkeypatch, "http://192.0.2.1")  # the token would travel unencrypted
        return await wait

    assert virtual.run(run())["kind"] == "finished"
