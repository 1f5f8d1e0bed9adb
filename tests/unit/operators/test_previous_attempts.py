"""What a previous attempt has opened, and what was closed since, is not opened again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.small_airflow_tasks import StateStore
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
from toloka_airflow.operators.lifecycle import OpenPoolOperator, OpenTrainingOperator

RETRIES = 2
HOUR = timedelta(hours=1)

OPERATORS = {"pool": OpenPoolOperator, "training": OpenTrainingOperator}

pytestmark = pytest.mark.usefixtures("connection")
Attempt = Callable[..., Outcome]


@pytest.fixture
def store() -> StateStore:
    return StateStore({})


@pytest.fixture(params=OPERATORS)
def noun(request: pytest.FixtureRequest) -> str:
    """What is opened."""
    return str(request.param)


@pytest.fixture
def attempt(server: ScriptedServer, noun: str, store: StateStore) -> Attempt:
    """Run an attempt of a task that opens a pool or training."""
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("POST", f"/{noun}s/21/open", operation("SUCCESS"))

    def attempt(number: int, *, max_tries: int = RETRIES, retries: int = RETRIES, **facts: Any) -> Outcome:
        task: Any = OPERATORS[noun](task_id="open", retries=retries, **{f"{noun}_id": "21"})
        instance = TaskInstance(task_id="open", try_number=number, max_tries=max_tries)
        return run_task(task, instance, **{"task_state_store": store, **facts})

    return attempt


def closed(reason: str, started: datetime) -> dict[str, Any]:
    """Return a pool, or training, that is closed, as the API answers it."""
    return {
        **pool("CLOSED", reason),
        "last_started": started.isoformat(),
        "last_stopped": (started + timedelta(seconds=1)).isoformat(),
    }


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("reason", ["COMPLETED", "MANUAL", "EXPIRED", "NOT_ENOUGH_BALANCE"])
def test_it_is_not_opened_again(
    server: ScriptedServer, noun: str, attempt: Attempt, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default("GET", f"/{noun}s/21", closed("MANUAL", now() - HOUR))
    attempt(1)
    server.default("GET", f"/{noun}s/21", closed(reason, now()))
    assert attempt(2).result is None
    assert attempt(3).result is None
    assert len(server.calls("POST")) == 1
    assert f"{noun.capitalize()} 21 is not opened again: since the first attempt" in capsys.readouterr().out


def test_what_no_previous_attempt_has_opened_is_opened(server: ScriptedServer, noun: str, attempt: Attempt) -> None:
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now() - HOUR))
    assert attempt(1).result == attempt(2).result == "op-1"
    assert len(server.calls("POST")) == 2


def test_what_toloka_opens_again_by_itself_is_left_to_it(server: ScriptedServer, noun: str, attempt: Attempt) -> None:
    server.default("GET", f"/{noun}s/21", closed("MANUAL", now() - HOUR))
    attempt(1)
    server.default("GET", f"/{noun}s/21", closed("FOR_UPDATE", now()))
    attempt(2)
    assert len(server.calls("POST")) == 2


def test_a_task_that_was_cleared_opens_it_again(server: ScriptedServer, noun: str, attempt: Attempt) -> None:
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now()))
    attempt(1)
    assert attempt(2, max_tries=1 + RETRIES).result == "op-1"
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now()))
    assert attempt(3, max_tries=1 + RETRIES).result is None
    assert len(server.calls("POST")) == 2


@pytest.mark.parametrize("is_kept", [True, False], ids=["3.3", "older"])
def test_retries_that_were_lowered_meanwhile_are_no_clear(
    server: ScriptedServer, noun: str, attempt: Attempt, is_kept: bool
) -> None:
    """``max_tries`` is what it was when the run began, and ``retries`` what the file of the DAG says now."""
    run = SimpleNamespace(start_date=datetime.now(UTC) - HOUR)
    facts = {"dag_run": run} if is_kept else {"dag_run": run, "task_state_store": None}
    server.default("GET", f"/{noun}s/21", closed("MANUAL", now() - 2 * HOUR))
    attempt(1, **facts)
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now()))
    assert attempt(2, retries=0, **facts).result is None
    assert len(server.calls("POST")) == 1


def test_it_is_not_opened_again_when_the_task_runs_from_the_start_in_the_same_try(
    server: ScriptedServer, noun: str, attempt: Attempt
) -> None:
    server.default("GET", f"/{noun}s/21", closed("MANUAL", now() - HOUR))
    attempt(1)
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now()))
    assert attempt(1).result is None


@pytest.mark.parametrize(("ago", "opens"), [(HOUR, False), (-HOUR, True)], ids=["since", "before"])
def test_before_airflow_3_3_the_start_of_the_run_decides(
    server: ScriptedServer, noun: str, attempt: Attempt, ago: timedelta, opens: bool
) -> None:
    facts = {"task_state_store": None, "dag_run": SimpleNamespace(start_date=datetime.now(UTC) - ago)}
    server.default("GET", f"/{noun}s/21", closed("COMPLETED", now()))
    assert attempt(1, **facts).result == "op-1"
    assert (attempt(2, **facts).result == "op-1") == opens


@pytest.mark.parametrize("start", ["2020-01-01T00:00:00", "2099-01-01T00:00:00"])
@pytest.mark.parametrize("advance", [0, 3_600], ids=["steady clock", "clock set"])
def test_it_is_opened_once_whatever_the_clock_of_toloka_shows(
    monkeypatch: pytest.MonkeyPatch, store: StateStore, start: str, advance: int
) -> None:
    with EmulatorServer(start=start, crowd=CrowdSettings(size=0)) as toloka:
        connect(monkeypatch, toloka.url)
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        pool_id = toloka.add_pool(will_expire="2100-01-01T00:00:00")
        for number in (1, 2):
            task = OpenPoolOperator(task_id="open", pool_id=pool_id, retries=RETRIES, poll_interval=0.1)
            run_task(task, TaskInstance(task_id="open", try_number=number), task_state_store=store)
            if operation := client.close_pool(pool_id):
                client.wait_operation(operation, timeout=30, poll_interval=0.1)
            toloka.clock.advance(advance)
        events = [entry["event"] for entry in toloka.journal.events() if entry.get("pool_id") == pool_id]
        assert [event for event in events if event in ("pool.opened", "pool.closed")] == ["pool.opened", "pool.closed"]
