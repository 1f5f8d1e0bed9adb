"""A slow answer delays only those who asked the same question; nobody else in the triggerer waits for a thread."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from tests.support import NO_OPERATIONS, TOKEN, ScriptedHandler, ScriptedServer, operation, pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaConnectionError
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.triggers import OperationTrigger, PoolTrigger
from toloka_airflow.triggers.poller import MAX_CONCURRENT_REQUESTS, REQUESTS_PER_SECOND

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""How many threads the event loop has for everybody's `asyncio.to_thread`."""
MANY = THREADS + 2
PATIENCE = 30.0

Wait = Callable[[Any], Awaitable[Any]]


class HoldingServer(ScriptedServer):
    """A server that answers some paths only when it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url=url)
        self.go_on = threading.Event()
        self.held: list[str] = []
        self._held_paths: set[str] = set()

    def say(self, path: str, json: Any, *, held: bool = False) -> None:
        """Answer a path below /api/v1, at once or when it is time."""
        self.default("GET", path, json)
        if held:
            self._held_paths.add(f"/api/v1{path}")

    def next_answer(self, method: str, path: str) -> dict[str, Any]:
        """Wait if need be; it is called in a thread of the request's own."""
        if path in self._held_paths:
            self.held.append(path)
            assert self.go_on.wait(PATIENCE)
        return super().next_answer(method, path)


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, conn_id: str) -> Iterator[HoldingServer]:
    """A server with a connection to it."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHandler)
    httpd.daemon_threads = True
    script = HoldingServer(f"http://127.0.0.1:{httpd.server_port}")
    httpd.script = script  # type: ignore[attr-defined]
    value = json.dumps({"conn_type": "toloka", "host": script.url, "password": TOKEN})
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        script.go_on.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[HoldingServer]:
    with serving(monkeypatch, "quick") as script:
        yield script


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[HoldingServer]:
    with serving(monkeypatch, "slow") as script:
        yield script


def operations(
    conn_id: str, server: HoldingServer, name: str = "op", *, held: bool = False, count: int = MANY
) -> list[Any]:
    """Waits for operations that have ended, and are not listed."""
    ids = [f"{name}-{number}" for number in range(count)]
    server.say("/operations", NO_OPERATIONS)
    for operation_id in ids:
        server.say(f"/operations/{operation_id}", operation(id=operation_id), held=held)
    return [
        OperationTrigger(operation_id=operation_id, toloka_conn_id=conn_id, poll_interval=0.2, deadline=_deadline())
        for operation_id in ids
    ]


def pools(conn_id: str, server: HoldingServer, name: str = "1", *, held: bool = False) -> list[Any]:
    """Waits for pools that are closed."""
    ids = [f"{name}{number}" for number in range(MANY)]
    server.say("/pools", NO_OPERATIONS)
    server.say("/operations", NO_OPERATIONS)
    for pool_id in ids:
        server.say(f"/pools/{pool_id}", pool(id=pool_id), held=held)
    return [
        PoolTrigger(pool_id=pool_id, toloka_conn_id=conn_id, poll_interval=0.2, deadline=_deadline()) for pool_id in ids
    ]


def _deadline() -> float:
    return time.time() + 10 * PATIENCE


async def alone(trigger: Any) -> Any:
    """Wait as before Airflow 3.3: each trigger by itself."""
    async for event in trigger.run():
        return event.payload
    raise AssertionError("no event")


class Sharing:
    """Wait as Airflow 3.3 lets triggers wait: those with equal streams share one."""

    def __init__(self) -> None:
        shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.3 has shared streams")
        self._manager = shared_stream.SharedStreamManager()
        self._count = 0

    async def __call__(self, trigger: Any) -> Any:
        self._count += 1
        trigger_id, key = self._count, trigger.shared_stream_key()
        stream = self._manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                return event.payload
        finally:
            await self._manager.unsubscribe(trigger_id, key)
        raise AssertionError("no event")


@pytest.fixture(params=["alone", "shared"])
def wait(request: pytest.FixtureRequest) -> Wait:
    return alone if request.param == "alone" else Sharing()


async def none_waits_for_another(wait: Wait, slow: HoldingServer, slow_ones: list[Any], quick_ones: list[Any]) -> None:
    """Have the slow ones hold what they can get, and see the quick ones end meanwhile; then all end."""
    waiting = [asyncio.create_task(wait(trigger)) for trigger in slow_ones]
    try:
        async with asyncio.timeout(PATIENCE):
            while len(slow.held) < THREADS:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE / 2):
            ends = await asyncio.gather(*map(wait, quick_ones))
        assert {end["kind"] for end in ends} == {"finished"}
        assert not any(task.done() for task in waiting)
    finally:
        slow.go_on.set()
    async with asyncio.timeout(PATIENCE):
        assert {end["kind"] for end in await asyncio.gather(*waiting)} == {"finished"}


@pytest.mark.parametrize("of_slow", [operations, pools])
@pytest.mark.parametrize("of_quick", [operations, pools])
def test_another_connection(
    wait: Wait, slow: HoldingServer, quick: HoldingServer, of_slow: Callable[..., Any], of_quick: Callable[..., Any]
) -> None:
    slow_ones, quick_ones = of_slow("slow", slow, held=True), of_quick("quick", quick)
    asyncio.run(none_waits_for_another(wait, slow, slow_ones, quick_ones))


def test_lists_that_do_not_answer(slow: HoldingServer, quick: HoldingServer) -> None:
    """Neither other connections wait for them, nor those who might be listed."""
    wait = Sharing()
    slow_ones, quick_ones = operations("slow", slow, held=True), operations("quick", quick)
    of_slow_list = operations("slow", slow, name="not-held")
    slow.say("/operations", NO_OPERATIONS, held=True)
    asyncio.run(none_waits_for_another(wait, slow, slow_ones, [*quick_ones, *of_slow_list]))


def test_lists_need_no_request_by_id_to_be_answered(slow: HoldingServer) -> None:
    """Not even if the connection has to be read again, as after an answer 401."""
    wait = Sharing()
    slow_ones = operations("slow", slow, held=True, count=MAX_CONCURRENT_REQUESTS + 1)
    [listed] = operations("slow", slow, name="listed", count=1)

    async def act() -> None:
        waiting = [asyncio.create_task(wait(trigger)) for trigger in slow_ones]
        async with asyncio.timeout(PATIENCE):
            while len(slow.held) < MAX_CONCURRENT_REQUESTS:
                await asyncio.sleep(0.01)
            slow.error("GET", "/operations", 401, "AUTHENTICATION_ERROR")
            slow.say("/operations", {"items": [operation(id="listed-0")], "has_more": False})
            assert (await wait(listed))["kind"] == "finished"
        assert not any(task.done() for task in waiting)
        slow.go_on.set()
        await asyncio.gather(*waiting)

    asyncio.run(act())
    assert "GET /operations/listed-0" not in slow.calls()


def test_waits_by_id_share_a_few_connections_and_poll_in_turn(
    slow: HoldingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * MAX_CONCURRENT_REQUESTS
    triggers = operations("slow", slow, count=count)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)

    async def act() -> None:
        await asyncio.gather(*map(alone, triggers))

    asyncio.run(act())
    # A turn comes an interval after the one before, however many wait for theirs.
    assert sum(pause > 0 for pause in pauses) >= MAX_CONCURRENT_REQUESTS - 1
    assert max(pauses) <= count / REQUESTS_PER_SECOND
    assert len(slow.seen) == count
    assert len({seen.port for seen in slow.seen}) <= MAX_CONCURRENT_REQUESTS


@pytest.mark.parametrize("of_slow", [operations, pools])
@pytest.mark.parametrize("of_quick", [operations, pools])
def test_another_question_on_the_same_connection(
    wait: Wait, slow: HoldingServer, of_slow: Callable[..., Any], of_quick: Callable[..., Any]
) -> None:
    slow_ones = of_slow("slow", slow, "8", held=True)
    quick_ones = of_quick("slow", slow, "9")
    asyncio.run(none_waits_for_another(wait, slow, slow_ones, quick_ones))


def test_others_in_the_triggerer(slow: HoldingServer, wait: Wait) -> None:
    """The event loop's own threads are for everybody: none of them is taken."""

    async def in_a_thread(_: Any) -> dict[str, str]:
        return await asyncio.to_thread(lambda: {"kind": "finished"})

    async def either(trigger: Any) -> Any:
        return await (in_a_thread(trigger) if trigger is None else wait(trigger))

    slow_ones = operations("slow", slow, held=True)
    asyncio.run(none_waits_for_another(either, slow, slow_ones, [None] * THREADS))


def test_the_emulator_answers_others_meanwhile() -> None:
    with EmulatorServer() as toloka, ThreadPoolExecutor() as executor:
        first, second = toloka.add_pool(), toloka.add_pool()
        toloka.faults.add("GET", f"/api/v1/pools/{first}", delay=600)
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url, retry_budget=0))
        held = executor.submit(client.get_pool, first)
        while not toloka.journal.requests("GET") and not held.done():
            time.sleep(0.01)
        assert client.get_pool(second).id == second
        assert not held.done()
        toloka.stop()
        with pytest.raises(TolokaConnectionError):
            held.result(PATIENCE)
