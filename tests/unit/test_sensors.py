"""The sensors end alike in all modes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from tests.support import NO_OPERATIONS, ScriptedServer, operation, pool, run_task
from toloka_airflow.api.models import CloseReason
from toloka_airflow.sensors import OperationSensor, PoolSensor

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferred": {"deferrable": True},
}
every_mode = pytest.mark.parametrize("mode", MODES)
every_leniency = pytest.mark.parametrize("leniency", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
at_every_look = pytest.mark.parametrize("looks", [0, 2], ids=["at-once", "later"])

pytestmark = pytest.mark.usefixtures("connection")


@pytest.fixture(autouse=True)
def pool_page(server: ScriptedServer, request: pytest.FixtureRequest) -> None:
    """Answer the reading of the pool that makes the link of an operation's task; there is no operation under way."""
    server.default("GET", "/operations", NO_OPERATIONS)
    if "pool" not in request.node.name:
        server.default("GET", "/pools/21", pool("OPEN", None))


def wait(mode: str, **arguments: Any) -> Any:
    if "pool_id" in arguments:
        return PoolSensor(task_id="wait", poke_interval=0.01, **MODES[mode], **arguments)
    return OperationSensor(task_id="wait", poke_interval=0.01, **MODES[mode], **{"operation_id": "op-1", **arguments})


@every_mode
@at_every_look
def test_success(server: ScriptedServer, mode: str, looks: int) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    outcome = run_task(wait(mode))
    assert outcome.result == "op-1"
    assert len(outcome.triggers) == int(mode == "deferred" and looks > 0)


@every_mode
@every_leniency
@at_every_look
@pytest.mark.parametrize("status", ["FAIL", "TELEPORTED"])
def test_failure(server: ScriptedServer, mode: str, leniency: dict[str, bool], looks: int, status: str) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.answer("GET", "/operations/op-1", json=operation(status))
    with pytest.raises(AirflowSkipException if leniency else AirflowFailException) as caught:
        run_task(wait(mode, **leniency))
    told = caught.value.__cause__ if leniency else caught.value
    assert f"Operation op-1 (POOL.OPEN) ended as {status}" in str(told)


@every_mode
@every_leniency
def test_timeout(server: ScriptedServer, mode: str, leniency: dict[str, bool]) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=99)
    # Airflow's own loop in the worker lets never_fail pass a time-out, as for every sensor.
    skipped = leniency and (mode == "deferred" or "soft_fail" in leniency)
    with pytest.raises(AirflowSkipException if skipped else AirflowSensorTimeout):
        run_task(wait(mode, timeout=0.05, **leniency))


@every_mode
@every_leniency
@at_every_look
@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal(server: ScriptedServer, mode: str, leniency: dict[str, bool], looks: int, status: int) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.error("GET", "/operations/op-1", status, "NO_AND_NEVER")
    with pytest.raises(AirflowSkipException if leniency else AirflowFailException):
        run_task(wait(mode, **leniency))
    assert server.calls().count("GET /operations/op-1") == looks + 1


@every_mode
def test_blips(server: ScriptedServer, mode: str) -> None:
    server.answer("GET", "/operations/op-1", drop=True)
    server.error("GET", "/operations/op-1", 503, "REMOTE_SERVICE_UNAVAILABLE")
    server.answer("GET", "/operations/op-1", 502, body=b"<html>")
    server.error("GET", "/operations/op-1", 429, "TOO_MANY_REQUESTS", payload={"interval": "DAY"})
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert run_task(wait(mode)).result == "op-1"


@every_mode
@at_every_look
def test_a_failure_shows_the_first_errors_of_its_log(server: ScriptedServer, mode: str, looks: int) -> None:
    kind = {"type": "TASK.BATCH_CREATE", "parameters": {}}
    server.answer("GET", "/operations/op-1", json=operation("RUNNING", **kind), times=looks)
    server.answer("GET", "/operations/op-1", json=operation("FAIL", **kind))
    step = {"type": "TASK_VALIDATE", "success": False, "output": {"image": {"code": "VALUE_REQUIRED"}}}
    server.answer("GET", "/operations/op-1/log", json=[step])
    with pytest.raises(AirflowFailException, match="VALUE_REQUIRED"):
        run_task(wait(mode))


@every_mode
def test_nothing_to_wait_for_is_a_success(server: ScriptedServer, mode: str) -> None:
    assert run_task(wait(mode, operation_id=None)).result is None
    assert server.seen == []


