"""The sensors end alike in all modes."""

from __future__ import annotations

import inspect
import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from tests.support import (
    ABSURD,
    NO_ANSWERS,
    NO_OPERATIONS,
    ONE_ANSWER,
    ScriptedServer,
    TaskInstance,
    connect,
    from_templates,
    operation,
    pool,
    run_task,
)
from tests.virtual_time import VirtualTime
from toloka_airflow.api.models import CloseReason
from toloka_airflow.operators.aggregation import AggregateSolutionsOperator
from toloka_airflow.operators.lifecycle import OpenPoolOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import OperationSensor, PoolSensor
from toloka_airflow.triggers import PoolClosedTrigger, PoolTrigger
from toloka_airflow.triggers.events import FINISHED, WaitEvent
from toloka_airflow.windows import pool_window

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
    server.default("GET", "/assignments", ONE_ANSWER)
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
@at_every_look
def test_an_answer_that_drips_does_not_hold_up_the_wait(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, mode: str, looks: int
) -> None:
    """A byte comes every 0.3 s, so no pause is longer than the time-out of the connection, but the answer is."""
    connect(monkeypatch, server.url, timeout=0.4)
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.answer("GET", "/operations/op-1", json=operation("FAIL"), drip=0.3)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert run_task(wait(mode)).result == "op-1"


@every_mode
@pytest.mark.parametrize("absurd", ABSURD)
def test_absurd_answers_are_survived(server: ScriptedServer, virtual: VirtualTime, mode: str, absurd: str) -> None:
    server.answer("GET", "/operations/op-1", **ABSURD[absurd])
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    server.answer("GET", "/operations/op-1", **ABSURD[absurd])
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert run_task(wait(mode, timeout=3600), triggerer=virtual.run).result == "op-1"


@every_mode
def test_a_proxy_that_cannot_be_parsed_is_survived(
    monkeypatch: pytest.MonkeyPatch, virtual: VirtualTime, mode: str
) -> None:
    connect(monkeypatch, "https://toloka.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://a..b:80")
    with pytest.raises(AirflowSensorTimeout):
        run_task(wait(mode, timeout=0.05), triggerer=virtual.run)


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
def test_timeout(server: ScriptedServer, virtual: VirtualTime, mode: str, leniency: dict[str, bool]) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=99)
    began = virtual.now
    # Airflow's own loop in the worker lets never_fail pass a time-out, as for every sensor.
    skipped = leniency and (mode == "deferred" or "soft_fail" in leniency)
    with pytest.raises(AirflowSkipException if skipped else AirflowSensorTimeout):
        run_task(wait(mode, timeout=0.05, **leniency), triggerer=virtual.run)
    assert virtual.now - began == pytest.approx(0.05, abs=0.02)


@every_mode
@every_leniency
@at_every_look
@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal(server: ScriptedServer, mode: str, leniency: dict[str, bool], looks: int, status: int) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.error("GET", "/operations/op-1", status, "NO_AND_NEVER", times=3)
    with pytest.raises(AirflowSkipException if leniency else AirflowFailException):
        run_task(wait(mode, **leniency))
    assert server.calls().count("GET /operations/op-1") == looks + 3


@every_mode
@at_every_look
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_answer_is_not_believed_at_once(server: ScriptedServer, mode: str, looks: int, status: int) -> None:
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=looks)
    server.error("GET", "/operations/op-1", status, "NOT_MEANT", times=2)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert run_task(wait(mode)).result == "op-1"


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


@pytest.mark.parametrize("arguments", [{"pool_id": "21"}, {"operation_id": "op-1"}], ids=["pool", "operation"])
def test_the_end_of_another_wait_is_none(server: ScriptedServer, arguments: dict[str, str]) -> None:
    """Airflow may deliver it: SQLite uses the id of a trigger again."""
    server.default("GET", "/pools/21", pool("OPEN", None))
    server.default("GET", "/operations/op-1", operation("RUNNING"))
    context: Any = {"ti": TaskInstance()}
    with pytest.raises(TaskDeferred) as first:
        wait("deferred", **arguments).execute(context)
    subject = pool("CLOSED", "COMPLETED", id="22") if "pool_id" in arguments else operation("SUCCESS", id="op-2")
    for event in (
        WaitEvent("finished", time.time(), subject=subject),
        WaitEvent("timed_out", time.time(), message="pool 22 was not done in time", subject_id="22"),
    ):
        with pytest.raises(TaskDeferred) as again:
            wait("deferred", **arguments).resume_execution(
                "execute_complete", {**(first.value.kwargs or {}), "event": event.payload()}, context
            )
        assert again.value.trigger.serialize()[1].keys() == first.value.trigger.serialize()[1].keys()


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
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED", last_stopped="2026-01-31T18:00:00.500"))
    outcome = run_task(wait(mode, pool_id="21"))
    assert outcome.result == {
        "pool_id": "21",
        "status": "CLOSED",
        "close_reason": "COMPLETED",
        "closed_at": "2026-01-31T18:00:00.500000+00:00",
        "stopped_by": "closed",
        "has_answers": True,
    }
    assert "GET /assignments" not in server.calls()
    assert outcome.xcoms["toloka_link"] == f"{server.url}/requester/project/10/pool/21"


