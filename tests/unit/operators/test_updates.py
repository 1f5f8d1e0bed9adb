"""Pools are changed once, whatever happens in between, and are as open afterwards as they were before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from demo.airflow_api import wait_until
from tests.support import (
    NO_OPERATIONS,
    TOKEN,
    Outcome,
    ScriptedServer,
    TaskInstance,
    connect,
    operation,
    pool,
    run_task,
)
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.updates import UpdatePoolOperator
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.triggers.events import FINISHED, WaitEvent

HOUR = 3600
CHANGES = {"reward_per_assignment": 0.05, "metadata": {"wave": ["2"]}}


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, speed=60, crowd=CrowdSettings(size=0)) as server:
        connect(monkeypatch, server.url)
        yield server


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


def update(pool_id: str, changes: Any = CHANGES, **arguments: Any) -> Outcome:
    arguments = {"pool_id": pool_id, "changes": changes, "poll_interval": 0.01, **arguments}
    return run_task(UpdatePoolOperator(task_id="update", **arguments))


def calls(toloka: EmulatorServer) -> list[str]:
    """Return the calls that change something, in their order."""
    sent = [entry for entry in toloka.journal.requests() if entry["method"] in ("PUT", "POST")]
    return [entry["method"] if entry["method"] == "PUT" else entry["path"].rpartition("/")[2] for entry in sent]


def test_an_open_pool_is_closed_for_it(toloka: EmulatorServer, client: TolokaClient) -> None:
    pool_id = toloka.add_pool(open=True, metadata={"team": ["a"]})
    assert update(pool_id).result
    assert calls(toloka) == ["close-for-update", "PUT", "open"]
    pool = client.get_pool(pool_id)
    assert (pool.status, pool.raw["reward_per_assignment"]) == ("OPEN", 0.05)
    assert pool.raw["metadata"] == {"team": ["a"], "wave": ["2"]}


def test_a_closed_pool_stays_closed(toloka: EmulatorServer, client: TolokaClient) -> None:
    pool_id = toloka.add_pool()
    assert update(pool_id).result is None
    assert calls(toloka) == ["PUT"]
    assert client.get_pool(pool_id).status == "CLOSED"


@pytest.mark.parametrize("open", [True, False])
def test_nothing_to_change_is_a_success(toloka: EmulatorServer, open: bool) -> None:
    pool_id = toloka.add_pool(open=open, will_expire="2030-01-01T00:00:00", **CHANGES)
    assert update(pool_id, {**CHANGES, "will_expire": "2030-01-01T01:00:00+01:00", "priority": 0}).result is None
    assert calls(toloka) == []


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "{id}"), ("POST", "{id}/close-for-update"), ("POST", "{id}/open")]
)
@pytest.mark.parametrize("fault", [{"lost_answer": True}, {"status": 503}], ids=["lost", "refused"])
def test_any_answer_may_be_lost(
    toloka: EmulatorServer, client: TolokaClient, method: str, path: str, fault: dict[str, Any]
) -> None:
    pool_id = toloka.add_pool(open=True)
    toloka.faults.add(method, f"/api/v1/pools/{path}", **fault)
    update(pool_id)
    assert client.get_pool(pool_id).status == "OPEN"
    assert client.get_pool(pool_id).raw["reward_per_assignment"] == 0.05


@pytest.mark.parametrize(("method", "path"), [("PUT", "{id}"), ("POST", "{id}/open")])
def test_the_next_attempt_goes_on(toloka: EmulatorServer, client: TolokaClient, method: str, path: str) -> None:
    pool_id = toloka.add_pool(open=True)
    toloka.faults.add(
        method, f"/api/v1/pools/{path}", status=429, code="TOO_MANY_REQUESTS", payload={"interval": "DAY"}
    )
    with pytest.raises(AirflowException):
        update(pool_id)
    update(pool_id)
    assert client.get_pool(pool_id).status == "OPEN"
    assert client.get_pool(pool_id).raw["reward_per_assignment"] == 0.05


def test_a_file(toloka: EmulatorServer, client: TolokaClient, tmp_path: Path) -> None:
    (tmp_path / "changes.yaml").write_text("priority: 7")
    pool_id = toloka.add_pool()
    update(pool_id, f"file://{tmp_path}/changes.yaml")
    assert client.get_pool(pool_id).raw["priority"] == 7


def test_what_toloka_sets_is_refused(toloka: EmulatorServer) -> None:
    with pytest.raises(ValueError, match="changes has id, status, which cannot be changed"):
        update(toloka.add_pool(), {"status": "OPEN", "id": "1"})


def test_a_refused_change_names_the_field(toloka: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match="reward_per_assignment"):
        update(toloka.add_pool(), {"reward_per_assignment": -1}, check_config=False)


def test_every_wait_is_deferred(toloka: EmulatorServer, client: TolokaClient) -> None:
    """That for the pool to be closed for update, and that for it to be open again."""
    toloka.progressions.set(Progression(looks=2))
    pool_id = toloka.add_pool(open=True)
    task = UpdatePoolOperator(
        task_id="update", pool_id=pool_id, changes=CHANGES, poll_interval=0.01, deferrable=True, timeout=60
    )
    outcome = run_task(task)
    closed, opened = (client.get_operation(arguments["operation_id"]) for _, arguments in outcome.triggers)
    assert (closed.type, opened.type) == ("POOL.CLOSE", "POOL.OPEN")
    assert outcome.result == outcome.xcoms["operation_id"] == opened.id
    assert len({arguments["deadline"] for _, arguments in outcome.triggers}) == 1
    assert calls(toloka) == ["close-for-update", "PUT", "open"]
    assert client.get_pool(pool_id).raw["reward_per_assignment"] == 0.05


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_close_for_update_that_fails_is_no_success(server: ScriptedServer, connection: str, deferrable: bool) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, reward_per_assignment=0.01))
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", "/pools/21/close-for-update", 202, operation("RUNNING", "POOL.CLOSE"))
    server.answer("GET", "/operations/op-1", json=operation("FAIL", "POOL.CLOSE"))
    task = UpdatePoolOperator(
        task_id="update", pool_id="21", changes=CHANGES, poll_interval=0.01, deferrable=deferrable
    )
    with pytest.raises(AirflowException, match=r"op-1 .* ended as FAIL") as caught:
        run_task(task)
    assert not isinstance(caught.value, AirflowFailException)
    assert [call for call in server.calls() if not call.startswith("GET")] == ["POST /pools/21/close-for-update"]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_pool_that_is_opened_again_and_again_is_given_up_in_time(
    server: ScriptedServer, connection: str, deferrable: bool
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None, reward_per_assignment=0.01))
    server.default("GET", "/operations", NO_OPERATIONS)
    server.answer("POST", "/pools/21/close-for-update", 202, operation("SUCCESS", "POOL.CLOSE"), times=10_000)
    task = UpdatePoolOperator(
        task_id="update", pool_id="21", changes=CHANGES, poll_interval=0.01, deferrable=deferrable, timeout=0.3
    )
    with pytest.raises(AirflowException, match="no time left to close it for its update") as caught:
        run_task(task)
    assert not isinstance(caught.value, AirflowFailException)
    assert "PUT /pools/21" not in server.calls()


def test_a_late_attempt_does_not_close_the_pool_again(server: ScriptedServer, connection: str) -> None:
    """Toloka has opened the pool again while no worker was there to change it."""
    server.default("GET", "/pools/21", pool("OPEN", "FOR_UPDATE", reward_per_assignment=0.01))
    task = UpdatePoolOperator(task_id="update", pool_id="21", changes=CHANGES, deferrable=True)
    event = WaitEvent(FINISHED, time.time() - 1, operation("SUCCESS", "POOL.CLOSE")).payload()
    with pytest.raises(AirflowException, match="no time left"):
        task.resume_execution("first_step_finished", {"event": event}, {"ti": TaskInstance()})
    assert server.calls("POST") == []


def test_a_late_attempt_finishes_what_is_closed_for_update(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/pools/21", pool("CLOSED", "FOR_UPDATE", reward_per_assignment=0.01))
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("PUT", "/pools/21", pool("CLOSED", "FOR_UPDATE"))
    server.answer("POST", "/pools/21/open", 202, operation("SUCCESS", id="op-2"))
    task = UpdatePoolOperator(task_id="update", pool_id="21", changes=CHANGES, deferrable=True)
    event = WaitEvent(FINISHED, time.time() - 1, operation("SUCCESS", "POOL.CLOSE")).payload()
    assert task.resume_execution("first_step_finished", {"event": event}, {"ti": TaskInstance()}) == "op-2"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_can_go_on_meanwhile(toloka: EmulatorServer, client: TolokaClient, deferrable: bool) -> None:
    pool_id = toloka.add_pool(open=True)
    client.close_pool_for_update(pool_id)
    wait_until(lambda: client.get_pool(pool_id).last_close_reason == "FOR_UPDATE", "it is closed for update", 5)
    sensor = {"pool_id": pool_id, "poke_interval": 0.05, "deferrable": deferrable, "timeout": 30}
    with pytest.raises(AirflowFailException, match="closed for FOR_UPDATE"):
        run_task(PoolSensor(task_id="wait", **sensor))
    toloka.clock.advance(14 * 60)
    crowd = Timer(1, lambda: (toloka.clock.advance(60), toloka.world.crowd.change(size=5), toloka.clock.advance(HOUR)))
    crowd.start()
    assert (
        run_task(PoolSensor(task_id="wait", ignore_close_for_update=True, **sensor)).result["close_reason"]
        == "COMPLETED"
    )
    crowd.join()