@every_mode
@pytest.mark.parametrize("value", ["None", "", "op/1", "op 1", 1.5, ["op-1"]])
def test_a_template_that_rendered_nothing_sends_nothing(server: ScriptedServer, mode: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"operation_id is {re.escape(repr(value))}"):
        run_task(wait(mode, operation_id=value))
    assert server.seen == []


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"kind": "finished", "subject": {"id": "op-1"}}])
@pytest.mark.parametrize("soft_fail", [False, True])
def test_an_event_of_nobody_is_no_success(event: Any, soft_fail: bool) -> None:
    sensor = wait("deferred", soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException):
        sensor.resume_execution("execute_complete", {"event": event}, {})


@every_mode
def test_the_link_leads_to_the_page_of_the_operation(server: ScriptedServer, mode: str) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    outcome = run_task(wait(mode))
    assert outcome.xcoms["toloka_link"] == f"{server.url}/requester/project/10/pool/21"
    if mode != "reschedule":  # every reschedule is a process of its own
        assert server.calls().count("GET /pools/21") == 1


@every_mode
@at_every_look
def test_pool_is_done_when_closed_for_an_expected_reason(server: ScriptedServer, mode: str, looks: int) -> None:
    for status in ("OPEN", "LOCKED")[:looks]:
        server.answer("GET", "/pools/21", json=pool(status, None))
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    outcome = run_task(wait(mode, pool_id="21"))
    assert outcome.result == {"pool_id": "21", "status": "CLOSED", "close_reason": "COMPLETED"}
    assert outcome.xcoms["toloka_link"] == f"{server.url}/requester/project/10/pool/21"


@every_mode
def test_pool_that_is_being_opened_is_not_done_by_an_earlier_round(server: ScriptedServer, mode: str) -> None:
    opening = {"items": [operation("PENDING", type="POOL.OPEN")], "has_more": False}
    server.answer("GET", "/pools/21", json=pool("CLOSED", "COMPLETED"))
    server.answer("GET", "/operations", json=opening)
    server.answer("GET", "/pools/21", json=pool("OPEN", "COMPLETED"))
    server.default("GET", "/pools/21", pool("CLOSED", "EXPIRED"))
    with pytest.raises(AirflowFailException, match="EXPIRED"):
        run_task(wait(mode, pool_id="21"))


@every_mode
def test_pool_that_was_opened_between_two_looks_is_not_done(server: ScriptedServer, mode: str) -> None:
    server.answer("GET", "/pools/21", json=pool("CLOSED", "COMPLETED"))
    server.answer("GET", "/pools/21", json=pool("OPEN", "COMPLETED"))
    server.default("GET", "/pools/21", pool("CLOSED", "EXPIRED"))
    with pytest.raises(AirflowFailException, match="EXPIRED"):
        run_task(wait(mode, pool_id="21"))


@every_mode
@pytest.mark.parametrize("reason", [None, *CloseReason, "SOLAR_FLARE"])
@pytest.mark.parametrize("expected", [["COMPLETED"], ["COMPLETED", "EXPIRED"]], ids=len)
def test_pool_closed_for_any_other_reason_is_no_success(
    server: ScriptedServer, mode: str, reason: str | None, expected: list[str]
) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", reason))
    server.default("GET", "/pools/21", pool("CLOSED", reason))
    sensor = wait(mode, pool_id="21", expected_reasons=expected)
    if reason in expected:
        assert run_task(sensor).result["close_reason"] == reason
        return
    with pytest.raises(AirflowFailException, match="never open" if reason is None else str(reason)):
        run_task(sensor)


@every_mode
@pytest.mark.parametrize("status", ["ARCHIVED", "FROZEN"])
def test_pool_that_will_not_be_completed_is_no_success(server: ScriptedServer, mode: str, status: str) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN"))
    server.answer("GET", "/pools/21", json=pool(status))
    with pytest.raises(AirflowFailException, match=status):
        run_task(wait(mode, pool_id="21"))


@pytest.mark.parametrize("status", ["OPEN", "LOCKED"])
@every_mode
def test_pool_that_is_busy_is_waited_for_until_the_timeout(server: ScriptedServer, mode: str, status: str) -> None:
    server.answer("GET", "/pools/21", json=pool(status), times=99)
    with pytest.raises(AirflowSensorTimeout):
        run_task(wait(mode, pool_id="21", timeout=0.05))


@pytest.mark.parametrize("reasons", [[], ["DONE"], ["COMPLETED", ""], "FINISHED"])
def test_pool_reasons_that_do_not_exist_are_refused_when_the_dag_is_read(reasons: Any) -> None:
    with pytest.raises(ValueError, match=r"expected_reasons is .*COMPLETED"):
        wait("poke", pool_id="21", expected_reasons=reasons)