@pytest.mark.parametrize("kind", ["finished", "time_is_up"])
@pytest.mark.parametrize("extra", [None, {"timeout": "soon"}])
def test_a_wait_that_has_ended_needs_no_connection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, extra: dict[str, Any] | None
) -> None:
    """Only who answered, and how far the pool is, is then not known."""
    monkeypatch.delenv("AIRFLOW_CONN_TOLOKA_DEFAULT")
    if extra is not None:
        connect(monkeypatch, "http://127.0.0.1:9", **extra)
    sensor = wait("deferred", pool_id="21", expected_reasons="MANUAL", progress_interval=60)
    event = {"kind": kind, "deadline": 9e9, "subject": pool("CLOSED", "MANUAL"), "version": 1}
    context: Any = {"ti": TaskInstance(), "outlet_events": {}}
    result = sensor.resume_execution("execute_complete", {"event": event}, context)
    assert (result["close_reason"], result["has_answers"], result["progress"]) == ("MANUAL", None, None)
    assert "Whether anybody answered, and how far the pool is, is not known" in capsys.readouterr().out


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
def test_pool_that_is_busy_is_waited_for_until_the_timeout(
    server: ScriptedServer, virtual: VirtualTime, mode: str, status: str
) -> None:
    server.answer("GET", "/pools/21", json=pool(status), times=99)
    began = virtual.now
    with pytest.raises(AirflowSensorTimeout):
        run_task(wait(mode, pool_id="21", timeout=0.05), triggerer=virtual.run)
    assert virtual.now - began == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("reasons", [[], ["DONE"], ["COMPLETED", ""], "FINISHED"])
def test_pool_reasons_that_do_not_exist_are_refused_when_the_dag_is_read(reasons: Any) -> None:
    with pytest.raises(ValueError, match=r"expected_reasons is .*COMPLETED"):
        wait("poke", pool_id="21", expected_reasons=reasons)


@pytest.mark.parametrize("operation_id", [None, "None", ""])
def test_a_wait_that_ended_needs_no_template_any_more(server: ScriptedServer, operation_id: str | None) -> None:
    """The task before was cleared meanwhile, and its XCom is gone."""
    event = WaitEvent(FINISHED, 9e9, operation("SUCCESS")).payload()
    sensor = wait("deferred", operation_id=operation_id)
    assert sensor.resume_execution("execute_complete", {"event": event}, {}) == "op-1"
    assert server.seen == []


def test_a_pool_that_closed_needs_no_template_any_more(server: ScriptedServer) -> None:
    event = WaitEvent(FINISHED, 9e9, pool("CLOSED", "COMPLETED")).payload()
    sensor = from_templates(partial(wait, "deferred", pool_id="None"), until="soon")
    context = {"ti": TaskInstance(), "outlet_events": {}}
    assert sensor.resume_execution("execute_complete", {"event": event}, context)["close_reason"] == "COMPLETED"


LONG_AGO = datetime(2020, 1, 31, 18, tzinfo=UTC)
ANALYTICS = "POST /api/staging/analytics-2"


def soon(seconds: float = 0.3) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@every_mode
@pytest.mark.parametrize("status", ["OPEN", "LOCKED"])
def test_pool_is_waited_for_until_a_time(server: ScriptedServer, virtual: VirtualTime, mode: str, status: str) -> None:
    """What the pool tells of a closing is of an earlier round."""
    server.default("GET", "/pools/21", pool(status, "EXPIRED", last_stopped="2020-01-31T18:00:00"))
    began = virtual.now
    outcome = run_task(wait(mode, pool_id="21", until=soon()), triggerer=virtual.run)
    assert virtual.now - began == pytest.approx(0.3, abs=0.02)
    assert outcome.result == {
        "pool_id": "21",
        "status": status,
        "close_reason": None,
        "closed_at": None,
        "stopped_by": "until",
        "has_answers": True,
    }


