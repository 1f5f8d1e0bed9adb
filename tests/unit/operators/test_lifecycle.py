"""What the lifecycle operators do about every answer of the API."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from tests.support import NO_OPERATIONS, TOKEN, ScriptedServer, TaskInstance, operation, pool, run_task
from tests.virtual_time import VirtualTime
from toloka_airflow.operators.lifecycle import (
    ArchivePoolOperator,
    ArchiveTrainingOperator,
    ClosePoolOperator,
    CloseTrainingOperator,
    OpenPoolOperator,
    OpenTrainingOperator,
)
from toloka_airflow.triggers.events import WaitEvent

OPERATORS = [
    (OpenPoolOperator, "pool", "open"),
    (ClosePoolOperator, "pool", "close"),
    (ArchivePoolOperator, "pool", "archive"),
    (OpenTrainingOperator, "training", "open"),
    (CloseTrainingOperator, "training", "close"),
    (ArchiveTrainingOperator, "training", "archive"),
]
every_operator = pytest.mark.parametrize(
    ("operator", "noun", "verb"), OPERATORS, ids=lambda value: getattr(value, "__name__", "")
)
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])

pytestmark = pytest.mark.usefixtures("connection")


def make(operator: Any, noun: str = "pool", value: Any = "21", **arguments: Any) -> Any:
    return operator(task_id="act", **{f"{noun}_id": value, "poll_interval": 0.01, **arguments})


@pytest.fixture(autouse=True)
def pool_page(server: ScriptedServer) -> None:
    """Answer the reading of the pool that makes the link, and the question for operations under way."""
    for noun in ("pool", "training"):
        server.default("GET", f"/{noun}s/21", pool("CLOSED", "MANUAL"))
    server.default("GET", "/operations", NO_OPERATIONS)
    server.default("GET", "/pools", {"items": [], "has_more": False})


@every_operator
@both_ways
def test_nothing_to_do_is_a_success(
    server: ScriptedServer, operator: Any, noun: str, verb: str, deferrable: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("POST", f"/{noun}s/21/{verb}", 204)
    outcome = run_task(make(operator, noun, deferrable=deferrable))
    assert outcome.result is None
    assert "operation_id" not in outcome.xcoms
    assert server.calls("POST") == [f"POST /{noun}s/21/{verb}"]
    assert f"{noun.capitalize()} 21 needs nothing more" in capsys.readouterr().out


@every_operator
@both_ways
def test_finished_at_once(server: ScriptedServer, operator: Any, noun: str, verb: str, deferrable: bool) -> None:
    server.answer("POST", f"/{noun}s/21/{verb}", 202, operation("SUCCESS"))
    outcome = run_task(make(operator, noun, deferrable=deferrable))
    assert outcome.result == outcome.xcoms["operation_id"] == "op-1"
    assert outcome.triggers == []


@every_operator
@both_ways
@pytest.mark.parametrize("first", ["PENDING", "RUNNING"])
def test_waits_for_the_operation(
    server: ScriptedServer, operator: Any, noun: str, verb: str, deferrable: bool, first: str
) -> None:
    server.answer("POST", f"/{noun}s/21/{verb}", 202, operation(first))
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    outcome = run_task(make(operator, noun, deferrable=deferrable))
    assert outcome.result == outcome.xcoms["operation_id"] == "op-1"
    assert len(outcome.triggers) == int(deferrable)
    assert len(server.calls("POST")) == 1


def test_the_operation_id_is_stored_before_the_wait(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    server.answer("GET", "/operations/op-1", 404, {"code": "DOES_NOT_EXIST"}, times=3)
    instance: dict[str, Any] = {}

    class Recorder(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            instance[key] = value

    with pytest.raises(AirflowFailException):
        make(OpenPoolOperator).execute({"ti": Recorder()})
    assert instance["operation_id"] == "op-1"


def test_the_operation_id_is_stored_before_anything_else_is_asked(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"))
    assert list(run_task(make(OpenPoolOperator)).xcoms) == ["operation_id", "toloka_link"]


def test_a_time_out_of_airflow_does_not_wait_for_the_link(server: ScriptedServer) -> None:
    """`execution_timeout` raises in the middle of whatever the task does, here the POST."""
    answered = threading.Event()
    server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"), held=answered)
    worker = threading.get_ident()

    def interrupt() -> None:
        while "POST /pools/21/open" not in server.calls():
            time.sleep(0.01)
        signal.pthread_kill(worker, signal.SIGALRM)

    def time_out(signum: int, frame: object) -> None:
        raise AirflowTaskTimeout

    before = signal.signal(signal.SIGALRM, time_out)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(AirflowTaskTimeout):
            run_task(make(OpenPoolOperator))
    finally:
        answered.set()
        signal.signal(signal.SIGALRM, before)
    assert "GET /pools/21" not in server.calls()


def test_without_waiting_the_id_comes_at_once(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("PENDING"))
    assert run_task(make(OpenPoolOperator, wait_for_completion=False)).result == "op-1"
    assert not [call for call in server.calls() if "operations" in call]


@both_ways
@pytest.mark.parametrize("wait", [True, False])
def test_an_operation_that_fails_at_once_is_no_success(server: ScriptedServer, deferrable: bool, wait: bool) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("FAIL"))
    with pytest.raises(AirflowException, match="ended as FAIL"):
        run_task(make(OpenPoolOperator, deferrable=deferrable, wait_for_completion=wait))


@both_ways
def test_a_failed_operation_says_what_and_why_and_may_be_retried(server: ScriptedServer, deferrable: bool) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    failed = operation("FAIL", type="TASK.BATCH_CREATE", details={"failed_count": 2})
    server.answer("GET", "/operations/op-1", json=failed)
    step = {"type": "TASK_VALIDATE", "success": False, "output": {"image": {"code": "VALUE_REQUIRED"}}}
    server.answer("GET", "/operations/op-1/log", json=[{"type": "TASK_CREATE", "success": True}, step])
    with pytest.raises(AirflowException) as caught:
        run_task(make(OpenPoolOperator, deferrable=deferrable))
    assert not isinstance(caught.value, AirflowFailException)
    for fact in ("op-1", "TASK.BATCH_CREATE", "failed_count", "VALUE_REQUIRED"):
        assert fact in str(caught.value)


@both_ways
def test_an_unknown_status_is_never_a_success(server: ScriptedServer, deferrable: bool) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("TELEPORTED"))
    with pytest.raises(AirflowException, match="TELEPORTED"):
        run_task(make(OpenPoolOperator, deferrable=deferrable))


@both_ways
@pytest.mark.parametrize("own_type", [True, False], ids=["same-operation", "other-operation"])
def test_a_locked_pool_is_waited_for_and_then_acted_on(
    server: ScriptedServer, deferrable: bool, own_type: bool
) -> None:
    holder = operation("RUNNING", type="POOL.OPEN" if own_type else "POOL.CLOSE", id="holder")
    other = operation("RUNNING", id="stranger", parameters={"pool_id": "22"})
    server.error("POST", "/pools/21/open", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("GET", "/operations", json={"items": [other, holder], "has_more": False})
    server.answer("GET", "/operations/holder", json={**holder, "status": "SUCCESS"})
    if own_type:
        server.answer("POST", "/pools/21/open", 204)
    else:
        server.answer("POST", "/pools/21/open", 202, operation("SUCCESS", id="mine"))
    outcome = run_task(make(OpenPoolOperator, deferrable=deferrable))
    assert outcome.result == outcome.xcoms["operation_id"] == ("holder" if own_type else "mine")
    assert len(server.calls("POST")) == 2


def test_the_lock_and_the_own_operation_share_a_deadline(server: ScriptedServer) -> None:
    holder = operation("RUNNING", type="POOL.CLOSE", id="holder")
    server.error("POST", "/pools/21/open", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("GET", "/operations", json={"items": [holder], "has_more": False}, times=2)
    server.answer("GET", "/operations/holder", json={**holder, "status": "SUCCESS"})
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING", id="mine"))
    server.answer("GET", "/operations/mine", json=operation("SUCCESS", id="mine"))
    outcome = run_task(make(OpenPoolOperator, deferrable=True))
    (_, first), (_, second) = outcome.triggers
    assert (first["operation_id"], second["operation_id"]) == ("holder", "mine")
    assert first["deadline"] == second["deadline"]


@both_ways
def test_a_failed_holder_is_no_obstacle_and_no_success(server: ScriptedServer, deferrable: bool) -> None:
    holder = operation("RUNNING", id="holder")
    server.error("POST", "/pools/21/open", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("GET", "/operations", json={"items": [holder], "has_more": False})
    server.answer("GET", "/operations/holder", json={**holder, "status": "FAIL"})
    server.answer("POST", "/pools/21/open", 202, operation("SUCCESS", id="mine"))
    assert run_task(make(OpenPoolOperator, deferrable=deferrable)).result == "mine"


@both_ways
@pytest.mark.parametrize("kind", ["POOL.OPEN", "POOL.CLOSE"])
def test_the_wanted_state_is_no_success_while_an_operation_may_change_it(
    server: ScriptedServer, deferrable: bool, kind: str
) -> None:
    """The pool still says CLOSED, but it is being opened: after that, it must be closed."""
    holder = operation("PENDING", type=kind, id="holder")
    server.answer("POST", "/pools/21/close", 204)
    server.answer("GET", "/operations", json={"items": [holder], "has_more": False})
    server.answer("GET", "/operations/holder", json={**holder, "status": "SUCCESS"})
    if kind == "POOL.OPEN":
        server.answer("POST", "/pools/21/close", 202, operation("SUCCESS", id="mine", type="POOL.CLOSE"))
    else:
        server.answer("POST", "/pools/21/close", 204)
    outcome = run_task(make(ClosePoolOperator, deferrable=deferrable))
    assert outcome.result == outcome.xcoms["operation_id"] == ("mine" if kind == "POOL.OPEN" else "holder")


def test_other_work_on_the_pool_does_not_delay_what_is_done(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/21/close", 204)
    aggregation = operation("RUNNING", type="SOLUTION.AGGREGATE")
    server.answer("GET", "/operations", json={"items": [aggregation], "has_more": False}, times=2)
    assert run_task(make(ClosePoolOperator)).result is None


def test_a_lock_whose_holder_is_not_listed_is_tried_again(server: ScriptedServer) -> None:
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION", times=2)
    server.answer("GET", "/operations", json={"items": [], "has_more": False}, times=4)
    server.answer("POST", "/pools/21/close", 202, operation("SUCCESS"))
    assert run_task(make(ClosePoolOperator)).result == "op-1"
    statuses = [seen.query for seen in server.seen if seen.path.endswith("/operations")]
    assert ["status=RUNNING" in query for query in statuses] == [False, True, False, True]


@both_ways
def test_a_lock_that_lasts_ends_at_the_deadline(server: ScriptedServer, virtual: VirtualTime, deferrable: bool) -> None:
    holder = operation("RUNNING", type="POOL.OPEN", id="holder")
    server.error("POST", "/pools/21/close", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION", times=50)
    server.answer("GET", "/operations", json={"items": [holder], "has_more": False}, times=50)
    server.answer("GET", "/operations/holder", json=holder, times=500)
    began = virtual.now
    with pytest.raises(AirflowException, match="holder") as caught:
        run_task(make(ClosePoolOperator, deferrable=deferrable, timeout=0.1), triggerer=virtual.run)
    assert not isinstance(caught.value, AirflowFailException)
    assert virtual.now - began == pytest.approx(0.1, abs=0.02)


@both_ways
def test_the_deadline_is_the_operators_own(server: ScriptedServer, virtual: VirtualTime, deferrable: bool) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("RUNNING"), times=500)
    began = virtual.now
    with pytest.raises(AirflowException, match=r"op-1.*RUNNING") as caught:
        run_task(make(OpenPoolOperator, deferrable=deferrable, timeout=0.1), triggerer=virtual.run)
    assert not isinstance(caught.value, AirflowFailException)
    assert virtual.now - began == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("status", "code", "more", "advice"),
    [
        (409, "EMPTY_POOL", {}, "Upload tasks"),
        (409, "INAPPROPRIATE_STATUS", {"payload": {"appropriate_statuses": ["CLOSED"]}}, "Allowed statuses: CLOSED"),
        (409, "NOT_ENOUGH_BALANCE", {}, "Top up"),
        (409, "THERE_IS_REJECTED_ASSIGNMENT", {}, "9 days"),
        (409, "SOMETHING_NEW", {}, "SOMETHING_NEW"),
        (400, "VALIDATION_ERROR", {"payload": {"name": {"code": "VALUE_REQUIRED"}}}, "VALUE_REQUIRED"),
        (401, "AUTHENTICATION_ERROR", {}, "Check the token"),
        (403, "ACCESS_DENIED", {}, "no right"),
        (404, "DOES_NOT_EXIST", {}, "Check the id and the environment"),
    ],
)
def test_a_refusal_fails_at_once_and_says_what_to_do(
    server: ScriptedServer, status: int, code: str, more: dict[str, Any], advice: str
) -> None:
    server.error("POST", "/pools/21/open", status, code, **more)
    with pytest.raises(AirflowFailException) as caught:
        run_task(make(OpenPoolOperator, retries=3))
    assert server.calls("POST") == ["POST /pools/21/open"]
    for fact in (str(status), code, "req-1", f"{code} happened", advice):
        assert fact in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(("status", "code"), [(400, "ODD"), (401, "AUTHENTICATION_ERROR"), (404, "DOES_NOT_EXIST")])
@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
def test_a_closing_is_not_given_up_for_a_refusal(
    server: ScriptedServer, status: int, code: str, operator: Any, noun: str
) -> None:
    """One wrong answer must not leave a pool open while Airflow has retries left."""
    server.error("POST", f"/{noun}s/21/close", status, code)
    with pytest.raises(AirflowException, match=code) as caught:
        run_task(make(operator, noun))
    assert not isinstance(caught.value, AirflowFailException)


def test_a_closing_is_given_up_if_the_pool_cannot_be_closed(server: ScriptedServer) -> None:
    server.error("POST", "/pools/21/close", 409, "INAPPROPRIATE_STATUS")
    with pytest.raises(AirflowFailException, match="INAPPROPRIATE_STATUS"):
        run_task(make(ClosePoolOperator))


def test_archiving_a_training_names_the_pools_in_the_way(server: ScriptedServer) -> None:
    def main_pool(pool_id: str, training_id: str) -> dict[str, Any]:
        requirement = {"training_requirement": {"training_pool_id": training_id}}
        return {"id": pool_id, "project_id": "10", "status": "OPEN", "quality_control": requirement}

    server.error("POST", "/trainings/21/archive", 409, "TRAINING_ARCHIVE_CONFLICT")
    pools = [main_pool("31", "21"), main_pool("32", "99"), {"id": "33", "project_id": "10", "status": "OPEN"}]
    server.answer("GET", "/pools", json={"items": pools, "has_more": False})
    server.answer("GET", "/pools", json={"items": [], "has_more": False}, times=2)
    server.answer("GET", "/trainings/21", json={"id": "21", "project_id": "10", "status": "CLOSED"}, times=3)
    with pytest.raises(AirflowFailException, match=r"Not archived: 31 \(OPEN\)\. Training 21 is CLOSED\. Help: "):
        run_task(make(ArchiveTrainingOperator, "training"))


@pytest.mark.parametrize("operator", [OpenPoolOperator, ClosePoolOperator])
def test_a_refusal_for_the_state_names_the_state_once(server: ScriptedServer, operator: Any) -> None:
    verb = "open" if operator is OpenPoolOperator else "close"
    allowed = {"appropriate_statuses": ["OPEN", "CLOSED"]}
    server.error("POST", f"/pools/21/{verb}", 409, "INAPPROPRIATE_STATUS", payload=allowed)
    server.answer("GET", "/pools/21", json={"id": "21", "project_id": "10", "status": "ARCHIVED"}, times=3)
    with pytest.raises(AirflowFailException) as caught:
        run_task(make(operator))
    assert "Allowed statuses: OPEN, CLOSED. Pool 21 is ARCHIVED, for good: create another one. " in str(caught.value)
    assert "appropriate_statuses" not in str(caught.value)


def test_a_refusal_is_told_even_if_its_cause_cannot_be_found_out(server: ScriptedServer) -> None:
    server.error("POST", "/trainings/21/archive", 409, "TRAINING_ARCHIVE_CONFLICT")
    server.error("GET", "/pools", 500, "INTERNAL_ERROR")
    with pytest.raises(AirflowFailException, match="TRAINING_ARCHIVE_CONFLICT"):
        run_task(make(ArchiveTrainingOperator, "training"))


@both_ways
@pytest.mark.parametrize("trouble", ["429", "408", "503", "html", "lost"])
def test_trouble_that_passes_is_sat_out(server: ScriptedServer, deferrable: bool, trouble: str) -> None:
    if trouble == "html":
        server.answer("POST", "/pools/21/open", 502, body=b"<html>Bad gateway</html>")
    elif trouble == "lost":
        server.answer("POST", "/pools/21/open", drop=True)
    else:
        server.error("POST", "/pools/21/open", int(trouble), "TRY_LATER", headers={"Retry-After": "0"})
    server.answer("POST", "/pools/21/open", 202, operation("SUCCESS"))
    assert run_task(make(OpenPoolOperator, deferrable=deferrable)).result == "op-1"
    assert len(server.calls("POST")) == 2


def test_a_lost_answer_is_picked_up_by_the_next_call(server: ScriptedServer) -> None:
    """The first POST was received; the second is refused, because the operation of the first one runs."""
    running = operation("RUNNING", id="first")
    server.answer("POST", "/pools/21/open", drop=True)
    server.error("POST", "/pools/21/open", 409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    server.answer("GET", "/operations", json={"items": [running], "has_more": False})
    server.answer("GET", "/operations/first", json={**running, "status": "SUCCESS"})
    server.answer("POST", "/pools/21/open", 204)
    assert run_task(make(OpenPoolOperator)).result == "first"


@pytest.mark.parametrize(("interval", "length"), [("HOUR", "1:00"), ("DAY", "1 day")])
def test_a_long_quota_is_not_slept_through(server: ScriptedServer, interval: str, length: str) -> None:
    server.error("POST", "/pools/21/open", 429, "TOO_MANY_REQUESTS", payload={"interval": interval})
    with pytest.raises(AirflowException, match=r"returns by \d{4}-\d\d-\d\d \d\d:\d\d UTC") as caught:
        run_task(make(OpenPoolOperator))
    assert not isinstance(caught.value, AirflowFailException)
    assert len(server.calls("POST")) == 1


@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
def test_closing_what_would_reopen_by_itself_is_no_success(server: ScriptedServer, operator: Any, noun: str) -> None:
    server.answer("POST", f"/{noun}s/77/close", 204)
    server.default("GET", f"/{noun}s/77", pool("CLOSED", "FOR_UPDATE"))
    with pytest.raises(AirflowException, match="reopens it by itself") as caught:
        run_task(make(operator, noun, value="77"))
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
@pytest.mark.parametrize("status", ["OPEN", "LOCKED"])
def test_what_was_opened_again_is_not_closed(server: ScriptedServer, operator: Any, noun: str, status: str) -> None:
    """It was closed for update when Toloka said that there is nothing to close, and reopened since."""
    server.answer("POST", f"/{noun}s/77/close", 204)
    server.default("GET", f"/{noun}s/77", pool(status, "FOR_UPDATE"))
    server.default("GET", "/operations", NO_OPERATIONS)
    with pytest.raises(AirflowException, match=f"was closed, but it is {status} by now") as caught:
        run_task(make(operator, noun, value="77"))
    assert not isinstance(caught.value, AirflowFailException)


@both_ways
@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
@pytest.mark.parametrize("limit", [None, "2026-01-31T12:00:00+00:00"])
@pytest.mark.parametrize("first", ["SUCCESS", "RUNNING"])
def test_what_is_open_again_when_it_has_been_closed_is_closed_by_the_next_attempt(
    server: ScriptedServer, operator: Any, noun: str, first: str, deferrable: bool, limit: str | None
) -> None:
    """An opening of the same run was on its way, when the attempt that sent it was given up."""
    server.default("GET", f"/{noun}s/77", pool("OPEN", "MANUAL", last_started="2026-01-31T09:00:00"))
    server.answer("POST", f"/{noun}s/77/close", 202, operation(first))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    task = make(operator, noun, value="77", deferrable=deferrable, defer_after=0, opened_before=limit)
    with pytest.raises(AirflowException, match=r"was closed, but it is OPEN by now\. Try again") as caught:
        run_task(task)
    assert not isinstance(caught.value, AirflowFailException)


@both_ways
@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
def test_what_another_run_has_opened_when_it_has_been_closed_is_left_to_it(
    server: ScriptedServer, operator: Any, noun: str, deferrable: bool
) -> None:
    server.answer("GET", f"/{noun}s/77", json=pool("OPEN", "MANUAL", last_started="2026-01-31T09:00:00"))
    server.default("GET", f"/{noun}s/77", pool("OPEN", "MANUAL", last_started="2026-01-31T13:00:00"))
    server.answer("POST", f"/{noun}s/77/close", 202, operation("RUNNING"))
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    limit = "2026-01-31T12:00:00+00:00"
    assert run_task(make(operator, noun, value="77", deferrable=deferrable, opened_before=limit)).result == "op-1"


@pytest.mark.parametrize(("operator", "noun"), [(ClosePoolOperator, "pool"), (CloseTrainingOperator, "training")])
@pytest.mark.parametrize("limit", [None, "2020-01-01T00:00:00+00:00"])
def test_a_state_that_is_not_known_is_not_closed(
    server: ScriptedServer, operator: Any, noun: str, limit: str | None
) -> None:
    """Neither if Toloka has nothing to close, nor if another run opened it."""
    server.answer("POST", f"/{noun}s/77/close", 204)
    server.default("GET", f"/{noun}s/77", pool("FROZEN", "MANUAL", last_started="2026-01-31T09:00:00"))
    with pytest.raises(AirflowException, match="in the state 'FROZEN', which this version") as caught:
        run_task(make(operator, noun, value="77", opened_before=limit))
    assert not isinstance(caught.value, AirflowFailException)


@both_ways
def test_blips_while_waiting_are_tolerated(server: ScriptedServer, deferrable: bool) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    server.error("GET", "/operations/op-1", 503, "REMOTE_SERVICE_UNAVAILABLE")
    server.answer("GET", "/operations/op-1", 200, body=b"<html>")
    server.answer("GET", "/operations/op-1", drop=True)
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    assert run_task(make(OpenPoolOperator, deferrable=deferrable)).result == "op-1"
    assert len(server.calls("POST")) == 1


@every_operator
@pytest.mark.parametrize("value", ["1/../../projects/2", "", "None", None, "21 ", "21?x", "\uff12\uff11", True, ["21"]])
def test_a_bad_id_sends_nothing(server: ScriptedServer, operator: Any, noun: str, verb: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{noun}_id is "):
        run_task(make(operator, noun, value))
    assert server.seen == []


def test_an_id_may_be_a_number(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/21/open", 204)
    assert run_task(make(OpenPoolOperator, value=21)).result is None


@pytest.mark.parametrize("argument", ["poll_interval", "timeout"])
@pytest.mark.parametrize("value", [0, -1, "soon", None, float("nan"), float("inf")])
def test_bad_numbers_are_refused_when_the_dag_is_read(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument} is {value!r}"):
        make(OpenPoolOperator, **{argument: value})


@pytest.mark.parametrize("event", [None, {}, {"kind": "success"}, {"kind": "finished"}, {"kind": "finished", "x": 1}])
@pytest.mark.parametrize("method", ["execute_complete", "holder_finished"])
def test_an_event_of_nobody_is_no_success(event: Any, method: str) -> None:
    with pytest.raises(AirflowFailException, match="resumed with an event"):
        getattr(make(OpenPoolOperator), method)({}, event)


@pytest.mark.parametrize("is_done", [False, True], ids=["runs on", "done by then"])
@pytest.mark.parametrize(
    "event",
    [
        WaitEvent("finished", 0.0, subject=operation("SUCCESS", id="op-2")),
        WaitEvent("finished", 0.0, subject=operation("FAIL", id="op-2"), subject_id="op-2"),
        WaitEvent("timed_out", 0.0, message="operation op-2 was not done in time", subject_id="op-2"),
    ],
    ids=["success", "failure", "timeout"],
)
def test_the_end_of_another_wait_is_none(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], event: WaitEvent, is_done: bool
) -> None:
    """Airflow may deliver it: SQLite gives the id of a trigger that is gone to the next one."""
    server.answer("POST", "/pools/21/open", 202, operation("PENDING"))
    if not is_done:
        server.answer("GET", "/operations/op-1", json=operation("RUNNING"))
    server.default("GET", "/operations/op-1", operation("SUCCESS"))
    others = [event.payload()]

    def triggerer(wait: Any) -> Any:
        if not others:
            return asyncio.run(wait)
        wait.close()
        return others.pop()

    outcome = run_task(make(OpenPoolOperator, deferrable=True), triggerer=triggerer)
    assert outcome.result == "op-1"
    assert len(outcome.triggers) == (1 if is_done else 2)
    assert "Resumed with the end of another wait" in capsys.readouterr().out


@pytest.mark.parametrize(("operator", "noun", "verb"), [each for each in OPERATORS if each[2] != "close"])
def test_going_on_after_a_success_reads_no_connection_and_sends_nothing(
    server: ScriptedServer, operator: Any, noun: str, verb: str
) -> None:
    event = {"kind": "finished", "deadline": 0.0, "subject": operation(), "message": ""}
    task = make(operator, noun, toloka_conn_id="nowhere")
    assert task.execute_complete({}, event) == "op-1"
    assert not server.seen


@every_operator
def test_the_link_leads_to_the_page(server: ScriptedServer, operator: Any, noun: str, verb: str) -> None:
    server.answer("POST", f"/{noun}s/21/{verb}", 204)
    outcome = run_task(make(operator, noun))
    assert outcome.xcoms["toloka_link"] == f"{server.url}/requester/project/10/{noun}/21"


def test_no_link_is_no_failure(server: ScriptedServer) -> None:
    server.answer("POST", "/pools/77/open", 202, operation("SUCCESS"))
    server.error("GET", "/pools/77", 503, "REMOTE_SERVICE_UNAVAILABLE")
    outcome = run_task(make(OpenPoolOperator, value="77"))
    assert outcome.result == "op-1"
    assert "toloka_link" not in outcome.xcoms


@both_ways
def test_the_token_is_nowhere(
    server: ScriptedServer, deferrable: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("POST", "/pools/21/open", 202, operation("RUNNING"))
    server.answer("GET", "/operations/op-1", 502, body=f"<p>Authorization: OAuth {TOKEN}".encode())
    server.answer("GET", "/operations/op-1", json=operation("SUCCESS"))
    operator = make(OpenPoolOperator, deferrable=deferrable)
    with caplog.at_level(logging.DEBUG):
        outcome = run_task(operator)
    rendered = {name: getattr(operator, name) for name in operator.template_fields}
    printed = capsys.readouterr()
    assert "op-1" in printed.out
    assert TOKEN not in f"{caplog.text} {printed} {outcome} {rendered} {vars(operator)}"
    assert all(seen.headers["Authorization"] == f"OAuth {TOKEN}" for seen in server.seen)
