"""Many waits that share a poller, in Airflow's own manager of shared streams."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.support import TOKEN, ScriptedServer, Secrets, connect, let_time_pass, operation, pool, scripted_server
from tests.virtual_time import VirtualTime
from tests.worlds import small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.triggers import OperationTrigger, PoolClosedTrigger, PoolTrigger
from toloka_airflow.triggers.lists import MAX_GAP, OperationPoller, PoolPoller
from toloka_airflow.triggers.shared_polling import LIST_TIMEOUT, REQUESTS_PER_SECOND, Subscription

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.3 has shared streams")

INTERVAL = 0.2
PATIENCE = 60.0
"""Seconds until something has failed that should happen."""


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka whose time stands still, and whose operations end when the clock is moved by a minute."""
    nobody = CrowdSettings(size=0)
    with EmulatorServer(frozen=True, start="2026-03-02T09:00:00", quotas=False, crowd=nobody) as server:
        server.progressions.set(Progression(seconds=60))
        connect(monkeypatch, server.url)
        yield server


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture
def begin(client: TolokaClient) -> Callable[[int], list[str]]:
    """Begin some operations, and return their ids."""
    pool_id = small_pool(client)
    return lambda count: [client.start_analytics(pool_id, ["submitted_assignments_count"]).id for _ in range(count)]


def waiting_for(operation_id: str, **arguments: Any) -> OperationTrigger:
    given = {"toloka_conn_id": "toloka_default", "poll_interval": INTERVAL, "deadline": time.time() + 60}
    return OperationTrigger(operation_id=operation_id, **{**given, **arguments})


def waiting_for_pool(pool_id: str, **arguments: Any) -> PoolTrigger:
    given = {"toloka_conn_id": "toloka_default", "poll_interval": INTERVAL, "deadline": time.time() + 60}
    return PoolTrigger(pool_id=pool_id, **{**given, **arguments})


@dataclass
class Triggerer:
    """Run triggers as Airflow's triggerer does: those with equal keys share a stream."""

    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manager = shared_stream.SharedStreamManager()

    def start(self, *triggers: Any) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._run(len(self.tasks) + i, trigger)) for i, trigger in enumerate(triggers)]
        self.tasks += tasks
        return tasks

    async def _run(self, number: int, trigger: Any) -> None:
        self.events[number] = []
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.events[number].append(json.loads(json.dumps(event.payload)))
        finally:
            await self.manager.unsubscribe(number, key)

    def ends(self) -> Counter[str]:
        """Return how often the waits ended in each way, one event each."""
        assert all(len(events) == 1 for events in self.events.values())
        return Counter(event["kind"] for [event] in self.events.values())


def in_a_triggerer(
    act: Callable[[Triggerer], Awaitable[None]], run_loop: Callable[..., Any] = asyncio.run
) -> Triggerer:
    """Run a scenario, and then wait for all triggers that it started."""

    async def run() -> Triggerer:
        triggerer = Triggerer()
        try:
            await act(triggerer)
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*triggerer.tasks, return_exceptions=True)
        finally:
            await triggerer.manager.stop_all()
        return triggerer

    ended: Triggerer = run_loop(run())
    return ended


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def requests(toloka: EmulatorServer) -> Counter[str]:
    """Count requests by what they ask: lists of ``unfinished``, ``finished`` and ``pools``, or something by ``id``."""
    kinds: Counter[str] = Counter()
    for entry in toloka.journal.requests("GET"):
        listed = "unfinished" if "status" in str(entry["query"]) else "finished"
        name = entry["path"].removeprefix("/api/v1/")
        kinds[{"operations": listed, "pools": "pools"}.get(name, "id")] += 1
    return kinds


def test_no_notification_is_lost() -> None:
    async def act() -> None:
        subscription = Subscription("op-1", set())
        subscription.notify()
        await asyncio.wait_for(subscription.notified(900), 10)
        waiting = asyncio.create_task(subscription.notified(60))
        await asyncio.sleep(0)
        subscription.notify()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(subscription.notified(900), 10)
        waiting = asyncio.create_task(subscription.notified(0.05))
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.wait_for(waiting, 10)

    asyncio.run(act())