@every_mode
def test_pool_is_looked_at_once_when_the_time_is_over(server: ScriptedServer, mode: str) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    outcome = run_task(wait(mode, pool_id="21", until=LONG_AGO))
    assert (outcome.result["stopped_by"], outcome.triggers) == ("until", [])
    assert server.calls() == ["GET /pools/21", "GET /assignments"]


@every_mode
def test_pool_that_closed_is_noticed_when_the_time_is_up_however_long_the_pauses(
    server: ScriptedServer, virtual: VirtualTime, mode: str
) -> None:
    # The triggerer polls at once, too.
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=2 if mode == "deferred" else 1)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    sensor = PoolSensor(task_id="wait", poke_interval=60, pool_id="21", until=soon(), **MODES[mode])
    began = virtual.now
    assert run_task(sensor, triggerer=virtual.run).result["stopped_by"] == "closed"
    assert virtual.now - began == pytest.approx(0.3, abs=0.02)


@every_mode
def test_pool_that_cannot_be_seen_when_the_time_is_up_is_no_success_yet(server: ScriptedServer, mode: str) -> None:
    server.error("GET", "/pools/21", 503, "DOWN", times=3)
    server.default("GET", "/pools/21", pool("OPEN", None))
    assert run_task(wait(mode, pool_id="21", until=LONG_AGO)).result["stopped_by"] == "until"
    assert server.calls().count("GET /pools/21") == 4


def test_pool_is_looked_at_in_the_worker_if_no_triggerer_was_there_when_the_time_was_up(server: ScriptedServer) -> None:
    task = wait("deferred", pool_id="21", until=soon(-1))
    server.answer("GET", "/pools/21", json=pool("OPEN", None))
    result = task.resume_execution(
        "__fail__", {"error": "Trigger timeout"}, {"ti": TaskInstance(), "outlet_events": {}}
    )
    assert result["stopped_by"] == "until"


@pytest.mark.parametrize(("until", "net"), [(60, 60), (-60, 600), (6000, 600), (None, 600)])
def test_pool_has_a_safety_net_behind_the_earliest_end(
    server: ScriptedServer, virtual: VirtualTime, until: int | None, net: int
) -> None:
    task = wait("deferred", pool_id="21", until=until and soon(until), timeout=600)
    server.answer("GET", "/pools/21", status=503, times=1)
    with pytest.raises(TaskDeferred) as deferral:
        task.execute({"ti": TaskInstance(), "outlet_events": {}})
    assert deferral.value.timeout is not None
    assert deferral.value.timeout.total_seconds() == pytest.approx(net + 60, abs=0.01)


def test_pool_that_no_triggerer_watched_has_timed_out_if_it_is_not_time_yet() -> None:
    task = wait("deferred", pool_id="21", until=soon(60))
    with pytest.raises(AirflowSensorTimeout):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


@every_mode
def test_pool_is_not_waited_for_longer_than_the_timeout_allows(
    server: ScriptedServer, virtual: VirtualTime, mode: str
) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    began = virtual.now
    with pytest.raises(AirflowSensorTimeout):
        run_task(wait(mode, pool_id="21", until=soon(3600), timeout=0.05), triggerer=virtual.run)
    assert virtual.now - began == pytest.approx(0.05, abs=0.02)


@every_mode
@pytest.mark.parametrize("reason", ["EXPIRED", None])
def test_pool_closed_for_another_reason_is_no_success_when_the_time_is_up(
    server: ScriptedServer, mode: str, reason: str | None
) -> None:
    server.default("GET", "/pools/21", pool("CLOSED", reason))
    with pytest.raises(AirflowFailException, match=reason or "never open"):
        run_task(wait(mode, pool_id="21", until=LONG_AGO))


@every_mode
@pytest.mark.parametrize("until", [None, "", "None"])
def test_pool_has_no_limit_of_time_if_the_template_renders_nothing(
    server: ScriptedServer, mode: str, until: str | None
) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=2)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    assert run_task(wait(mode, pool_id="21", until=until)).result["stopped_by"] == "closed"


