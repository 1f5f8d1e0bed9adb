"""Many waits with a budget: how few requests measure them, and that none is harmed by another."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import NO_OPERATIONS, TOKEN, ScriptedServer, connect, operation, pool, scripted_server
from tests.virtual_time import VirtualTime
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import read_date
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.triggers import PoolTrigger
from toloka_airflow.triggers.measuring import OPERATION_TIMEOUT
from toloka_airflow.triggers.progress import METRICS

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
INTERVAL = 60.0
ANALYTICS = "/api/staging/analytics-2"
MEASURE = f"POST {ANALYTICS}"
REWARD, ANSWERS, BUDGET = 0.01, 20, 0.15
"""Each pool gets so many answers, which is more than its wait may spend, and is never completed."""


def waiting(pool_id: str, **arguments: Any) -> PoolTrigger:
    common = {"toloka_conn_id": "toloka_default", "poll_interval": INTERVAL, "progress_interval": INTERVAL}
    return PoolTrigger(pool_id=pool_id, **{**common, "deadline": START.timestamp() + 1e6, **arguments})


async def alone(trigger: PoolTrigger) -> dict[str, Any]:
    """Wait as before Airflow 3.3: each trigger by itself."""
    async for event in trigger.run():
        payload: dict[str, Any] = json.loads(json.dumps(event.payload))
        return payload
    raise AssertionError("no event")


class Sharing:
    """Wait as Airflow 3.3 lets triggers wait: those with equal streams share one."""

    def __init__(self) -> None:
        shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.3 has shared streams")
        self._manager = shared_stream.SharedStreamManager()
        self._count = 0

    async def __call__(self, trigger: PoolTrigger) -> dict[str, Any]:
        self._count += 1
        trigger_id, key = self._count, trigger.shared_stream_key()
        stream = self._manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                payload: dict[str, Any] = json.loads(json.dumps(event.payload))
                return payload
        finally:
            await self._manager.unsubscribe(trigger_id, key)
        raise AssertionError("no event")


Wait = Callable[[PoolTrigger], Awaitable[dict[str, Any]]]


@pytest.fixture(params=["alone", "shared"])
def wait(request: pytest.FixtureRequest) -> Wait:
    return alone if request.param == "alone" else Sharing()


def run_with_budgets(
    wait: Wait, count: int, seconds_per_task: tuple[float, float], monkeypatch: pytest.MonkeyPatch, **arguments: Any
) -> tuple[Counter[str], float]:
    """
    Have people answer in one pool after the other, check how each wait ends, and return what was requested.

    That is how often each method and kind of path was requested, and how often a pool was measured.
    """
    crowd = CrowdSettings(size=ANSWERS, seconds_per_task=seconds_per_task, skip_rate=0, expire_rate=0)
    one_each = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}
    with EmulatorServer(seed=1, frozen=True, start="2026-03-02T09:00:00", quotas=False, crowd=crowd) as toloka:
        connect(monkeypatch, toloka.url)
        body = {"reward_per_assignment": REWARD, "mixer_config": one_each}
        pools = [toloka.add_pool(1, overlap=10 * ANSWERS, open=True, **body) for _ in range(count)]
        before, ends = toloka.journal.last, {}
        with VirtualTime(toloka, START) as virtual:

            async def end(pool_id: str) -> None:
                trigger = waiting(pool_id, max_spend=BUDGET, **arguments)
                event = await wait(trigger)
                ends[pool_id] = event["kind"], virtual.now, trigger._progress.facts

            async def all_of_them() -> None:
                await asyncio.gather(*map(end, pools))

            virtual.run(all_of_them())
            requests = toloka.journal.after(before, kind="request")
            limit = INTERVAL + arguments.get("poll_interval", INTERVAL)
            client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
            for pool_id in pools:
                kind, ended_at, facts = ends[pool_id]
                submitted = sorted(raw["submitted"] for raw in raw_answers(client, pool_id) if "submitted" in raw)
                spent_at = read_date(submitted[round(BUDGET / REWARD) - 1])
                assert spent_at is not None
                assert (kind, facts["committed"], facts["answers"]) == ("spent", 0, round(facts["spent"] / REWARD))
                assert BUDGET <= facts["spent"] <= ANSWERS * REWARD
                assert spent_at.timestamp() <= ended_at <= spent_at.timestamp() + limit
            measured = sum(
                len(each.parameters["value"]) / len(METRICS) for page in client.analytics_pages(START) for each in page
            )
    kinds = Counter(f"{entry['method']} {'/'.join(entry['path'].split('/')[3:4])}" for entry in requests)
    return kinds, measured


def raw_answers(client: TolokaClient, pool_id: str) -> Iterator[Any]:
    return (answer.raw for answer in client.list_assignments(pool_id=pool_id))


@pytest.mark.parametrize(
    ("count", "pace", "poll_interval"),
    [
        (50, (6.0, 18.0), 60.0),
        (50, (6.0, 18.0), 10.0),
        pytest.param(300, (1.0, 3.0), 60.0, marks=pytest.mark.long),
    ],
)
def test_a_pool_is_measured_for_little_more_than_one_request(
    monkeypatch: pytest.MonkeyPatch, count: int, pace: tuple[float, float], poll_interval: float
) -> None:
    requests, measured = run_with_budgets(Sharing(), count, pace, monkeypatch, poll_interval=poll_interval)
    assert measured > 5 * count
    assert requests.total() / measured <= 1.2, requests


def test_waits_that_poll_by_id_are_measured_together_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    requests, measured = run_with_budgets(alone, 50, (6.0, 18.0), monkeypatch)
    of_polls = requests.pop("GET pools")
    assert of_polls <= 1.2 * measured
    assert requests.total() / measured <= 1.2, requests


@dataclass
class Measured(ScriptedServer):
    """A Toloka where each pool has spent a dollar, unless something is wrong with it."""

    refuses: dict[str, int] = field(default_factory=dict)
    """Which pools cannot be measured, and with what status that is answered."""
    ends: dict[str, str] = field(default_factory=dict)
    """The status of an operation that measures such a pool."""
    leaves_out: set[str] = field(default_factory=set)
    unfinished: bool = False
    names_pools: bool = True
    lists: Any = None
    """What a list of operations is answered with: names of ids, or a status; all by default."""
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def next_answer(self, method: str, path: str) -> dict[str, Any]:
        """Answer what is about measurements."""
        last = self.seen[-1]
        if (method, path) == ("POST", ANALYTICS):
            pools = {request["subject_id"] for request in last.body}
            for status in (self.refuses[each] for each in sorted(pools) if each in self.refuses):
                self.error(method, path, status, "REFUSED")
                return super().next_answer(method, path)
            made = f"m-{len(self.operations)}"
            status = next((self.ends[each] for each in sorted(pools) if each in self.ends), "SUCCESS")
            self.operations[made] = {
                **operation(status, "ANALYTICS", made, submitted="2026-03-02T09:00:00.000"),
                "details": {
                    "value": [self._result(each) for each in last.body if each["subject_id"] not in self.leaves_out]
                },
            }
            return self._say({**self.operations[made], "status": "PENDING", "details": {}})
        if path == "/api/v1/operations" and "type=ANALYTICS" in last.query:
            if isinstance(self.lists, int):
                self.error(method, path, self.lists, "REFUSED")
                return super().next_answer(method, path)
            items = [self._now(each) for each in self.operations if self.lists is None or each in self.lists]
            return self._say({"items": items, "has_more": False})
        made = path.rpartition("/")[2]
        return self._say(self._now(made)) if made in self.operations else super().next_answer(method, path)

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        value = {"spent_budget": 1, "submitted_assignments_count": 100, "approved_assignments_count": 100}
        echo = request if self.names_pools else {"name": request["name"]}
        return {"request": echo, "result": value.get(request["name"], 0)}

    def _now(self, made: str) -> dict[str, Any]:
        raw = self.operations[made]
        return {**raw, "status": "RUNNING", "details": {}} if self.unfinished else raw

    @staticmethod
    def _say(json: Any) -> dict[str, Any]:
        return {"status": 200, "json": json, "body": None, "headers": {}, "drop": False, "held": None}

    def packs(self) -> list[list[str]]:
        """Return the pools of each request to measure some."""
        bodies = [seen.body for seen in self.seen if (seen.method, seen.path) == ("POST", ANALYTICS)]
        return [list(dict.fromkeys(each["subject_id"] for each in body)) for body in bodies]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    script = Measured()
    with scripted_server(script):
        connect(monkeypatch, script.url)
        script.default("GET", "/operations", NO_OPERATIONS)
        script.default("GET", "/pools", NO_OPERATIONS)
        for pool_id in ("21", "22", "23", "24"):
            script.default("GET", f"/pools/{pool_id}", pool("OPEN", None, id=pool_id))
        yield script


def ends_of(virtual: VirtualTime, *triggers: PoolTrigger, wait: Wait = alone, seconds: float = 600.0) -> list[Any]:
    """Run waits for some time, and return kind and second of the end of each that ended."""
    began = virtual.now

    async def end(trigger: PoolTrigger) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return (await wait(trigger))["kind"], round(virtual.now - began)
        except TimeoutError:
            return None

    async def run() -> list[Any]:
        return list(await asyncio.gather(*map(end, triggers)))

    ended: list[Any] = virtual.run(run())
    return ended


def of_pools(*pool_ids: str, **arguments: Any) -> list[PoolTrigger]:
    return [waiting(pool_id, **{"max_spend": 1.0, **arguments}) for pool_id in pool_ids]


def test_two_pools_are_a_request(measured: Measured, virtual: VirtualTime) -> None:
    ends = ends_of(virtual, *of_pools("21", "22", "23", "21"))
    assert {kind for kind, _ in ends} == {"spent"}
    assert sorted(map(sorted, measured.packs())) == [["21", "22"], ["23"]]
    assert [len(seen.body) for seen in measured.seen if seen.method == "POST"] == [10, 5]
    assert measured.calls("GET").count("GET /operations") == 1


@pytest.mark.parametrize("trouble", [400, 403, 404, 409, "FAIL", "TELEPORTED", "nothing"])
def test_a_pool_that_cannot_be_measured_spoils_no_other(
    measured: Measured, virtual: VirtualTime, trouble: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    match trouble:
        case int():
            measured.refuses["22"] = trouble
        case "nothing":
            measured.leaves_out.add("22")
        case status:
            measured.ends["22"] = status
    good, bad = ends_of(virtual, *of_pools("21", "22"), seconds=170.0)
    assert (good[0], bad) == ("spent", None)
    assert good[1] < 10
    packs = measured.packs()
    assert packs[0] == ["21", "22"]
    assert packs[1:].count(["21"]) == (0 if trouble == "nothing" else 1)
    assert all(pack == ["22"] for pack in packs[1:] if pack != ["21"])
    expected = "Progress of pool 22: ? %" if trouble == "nothing" else "The progress of pool 22 is not known: "
    assert expected in capsys.readouterr().out


def test_a_pool_that_breaks_the_server_spoils_no_other_for_long(measured: Measured, virtual: VirtualTime) -> None:
    measured.refuses["22"] = 500
    good, bad = ends_of(virtual, *of_pools("21", "22"), seconds=300.0)
    assert (good[0], bad) == ("spent", None)
    assert good[1] <= 2 * INTERVAL
    assert all(len(pack) == 1 for pack in measured.packs()[1:])


def test_a_token_that_is_refused_is_not_tried_for_each_pool(measured: Measured, virtual: VirtualTime) -> None:
    measured.refuses.update({"21": 401})
    assert ends_of(virtual, *of_pools("21", "22"), seconds=30.0) == [None, None]
    assert measured.packs() == [["21", "22"]]


def test_results_that_name_no_pool_are_believed_of_one_only(measured: Measured, virtual: VirtualTime) -> None:
    measured.names_pools = False
    ends = ends_of(virtual, *of_pools("21", "22"))
    assert {kind for kind, _ in ends} == {"spent"}
    assert len(measured.packs()) == 3


@pytest.mark.parametrize("lists", [[], ["m-0"], 400, 503])
def test_a_list_only_saves_requests(measured: Measured, virtual: VirtualTime, lists: Any) -> None:
    measured.lists = lists
    [*ends] = ends_of(virtual, *of_pools("21", "22", "23", "24"), seconds=50.0)
    by_id = [call for call in measured.calls("GET") if call.startswith("GET /operations/m-")]
    assert [kind for kind, _ in ends] == ["spent"] * 4
    assert len(by_id) == (1 if lists == ["m-0"] else 2)


def test_an_operation_that_takes_long_is_read_seldom_and_its_result_taken(
    measured: Measured, virtual: VirtualTime
) -> None:
    measured.unfinished = True

    async def run() -> float:
        began = virtual.now
        wait = asyncio.create_task(alone(waiting("21", max_spend=1.0)))
        await asyncio.sleep(4 * INTERVAL)
        assert len(measured.packs()) == 1
        assert 5 < measured.calls("GET").count("GET /operations/m-0") < 30
        measured.unfinished = False
        assert (await wait)["kind"] == "spent"
        return virtual.now - began - 4 * INTERVAL

    assert virtual.run(run()) <= INTERVAL + 30


def test_an_operation_that_is_never_done_is_given_up(
    measured: Measured, virtual: VirtualTime, capsys: pytest.CaptureFixture[str]
) -> None:
    measured.unfinished = True
    assert ends_of(virtual, *of_pools("21"), seconds=OPERATION_TIMEOUT + 5 * INTERVAL) == [None]
    assert measured.packs() == [["21"]] * 2
    assert "operation m-0, which measures it, is not done after 300 s" in capsys.readouterr().out


@pytest.mark.parametrize("left", [0.5, 3.0, 90.0])
def test_a_time_that_is_up_is_kept_while_a_pool_is_measured(
    measured: Measured, virtual: VirtualTime, wait: Wait, left: float
) -> None:
    measured.unfinished = True
    [(kind, after)] = ends_of(virtual, *of_pools("21", until=virtual.now + left), wait=wait)
    assert (kind, after) == ("time_is_up", round(left))


def test_a_wait_that_ends_meanwhile_disturbs_nobody(measured: Measured, virtual: VirtualTime) -> None:
    async def run() -> dict[str, Any]:
        killed, other = (asyncio.create_task(alone(trigger)) for trigger in of_pools("21", "22"))
        while not measured.operations:
            await asyncio.sleep(0.1)
        killed.cancel()
        return await other

    assert virtual.run(run())["kind"] == "spent"
    assert len(measured.packs()) == 1


def test_a_restart_measures_at_once(measured: Measured, virtual: VirtualTime) -> None:
    for _ in range(2):
        [(kind, after)] = ends_of(virtual, *of_pools("21", last_started="2026-03-02T08:00:00"))
        assert (kind, after < 10) == ("spent", True)


def test_the_opening_that_is_to_be_closed_is_not_learnt_from_a_list(measured: Measured, virtual: VirtualTime) -> None:
    """A list may be of the opening before; the next one would then count as that of another run, and stay open."""
    before, present = "2026-03-01T09:00:00", "2026-03-02T08:59:00"
    listed = [pool("OPEN", None, last_started=before)]
    measured.default("GET", "/pools", {"items": listed, "has_more": False})
    measured.default("GET", "/pools/21", pool("OPEN", "MANUAL", last_started=present))

    async def run() -> dict[str, Any]:
        return await Sharing()(waiting("21", max_spend=1.0))

    event = virtual.run(run())
    assert (event["kind"], event["opened_at"]) == ("spent", f"{present}+00:00")
