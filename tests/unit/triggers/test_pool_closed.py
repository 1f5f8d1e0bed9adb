"""Each close of a pool is reported once, whatever happens around it."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import ScriptedServer, pool
from tests.virtual_time import VirtualTime
from toloka_airflow.api.models import CloseReason
from toloka_airflow.triggers import PoolClosedTrigger
from toloka_airflow.triggers.pool_closed import WATERMARK

T = [f"2026-01-31T18:00:0{second}.250" for second in range(10)]
AT = [f"2026-01-31T18:00:0{second}.250000+00:00" for second in range(10)]

pytestmark = pytest.mark.usefixtures("connection")


class Store:
    """What Airflow 3.3 gives to a watcher with one asset."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


class SharedStore(Store):
    """What it gives to a watcher with several assets."""

    async def aget(self, key: str, default: Any = None) -> Any:
        raise ValueError("Task has 2 concrete inlets and outlets")

    aset = aget


def closed(at: int | None, reason: str | None = "COMPLETED", status: str = "CLOSED") -> dict[str, Any]:
    return pool(status, reason, **({} if at is None else {"last_stopped": T[at]}))


def watch(
    server: ScriptedServer, looks: int, store: Store | None = None, events: int = 0, **arguments: Any
) -> list[dict[str, Any]]:
    """Run a watcher from its stored form until it looked and told so often; return the payloads of its events."""
    first = PoolClosedTrigger(**{"pool_id": "21", "poll_interval": 0.01, **arguments})
    trigger = PoolClosedTrigger(**json.loads(json.dumps(first.serialize()[1])))
    if store is not None:
        trigger.asset_state_store = store  # type: ignore[assignment]
    payloads: list[dict[str, Any]] = []

    async def collect() -> None:
        async for event in trigger.run():
            payloads.append(json.loads(json.dumps(event.payload)))  # noqa: PERF401 - kept when it is cancelled

    async def run() -> None:
        watching = asyncio.create_task(collect())
        while (len(server.seen) < looks or len(payloads) < events) and not watching.done():
            await asyncio.sleep(0.005)
        assert not watching.done()
        assert len(server.seen) >= looks
        watching.cancel()

    with VirtualTime(None, datetime(2026, 3, 2, 9, tzinfo=UTC)) as virtual:
        virtual.run(run())
    return payloads


def test_a_closing_is_told_once(server: ScriptedServer) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None))
    server.default("GET", "/pools/21", closed(1))
    assert watch(server, looks=6) == [
        {"pool_id": "21", "status": "CLOSED", "close_reason": "COMPLETED", "closed_at": AT[1]}
    ]


@pytest.mark.parametrize("reason", [*CloseReason, "SOLAR_FLARE"])
def test_every_reason_but_an_update_is_told(server: ScriptedServer, reason: str) -> None:
    server.answer("GET", "/pools/21", json=closed(0, status="OPEN"))
    server.default("GET", "/pools/21", closed(1, reason))
    told = [event["close_reason"] for event in watch(server, looks=6)]
    assert told == ([] if reason == "FOR_UPDATE" else [reason])


def test_a_closing_from_before_the_watch_is_not_told(server: ScriptedServer) -> None:
    server.answer("GET", "/pools/21", json=closed(1), times=3)
    server.answer("GET", "/pools/21", json=closed(1, status="OPEN"), times=2)
    server.default("GET", "/pools/21", closed(2, "EXPIRED"))
    assert [event["closed_at"] for event in watch(server, looks=9)] == [AT[2]]


def test_closings_between_two_looks_are_told_even_if_the_pool_is_open_again(server: ScriptedServer) -> None:
    for at, status in [(0, "OPEN"), (1, "OPEN"), (2, "LOCKED"), (3, "CLOSED"), (5, "ARCHIVED")]:
        server.answer("GET", "/pools/21", json=closed(at, status=status))
    server.default("GET", "/pools/21", closed(5, status="ARCHIVED"))
    told = [(event["closed_at"], event["status"]) for event in watch(server, looks=8)]
    assert told == [(AT[1], "OPEN"), (AT[3], "CLOSED"), (AT[5], "ARCHIVED")]


def test_a_restart_neither_repeats_nor_loses_a_closing(server: ScriptedServer) -> None:
    store = Store()
    server.answer("GET", "/pools/21", json=closed(0, status="OPEN"))
    server.default("GET", "/pools/21", closed(1))
    assert len(watch(server, looks=5, store=store)) == 1
    assert store.values == {WATERMARK: AT[1]}
    assert watch(server, looks=10, store=store) == []
    server.default("GET", "/pools/21", closed(2))
    assert [event["closed_at"] for event in watch(server, looks=15, store=store)] == [AT[2]]