def test_all_are_served_by_lists(toloka: EmulatorServer, begin: Callable[[int], list[str]]) -> None:
    ids = begin(50)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(*map(waiting_for, ids))
        await until(lambda: requests(toloka)["finished"] > 3)
        toloka.clock.advance(120)

    triggerer = in_a_triggerer(act)
    assert triggerer.ends() == {"finished": 50}
    assert [triggerer.events[number][0]["subject"]["id"] for number in range(50)] == ids
    assert requests(toloka)["id"] == 0
    assert requests(toloka)["unfinished"] == 2


def test_what_ended_before_is_told_and_what_begins_later_is_seen(
    toloka: EmulatorServer, begin: Callable[[int], list[str]]
) -> None:
    old = begin(3)
    toloka.clock.advance(3600)
    begin(600)  # more than a page of later ends
    toloka.clock.advance(3600)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(*map(waiting_for, [*old, *begin(1)]))
        await until(lambda: requests(toloka)["finished"] > 2)
        triggerer.start(*map(waiting_for, begin(1)))
        await until(lambda: requests(toloka)["id"] > 3)
        toloka.clock.advance(120)

    assert in_a_triggerer(act).ends() == {"finished": 5}
    # It is listed as unfinished as soon as that is cheaper: a machine that is slow asks a few times more.
    assert requests(toloka)["id"] < 30


def test_very_many_ends_while_the_unfinished_are_listed_are_all_seen(
    toloka: EmulatorServer, begin: Callable[[int], list[str]]
) -> None:
    class Slow(TolokaClient):
        """A client whose lists of unfinished operations are old when it has read them."""

        def operation_pages(self, *, status: OperationStatus) -> Iterator[list[Operation]]:
            yield from list(super().operation_pages(status=status))
            toloka.clock.advance(60)

    for _ in range(3):
        begin(300)
        toloka.clock.advance(1)
    lists = OperationPoller("toloka_default", INTERVAL).fetch_lists(0, Slow(ClientSettings(TOKEN, base_url=toloka.url)))
    assert len(lists.subjects) == 900
    assert lists.unfinished == frozenset()


