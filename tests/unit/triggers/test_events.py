"""The two wire formats of a wait: the arguments of its trigger, and the event with which it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from tests.support import NO_OPERATIONS, ScriptedServer, operation, pool
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.triggers import OperationTrigger, PoolTrigger
from toloka_airflow.triggers.events import FINISHED, KINDS, KINDS_WITH_SUBJECT, VERSION, WaitEvent


class ByDagAuthor(OperationTrigger):
    """A trigger that somebody has made of ours."""


COMMON = {"toloka_conn_id": "toloka_default", "poll_interval": 5.0, "deadline": 1e9}


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_read_as_it_was_sent(kind: str) -> None:
    subject = operation() if kind in KINDS_WITH_SUBJECT else None
    event = WaitEvent(kind, 1e9, subject, "why")
    assert WaitEvent.read(json.loads(json.dumps(event.payload()))) == event


@pytest.mark.usefixtures("connection")
def test_no_event_ends_its_task_without_running_it(server: ScriptedServer) -> None:
    """Airflow does so for the events of a ``BaseTaskEndEvent``, where nobody closes or reports anything."""
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/pools/21", pool("CLOSED"))
    server.answer("GET", "/operations/op-1", json=operation("FAIL"))

    async def first(trigger: Any) -> Any:
        return await anext(aiter(trigger.run()))

    for trigger in (PoolTrigger(pool_id="21", **COMMON), OperationTrigger(operation_id="op-1", **COMMON)):
        assert type(asyncio.run(first(trigger))) is TriggerEvent
    with pytest.raises(TypeError, match="end_from_trigger"):
        PoolSensor(task_id="wait", pool_id="21", deferrable=True, end_from_trigger=True)


def test_what_a_newer_version_adds_to_an_event_is_ignored() -> None:
    payload = WaitEvent(FINISHED, 1e9, operation()).payload()
    newer = {**payload, "version": VERSION + 1, "cost": 12.5}
    assert WaitEvent.read(newer) == WaitEvent(FINISHED, 1e9, operation(), version=VERSION + 1)


def test_an_event_without_a_version_is_an_older_one() -> None:
    event = WaitEvent.read({"kind": "finished", "deadline": 1e9, "subject": operation(), "message": ""})
    assert (event.version, event.subject) == (0, operation())


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "success",
        {},
        {"kind": "won", "deadline": 1e9},
        {"kind": "finished"},
        {"kind": "finished", "deadline": 1e9},
        {"kind": "time_is_up", "deadline": 1e9, "subject": "21"},
        {"kind": "refused", "token": 1},
        {"status": "success"},
    ],
)
def test_only_own_events_are_read(payload: Any) -> None:
    with pytest.raises(TolokaError, match="resumed with an event"):
        WaitEvent.read(payload)


@pytest.mark.parametrize("argument", ["an_unknown_argument", "name", "decide", "subject_id", "until"])
@pytest.mark.parametrize("trigger", [OperationTrigger, PoolTrigger])
def test_what_a_newer_version_adds_to_a_trigger_is_ignored_with_a_warning(
    caplog: pytest.LogCaptureFixture, trigger: Any, argument: str
) -> None:
    subject = {"operation_id": "op-1"} if trigger is OperationTrigger else {"pool_id": "21"}
    arguments = trigger(**subject, **COMMON, **{argument: 1e9}).serialize()[1]
    is_known = (trigger, argument) == (PoolTrigger, "until")
    assert (argument in arguments) == is_known
    assert (f"does not know the trigger argument {argument}" in caplog.text) != is_known


def test_a_subclass_is_stored_by_its_own_class_path() -> None:
    assert ByDagAuthor(operation_id="op-1", **COMMON).serialize()[0] == f"{__name__}.ByDagAuthor"


def test_an_argument_is_read_under_its_old_name() -> None:
    trigger = PoolTrigger(pool_id="21", **COMMON, through_update=True)
    assert trigger.serialize()[1]["ignore_close_for_update"] is True


@pytest.mark.parametrize(("trigger", "missing"), [(OperationTrigger, "operation_id"), (PoolTrigger, "pool_id")])
def test_a_trigger_without_its_subject_is_an_error(trigger: Any, missing: str) -> None:
    with pytest.raises(TypeError, match=missing):
        trigger(**COMMON)