@pytest.mark.parametrize(
    "until",
    [
        LONG_AGO,
        "2020-01-31T18:00:00+00:00",
        "2020-01-31 18:00:00.25Z",
        LONG_AGO.astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_pool_takes_times_as_templates_render_them(server: ScriptedServer, until: Any) -> None:
    server.default("GET", "/pools/21", pool("OPEN", None))
    assert run_task(wait("poke", pool_id="21", until=until)).result["stopped_by"] == "until"


@every_mode
@pytest.mark.parametrize("until", ["2030-01-31", "2030-01-31T18:00:00", datetime(2030, 1, 31), "soon", 5, ["x"]])
def test_pool_is_not_waited_for_until_a_time_that_is_none(server: ScriptedServer, mode: str, until: Any) -> None:
    with pytest.raises(ValueError, match=r"^until is .*a time with a zone"):
        run_task(wait(mode, pool_id="21", until=until))
    assert server.seen == []


def measured(percent: int, **more: Any) -> dict[str, Any]:
    """Return an operation that measured a pool; two of the three results are plain numbers."""
    counts = {"submitted_assignments_count": 75, "approved_assignments_count": 70, "rejected_assignments_count": 5}
    metrics = {"completion_percentage": {"value": percent}, "spent_budget": 1.5, **counts}
    values = [{"request": {"name": name}, "result": result} for name, result in metrics.items()]
    return operation(type="ANALYTICS", id="measure-1", details={"value": values}, **more)


@every_mode
def test_progress_is_measured_now_and_then_and_at_the_end(
    server: ScriptedServer, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=9)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    running = operation("RUNNING", type="ANALYTICS", id="measure-1")
    server.answer("POST", "/api/staging/analytics-2", json=running, times=1 if mode == "reschedule" else 2)
    server.answer("GET", "/operations/measure-1", json=running)
    server.answer("GET", "/operations/measure-1", json=measured(40))
    server.answer("GET", "/operations/measure-1", json=measured(100))
    outcome = run_task(wait(mode, pool_id="21", progress_interval=3600))
    last = 40 if mode == "reschedule" else 100
    assert outcome.result["progress"] == {
        "percent": last, "assignments": 75, "answers": 75, "spent": 1.5, "committed": 0,
    }  # fmt: skip
    assert server.calls("POST") == [ANALYTICS] * (1 if mode == "reschedule" else 2)


@every_mode
def test_progress_is_measured_again_after_its_interval(server: ScriptedServer, mode: str) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=6)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    server.default("POST", "/api/staging/analytics-2", measured(50))
    run_task(wait(mode, pool_id="21", progress_interval=0.0001))
    looks = {"poke": 6, "reschedule": 0, "deferred": 5}[mode]
    assert server.calls("POST") == [ANALYTICS] * (looks + 1)


@every_mode
@pytest.mark.parametrize("trouble", ["drop", 401, 503, "FAIL", "nonsense"])
def test_progress_that_cannot_be_measured_harms_nothing(server: ScriptedServer, mode: str, trouble: Any) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=4)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    path = "/api/staging/analytics-2"
    match trouble:
        case "drop":
            server.answer("POST", path, drop=True, times=9)
        case "FAIL":
            server.default("POST", path, operation("FAIL", type="ANALYTICS"))
        case "nonsense":
            server.default("POST", path, operation(type="ANALYTICS", details={"value": [1, {"result": []}]}))
        case status:
            server.error("POST", path, status, "TROUBLE", times=9)
    result = run_task(wait(mode, pool_id="21", progress_interval=0.0001)).result
    assert (result["stopped_by"], result["progress"]) == (
        "closed",
        dict.fromkeys(("percent", "assignments", "answers", "spent", "committed")) if trouble == "nonsense" else None,
    )


@every_mode
def test_progress_is_not_measured_unless_wanted(server: ScriptedServer, mode: str) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=4)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    assert "progress" not in run_task(wait(mode, pool_id="21")).result
    assert server.calls("POST") == []


@pytest.mark.parametrize("sensor", [{"pool_id": "21"}, {"operation_id": "op-1"}])
@pytest.mark.parametrize("backoff", [{"exponential_backoff": True}, {"max_wait": 600}, {"max_wait": timedelta(0)}])
def test_a_wait_in_the_triggerer_refuses_a_back_off(sensor: dict[str, str], backoff: dict[str, Any]) -> None:
    """It polls at its interval only, together with others."""
    with pytest.raises(ValueError, match="exponential_backoff and max_wait are for polls in a worker"):
        wait("deferred", **sensor, **backoff)
    assert wait("poke", **sensor, **backoff)
    assert wait("reschedule", **sensor, **backoff)