def test_after_a_long_time_without_answers_the_lists_begin_anew(
    toloka: EmulatorServer,
    client: TolokaClient,
    begin: Callable[[int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poller = OperationPoller("toloka_default", INTERVAL)
    poller.fetch_lists(0, client)
    for _ in range(4):
        begin(300)
        toloka.clock.advance(70)
    before = requests(toloka)
    let_time_pass(monkeypatch, MAX_GAP)
    poller.fetch_lists(0, client)
    # A page before the unfinished are listed and one after that, instead of the three since the last answer.
    assert requests(toloka) - before == {"finished": 2, "unfinished": 2}


def test_very_many_ends_between_two_looks_are_all_seen(
    toloka: EmulatorServer, begin: Callable[[int], list[str]]
) -> None:
    ids = []
    for _ in range(4):
        ids += begin(300)
        toloka.clock.advance(10)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(*map(waiting_for, ids))
        await until(lambda: requests(toloka)["finished"] > 2)
        toloka.clock.advance(120)

    assert in_a_triggerer(act).ends() == {"finished": 1200}
    assert requests(toloka)["id"] == 0


def test_while_the_lists_fail_everybody_looks_by_id_in_turn(
    toloka: EmulatorServer, begin: Callable[[int], list[str]], virtual: VirtualTime
) -> None:
    ids = begin(30)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(*map(waiting_for, ids))
        await until(lambda: requests(toloka)["finished"] > 1)
        broken = toloka.faults.add("GET", "/api/v1/operations", status=503, times=10_000)
        await until(lambda: requests(toloka)["id"] >= 1)
        began, before = virtual.now, requests(toloka)["id"]
        await until(lambda: requests(toloka)["id"] >= before + 60)
        polled = requests(toloka)["id"] - before
        assert polled / REQUESTS_PER_SECOND == pytest.approx(virtual.now - began, abs=0.05)
        toloka.faults.remove(broken)
        await asyncio.sleep(3 * INTERVAL)
        by_id, lists = requests(toloka)["id"], requests(toloka)["finished"]
        await until(lambda: requests(toloka)["finished"] > lists + 3)
        assert requests(toloka)["id"] == by_id
        toloka.clock.advance(120)

    assert in_a_triggerer(act, virtual.run).ends() == {"finished": 30}


def test_an_end_is_seen_while_the_lists_fail(toloka: EmulatorServer, begin: Callable[[int], list[str]]) -> None:
    ids = begin(5)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(*map(waiting_for, ids))
        await until(lambda: requests(toloka)["finished"] > 1)
        toloka.faults.add("GET", "/api/v1/operations", html=502, times=10_000)
        toloka.clock.advance(120)

    assert in_a_triggerer(act).ends() == {"finished": 5}


def test_what_the_lists_omit_is_found_by_id(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/operations", {"items": [], "has_more": False})
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=3)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("op-1"))

    assert in_a_triggerer(act).ends() == {"finished": 1}


@pytest.mark.parametrize(
    "answer",
    [
        {"items": [{"id": "op-1"}], "has_more": False},
        {"items": [], "has_more": True},
        {"items": [operation("RUNNING", finished="2026-01-01T00:00:00")], "has_more": True},
        [],
        None,
    ],
)
def test_lists_that_make_no_sense_are_as_good_as_none(server: ScriptedServer, connection: str, answer: Any) -> None:
    server.default("GET", "/operations", answer)
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=2)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("op-1"))

    assert in_a_triggerer(act).ends() == {"finished": 1}


def test_a_bad_wait_fails_nobody_else(toloka: EmulatorServer, begin: Callable[[int], list[str]]) -> None:
    ids = begin(5)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("nobody-knows-this"), waiting_for("../requester"), *map(waiting_for, ids))
        triggerer.start(waiting_for(ids[0], deadline=time.time() - 1))
        await until(lambda: len([events for events in triggerer.events.values() if events]) == 3)
        toloka.clock.advance(120)

    triggerer = in_a_triggerer(act)
    assert triggerer.ends() == {"refused": 2, "timed_out": 1, "finished": 5}
    assert "404" in triggerer.events[0][0]["message"]


def test_who_comes_late_or_leaves_early_disturbs_nobody(
    toloka: EmulatorServer, begin: Callable[[int], list[str]]
) -> None:
    ids = begin(6)

    async def act(triggerer: Triggerer) -> None:
        first, *_ = triggerer.start(*map(waiting_for, ids[:3]))
        await until(lambda: requests(toloka)["finished"] > 1)
        first.cancel()
        triggerer.start(*map(waiting_for, ids[3:]))
        lists = requests(toloka)["finished"]
        await until(lambda: requests(toloka)["finished"] > lists + 1)
        toloka.clock.advance(120)

    triggerer = in_a_triggerer(act)
    assert triggerer.events.pop(0) == []
    assert triggerer.ends() == {"finished": 5}
    assert requests(toloka)["id"] == 0


def test_when_nobody_looks_at_lists_any_more_everybody_looks_by_id(
    toloka: EmulatorServer, begin: Callable[[int], list[str]]
) -> None:
    ids = begin(20)

    async def act(triggerer: Triggerer) -> None:
        tasks = triggerer.start(*map(waiting_for, ids))
        await until(lambda: requests(toloka)["finished"] > 1)
        await triggerer.manager.stop_all()
        await until(lambda: requests(toloka)["id"] >= 60)
        assert not any(task.done() for task in tasks)
        toloka.clock.advance(120)

    assert in_a_triggerer(act).ends() == {"finished": 20}


