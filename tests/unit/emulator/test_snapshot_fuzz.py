"""
Snapshots that were changed at random are refused, or make a world that can be looked at.

CI tries a few. For longer: ``python -m tests.unit.emulator.test_snapshot_fuzz 300`` tries them for so many seconds.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from toloka_airflow.emulator.http.app import create_app
from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.simulation.simulation import Simulation

EXAMPLES = 60
# What a reader does that runs code which it was told to run, or gets data which it was not given.
FORBIDDEN = ("import", "exec", "compile", "open", "marshal.", "pickle.", "os.", "subprocess.", "socket.")
NAMES = ("os.getcwd", "os:getcwd", "__class__", "__init__", "World", "Pool", "Random", "expire", "move_pool", "")
POOL = {
    "mixer_config": {
        "real_tasks_count": 1,
        "golden_tasks_count": 1,
        "min_golden_tasks_count": 0,
        "training_tasks_count": 0,
    },
    "dynamic_overlap_config": {
        "type": "BASIC",
        "max_overlap": 5,
        "min_confidence": 0.9,
        "answer_weight_skill_id": "7",
        "fields": [{"name": "label"}],
    },
    "auto_close_after_complete_delay_seconds": 1,
    "filter": {
        "or": [
            {"category": "profile", "key": "languages", "operator": "IN", "value": "EN"},
            {"and": [{"category": "skill", "key": "7", "operator": "GTE", "value": 50}]},
        ]
    },
    "quality_control": {
        "configs": [
            {
                "collector_config": {
                    "type": "ASSIGNMENT_SUBMIT_TIME",
                    "parameters": {"fast_submit_threshold_seconds": 9},
                },
                "rules": [
                    {
                        "conditions": [{"key": "total_submitted_count", "operator": "GTE", "value": 1}],
                        "action": {"type": "SET_SKILL", "parameters": {"skill_id": "7", "skill_value": 50}},
                    }
                ],
            }
        ]
    },
}


class Recorder:
    """Record what Python reports to its audit hooks; a hook stays for as long as the process."""

    def __init__(self) -> None:
        self.events: list[str] | None = None
        sys.addaudithook(self._record)

    def _record(self, event: str, args: tuple[Any, ...]) -> None:
        if self.events is not None and event.startswith(FORBIDDEN):
            self.events.append(event)


@cache
def recorder() -> Recorder:
    return Recorder()


def server() -> EmulatorServer:
    made = EmulatorServer(seed=1, frozen=True, start="2030-01-01")
    # Nothing is sent to an address that a changed snapshot has.
    made.world.courier.stop()
    return made


async def _answers(world: Simulation, *calls: tuple[Any, ...]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(create_app(world), raise_app_exceptions=False)
    headers = {"Authorization": "OAuth x", "Content-Type": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        return [await client.request(*call[:2], json=call[2] if call[2:] else None) for call in calls]


def answers(world: Simulation, *calls: tuple[Any, ...]) -> list[httpx.Response]:
    return asyncio.run(_answers(world, *calls))


@cache
def original() -> str:
    """Return a snapshot with something of each kind in it."""
    busy = server()
    busy.load({"skills": [{"id": "7", "name": "Cats", "skill_ttl_hours": 1}]})
    pool_id = busy.add_pool(3, overlap=2, open=True, **POOL, auto_accept_solutions=False)
    busy.load(
        {
            "crowd": {"size": 4, "expire_rate": 0.2, "skip_rate": 0.2},
            "truth": [{"match": {"text": "Task 1"}, "output_values": {"label": "yes"}}],
            "operations": [{"type": "POOL.CLOSE", "looks": 3}],
            "faults": [{"method": "GET", "path": "/api/v1/pools/{id}", "status": 503, "skip": 9}],
            "projects": [{"trainings": [{"tasks": 2, "open": True}], "pools": [{"tasks": 1}]}],
            "user_skills": [{"skill_id": "7", "user_id": busy.crowd.user_ids[0], "value": 50}],
            "user_restrictions": [
                {"scope": "POOL", "pool_id": pool_id, "user_id": busy.crowd.user_ids[1], "will_expire": "2030-01-02"}
            ],
            "webhooks": [{"webhook_url": "http://127.0.0.1:9", "event_type": "POOL_CLOSED", "pool_id": pool_id}],
        }
    )
    busy.clock.advance(40)
    last = max(busy.world.pools, key=int)
    metric = {"name": "spent_budget", "subject": "POOL", "subject_id": pool_id}
    suites = [{"pool_id": last, "overlap": 2, "tasks": [{"input_values": {"text": "a"}}]}]
    bonus = {"user_id": busy.crowd.user_ids[0], "amount": 0.5, "without_message": True}
    message = {"topic": {"EN": "a"}, "text": {"EN": "b"}, "recipients_select_type": "ALL"}
    with busy.world.up_to_date() as world:
        attachments.add(world, world.pools[pool_id].assignments[0], "cat.png", "image/png", b"cat")
    calls = [
        ("GET", "/api/v1/requester"),
        ("POST", "/api/v1/user-bonuses", bonus),
        ("POST", "/api/v1/user-bonuses?async_mode=true", [bonus]),
        ("POST", "/api/v1/message-threads/compose", message),
        ("POST", f"/api/v1/pools/{pool_id}/close"),
        ("POST", f"/api/v1/pools/{pool_id}/clone"),
        ("POST", "/api/staging/analytics-2", [metric]),
        ("POST", "/api/v1/task-suites?async_mode=true", suites),
    ]
    assert {answer.status_code for answer in answers(busy.world, *calls)} == {200, 201, 202}
    assert busy.world.pools[pool_id].assignments
    return json.dumps(busy.snapshot())


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(NAMES)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)


def place(data: st.DataObject, document: Any) -> tuple[Any, Any]:
    """Choose a container in the document and a key of it."""
    found = document, data.draw(st.sampled_from(sorted(document)), label="key")
    while True:
        container, key = found
        inner = container[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.integers(0, 7), label="stop") == 0:
            return found
        found = inner, data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))


def change(data: st.DataObject, document: Any) -> None:
    container, key = place(data, document)
    match data.draw(st.sampled_from(("value", "other", "remove", "near", "twice")), label="how"):
        case "value":
            container[key] = data.draw(VALUES, label="value")
        case "other":
            source, at = place(data, document)
            container[key] = copy.deepcopy(source[at])
        case "remove":
            del container[key]
        case "twice" if isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        case "twice" if isinstance(container[key], list):
            container[key] *= 2
        case "near" if type(container[key]) in (int, float):
            container[key] += data.draw(st.sampled_from((-1, 1, 10**6, -(10**6), 10**15)))
        case _:
            container[key] = [container[key]]


def check(data: st.DataObject) -> None:
    document = json.loads(original())
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        if document:
            change(data, document)
    restored = server()
    before = restored.snapshot()
    recorder().events = events = []
    try:
        restored.restore(document)
    except ValueError:
        assert restored.snapshot() == before
    finally:
        recorder().events = None
    assert events == []
    _check_use(restored)


def _check_use(restored: EmulatorServer) -> None:
    # A changed clock may run, and what is compared would not be of one moment.
    restored.clock.change(frozen=True)
    world = restored.world
    again = restored.snapshot()
    restored.restore(again)
    assert restored.snapshot() == again
    pools = [f"/assignments?pool_id={pool_id}" for pool_id in world.pools]
    pools += [f"/attachments?pool_id={pool_id}" for pool_id in world.pools]
    pools += [f"/attachments/{attachment_id}/download" for attachment_id in world.attachments]
    people = ["/skills", "/user-skills", "/user-restrictions", "/user-bonuses", "/message-threads"]
    lists = ["/projects", "/pools", "/trainings", "/tasks", "/task-suites", "/operations", "/webhook-subscriptions"]
    paths = [f"/api/v1{path}" for path in [*lists, *people, *pools]]
    calls = [("GET", path) for path in ["/", "/_emulator/journal?path=/x", "/_emulator/crowd", *paths]]
    assert [answer.text for answer in answers(world, *calls) if answer.status_code == 500] == []
    restored.clock.advance(24 * 3600)
    # A world that contradicts itself may come to a point where it cannot go on, and can be put aside.
    assert answers(world, ("GET", "/api/v1/pools"), ("POST", "/_emulator/reset"))[1].status_code in (204, 500)
    restored.reset()
    assert restored.snapshot()["state"]["world"]["pools"] == {}


def tried(**options: Any) -> Callable[[], None]:
    """Return a function that tries changed snapshots."""
    common = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **options)
    return common(given(data=st.data())(check))


def test_changed_snapshots() -> None:
    tried(max_examples=EXAMPLES, derandomize=True)()


def main(seconds: float) -> None:
    """Try as many as fit into the time; every time others."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        seed(time.time_ns())(tried(max_examples=200))()
        count += 200
    print(f"{count} snapshots tried")


if __name__ == "__main__":
    main(float(sys.argv[1]))
