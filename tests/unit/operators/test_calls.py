"""Calls without an operator of their own: what is sent, once or again, and what becomes of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.small_airflow_tasks import StateStore
from tests.support import TOKEN, Outcome, ScriptedServer, TaskInstance, operation, pool, run_task
from toloka_airflow.api.errors import TolokaApiError, TolokaConnectionError
from toloka_airflow.operators.calls import MAX_XCOM_BYTES, TolokaCallOperator

RETRIES = 2
BONUS = {"user_id": "u1", "amount": 0.5}

pytestmark = pytest.mark.usefixtures("connection")


def call(
    attempt: int = 1,
    store: StateStore | None = None,
    *,
    max_tries: int = RETRIES,
    retries: int = RETRIES,
    **arguments: Any,
) -> Outcome:
    task = TolokaCallOperator(task_id="call", retries=retries, **{"method": "GET", "path": "/pools/21", **arguments})
    facts = {} if store is None else {"task_state_store": store}
    return run_task(task, TaskInstance(try_number=attempt, max_tries=max_tries), **facts)


def pay(attempt: int = 1, store: StateStore | None = None, **arguments: Any) -> Outcome:
    return call(attempt, store, method="POST", path="/user-bonuses", json=BONUS, **arguments)


def test_the_answer_is_returned(server: ScriptedServer) -> None:
    server.answer("GET", "/pools/21", json=pool())
    assert call().result == pool()


def test_everything_is_sent(server: ScriptedServer) -> None:
    server.answer("PUT", "/user-skills", 201, {"id": "6"})
    assert call(method="put", path="user-skills", json={"value": 50}, query={"a": True}).result == {"id": "6"}
    [seen] = server.seen
    assert (seen.method, seen.body, seen.query) == ("PUT", {"value": 50}, "a=true")


def test_all_arguments_are_templates(server: ScriptedServer) -> None:
    """Like their names."""
    arguments: dict[str, Any] = {
        "method": "{{ m }}",
        "path": "/pools/{{ p }}",
        "json": {"a": ["{{ p }}"]},
        "query": {"b": "{{ p }}"},
        "answer_path": "/tmp/{{ p }}.json",
        "toloka_conn_id": "{{ m }}",
    }
    task = TolokaCallOperator(task_id="call", **arguments)
    assert set(task.template_fields) == set(arguments)
    task.render_template_fields({"m": "GET", "p": "21"})  # type: ignore[typeddict-unknown-key]
    assert (task.path, task.json, task.query) == ("/pools/21", {"a": ["21"]}, {"b": "21"})


def test_nothing_is_answered(server: ScriptedServer) -> None:
    server.answer("DELETE", "/user-skills/6", 204)
    assert call(method="DELETE", path="/user-skills/6").result is None


def test_the_answer_goes_to_a_file(server: ScriptedServer, tmp_path: Path) -> None:
    server.answer("GET", "/pools/21", json={"name": "\u00e4" * MAX_XCOM_BYTES})
    path = tmp_path / "deep" / "answer.json"
    assert call(answer_path=str(path)).result.endswith("deep/answer.json")
    assert json.loads(path.read_text()) == {"name": "\u00e4" * MAX_XCOM_BYTES}
    assert [each.name for each in path.parent.iterdir()] == ["answer.json"]


def test_a_store_that_cannot_replace_files_is_refused_before_the_call(server: ScriptedServer) -> None:
    with pytest.raises(AirflowFailException, match="store of http cannot replace"):
        pay(answer_path="http://example.com/answer.json")
    assert server.seen == []


def test_a_large_answer_is_no_xcom(server: ScriptedServer) -> None:
    server.answer("GET", "/pools/21", json={"a": "x" * (MAX_XCOM_BYTES - 8)})
    assert len(json.dumps(call().result, separators=(",", ":"))) == MAX_XCOM_BYTES
    server.answer("GET", "/pools/21", json={"a": "x" * (MAX_XCOM_BYTES - 7)})
    with pytest.raises(AirflowFailException, match=r"has 49153 bytes of JSON, more than the 49152 .* `answer_path`"):
        call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "HEAD"}, "method is 'HEAD'"),
        ({"path": "https://evil.example/pools"}, "without a host"),
        ({"path": "/pools/None"}, "gave no id"),
        ({"path": "/pools/../x"}, "path is "),
        ({"json": {"a": float("nan")}}, "json cannot be written"),
        ({"query": {"a": {}}}, "query is "),
        ({"query": "status=OPEN"}, "query is 'status=OPEN'; it must be a mapping"),
        ({"path": "/pools?status=OPEN"}, "without a query or backslashes: give the query as a mapping of its own"),
        ({"path": "/attachments/8/download"}, "take `DownloadAttachmentsOperator`"),
        ({"answer_path": ""}, "answer_path is ''"),
        ({"answer_path": "/tmp"}, "answer_path is '/tmp', which is a folder"),
        ({"answer_path": "hdfs:///x.json"}, "answer_path is 'hdfs:///x.json': a store of hdfs"),
    ],
)
def test_bad_arguments_fail_without_a_retry(server: ScriptedServer, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        call(**arguments)
    assert server.seen == []


def test_a_refusal_fails_without_a_retry(server: ScriptedServer) -> None:
    server.error("GET", "/pools/21", 404, "DOES_NOT_EXIST")
    with pytest.raises(AirflowFailException, match="DOES_NOT_EXIST") as caught:
        call()
    assert isinstance(caught.value, TolokaApiError)


class TestSentOnce:
    @pytest.fixture(params=[True, False], ids=["3.3", "older"])
    def store(self, request: pytest.FixtureRequest) -> StateStore | None:
        return StateStore({}) if request.param else None

    def test_a_lost_answer_is_no_reason_to_try_again(self, server: ScriptedServer, store: StateStore | None) -> None:
        server.answer("POST", "/user-bonuses", drop=True)
        with pytest.raises(
            AirflowFailException, match="It is not sent again, as Toloka may have received it"
        ) as caught:
            pay(1, store)
        assert isinstance(caught.value, TolokaConnectionError)
        assert len(server.seen) == 1

    def test_what_a_killed_attempt_may_have_sent_is_not_sent_again(
        self, server: ScriptedServer, store: StateStore | None
    ) -> None:
        server.answer("POST", "/user-bonuses", 201, {"id": "8"})
        pay(1, store)
        with pytest.raises(AirflowFailException, match="was not sent, as a previous attempt of this task may have"):
            pay(2, store)
        assert len(server.seen) == 1

    def test_a_cleared_task_sends_it_again(self, server: ScriptedServer, store: StateStore | None) -> None:
        server.answer("POST", "/user-bonuses", 201, {"id": "8"}, times=2)
        pay(1, store)
        pay(2, store, max_tries=1 + RETRIES)
        assert len(server.seen) == 2

    def test_retries_that_were_lowered_meanwhile_are_no_clear(
        self, server: ScriptedServer, store: StateStore | None
    ) -> None:
        """``max_tries`` is what it was when the run began, and ``retries`` what the file of the DAG says now."""
        server.answer("POST", "/user-bonuses", 201, {"id": "8"}, times=2)
        pay(1, store)
        with pytest.raises(AirflowFailException, match="was not sent, as a previous attempt"):
            pay(2, store, retries=0)
        assert len(server.seen) == 1

    def test_a_cleared_task_sends_it_once(self, server: ScriptedServer, store: StateStore | None) -> None:
        server.answer("POST", "/user-bonuses", 201, {"id": "8"}, times=3)
        pay(1, store)
        pay(2, store, max_tries=1 + RETRIES)
        with pytest.raises(AirflowFailException, match="was not sent, as a previous attempt"):
            pay(3, store, max_tries=1 + RETRIES)
        assert len(server.seen) == 2

    def test_what_was_not_received_may_be_tried_again(self, server: ScriptedServer) -> None:
        store = StateStore({})
        server.error("POST", "/user-bonuses", 429, "TOO_MANY_REQUESTS", payload={"interval": "DAY"})
        with pytest.raises(AirflowException, match="TOO_MANY_REQUESTS") as caught:
            pay(1, store)
        assert not isinstance(caught.value, AirflowFailException)
        server.answer("POST", "/user-bonuses", 201, {"id": "8"})
        assert pay(2, store).result == {"id": "8"}

    def test_safe_calls_may_be_tried_again(self, server: ScriptedServer, store: StateStore | None) -> None:
        server.answer("POST", "/pools/21/open", 202, operation(), times=2)
        for attempt in (1, 2):
            assert call(attempt, store, method="POST", path="/pools/21/open").result == operation()


def test_the_token_is_in_no_log(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server.answer("POST", "/skills", 400, {"code": "VALIDATION_ERROR", "message": f"you sent {TOKEN}"})
    with pytest.raises(AirflowFailException) as caught:
        call(method="POST", path="/skills", json={"name": "x"})
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err + caplog.text + str(caught.value)