def test_a_stream_may_begin_late(
    toloka: EmulatorServer, client: TolokaClient, virtual: VirtualTime, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow can be told to wait for more triggers; meanwhile they look by id, those with progress often."""
    pool_id = an_open_pool(client, toloka)

    async def act(triggerer: Triggerer) -> None:
        triggerer.manager = shared_stream.SharedStreamManager(cohort_grace_period=1.0)
        triggerer.start(waiting_for_pool(pool_id, progress_interval=0.1))
        await until(lambda: requests(toloka)["pools"] > 3)
        client.close_pool(pool_id)
        toloka.clock.advance(120)

    assert in_a_triggerer(act, virtual.run).ends() == {"finished": 1}
    assert requests(toloka)["id"] > 3
    assert "are not polled any more" not in capsys.readouterr().out


def test_the_end_of_a_wait_is_kept_by_its_own_clock(
    toloka: EmulatorServer, client: TolokaClient, virtual: VirtualTime
) -> None:
    """However long the interval is."""
    pool_id = an_open_pool(client, toloka)
    until_ = virtual.now + 55.0

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for_pool(pool_id, until=until_, poll_interval=20.0))

    assert in_a_triggerer(act, virtual.run).ends() == {"time_is_up": 1}
    assert virtual.now == pytest.approx(until_, abs=0.01)
    assert requests(toloka)["pools"] > 1


def test_the_end_of_a_wait_is_kept_while_a_list_is_not_answered(
    toloka: EmulatorServer, client: TolokaClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not even wait until the lists are given up, as all the others do."""
    first, second = (an_open_pool(client, toloka) for _ in range(2))
    held = toloka.faults.add("GET", "/api/v1/pools", delay=600.0, times=1, skip=1)

    async def act(triggerer: Triggerer) -> None:
        [companion] = triggerer.start(waiting_for_pool(first, poll_interval=1.0))
        await until(lambda: held.times == 0)
        [task] = triggerer.start(waiting_for_pool(second, poll_interval=1.0, until=time.time() + 2.5))
        await task
        assert not companion.done()
        companion.cancel()

    triggerer = in_a_triggerer(act)
    assert triggerer.events.pop(0) == []
    assert triggerer.ends() == {"time_is_up": 1}
    assert "so all is polled by id" not in capsys.readouterr().out


def an_open_pool(client: TolokaClient, toloka: EmulatorServer) -> str:
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": str(n)}, "overlap": 1} for n in range(4)])
    client.open_pool(pool_id)
    toloka.clock.advance(120)
    assert client.get_pool(pool_id).status == "OPEN"
    return pool_id


def test_waits_for_pools_and_watchers_share_one_list(toloka: EmulatorServer, client: TolokaClient) -> None:
    pools = [an_open_pool(client, toloka) for _ in range(5)]
    closed = small_pool(client)
    before = requests(toloka)["id"]

    async def act(triggerer: Triggerer) -> None:
        waits = triggerer.start(*map(waiting_for_pool, pools))
        watchers = triggerer.start(*[PoolClosedTrigger(pool_id=p, poll_interval=INTERVAL) for p in [*pools, closed]])
        await until(lambda: requests(toloka)["pools"] > 5)
        assert requests(toloka)["id"] - before == 1  # the pool that is not open
        for pool_id in pools:
            client.close_pool(pool_id)
        toloka.clock.advance(120)
        await until(lambda: all(task.done() for task in waits))
        await until(lambda: all(triggerer.events[number] for number in range(5, 10)))
        for watcher in watchers:
            watcher.cancel()

    triggerer = in_a_triggerer(act)
    assert triggerer.events.pop(10) == []
    assert [triggerer.events.pop(number)[0]["pool_id"] for number in range(5, 10)] == pools
    assert triggerer.ends() == {"finished": 5}


def test_the_token_may_be_changed_while_everybody_waits(
    toloka: EmulatorServer, begin: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    [operation_id] = begin(1)
    refused = toloka.faults.add("GET", "/api/v1/operations", status=401, times=10_000)
    by_id = toloka.faults.add("GET", "/api/v1/operations/{id}", status=401, times=2)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for(operation_id))
        await until(lambda: by_id.times == 0)
        connect(monkeypatch, toloka.url)
        toloka.faults.remove(refused)
        toloka.clock.advance(120)

    assert in_a_triggerer(act).ends() == {"finished": 1}


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """The server that the connection leads to later."""
    with scripted_server() as script:
        yield script
    assert not script.unexpected


@pytest.mark.parametrize("noun", ["operation", "pool"])
def test_lists_of_a_connection_that_was_changed_are_not_trusted(
    server: ScriptedServer,
    other: ScriptedServer,
    connection: str,
    virtual: VirtualTime,
    monkeypatch: pytest.MonkeyPatch,
    noun: str,
) -> None:
    """In the account of before, what is waited for is unfinished and listed so; in that of now it has ended."""
    for each in (server, other):
        each.default("GET", "/pools", NOTHING)
        each.default("GET", "/operations", NOTHING)
    server.default("GET", f"/{noun}s", listed(operation("RUNNING") if noun == "operation" else pool("OPEN", None)))
    other.default("GET", "/operations/op-1", operation("SUCCESS"))
    other.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    trigger = waiting_for("op-1") if noun == "operation" else waiting_for_pool("21")
    trigger = type(trigger)(**{**trigger.serialize()[1], "poll_interval": 60.0, "deadline": virtual.now + 86400})

    async def act(triggerer: Triggerer) -> None:
        [wait] = triggerer.start(trigger)
        await asyncio.sleep(200)
        connect(monkeypatch, other.url)
        changed_at, polled = virtual.now, len(server.seen)
        await wait
        assert virtual.now - changed_at <= 61
        assert len(server.seen) == polled

    assert in_a_triggerer(act, virtual.run).ends() == {"finished": 1}


def test_a_list_that_arrives_after_the_connection_was_changed_is_not_trusted(
    server: ScriptedServer, other: ScriptedServer, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrives = threading.Event()
    server.answer("GET", "/operations", json=listed(operation("FAIL")), held=arrives)
    server.default("GET", "/operations", listed(operation("FAIL")))
    other.default("GET", "/operations", NOTHING)
    other.default("GET", "/operations/op-1", operation("SUCCESS"))

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("op-1"))
        await until(lambda: bool(server.seen))
        connect(monkeypatch, other.url)
        await asyncio.sleep(INTERVAL)
        arrives.set()

    triggerer = in_a_triggerer(act)
    assert [event["subject"]["status"] for [event] in triggerer.events.values()] == ["SUCCESS"]


def test_equal_keys_are_for_equal_connections_and_intervals() -> None:
    keys = [
        waiting_for("op-1").shared_stream_key(),
        waiting_for("op-1", poll_interval=9.0).shared_stream_key(),
        waiting_for("op-1", toloka_conn_id="other").shared_stream_key(),
        waiting_for_pool("21").shared_stream_key(),
    ]
    assert len(set(keys)) == 4
    assert waiting_for("op-2", deadline=1.0).shared_stream_key() == keys[0]
    watcher = PoolClosedTrigger(pool_id="9", poll_interval=INTERVAL)
    assert watcher.shared_stream_key() == keys[3]


def test_lists_are_read_at_every_interval_and_not_in_step(toloka: EmulatorServer, virtual: VirtualTime) -> None:
    """An interval is a little shorter now and then, never longer."""

    async def moments() -> list[float]:
        found: list[float] = []
        polling = asyncio.create_task(PoolPoller("toloka_default", 60.0).run())
        while len(found) < 20:
            if requests(toloka)["pools"] > len(found):
                found.append(virtual.now)
            await asyncio.sleep(0.1)
        polling.cancel()
        return found

    intervals = [later - earlier for earlier, later in pairwise(virtual.run(moments()))]
    assert all(53.9 < interval < 60.1 for interval in intervals)
    assert max(intervals) - min(intervals) > 1


def test_a_stream_lasts_as_long_as_somebody_waits(
    toloka: EmulatorServer, begin: Callable[[int], list[str]], virtual: VirtualTime
) -> None:
    first, second = begin(2)

    async def act(triggerer: Triggerer) -> None:
        [task] = triggerer.start(waiting_for(first))
        await until(lambda: requests(toloka)["finished"] > 1)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        lists = requests(toloka)["finished"]
        await asyncio.sleep(3 * INTERVAL)
        assert requests(toloka)["finished"] <= lists + 1
        triggerer.start(waiting_for(second))
        await until(lambda: requests(toloka)["finished"] > lists + 2)
        toloka.clock.advance(120)

    triggerer = in_a_triggerer(act, virtual.run)
    assert triggerer.events == {0: [], 1: [triggerer.events[1][0]]}
    assert requests(toloka)["id"] == 0


NOTHING: dict[str, Any] = {"items": [], "has_more": False}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items), "has_more": False}


