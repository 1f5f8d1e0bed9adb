"""What one HTTP request to Toloka carries, when it is sent again, and what it says when it failed."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support import ABSURD, TOKEN, ScriptedHandler, ScriptedServer, nested, operation, pool
from tests.virtual_time import VirtualTime, utc
from toloka_airflow import __version__
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConflictError,
    TolokaConnectionError,
    TolokaError,
    TolokaNotSentError,
    TolokaQuotaError,
    TolokaRetryableError,
)
from toloka_airflow.api.models import AssignmentStatus, Operation
from toloka_airflow.api.settings import ClientSettings

PAGE = b"<html><body>" + b"Bad gateway. " * 200 + b"</body></html>"
PROJECT = {"id": "10", "status": "ACTIVE"}
ASSIGNMENT = {"id": "a-1", "pool_id": "21", "status": "ACCEPTED"}

Call = tuple[str, str, Callable[[TolokaClient], Any], Any]

REPEATED: dict[str, Call] = {
    "get": ("GET", "/pools/21", lambda c: c.get_pool("21"), pool()),
    "list": ("GET", "/pools", lambda c: list(c.list_pools()), {"items": [pool()], "has_more": False}),
    "log": ("GET", "/operations/op-1/log", lambda c: c.get_operation_log("op-1"), [{"type": "TASK_CREATE"}]),
    "open": ("POST", "/pools/21/open", lambda c: c.open_pool("21"), operation()),
    "close": ("POST", "/pools/21/close", lambda c: c.close_pool("21"), operation()),
    "archive": ("POST", "/trainings/7/archive", lambda c: c.archive_training("7"), operation()),
    "review": (
        "PATCH",
        "/assignments/a-1",
        lambda c: c.patch_assignment("a-1", status=AssignmentStatus.ACCEPTED),
        ASSIGNMENT,
    ),
    "tasks, by id": ("POST", "/tasks", lambda c: c.create_tasks_async([{"pool_id": "21"}]), operation()),
}
SENT_ONCE: dict[str, Call] = {
    "project": ("POST", "/projects", lambda c: c.create_project({}), PROJECT),
    "pool": ("POST", "/pools", lambda c: c.create_pool({}), pool()),
    "training": ("POST", "/trainings", lambda c: c.create_training({}), pool()),
    "clone pool": ("POST", "/pools/21/clone", lambda c: c.clone_pool("21"), operation()),
    "clone training": ("POST", "/trainings/7/clone", lambda c: c.clone_training("7"), operation()),
    "tasks": (
        "POST",
        "/tasks",
        lambda c: c.create_tasks([{"pool_id": "21"}]),
        {"items": {"0": {"id": "t-1", "pool_id": "21"}}},
    ),
    "aggregate": (
        "POST",
        "/aggregated-solutions/aggregate-by-pool",
        lambda c: c.aggregate_by_pool("21", type="DAWID_SKENE", fields=["result"]),
        operation(),
    ),
}
EVERY = REPEATED | SENT_ONCE


def _error(status: int, code: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "json": {"request_id": "req-1", "code": code, "message": f"{code} happened", **more}}


BUSY = {
    "429": _error(429, "TOO_MANY_REQUESTS"),
    "429 a minute": _error(429, "TOO_MANY_REQUESTS", payload={"interval": "MIN"}),
    "429 in HTML": {"status": 429, "body": PAGE},
}
UNCLEAR = {
    "408": _error(408, "REQUEST_TIMEOUT"),
    "500": _error(500, "INTERNAL_ERROR", payload={"additional_message": "oops"}),
    "502 in HTML": {"status": 502, "body": PAGE},
    "503": _error(503, "REMOTE_SERVICE_UNAVAILABLE"),
    "504 without a body": {"status": 504, "body": b""},
    "200 in HTML": {"status": 200, "body": PAGE},
    "200 without a body": {"status": 200, "body": b""},
    "200 with null": {"status": 200, "body": b"null"},
    "404 in HTML": {"status": 404, "body": PAGE},
    "cut JSON": {"status": 200, "body": b'{"id": "21", "sta'},
}
NO_ANSWER = {
    "dropped": {"drop": True},
    "half a body": {"body": b'{"id": "21"', "headers": {"Content-Length": "1000", "Connection": "close"}},
}
PASSING: dict[str, tuple[dict[str, Any], type[TolokaError]]] = {
    **{name: (fault, TolokaRetryableError) for name, fault in {**BUSY, **UNCLEAR}.items()},
    **{name: (fault, TolokaConnectionError) for name, fault in NO_ANSWER.items()},
}
MAYBE_RECEIVED = {name: PASSING[name] for name in {**UNCLEAR, **NO_ANSWER}}


def client(server: ScriptedServer, **more: Any) -> TolokaClient:
    """Return a client that is quick to try again and has time to do so."""
    return TolokaClient(
        ClientSettings(TOKEN, base_url=server.url, **{"first_pause": 0.01, "retry_budget": 20.0, **more})
    )


def shown(exc: BaseException) -> str:
    """Return all that a log could show of an exception, with everything that caused it."""
    return "".join(traceback.format_exception(exc)) + repr(exc) + repr(vars(exc))


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """A second machine, which must never see the token."""
    with listening(unbound_server()) as script:
        yield script


def unbound_server() -> ThreadingHTTPServer:
    """Return a scripted server with a port of its own where nobody listens yet."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHandler, bind_and_activate=False)
    httpd.daemon_threads = True
    httpd.server_bind()
    script = ScriptedServer(url=f"http://127.0.0.1:{httpd.server_port}")
    httpd.script = script  # type: ignore[attr-defined]
    return httpd