@every_mode
def test_times_may_be_timedeltas(server: ScriptedServer, mode: str) -> None:
    """Also in the arguments of a trigger, which are stored as JSON."""
    spans = {"poke_interval": timedelta(milliseconds=10), "timeout": timedelta(minutes=1)}
    server.answer("GET", "/pools/21", json=pool("OPEN", None))
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    server.default("POST", "/api/staging/analytics-2", measured(40))
    sensor = PoolSensor(task_id="wait", pool_id="21", progress_interval=timedelta(hours=1), **spans, **MODES[mode])
    assert run_task(sensor).result["progress"]["percent"] == 40
    trigger = PoolTrigger(
        pool_id="21", toloka_conn_id="toloka_default", deadline=1e10, poll_interval=timedelta(hours=1)
    )
    assert json.loads(json.dumps(trigger.serialize()[1]))["poll_interval"] == 3600


@pytest.mark.parametrize(
    "taker",
    [AggregateSolutionsOperator, CreateTasksOperator, OpenPoolOperator, PoolClosedTrigger, PoolSensor, pool_window],
    ids=lambda taker: taker.__name__,
)
def test_type_checkers_take_timedeltas(taker: Any) -> None:
    """The package is typed, so what it takes has to be in its annotations."""
    classes = taker.__mro__ if isinstance(taker, type) else ()
    spans = {
        name: parameter.annotation
        for owner in (taker, *classes)
        if owner.__module__.startswith("toloka_airflow.")
        for name, parameter in inspect.signature(owner).parameters.items()
        if name.endswith(("interval", "timeout")) or name in ("min_open", "grace")
    }
    assert spans
    assert all("timedelta" in annotation for annotation in spans.values()), spans


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
def test_progress_interval_is_checked_when_the_dag_is_read(interval: float) -> None:
    with pytest.raises(ValueError, match=r"^progress_interval is "):
        wait("poke", pool_id="21", progress_interval=interval)


def test_progress_is_logged_when_it_changed(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer("GET", "/pools/21", json=pool("OPEN", None), times=4)
    server.default("GET", "/pools/21", pool("CLOSED", "COMPLETED"))
    for percent in (40, 40, 60, 60, 100):
        server.answer("POST", "/api/staging/analytics-2", json=measured(percent))
    run_task(wait("poke", pool_id="21", progress_interval=0.0001))
    told = re.findall(r"Progress of pool 21: (\d+) %, 75 assignments, 1.5 spent", capsys.readouterr().out)
    assert told == ["40", "60", "100"]


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_what_it_waits_for_is_logged_when_it_changed(
    server: ScriptedServer, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in ("PENDING", "RUNNING"):
        server.answer("GET", "/operations/op-1", json=operation(status), times=3)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    run_task(wait(mode))
    logged = re.findall(r"Waiting for operation op-1: it is (\w+)", capsys.readouterr().out)
    assert logged == ["PENDING", "RUNNING"]


@every_mode
@pytest.mark.parametrize("until", [LONG_AGO, None], ids=["until", "closed"])
def test_a_wait_without_answers_says_so(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], mode: str, until: datetime | None
) -> None:
    status = "CLOSED" if until is None else "OPEN"
    server.default("GET", "/pools/21", pool(status, "EXPIRED", last_started="2026-03-02T09:00:00.250"))
    server.default("GET", "/assignments", NO_ANSWERS)
    result = run_task(wait(mode, pool_id="21", until=until, expected_reasons=["EXPIRED"])).result
    assert result["has_answers"] is False
    assert "Pool 21 got no answers at all since 2026-03-02 09:00:00.250000+00:00" in capsys.readouterr().out
    assert parse_qs(server.seen[-1].query) == {
        "pool_id": ["21"],
        "status": ["SUBMITTED,ACCEPTED,REJECTED"],
        "submitted_gte": ["2026-03-02T09:00:00.250"],
        "sort": ["id"],
        "limit": ["1"],
    }


@every_mode
def test_whether_there_are_answers_may_stay_unknown(server: ScriptedServer, mode: str) -> None:
    server.default("GET", "/pools/21", pool("CLOSED", "EXPIRED"))
    server.error("GET", "/assignments", 503, "DOWN")
    assert run_task(wait(mode, pool_id="21", expected_reasons=["EXPIRED"])).result["has_answers"] is None