def test_a_closing_right_after_the_watch_began_survives_a_restart(server: ScriptedServer) -> None:
    """The beginning is stored, too: without a closing so far there is nothing else to compare with."""
    store = Store()
    server.default("GET", "/pools/21", pool("OPEN", None))
    assert watch(server, looks=2, store=store) == []
    server.default("GET", "/pools/21", closed(1))
    assert [event["closed_at"] for event in watch(server, looks=6, store=store)] == [AT[1]]


def test_an_event_that_may_not_have_been_stored_comes_again(server: ScriptedServer) -> None:
    """The watcher is stopped as soon as it has reported, before it takes the event for stored."""
    store = Store(**{WATERMARK: AT[0]})
    server.default("GET", "/pools/21", closed(1))
    assert watch(server, looks=1, events=1, store=store) == watch(server, looks=2, events=1, store=store)
    assert store.values == {WATERMARK: AT[0]}


@pytest.mark.parametrize("later", [False, True])
def test_a_status_that_is_not_known_is_no_close(server: ScriptedServer, later: bool) -> None:
    server.answer("GET", "/pools/21", json=closed(0, status="OPEN"))
    server.answer("GET", "/pools/21", json=closed(1, status="FROZEN"), times=3)
    server.default("GET", "/pools/21", closed(2) if later else closed(1, status="FROZEN"))
    reported = [event["closed_at"] for event in watch(server, looks=8)]
    assert reported == ([AT[2]] if later else [])


def test_without_a_store_a_restart_begins_a_new_watch(server: ScriptedServer) -> None:
    server.answer("GET", "/pools/21", json=closed(0, status="OPEN"))
    server.default("GET", "/pools/21", closed(1))
    assert len(watch(server, looks=4, store=SharedStore())) == 1
    assert watch(server, looks=8, store=SharedStore()) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_trouble_is_neither_told_nor_asked_in_a_hurry(server: ScriptedServer, status: int) -> None:
    server.answer("GET", "/pools/21", json=closed(0, status="OPEN"))
    server.error("GET", "/pools/21", status, "TROUBLE", times=4)
    server.default("GET", "/pools/21", closed(1))
    with VirtualTime(None, datetime(2026, 3, 2, 9, tzinfo=UTC)) as virtual:
        began = virtual.now

        async def first_event() -> Any:
            return (await anext(PoolClosedTrigger(pool_id="21", poll_interval=10).run())).payload

        assert virtual.run(first_event())["closed_at"] == AT[1]
        assert virtual.now - began == pytest.approx(10 + 20 + 40 + 80 + 160, abs=1)


def test_a_store_out_of_reach_is_asked_again(server: ScriptedServer) -> None:
    class Restarting(Store):
        troubles = 2

        async def aget(self, key: str, default: Any = None) -> Any:
            if self.troubles:
                self.troubles -= 1
                raise RuntimeError("the database is being upgraded")
            return await super().aget(key, default)

    server.default("GET", "/pools/21", closed(1))
    assert len(watch(server, looks=4, store=Restarting(**{WATERMARK: AT[0]}))) == 1


def test_a_connection_may_be_defined_later(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.default("GET", "/pools/21", closed(1))

    async def define_later() -> Any:
        trigger = PoolClosedTrigger(pool_id="21", toloka_conn_id="late", poll_interval=0.01)
        trigger.asset_state_store = Store(**{WATERMARK: AT[0]})  # type: ignore[assignment]
        first = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0.05)
        assert not first.done()
        monkeypatch.setenv("AIRFLOW_CONN_LATE", os.environ["AIRFLOW_CONN_TOLOKA_DEFAULT"])
        return (await first).payload["closed_at"]

    assert asyncio.run(define_later()) == AT[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"pool_id": ""}, "pool_id"), ({"pool_id": "{{ x }}"}, "pool_id"), ({"poll_interval": 0}, "poll_interval")],
)
def test_bad_arguments_are_refused_when_the_dag_is_read(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} is "):
        PoolClosedTrigger(**{"pool_id": "21", **arguments})


def test_the_stored_form_makes_the_same_trigger() -> None:
    path, stored = PoolClosedTrigger(pool_id="21", toloka_conn_id="a", poll_interval=5).serialize()
    assert path == "toloka_airflow.triggers.PoolClosedTrigger"
    assert PoolClosedTrigger(**json.loads(json.dumps(stored))).serialize() == (path, stored)
