"""What a triggerer reports of its waits, and that nobody's wait depends on it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from demo.airflow_api import wait_until
from tests.statistics_receivers import VERSION, Sample, StatsdServer, reporting
from tests.support import TOKEN, ScriptedServer, connect, operation, pool
from tests.virtual_time import VirtualTime
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.triggers import OperationTrigger, PoolTrigger
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.statistics import PoolReports

PATIENCE = 60
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FACTS = {"percent": 50.0, "answers": 5.0, "spent": 0.25, "committed": 0.5}
NOW = "2026-03-02T09:00:00"


@pytest.fixture
def statsd() -> Iterator[StatsdServer]:
    """A StatsD server to which this process reports, at short intervals."""
    with StatsdServer() as server, reporting({**server.settings(), "AIRFLOW__TOLOKA__STATISTICS_INTERVAL": "0.05"}):
        yield server


def received(statsd: StatsdServer, name: str, count: int = 1, **tags: str) -> list[Sample]:
    """Return what was received under a name, once there is as much of it."""
    found = partial(statsd.samples, f"airflow.toloka.{name}", **tags)
    wait_until(lambda: len(found()) >= count, f"{name} is received", PATIENCE, 0.02)
    return found()


async def until(statsd: StatsdServer, name: str, value: float, **tags: str) -> None:
    """Wait until a gauge has a value."""
    async with asyncio.timeout(PATIENCE):
        while not (samples := statsd.samples(f"airflow.toloka.{name}", **tags)) or samples[-1].value != value:
            await asyncio.sleep(0.02)


def pool_wait(pool_id: str = "21", **arguments: Any) -> PoolTrigger:
    common = {"toloka_conn_id": "toloka_default", "poll_interval": 0.05, "deadline": time.time() + PATIENCE}
    return PoolTrigger(pool_id=pool_id, **{**common, **arguments})


def operation_wait(**arguments: Any) -> OperationTrigger:
    common = {"toloka_conn_id": "toloka_default", "poll_interval": 0.05, "deadline": time.time() + PATIENCE}
    return OperationTrigger(operation_id="op-1", **{**common, **arguments})


async def end(trigger: PoolTrigger | OperationTrigger) -> dict[str, Any]:
    """Wait as before Airflow 3.3, each trigger by itself, and not for ever."""
    async with asyncio.timeout(PATIENCE):
        events = [event.payload async for event in trigger.run()]
    [payload] = json.loads(json.dumps(events))
    return payload  # type: ignore[no-any-return]


async def end_shared(trigger: PoolTrigger) -> dict[str, Any]:
    """Wait as Airflow 3.3 lets triggers wait."""
    shared_stream = import_module("airflow.triggers.shared_stream")
    manager, key = shared_stream.SharedStreamManager(), trigger.shared_stream_key()
    async with asyncio.timeout(PATIENCE):
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
        try:
            events: AsyncIterator[Any] = trigger.filter_shared_stream(stream)
            payloads = [event.payload async for event in events]
        finally:
            await manager.unsubscribe(1, key)
    [payload] = json.loads(json.dumps(payloads))
    return payload  # type: ignore[no-any-return]


SHARED = pytest.mark.skipif(VERSION < (3, 3), reason="Airflow before 3.3 has no shared streams")


@pytest.mark.parametrize("wait", [end, pytest.param(end_shared, marks=SHARED)])
def test_a_wait_is_reported_while_it_runs(statsd: StatsdServer, wait: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer(seed=1, speed=1) as toloka:
        toloka.crowd.change(size=0)
        toloka.set_balance(12.5)
        conn_id = connect(monkeypatch, toloka.url)
        pool_id, _ = toloka.add_pool(1, open=True), toloka.add_pool(1, open=True)

        async def main() -> dict[str, Any]:
            waiting = asyncio.create_task(wait(pool_wait(pool_id, progress_interval=0.05)))
            await until(statsd, "waits", 1, of="pool")
            await until(statsd, "pools.waited_for", 1)
            await until(statsd, "pools.open", 2)
            await until(statsd, "balance", 12.5)
            await until(statsd, "pools.percent", 0)
            await asyncio.to_thread(TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).close_pool, pool_id)
            event = await waiting
            # Also after the last wait of the connection: that is when an open pool is one too many.
            await until(statsd, "waits", 0, of="pool")
            await until(statsd, "pools.waited_for", 0)
            await until(statsd, "pools.open", 1)
            return event  # type: ignore[no-any-return]

        assert asyncio.run(main())["subject"]["status"] == "CLOSED"
        [close] = received(statsd, "closes", by="others")
        assert (close.kind, close.tags) == ("counter", {"connection": conn_id, "by": "others", "reason": "manual"})
        [delay] = received(statsd, "detection_delay")
        assert (delay.kind, delay.tags) == ("timer", {"connection": conn_id, "of": "pool"})
        purposes = {sample.tags["purpose"] for sample in received(statsd, "polls")}
        assert purposes == {"polls", "measurements", "statistics"}


def test_the_end_of_an_operation_is_timed(statsd: StatsdServer, server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/requester", {"id": "r", "balance": 1})
    server.default("GET", "/pools", {"items": [], "has_more": False})
    finished = (datetime.now(UTC) - timedelta(seconds=90)).replace(tzinfo=None)
    server.answer("GET", "/operations/op-1", json=operation(finished=finished.isoformat()))
    asyncio.run(end(operation_wait()))
    [delay] = received(statsd, "detection_delay", of="operation")
    assert 90_000 <= delay.value <= 90_000 + PATIENCE * 1000


@pytest.mark.parametrize(
    ("reason", "by", "known"),
    [
        ("COMPLETED", "toloka", "completed"),
        ("NOT_ENOUGH_BALANCE", "toloka", "not_enough_balance"),
        ("MANUAL", "others", "manual"),
        ("FOR_UPDATE", "others", "for_update"),
        ("SOMETHING NEW", "toloka", "unknown"),
    ],
)
def test_who_closed_a_pool_is_counted(
    statsd: StatsdServer, server: ScriptedServer, connection: str, reason: str, by: str, known: str
) -> None:
    server.default("GET", "/requester", {"id": "r", "balance": 1})
    server.default("GET", "/pools", {"items": [], "has_more": False})
    server.default("GET", "/operations", {"items": [], "has_more": False})
    server.default("GET", "/pools/21", pool("CLOSED", reason, last_stopped=NOW))
    asyncio.run(end(pool_wait()))
    assert received(statsd, "closes")[0].tags == {"connection": connection, "by": by, "reason": known}


def test_a_close_of_the_triggerer_is_that_of_a_killed_wait(
    statsd: StatsdServer, server: ScriptedServer, connection: str
) -> None:
    server.answer("POST", "/pools/21/close", 202, operation())
    asyncio.run(Poller(connection).fetch(lambda client: client.close_pool("21"), 60.0))
    assert received(statsd, "closes")[0].tags == {"connection": connection, "by": "kill", "reason": "manual"}


def test_a_toloka_that_refuses_reports_ends_neither_them_nor_a_wait(
    statsd: StatsdServer, server: ScriptedServer, connection: str
) -> None:
    """A token may wait for a pool, and not be allowed to read the balance."""
    server.error("GET", "/requester", 403, "ACCESS_DENIED", times=3)
    server.default("GET", "/requester", {"id": "r", "balance": 1})
    server.default("GET", "/pools", {"items": [], "has_more": False})
    server.default("GET", "/operations/op-1", operation("RUNNING"))

    async def main() -> dict[str, Any]:
        waiting = asyncio.create_task(end(operation_wait()))
        await until(statsd, "waits", 1, of="operation")
        await until(statsd, "balance", 1)
        server.default("GET", "/operations/op-1", operation())
        return await waiting

    assert asyncio.run(main())["kind"] == "finished"
    # What the token may read is reported all the same.
    names = [sample.name for sample in statsd.samples()]
    assert names[: names.index("airflow.toloka.balance")].count("airflow.toloka.pools.open") >= 3


def test_nothing_is_requested_where_no_statistics_are(server: ScriptedServer, connection: str) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=2)
    server.answer("GET", "/operations/op-1", json=operation())
    assert asyncio.run(end(operation_wait()))["kind"] == "finished"
    assert set(server.calls()) == {"GET /operations/op-1"}


class TestPools:
    """How the gauges of pools are reckoned."""

    def test_those_of_a_connection_are_one_series(self, statsd: StatsdServer) -> None:
        unknown = {"percent": None, "answers": None, "spent": None, "committed": None}
        reports = PoolReports("a")
        reports.report({"1": FACTS, "2": {**FACTS, "percent": 100.0, "spent": 0.5}, "3": unknown, "4": None})
        reports.report({})
        assert values(statsd, "pools.last_answer_age", 2)[-1] == 0
        assert values(statsd, "pools.waited_for", 2) == [4, 0]
        assert values(statsd, "pools.percent", 1) == [75]
        assert values(statsd, "pools.spent", 2) == [0.75, 0]
        assert values(statsd, "pools.committed", 2) == [1, 0]
        assert not any("pool" in sample.tags for sample in statsd.samples())

    def test_each_is_one_where_that_is_switched_on(self, statsd: StatsdServer) -> None:
        with reporting({**statsd.settings(), "AIRFLOW__TOLOKA__STATISTICS_POOL_IDS": "True"}):
            reports = PoolReports("a")
            reports.report({"1": FACTS, "2": {**FACTS, "spent": None}, "3": None})
            assert values(statsd, "pools.waited_for", 1) == [3]
            spent = {sample.tags["pool"]: sample.value for sample in received(statsd, "pools.spent", 2)}
            assert spent == {"1": 0.25, "2": 0}
            assert {sample.tags["pool"] for sample in received(statsd, "pools.last_answer_age", 2)} == {"1", "2"}
            reports.report({"1": FACTS})
            *_, gone = received(statsd, "pools.last_answer_age", 4)
            assert (gone.value, gone.tags["pool"]) == (0, "2")

    def test_the_age_is_that_of_the_last_answer(self, statsd: StatsdServer) -> None:
        with VirtualTime(None, START) as virtual:
            reports = PoolReports("a")

            def report(first: float, second: float) -> None:
                reports.report({"1": {**FACTS, "answers": first}, "2": {**FACTS, "answers": second}})

            report(5, 0)
            virtual.advance(100)
            report(6, 0)
            virtual.advance(100)
            report(6, 0)
            report(6, 1)
            reports.report({"2": {**FACTS, "answers": 1.0}})
        assert values(statsd, "pools.last_answer_age", 5) == [0, 100, 200, 100, 0]


def values(statsd: StatsdServer, name: str, count: int) -> list[float]:
    return [sample.value for sample in received(statsd, name, count)]
