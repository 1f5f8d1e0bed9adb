"""
A task that was deferred by an older version resumes on this one, and ends right.

``recorded/deferred_by_d4adfc6.json`` is what deferred tasks of that commit left in Airflow's database: the trigger, the
method to resume with, and the event that its trigger sent. An upgrade may come before the event or after it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.support import NO_OPERATIONS, ONE_ANSWER, ScriptedServer, TaskInstance, fire, operation, pool
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.sensors import OperationSensor, PoolSensor

RECORDS = json.loads((Path(__file__).parent / "recorded" / "deferred_by_d4adfc6.json").read_text())
NAMES = [record["name"] for record in RECORDS]
UNTIL = "2096-01-01T00:00:00+00:00"
CLOSED = pool("CLOSED", "COMPLETED", last_started="2026-11-01T09:00:00.250", last_stopped="2026-11-01T18:00:00.500")
OPEN = pool("OPEN", None, last_started="2026-11-01T09:00:00.250")
IS_OVER: dict[str, dict[str, Any]] = {
    "operation sensor, timed out": {"deadline": time.time() - 1},
    "pool sensor, until": {"until": time.time() - 1},
}
"""What the clock does to stored arguments until the trigger ends."""

pytestmark = pytest.mark.usefixtures("connection")


def make(record: dict[str, Any], path: Path) -> Any:
    """Make the task as the DAG file has it."""
    common: dict[str, Any] = {"task_id": "wait", "deferrable": True}
    makers: dict[str, Callable[[], Any]] = {
        "OperationSensor": lambda: OperationSensor(operation_id="op-1", **common),
        "PoolSensor": lambda: PoolSensor(
            pool_id="21", until=UNTIL, max_spend=5 if "spent" in record["name"] else None, **common
        ),
        "OpenPoolOperator": lambda: OpenPoolOperator(pool_id="21", **common),
        "ClosePoolOperator": lambda: ClosePoolOperator(pool_id="21", **common),
        "AggregateSolutionsOperator": lambda: AggregateSolutionsOperator(
            pool_id="21", fields=["label"], path=str(path), **common
        ),
    }
    return makers[record["task"]]()


def prepare(server: ScriptedServer, name: str) -> None:
    """Let Toloka be in the state in which the wait ends."""
    kinds = {"close pool": "POOL.CLOSE", "aggregate": "SOLUTION.AGGREGATE"}
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/assignments", ONE_ANSWER)
    server.default("GET", "/operations/op-1", operation("SUCCESS", kinds.get(name, "POOL.OPEN")))
    server.default("GET", "/operations/op-9", operation("SUCCESS", "POOL.CLOSE", id="op-9"))
    server.default("GET", "/pools/21", OPEN if "until" in name or "spent" in name else CLOSED)
    if name == "operation sensor, refused":
        server.error("GET", "/operations/op-1", 404, "DOES_NOT_EXIST", times=3)
    if name == "operation sensor, timed out":
        server.default("GET", "/operations/op-1", operation("RUNNING"))
    if name == "pool sensor, spent":
        measured = {"value": [{"request": {"name": "spent_budget"}, "result": 7.5}]}
        server.default("POST", "/api/staging/analytics-2", operation(type="ANALYTICS", details=measured))
        server.default("GET", "/operations/op-1", operation(type="ANALYTICS", details=measured))
        server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", "POOL.CLOSE", id="op-2"))
    if name == "open pool, locked":
        server.answer("POST", "/pools/21/open", 202, operation("SUCCESS", id="op-3"))
    if name == "aggregate":
        server.default("GET", "/aggregated-solutions/op-1", {"items": [], "has_more": False})


def resume(server: ScriptedServer, record: dict[str, Any], event: dict[str, Any], path: Path) -> Any:
    if record["name"] == "pool sensor, spent":
        server.default("GET", "/pools/21", CLOSED)
    context = {"ti": TaskInstance(task_id="wait"), "outlet_events": OutletEventAccessors()}
    return make(record, path).resume_execution(record["next_method"], {"event": event}, context)


def check(server: ScriptedServer, record: dict[str, Any], event: dict[str, Any], path: Path) -> None:
    """Resume the task, and check that it ends as that commit would have ended it."""
    failures = {
        "operation sensor, refused": (AirflowFailException, "DOES_NOT_EXIST"),
        "operation sensor, timed out": (AirflowSensorTimeout, "RUNNING"),
    }
    if record["name"] in failures:
        kind, words = failures[record["name"]]
        with pytest.raises(kind, match=words):
            resume(server, record, event, path)
        return
    result = resume(server, record, event, path)
    if record["task"] == "PoolSensor":
        ends = {"pool sensor, until": "until", "pool sensor, spent": "max_spend"}
        assert result["stopped_by"] == ends.get(record["name"], "closed")
    elif record["task"] == "AggregateSolutionsOperator":
        assert (result["operation_id"], result["solutions"]) == ("op-1", 0)
    else:
        assert result == ("op-3" if record["name"] == "open pool, locked" else "op-1")


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_an_event_of_the_old_version_is_read(server: ScriptedServer, record: dict[str, Any], tmp_path: Path) -> None:
    prepare(server, record["name"])
    check(server, record, record["event"], tmp_path / "labels.jsonl")


@pytest.mark.parametrize("record", RECORDS, ids=NAMES)
def test_a_trigger_of_the_old_version_goes_on(server: ScriptedServer, record: dict[str, Any], tmp_path: Path) -> None:
    prepare(server, record["name"])
    over = IS_OVER.get(record["name"], {})
    stored = {**record["trigger_kwargs"], "poll_interval": 0.01, **over}
    event = asyncio.run(fire(record["trigger"], stored))
    assert event["kind"] == record["event"]["kind"]
    check(server, record, event, tmp_path / "labels.jsonl")


def test_an_unknown_argument_of_a_newer_version_does_not_keep_the_trigger_from_ending(server: ScriptedServer) -> None:
    prepare(server, "pool sensor")
    [record] = [record for record in RECORDS if record["name"] == "pool sensor"]
    event = asyncio.run(fire(record["trigger"], {**record["trigger_kwargs"], "an_unknown_argument": 1}))
    assert event["kind"] == "finished"