def stop(triggerer: Triggerer) -> None:
    for task in triggerer.tasks:
        task.cancel()


def test_a_list_that_names_what_it_should_not_ends_nothing(server: ScriptedServer, connection: str) -> None:
    """The pool is about to open: CLOSED is how its earlier round ended."""
    earlier = pool("CLOSED", "COMPLETED")
    server.default("GET", "/pools", listed(earlier))
    server.default("GET", "/pools/21", earlier)
    server.default("GET", "/operations", listed(operation("RUNNING", "POOL.OPEN")))

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for_pool("21"))
        await until(lambda: server.calls().count("GET /pools") > 3)
        stop(triggerer)

    assert in_a_triggerer(act).events == {0: []}


def test_the_round_to_close_after_a_kill_is_not_learnt_from_an_old_list(
    server: ScriptedServer, connection: str
) -> None:
    rounds = [pool("OPEN", None, last_started=f"2026-01-01T{hour:02}:00:00") for hour in (9, 10)]
    server.default("GET", "/pools", listed(rounds[0]))
    server.default("GET", "/pools/21", rounds[1])
    server.default("GET", "/pools/22", pool("OPEN", None, id="22"))
    late = waiting_for_pool("21", close_on_kill=True)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for_pool("22"))
        await until(lambda: "GET /pools/22" in server.calls())
        triggerer.start(late)
        await until(lambda: late.tracker.opening.started is not None)
        stop(triggerer)

    in_a_triggerer(act)
    assert late.tracker.opening.started is not None
    assert late.tracker.opening.started.hour == 10