@contextmanager
def listening(httpd: ThreadingHTTPServer, *, activate: bool = True) -> Iterator[ScriptedServer]:
    """Serve until the end of the block."""
    if activate:
        httpd.server_activate()
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield httpd.script  # type: ignore[attr-defined]
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Serve one connection with exactly these bytes, and give the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@contextmanager
def one_connection(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Accept a connection, and give the address; the event is set when the block has ended."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                serve(connection, over)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


class TestHeaders:
    KEY = f"{'k' * 22}.middle.end"

    @pytest.mark.parametrize(
        ("token", "scheme", "sent"),
        [
            ("0123456789abcdef", "auto", "OAuth 0123456789abcdef"),
            (f"{'k' * 21}.middle.end", "auto", f"OAuth {'k' * 21}.middle.end"),
            (f"{'k' * 22}.middle.end", "auto", f"ApiKey {'k' * 22}.middle.end"),
            (f"{'k' * 24}..", "auto", f"ApiKey {'k' * 24}.."),
            (f"{'k' * 25}.middle.end", "auto", f"OAuth {'k' * 25}.middle.end"),
            (f"{'k' * 22}.one-dot", "auto", f"OAuth {'k' * 22}.one-dot"),
            (f"{'k' * 22}.three.dots.here", "auto", f"OAuth {'k' * 22}.three.dots.here"),
            (KEY, "OAuth", f"OAuth {KEY}"),
            ("0123456789abcdef", "ApiKey", "ApiKey 0123456789abcdef"),
            (f"OAuth {KEY}", "auto", f"OAuth {KEY}"),
            ("ApiKey 0123456789abcdef", "OAuth", "ApiKey 0123456789abcdef"),
            ("  0123456789abcdef\n", "auto", "OAuth 0123456789abcdef"),
            ("OAuth   0123456789abcdef ", "auto", "OAuth 0123456789abcdef"),
        ],
    )
    def test_authorization(self, server: ScriptedServer, token: str, scheme: str, sent: str) -> None:
        server.answer("GET", "/pools/21", json=pool())
        TolokaClient(ClientSettings(token, base_url=server.url, auth_scheme=scheme)).get_pool("21")
        assert server.seen[0].headers["Authorization"] == sent

    def test_what_every_request_carries(self, server: ScriptedServer) -> None:
        server.answer("POST", "/pools/21/open", 204)
        client(server, account_id="acc-1").open_pool("21")
        headers = server.seen[0].headers
        assert headers["X-Act-Under-Account-ID"] == "acc-1"
        assert headers["User-Agent"] == f"airflow-toloka/{__version__}"
        assert headers["Accept"] == "application/json"
        assert "Content-Type" not in headers
        assert headers.get("Content-Length", "0") == "0"
        assert server.seen[0].query == ""

    def test_content_type_goes_with_a_body(self, server: ScriptedServer) -> None:
        server.answer("POST", "/projects", 201, PROJECT)
        client(server).create_project({"public_name": "Zähler 数"})
        assert server.seen[0].headers["Content-Type"] == "application/json"
        assert server.seen[0].body == {"public_name": "Zähler 数"}
        assert "X-Act-Under-Account-ID" not in server.seen[0].headers

    @pytest.mark.parametrize("line", ["machine 127.0.0.1", "default"])
    def test_netrc_does_not_replace_the_token(
        self, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"{line} login somebody password something\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        server.answer("GET", "/pools/21", json=pool())
        client(server).get_pool("21")
        assert server.seen[0].headers["Authorization"] == f"OAuth {TOKEN}"

    @pytest.mark.parametrize("suffix", ["/", "/api/v1", "/api/v1/"])
    def test_base_url_may_name_the_api(self, server: ScriptedServer, suffix: str) -> None:
        server.answer("GET", "/pools/21", json=pool())
        assert TolokaClient(ClientSettings(TOKEN, base_url=server.url + suffix)).get_pool("21").id == "21"


class TestRedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("call", ["get", "open", "pool"])
    @pytest.mark.parametrize("elsewhere", [True, False])
    def test_is_never_followed(
        self, server: ScriptedServer, other: ScriptedServer, status: int, call: str, elsewhere: bool
    ) -> None:
        method, path, send, _ = EVERY[call]
        target = f"{(other if elsewhere else server).url}/api/v1/elsewhere"
        server.answer(method, path, status, headers={"Location": target})
        with pytest.raises(TolokaApiError, match=f"redirect to {target}") as caught:
            send(client(server))
        assert caught.value.status == status
        assert not isinstance(caught.value, TolokaRetryableError)
        assert "Set the host of the connection" in str(caught.value)
        assert len(server.seen) == 1
        assert other.seen == []


class TestRepetition:
    @pytest.mark.parametrize("fault", PASSING)
    @pytest.mark.parametrize("call", REPEATED)
    def test_safe_calls_recover(self, server: ScriptedServer, call: str, fault: str) -> None:
        method, path, send, good = REPEATED[call]
        server.answer(method, path, times=2, **PASSING[fault][0])
        server.answer(method, path, 202, good)
        assert send(client(server))
        assert server.calls() == [f"{method} {path}"] * 3

    @pytest.mark.parametrize("fault", PASSING)
    @pytest.mark.parametrize("call", REPEATED)
    def test_safe_calls_give_up_when_the_budget_is_spent(
        self, server: ScriptedServer, virtual: VirtualTime, call: str, fault: str
    ) -> None:
        method, path, send, _ = REPEATED[call]
        answer, error = PASSING[fault]
        server.answer(method, path, times=100, **answer)
        began = virtual.now
        with pytest.raises(TolokaError) as caught:
            send(client(server, first_pause=1.0, retry_budget=6.0))
        assert type(caught.value) is error
        # Pauses of 0.5-1, 1-2, 2-4, 4-8 s: two fit, or three.
        assert 3 <= len(server.seen) <= 4
        assert 1.5 <= virtual.now - began <= 6

    @pytest.mark.parametrize("fault", MAYBE_RECEIVED)
    @pytest.mark.parametrize("call", SENT_ONCE)
    def test_what_may_have_been_received_is_not_sent_again(self, server: ScriptedServer, call: str, fault: str) -> None:
        method, path, send, good = SENT_ONCE[call]
        answer, error = MAYBE_RECEIVED[fault]
        server.answer(method, path, **answer)
        server.answer(method, path, 201, good)
        with pytest.raises(TolokaError) as caught:
            send(client(server))
        assert type(caught.value) is error
        assert caught.value.may_have_been_received
        assert caught.value.is_transient
        assert server.calls() == [f"{method} {path}"]

    @pytest.mark.parametrize("fault", BUSY)
    @pytest.mark.parametrize("call", SENT_ONCE)
    def test_what_was_refused_is_sent_again(self, server: ScriptedServer, call: str, fault: str) -> None:
        method, path, send, good = SENT_ONCE[call]
        server.answer(method, path, times=2, **BUSY[fault])
        server.answer(method, path, 201, good)
        assert send(client(server))
        assert server.calls() == [f"{method} {path}"] * 3

    @pytest.mark.parametrize("call", EVERY)
    def test_what_cannot_have_been_received_is_sent_again(self, call: str) -> None:
        method, path, send, good = EVERY[call]
        httpd = unbound_server()
        with start_when_it_is_missed(httpd), listening(httpd, activate=False) as server:
            server.answer(method, path, 201, good)
            assert send(client(server))
            assert server.calls() == [f"{method} {path}"]

    @pytest.mark.parametrize("call", EVERY)
    def test_nobody_there(self, virtual: VirtualTime, call: str, caplog: pytest.LogCaptureFixture) -> None:
        httpd = unbound_server()
        with pytest.raises(TolokaConnectionError, match="got no answer from http://127") as caught:
            EVERY[call][2](client(httpd.script, first_pause=1.0, retry_budget=15.0))  # type: ignore[attr-defined]
        httpd.server_close()
        assert not caught.value.may_have_been_received
        assert caught.value.is_transient
        # Pauses of 0.5-1, 1-2, 2-4, 4-8, 8-16 s: three fit, or four.
        assert 3 <= sum("trying again" in record.message for record in caplog.records) <= 4

    @pytest.mark.parametrize(
        "last",
        [
            {"status": 400, "json": {"code": "VALIDATION_ERROR"}},
            {"status": 429, "json": {"code": "TOO_MANY_REQUESTS"}, "headers": {"Retry-After": "3600"}},
            {"status": 429, "json": {"code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}}},
        ],
        ids=["refused", "busy", "quota"],
    )
    @pytest.mark.parametrize("call", REPEATED)
    def test_the_last_error_does_not_hide_a_lost_answer(
        self, server: ScriptedServer, call: str, last: dict[str, Any]
    ) -> None:
        method, path, send, _ = REPEATED[call]
        server.answer(method, path, drop=True)
        server.answer(method, path, **last)
        with pytest.raises(TolokaApiError) as caught:
            send(client(server))
        assert caught.value.status == last["status"]
        assert caught.value.may_have_been_received

    @pytest.mark.parametrize("interval", ["HOUR", "DAY"])
    @pytest.mark.parametrize("call", EVERY)
    def test_a_long_quota_is_not_waited_for(
        self, server: ScriptedServer, virtual: VirtualTime, call: str, interval: str
    ) -> None:
        method, path, send, _ = EVERY[call]
        server.error(
            method, path, 429, "TOO_MANY_REQUESTS", payload={"interval": interval}, headers={"Retry-After": "0"}
        )
        with pytest.raises(TolokaQuotaError) as caught:
            send(client(server))
        returns = utc(virtual.now) + timedelta(hours=1 if interval == "HOUR" else 24)
        assert f"it returns by {returns:%Y-%m-%d %H:%M}" in str(caught.value)
        assert len(server.seen) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 501, 505])
    @pytest.mark.parametrize("call", ["get", "open", "pool", "tasks, by id"])
    def test_a_refusal_is_final(self, server: ScriptedServer, call: str, status: int) -> None:
        method, path, send, _ = EVERY[call]
        server.error(method, path, status, "SOME_CODE")
        with pytest.raises(TolokaApiError) as caught:
            send(client(server))
        assert type(caught.value) is (TolokaConflictError if status == 409 else TolokaApiError)
        assert (caught.value.status, caught.value.code, caught.value.request_id) == (status, "SOME_CODE", "req-1")
        assert len(server.seen) == 1

    def test_a_silent_server_is_left(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody_accepts:
            url = f"http://127.0.0.1:{nobody_accepts.getsockname()[1]}"
            settings = ClientSettings(TOKEN, base_url=url, timeout=(60.0, 0.2), retry_budget=0.0)
            with pytest.raises(TolokaConnectionError, match=r"Read timed out\. \(read timeout=0\.2\)") as caught:
                TolokaClient(settings).get_pool("21")
        assert caught.value.may_have_been_received

    def test_a_server_that_falls_silent_is_left(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools/21", body=b"{", headers={"Content-Length": "10"})
        with pytest.raises(TolokaConnectionError, match="Read timed out") as caught:
            client(server, timeout=(60.0, 0.2)).without_retries().get_pool("21")
        assert caught.value.may_have_been_received

    @pytest.mark.parametrize("call", EVERY)
    def test_an_answer_that_drips_is_left(self, server: ScriptedServer, call: str) -> None:
        """No pause is as long as the read time-out, and the whole answer would take half a minute."""
        method, path, send, good = EVERY[call]
        server.answer(method, path, json=good, drip=30 / len(json.dumps(good)))
        with pytest.raises(TolokaConnectionError, match=r"no complete answer in 0\.4 s") as caught:
            send(client(server, total_timeout=0.4).without_retries())
        assert caught.value.may_have_been_received
        assert caught.value.is_transient

    @pytest.mark.parametrize(
        ("begin", "again"), [("", "X-Drip: 1\r\n"), ("Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n")]
    )
    def test_headers_and_chunks_that_drip(self, begin: str, again: str) -> None:
        def serve(connection: socket.socket, over: threading.Event) -> None:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 200 OK\r\n{begin}".encode())
            while not over.wait(0.1):
                connection.sendall(again.encode())

        with one_connection(serve) as url, pytest.raises(TolokaConnectionError, match=r"no complete answer in 0\.4 s"):
            TolokaClient(ClientSettings(TOKEN, base_url=url, total_timeout=0.4, retry_budget=0.0)).get_pool("21")

    def test_a_server_that_takes_a_body_slowly_is_left(self) -> None:
        def serve(connection: socket.socket, over: threading.Event) -> None:
            while not over.wait(0.1):
                connection.recv(65536)

        settings = {"total_timeout": 0.4, "retry_budget": 0.0}
        with one_connection(serve) as url, pytest.raises(TolokaConnectionError, match="no complete answer") as caught:
            TolokaClient(ClientSettings(TOKEN, base_url=url, **settings)).create_tasks_async(b"[" * 20_000_000)
        assert caught.value.may_have_been_received

    def test_after_its_deadline_a_client_sends_nothing(self, server: ScriptedServer) -> None:
        late = client(server).without_retries(timeout=0)
        with pytest.raises(TolokaConnectionError, match="GET /pools/21 was not sent: the time is up") as caught:
            late.get_pool("21")
        assert not caught.value.may_have_been_received
        assert not server.seen

    def test_a_wait_for_an_operation_survives_an_answer_that_drips(self, server: ScriptedServer) -> None:
        server.answer("GET", "/operations/op-1", json=operation(), drip=0.3)
        server.answer("GET", "/operations/op-1", json=operation())
        waiting = client(server, total_timeout=0.4)
        pending = Operation.from_api(operation("PENDING"))
        assert waiting.wait_operation(pending, timeout=20, poll_interval=0.01).status == "SUCCESS"
        assert len(server.seen) == 2

    @pytest.mark.parametrize("fault", PASSING)
    def test_without_retries(self, server: ScriptedServer, fault: str) -> None:
        answer, error = PASSING[fault]
        server.answer("GET", "/pools/21", **answer)
        with pytest.raises(error):
            client(server).without_retries().get_pool("21")
        assert len(server.seen) == 1

    def test_without_retries_leaves_the_client_as_it_was(self, server: ScriptedServer) -> None:
        server.error("GET", "/pools/21", 503, "REMOTE_SERVICE_UNAVAILABLE")
        server.answer("GET", "/pools/21", json=pool())
        patient = client(server)
        assert patient.without_retries().base_url == patient.base_url
        assert patient.get_pool("21").id == "21"

    def test_the_pause_stays_finite(self) -> None:
        transport = TolokaClient(ClientSettings(TOKEN, first_pause=0.001))._transport
        assert 15 <= transport._pause(5000, None) <= 30

    def test_the_budget_is_for_all_repetitions_together(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        server.error("GET", "/pools/21", 503, "BUSY", headers={"Retry-After": "1"}, times=10)
        began = virtual.now
        with pytest.raises(TolokaRetryableError):
            client(server, retry_budget=1.9).get_pool("21")
        assert virtual.now - began == pytest.approx(1)
        assert len(server.seen) == 2


class TestBeforeChange:
    """Whoever may not change anything any more is kept from it right before each sending."""

    @pytest.mark.parametrize("name", REPEATED)
    def test_it_is_asked_again_after_each_pause(self, server: ScriptedServer, name: str) -> None:
        method, path, call, answer = REPEATED[name]
        server.answer(method, path, 503)
        server.answer(method, path, 200, answer)
        asked: list[int] = []
        settings = ClientSettings(TOKEN, base_url=server.url, first_pause=0.01)
        call(TolokaClient(settings, before_change=lambda: asked.append(len(server.seen))))
        assert asked == ([] if method == "GET" else [0, 1])

    @pytest.mark.parametrize("name", EVERY)
    def test_what_it_raises_keeps_the_request_from_being_sent(self, server: ScriptedServer, name: str) -> None:
        method, path, call, answer = EVERY[name]
        server.answer(method, path, 200, answer)

        def refuse() -> None:
            raise TolokaNotSentError("an orphan")

        refusing = TolokaClient(ClientSettings(TOKEN, base_url=server.url), before_change=refuse)
        for each in (refusing, refusing.without_retries(), refusing.with_own_session()):
            with suppress(TolokaNotSentError) if method == "GET" else pytest.raises(TolokaNotSentError):
                call(each)
                server.answer(method, path, 200, answer)
        assert {seen.method for seen in server.seen} <= {"GET"}


class TestPromise:
    """Whatever comes from the network is a `TolokaConnectionError` or a `TolokaApiError`."""

    @pytest.mark.parametrize("absurd", ABSURD)
    def test_absurd_answers(self, server: ScriptedServer, virtual: VirtualTime, absurd: str) -> None:
        server.answer("GET", "/operations/op-1", times=100, **ABSURD[absurd])
        with pytest.raises(TolokaRetryableError) as caught:
            client(server).get_operation("op-1")
        assert 0 < len(str(caught.value)) < 2000
        assert caught.value.retry_after is None or caught.value.retry_after <= 24 * 3600

    def test_what_is_as_deep_as_anybody_needs_is_read(self, server: ScriptedServer) -> None:
        server.answer("GET", "/operations/op-1", json=operation(details={"a": nested(90)}))
        assert client(server).get_operation("op-1").details == {"a": nested(90)}

    @pytest.mark.parametrize("step", ["9" * 5000, "٣" * 3, "-1", "²"])
    def test_the_path_of_a_field_that_was_not_sent(self, server: ScriptedServer, step: str) -> None:
        payload = {f"tasks.{step}": {"code": "X"}}
        server.error("POST", "/projects", 400, "VALIDATION_ERROR", payload=payload)
        with pytest.raises(TolokaApiError, match="VALIDATION_ERROR"):
            client(server).create_project({"tasks": [1]})

    @pytest.mark.parametrize("balance", ["NaN", "Infinity", "-Infinity", "1e999", '"NaN"', '"sNaN"', '"inf"'])
    def test_a_balance_that_is_no_number(self, server: ScriptedServer, balance: str) -> None:
        server.answer("GET", "/requester", body=f'{{"id": "r-1", "balance": {balance}}}'.encode())
        assert client(server).get_requester().balance is None

    def test_numbers_that_json_does_not_have_go_no_further(self, server: ScriptedServer) -> None:
        """A database that Airflow stores an event in may refuse them."""
        body = json.dumps(operation(details={"a": float("nan"), "b": [float("inf"), 1e-5]}))
        server.answer("GET", "/operations/op-1", body=body.encode())
        assert client(server).get_operation("op-1").raw["details"] == {"a": None, "b": [None, 1e-5]}

    @pytest.mark.parametrize(
        "host",
        ["a..b:80", f"{'a' * 64}.example:80", ".:80", "[bad", "host:99999", "%zz:80", "ho st:80", "\u2028host:1"],
    )
    def test_a_proxy_of_the_environment_that_cannot_be_parsed(
        self, monkeypatch: pytest.MonkeyPatch, virtual: VirtualTime, caplog: pytest.LogCaptureFixture, host: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:sesame@{host}")
        with pytest.raises(TolokaConnectionError) as caught:
            TolokaClient(ClientSettings(TOKEN, base_url="https://toloka.example")).get_pool("21")
        assert "sesame" not in str(caught.value) + caplog.text


@contextmanager
def start_when_it_is_missed(httpd: ThreadingHTTPServer) -> Iterator[None]:
    """Let a server listen as soon as the client says that it tries again."""

    class Starter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert "Connection refused" in record.getMessage()
            httpd.server_activate()
            logger.removeHandler(self)

    logger = logging.getLogger("toloka_airflow.api.transport")
    starter = Starter()
    logger.addHandler(starter)
    try:
        yield
    finally:
        assert starter not in logger.handlers
        logger.removeHandler(starter)


class TestRetryAfter:
    def test_seconds_are_waited(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        server.error("GET", "/pools/21", 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "1"})
        server.answer("GET", "/pools/21", json=pool())
        began = virtual.now
        client(server).get_pool("21")
        assert virtual.now - began == pytest.approx(1)

    def test_a_date_is_waited_for(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        then = utc(virtual.now + 2)
        server.error("GET", "/pools/21", 503, "BUSY", headers={"Retry-After": format_datetime(then, usegmt=True)})
        server.answer("GET", "/pools/21", json=pool())
        client(server).get_pool("21")
        assert virtual.now == pytest.approx(then.timestamp(), abs=0.01)

    @pytest.mark.parametrize("call", EVERY)
    def test_beyond_the_budget_gives_up_at_once(self, server: ScriptedServer, virtual: VirtualTime, call: str) -> None:
        method, path, send, _ = EVERY[call]
        server.error(method, path, 429, "TOO_MANY_REQUESTS", headers={"Retry-After": "21"})
        began = virtual.now
        with pytest.raises(TolokaRetryableError) as caught:
            send(client(server, retry_budget=20.0))
        assert caught.value.retry_after == 21
        assert virtual.now == began
        assert len(server.seen) == 1

    def test_a_date_beyond_the_budget(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        then = format_datetime(utc(virtual.now + 3600), usegmt=True)
        server.error("GET", "/pools/21", 503, "BUSY", headers={"Retry-After": then})
        with pytest.raises(TolokaRetryableError) as caught:
            client(server).get_pool("21")
        assert caught.value.retry_after == pytest.approx(3600)
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        "value", ["0", "soon", "-5", "1.5", "\xb2", "", "Mon, 99 Foo 2020", "Wed, 21 Oct 2015 07:28:00 GMT"]
    )
    def test_what_is_past_or_unreadable_does_not_matter(
        self, server: ScriptedServer, virtual: VirtualTime, value: str
    ) -> None:
        server.error("GET", "/pools/21", 503, "BUSY", headers={"Retry-After": value})
        server.answer("GET", "/pools/21", json=pool())
        began = virtual.now
        assert client(server, first_pause=2.0).get_pool("21").id == "21"
        assert 1 <= virtual.now - began <= 2


class TestErrorAnswers:
    def conflict(self, server: ScriptedServer, **answer: Any) -> TolokaApiError:
        server.answer("POST", "/pools/21/open", 409, **answer)
        with pytest.raises(TolokaConflictError) as caught:
            client(server).open_pool("21")
        return caught.value

    def test_all_facts_are_there(self, server: ScriptedServer) -> None:
        body = {
            "request_id": "8dff",
            "code": "EMPTY_POOL",
            "message": "Pool contains no tasks. Operation is not allowed",
            "payload": None,
        }
        exc = self.conflict(server, json=body)
        assert (exc.status, exc.code, exc.request_id, exc.payload) == (409, "EMPTY_POOL", "8dff", None)
        assert str(exc) == (
            "POST /pools/21/open answered 409 EMPTY_POOL: Pool contains no tasks. Operation is not allowed "
            "(request id 8dff). Upload tasks to the pool before opening it."
        )

    def test_allowed_statuses(self, server: ScriptedServer) -> None:
        payload = {"appropriate_statuses": ["OPEN", "CLOSED"]}
        exc = self.conflict(server, json={"code": "INAPPROPRIATE_STATUS", "message": "No", "payload": payload})
        assert exc.payload == payload
        assert "Allowed statuses: OPEN, CLOSED." in str(exc)

    def test_allowed_statuses_beside_something_else(self, server: ScriptedServer) -> None:
        payload = {"appropriate_statuses": ["OPEN"], "pool_id": "7"}
        exc = self.conflict(server, json={"code": "INAPPROPRIATE_STATUS", "message": "No", "payload": payload})
        assert "'pool_id': '7'" in str(exc)
        assert "Allowed statuses: OPEN." in str(exc)

    @pytest.mark.parametrize("code", ["CONFLICT_STATE", "A_CODE_OF_THE_FUTURE"])
    def test_a_code_without_advice(self, server: ScriptedServer, code: str) -> None:
        exc = self.conflict(server, json={"code": code, "message": "Conflict state"})
        assert str(exc) == f"POST /pools/21/open answered 409 {code}: Conflict state"

    def test_empty_body(self, server: ScriptedServer) -> None:
        exc = self.conflict(server, body=b"")
        assert (exc.code, exc.message, exc.payload) == (None, "", None)
        assert str(exc) == "POST /pools/21/open answered 409 without a code"

    @pytest.mark.parametrize(
        "body",
        [
            {"assignment_id": {"code": "ENTITY_CONFLICT"}},
            {"code": None, "message": None, "payload": None, "request_id": None},
            {"code": ["EMPTY_POOL"], "message": {"a": 1}, "payload": [{"interval": "HOUR"}]},
            {"code": {"a": 1}, "message": 7, "payload": "text", "request_id": 5},
            {"code": "X", "payload": {"interval": ["HOUR"], "appropriate_statuses": "OPEN"}},
            {"code": "X", "payload": {"interval": {}, "appropriate_statuses": 5}},
            [],
            ["EMPTY_POOL"],
            "EMPTY_POOL",
            5,
            False,
        ],
    )
    @pytest.mark.parametrize("status", [400, 409, 503, 429])
    def test_any_json_is_survived(self, server: ScriptedServer, status: int, body: Any) -> None:
        server.answer("POST", "/pools/21/open", status, body)
        with pytest.raises(TolokaApiError, match=f"POST /pools/21/open answered {status}") as caught:
            client(server, retry_budget=0.0).open_pool("21")
        assert isinstance(caught.value, TolokaConflictError) == (status == 409)
        assert isinstance(caught.value, TolokaRetryableError) == (status in (503, 429))

    @pytest.mark.parametrize(
        ("status", "code", "advice"),
        [
            (401, "AUTHENTICATION_ERROR", "Check the token"),
            (401, "SOMETHING", "Check the token"),
            (403, "ACCESS_DENIED", "has no right to this"),
            (404, "DOES_NOT_EXIST", "each environment has objects of its own"),
            (409, "TRAINING_ARCHIVE_CONFLICT", "Archive every main pool"),
            (409, "NOT_ENOUGH_BALANCE", "Top up the account"),
            (409, "POOL_IS_TRAINING", "use the training operators"),
        ],
    )
    def test_advice(self, server: ScriptedServer, status: int, code: str, advice: str) -> None:
        server.error("POST", "/pools/21/open", status, code)
        with pytest.raises(TolokaApiError, match=advice):
            client(server).open_pool("21")

    def test_a_page_is_shown_in_part(self, server: ScriptedServer) -> None:
        server.answer("GET", "/pools/21", 502, body=PAGE)
        with pytest.raises(TolokaRetryableError, match="not JSON: '<html><body>Bad gateway") as caught:
            client(server, retry_budget=0.0).get_pool("21")
        assert len(str(caught.value)) < 700

    def test_a_huge_payload_is_shown_in_part(self, server: ScriptedServer) -> None:
        payload = {f"tasks.{index}.input_values.image": {"code": "INVALID_URL_SYNTAX"} for index in range(5000)}
        exc = self.conflict(server, json={"code": "X", "message": "m" * 100, "payload": payload})
        assert exc.payload == payload
        assert len(str(exc)) < 1500
        assert str(exc).endswith("\n  and 4980 more")

    def test_invalid_fields_are_shown_one_by_one_with_what_was_sent(self, server: ScriptedServer) -> None:
        payload = {
            "public_name": {"code": "VALUE_REQUIRED", "message": "Value must be present"},
            "filter.and.0.value": {"code": "INTEGER_EXPECTED", "message": "No integer", "params": [1]},
            "tasks": {"1": {"image": {"code": "INVALID_URL_SYNTAX"}}},
            "private_comment": {"code": "STRING_LENGTH_GREATER_THAN_MAX", "message": "Too long"},
        }
        body = {
            "filter": {"and": [{"value": "old"}]},
            "tasks": [{}, {"image": f"http//{TOKEN}"}],
            "private_comment": "c" * 1000,
        }
        server.error("POST", "/projects", 400, "VALIDATION_ERROR", payload=payload)
        with pytest.raises(TolokaApiError) as caught:
            client(server).create_project(body)
        assert caught.value.payload == payload
        assert str(caught.value).splitlines() == [
            "POST /projects answered 400 VALIDATION_ERROR: VALIDATION_ERROR happened (request id req-1)",
            "  public_name: VALUE_REQUIRED: Value must be present",
            "  filter.and.0.value: INTEGER_EXPECTED: No integer (you sent 'old')",
            "  tasks.1.image: INVALID_URL_SYNTAX (you sent 'http//***')",
            f"  private_comment: STRING_LENGTH_GREATER_THAN_MAX: Too long (you sent '{'c' * 79}... (1002 characters))",
        ]

    def test_the_key_of_a_webhook_is_not_shown(self, server: ScriptedServer) -> None:
        problem = {"code": "STRING_LENGTH_LESS_THAN_MIN"}
        payload = {"0": {"secret_key": problem}, "1": problem, "1.event_type": problem}
        server.error("PUT", "/webhook-subscriptions", 400, "VALIDATION_ERROR", payload=payload)
        subscription = {"event_type": "POOL_CLOSE", "secret_key": "hunter2"}
        with pytest.raises(TolokaApiError) as caught:
            client(server).set_webhook_subscriptions([subscription, subscription])
        assert str(caught.value).splitlines()[1:] == [
            "  0.secret_key: STRING_LENGTH_LESS_THAN_MIN",
            "  1: STRING_LENGTH_LESS_THAN_MIN",
            "  1.event_type: STRING_LENGTH_LESS_THAN_MIN (you sent 'POOL_CLOSE')",
        ]


class TestToken:
    """The token of these tests is echoed by the server in every way a server, a proxy or a login page could."""

    LATE = "x" * 480 + TOKEN

    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 400, "json": {"code": "BAD", "message": f"what is {TOKEN}?"}},
            {"status": 409, "json": {"code": "BAD", "payload": {"headers": {"Authorization": f"OAuth {TOKEN}"}}}},
            {"status": 409, "json": {"code": "BAD", "payload": {TOKEN: "in a key"}}},
            {"status": 409, "json": {"code": "BAD", "payload": ["a", [TOKEN]]}},
            {"status": 409, "json": {"code": "BAD", "payload": LATE}},
            {"status": 401, "json": {"code": f"UNKNOWN {TOKEN}", "request_id": TOKEN}},
            {"status": 401, "json": {"code": "BAD", "message": LATE}},
            {"status": 503, "json": {"code": "BAD", "message": f"{TOKEN}{TOKEN}"}},
            {"status": 502, "body": f"<html>{TOKEN}</html>".encode()},
            {"status": 502, "body": LATE.encode()},
            {"status": 200, "body": f"<html>{TOKEN}</html>".encode()},
            {"status": 200, "json": {"headers": {"Authorization": f"OAuth {TOKEN}"}}},
            {"status": 200, "json": [f"OAuth {TOKEN}"]},
            {"status": 200, "json": TOKEN},
            {"status": 302, "headers": {"Location": f"https://login.example/?token={TOKEN}"}},
        ],
    )
    @pytest.mark.parametrize("call", ["get", "list", "open", "pool", "tasks"])
    def test_an_echo_is_hidden(
        self, server: ScriptedServer, caplog: pytest.LogCaptureFixture, call: str, answer: dict[str, Any]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        method, path, send, _ = EVERY[call]
        server.answer(method, path, times=20, **answer)
        with pytest.raises(TolokaError) as caught:
            send(client(server, retry_budget=0.03))
        for text in (shown(caught.value), caplog.text, str([vars(record) for record in caplog.records])):
            assert TOKEN not in text
            assert TOKEN[:12] not in text

    @pytest.mark.parametrize(
        "answer",
        [
            f"{TOKEN} is no HTTP\r\n\r\n",
            f"HTTP/1.1 {TOKEN} OK\r\n\r\n",
            f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n",
        ],
    )
    def test_an_echo_that_is_no_http_is_hidden(self, answer: str) -> None:
        with raw_server(answer.encode()) as url, pytest.raises(TolokaConnectionError) as caught:
            TolokaClient(ClientSettings(TOKEN, base_url=url, retry_budget=0.0)).get_pool("21")
        assert TOKEN not in shown(caught.value)

    def test_nobody_there(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        httpd = unbound_server()
        with pytest.raises(TolokaConnectionError) as caught:
            client(httpd.script, retry_budget=0.03).get_pool("21")  # type: ignore[attr-defined]
        httpd.server_close()
        assert TOKEN not in shown(caught.value) + caplog.text

    @pytest.mark.parametrize(
        "proxy",
        [
            "http://user:sesame@127.0.0.1:1",
            "user:sesame@127.0.0.1:1",
            "http://user:sesame@",
            "http://user:ses@me@host:x",
        ],
    )
    def test_the_password_of_a_proxy_is_hidden(self, proxy: str) -> None:
        with pytest.raises((TolokaConnectionError, ValueError)) as caught:
            TolokaClient(
                ClientSettings(TOKEN, base_url="https://toloka.example", proxies={"https": proxy}, retry_budget=0.0)
            ).get_requester()
        assert "ses" not in str(caught.value)
        assert "ame@" not in shown(caught.value).split("sessions.py")[-1]
        assert TOKEN not in shown(caught.value)

    def test_repr(self) -> None:
        client = TolokaClient(ClientSettings(TOKEN))
        assert repr(client) == "TolokaClient(base_url='https://toloka.dev')"
        assert TOKEN not in f"{client!r} {client} {vars(client)}"

    def test_answers_are_not_changed(self, server: ScriptedServer) -> None:
        """A short token of a test account may well be a word of the data."""
        server.answer("GET", "/pools/21", json=pool(private_name="test of pools"))
        assert TolokaClient(ClientSettings("test", base_url=server.url)).get_pool("21").private_name == "test of pools"


def test_a_ca_bundle_that_is_missing_is_told_as_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """`requests` raises a bare OSError for it, before anything is sent."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    client = TolokaClient(ClientSettings(TOKEN, base_url="https://127.0.0.1:9", retry_budget=0))
    with pytest.raises(TolokaConnectionError, match=r"/no/such/bundle\.pem"):
        client.get_requester()


def test_a_client_imports_requests_for_its_first_request_only() -> None:
    """It would be most of the CPU of a task that resumes and has nothing to ask."""
    code = (
        "import sys; from toloka_airflow.api.client import TolokaClient;"
        "from toloka_airflow.api.settings import ClientSettings; client = TolokaClient(ClientSettings('token'));"
        "client.without_retries(), client.with_own_session(); print('requests' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


class TestServerTime:
    def test_it_goes_on_since_the_last_answer(self, server: ScriptedServer, virtual: VirtualTime) -> None:
        server.date = "Thu, 01 Jan 2098 12:00:00 GMT"
        server.default("GET", "/pools/21", pool())
        toloka = client(server)
        assert toloka.server_time() is None
        toloka.get_pool("21")
        virtual.advance(90.5)
        assert toloka.server_time() == datetime(2098, 1, 1, 12, 1, 30, 500_000, tzinfo=UTC)

    def test_an_error_has_a_date_too(self, server: ScriptedServer) -> None:
        server.date = "Thu, 01 Jan 2098 12:00:00 GMT"
        server.error("GET", "/pools/21", 404, "DOES_NOT_EXIST")
        toloka = client(server)
        with pytest.raises(TolokaApiError):
            toloka.get_pool("21")
        assert toloka.server_time() is not None

    @pytest.mark.parametrize("date", ["", "soon", "Thu, 99 Jan 2098 12:00:00 GMT", "0"])
    def test_an_answer_that_does_not_say_it(self, server: ScriptedServer, date: str) -> None:
        server.default("GET", "/pools/21", pool())
        toloka = client(server)
        toloka.get_pool("21")
        server.date = date
        toloka.get_pool("21")
        assert toloka.server_time() is None


def test_an_answer_is_announced_before_it_is_received(server: ScriptedServer) -> None:
    """So a download limits how many pages it holds; one that never began is none of them."""
    refused, found = threading.Event(), threading.Event()
    announced = iter((refused, found))
    server.answer("GET", "/pools/21", drop=True)
    server.answer("GET", "/pools/21", 503, body_held=refused)
    server.answer("GET", "/pools/21", json=pool(), body_held=found)
    own = client(server).with_own_session(before_receiving=lambda: next(announced).set())
    assert own.get_pool("21").id == "21"
    assert next(announced, None) is None


def test_errors_say_that_the_sandbox_is_gone(server: ScriptedServer) -> None:
    """Over a proxy that plays its part: the name leads nowhere here."""
    gone = "Toloka has not offered its sandbox since 1 July 2024: rehearse with the emulator"
    settings = ClientSettings(
        TOKEN, base_url="https://sandbox.toloka.dev", proxies={"https": server.url}, retry_budget=0, total_timeout=10
    )
    with pytest.raises(TolokaConnectionError, match=gone):
        TolokaClient(settings).get_requester()


def test_errors_of_others_do_not(server: ScriptedServer) -> None:
    server.error("GET", "/requester", 404, "DOES_NOT_EXIST")
    with pytest.raises(TolokaApiError) as caught:
        client(server).get_requester()
    assert "sandbox" not in str(caught.value)