def test_lists_of_an_earlier_stream_are_no_news(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/pools", listed(pool("OPEN", None)))

    async def act(triggerer: Triggerer) -> None:
        held = PoolPoller.of("toloka_default", INTERVAL)
        [first] = triggerer.start(waiting_for_pool("21"))
        await until(lambda: held.is_listed("21"))
        first.cancel()
        await until(lambda: not held.is_running)
        assert not held.is_listed("21")
        lists = len(server.seen)
        triggerer.start(*[waiting_for_pool("21") for _ in range(3)])
        await until(lambda: len(server.seen) > lists + 3)
        stop(triggerer)

    in_a_triggerer(act)
    assert set(server.calls()) == {"GET /pools"}


def test_an_end_in_the_future_hides_no_other(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/operations", listed(operation(id="odd", finished="2099-01-01T00:00:00")))

    async def act() -> None:
        polling = asyncio.create_task(OperationPoller("toloka_default", INTERVAL).run())
        await until(lambda: len(server.seen) > 6)
        polling.cancel()

    asyncio.run(act())
    asked = [seen.query for seen in server.seen if "finished_gte" in seen.query]
    assert not any("finished_gte=2098" in query for query in asked)


def test_lists_are_heeded_while_looks_by_id_are_unwelcome(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/operations", NOTHING)
    server.error("GET", "/operations/op-1", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "3600"})

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("op-1", deadline=time.time() + 9999))
        await until(lambda: "GET /operations/op-1" in server.calls())
        server.default("GET", "/operations", listed(operation(finished="2026-01-01T00:00:00")))

    assert in_a_triggerer(act).ends() == {"finished": 1}


@pytest.mark.parametrize("between", [None, 503])
def test_a_pause_between_two_failures_begins_no_new_count(
    server: ScriptedServer, connection: str, between: int | None
) -> None:
    server.default("GET", "/operations", NOTHING)
    for _ in range(2):
        server.error("GET", "/operations/op-1", 404, "DOES_NOT_EXIST", headers={"Retry-After": "1"})
        if between:
            server.error("GET", "/operations/op-1", between, "DOWN", headers={"Retry-After": "1"})
    server.error("GET", "/operations/op-1", 404, "DOES_NOT_EXIST")

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(waiting_for("op-1"))

    assert in_a_triggerer(act).ends() == {"refused": 1}
    assert server.calls().count("GET /operations/op-1") == (5 if between else 3)


def test_nothing_is_requested_by_id_before_the_first_list(server: ScriptedServer, connection: str) -> None:
    """Not even by a wait that closes its pool when it is killed, and so has to know which opening it is about."""
    answered = threading.Event()
    server.answer("GET", "/pools", json=NOTHING, held=answered)
    server.default("GET", "/pools", listed(pool("OPEN", None)))
    server.default("GET", "/pools/21", pool("OPEN", None, last_started="2026-01-01T09:00:00"))
    wait = waiting_for_pool("21", close_on_kill=True)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(wait)
        await until(lambda: "GET /pools" in server.calls())
        await asyncio.sleep(5 * INTERVAL)
        assert server.calls() == ["GET /pools"]
        answered.set()
        await until(lambda: wait.tracker.opening.started is not None)
        stop(triggerer)

    in_a_triggerer(act)
    assert "GET /pools/21" in server.calls()


def test_lists_have_not_failed_while_the_connection_is_being_read(
    server: ScriptedServer, connection: str, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By id nothing could be requested either, so all would be, at once, as soon as the connection is known."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.support.Secrets")
    monkeypatch.setattr(Secrets, "delays", [LIST_TIMEOUT + 5])
    server.default("GET", "/operations", listed(operation("RUNNING")))
    wait = waiting_for("op-1", poll_interval=5.0, deadline=virtual.now + 86400)

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(wait)
        await asyncio.sleep(60)
        stop(triggerer)

    in_a_triggerer(act, virtual.run)
    assert set(server.calls()) == {"GET /operations"}
    assert not Secrets.delays


def test_a_watcher_whose_first_look_failed_tells_the_next_closing(server: ScriptedServer, connection: str) -> None:
    class Store:
        """A store that is out of reach for a moment."""

        asked = 0

        async def aget(self, key: str) -> None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("The API server is down")

        async def aset(self, key: str, value: Any) -> None:
            pass

    server.default("GET", "/pools", listed(pool("OPEN", None)))
    watcher = PoolClosedTrigger(pool_id="21", poll_interval=INTERVAL)
    watcher.asset_state_store = store = Store()  # type: ignore[assignment]

    async def act(triggerer: Triggerer) -> None:
        triggerer.start(watcher)
        await until(lambda: store.asked > 1)
        server.default("GET", "/pools/21", pool(last_stopped="2026-01-01T10:00:00"))
        server.default("GET", "/pools", NOTHING)
        await until(lambda: bool(triggerer.events[0]))
        stop(triggerer)

    assert len(in_a_triggerer(act).events[0]) == 1


def test_no_list_is_trusted_for_long(server: ScriptedServer) -> None:
    waits = [waiting_for("op-1", poll_interval=300.0, deadline=time.time() + 1e6) for _ in range(20)]
    timeouts = [wait._notification_timeout() for wait in waits]
    assert max(timeouts) <= 600
    assert max(timeouts) - min(timeouts) > 10
