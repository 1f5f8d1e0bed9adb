"""A scripted server, and a runner that takes one task through worker and triggerer as Airflow does."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from airflow.sdk.execution_time.comms import ConnectionResult

TOKEN = "a-very-secret-token-0123456789"


@dataclass
class Seen:
    """A request that the scripted server got."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    port: int
    """The client's; requests of one kept-alive connection have the same."""


@dataclass
class ScriptedServer:
    """An HTTP server that gives prepared answers, each once, and remembers what it was asked."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    _answers: dict[tuple[str, str], deque[dict[str, Any]]] = field(default_factory=lambda: defaultdict(deque))
    _defaults: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    date: str | None = None
    """What its clock shows, as the header Date has it; the real time by default, and nothing if it is empty."""

    def answer(
        self,
        method: str,
        path: str,
        status: int = 200,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        drop: bool = False,
        held: threading.Event | None = None,
        body_held: threading.Event | None = None,
        drip: float = 0.0,
        times: int = 1,
    ) -> None:
        """
        Prepare an answer for a path below /api/v1.

        ``drop`` reads the request and closes the connection without an answer; what is ``held`` is answered when the
        event is set, or only its body is sent then; of what drips, a byte of the body is sent every so many seconds. A
        header that is ``None`` is not sent.
        """
        prepared = {
            "status": status,
            "json": json,
            "body": body,
            "headers": headers or {},
            "drop": drop,
            "held": held,
            "body_held": body_held,
            "drip": drip,
        }
        self._answers[method, whole(path)].extend([prepared] * times)

    def default(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        status: int = 200,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> None:
        """Prepare what to answer whenever nothing else is prepared for a path below /api/v1."""
        prepared = {"status": status, "json": json, "body": body, "headers": headers or {}, "drop": False, "held": None}
        self._defaults[method, whole(path)] = prepared

    def error(self, method: str, path: str, status: int, code: str, *, times: int = 1, **more: Any) -> None:
        """Prepare an error answer with Toloka's envelope."""
        headers = more.pop("headers", None)
        body = {"request_id": "req-1", "code": code, "message": f"{code} happened", **more}
        self.answer(method, path, status, body, headers=headers, times=times)

    def calls(self, method: str | None = None) -> list[str]:
        """Return the requests as "METHOD path", without /api/v1."""
        wanted = [seen for seen in self.seen if method in (None, seen.method)]
        return [f"{seen.method} {seen.path.removeprefix('/api/v1')}" for seen in wanted]

    def next_answer(self, method: str, path: str) -> dict[str, Any]:
        """Take the next prepared answer for a request."""
        queue = self._answers[method, path]
        if queue:
            return queue.popleft()
        if (method, path) in self._defaults:
            return self._defaults[method, path]
        self.unexpected.append(f"{method} {path}")
        refusal = {"request_id": "x", "code": "NOT_SCRIPTED", "message": f"{method} {path} was not scripted"}
        return {"status": 400, "json": refusal, "body": None, "headers": {}, "drop": False, "held": None}


def whole(path: str) -> str:
    """Return the path of a request, most of which are below /api/v1."""
    return path if path.startswith("/api/") else f"/api/v1{path}"


class ScriptedHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        script: ScriptedServer = self.server.script  # type: ignore[attr-defined]
        path, _, query = self.path.partition("?")
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        script.seen.append(Seen(self.command, path, query, dict(self.headers), body, self.client_address[1]))
        answer = script.next_answer(self.command, path)
        if answer["held"] is not None:
            answer["held"].wait(60)
        if answer["drop"]:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = answer["body"]
        if content is None:
            content = b"" if answer["json"] is None else json.dumps(answer["json"]).encode()
        self.send_response(answer["status"])
        for name, value in {"Content-Length": str(len(content)), **answer["headers"]}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if answer.get("body_held") is not None:
            answer["body_held"].wait(60)
        if answer.get("drip"):
            self._drip(content, answer["drip"])
        else:
            self.wfile.write(content)

    def _drip(self, content: bytes, pause: float) -> None:
        try:
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(pause)
        except OSError:  # the client is gone
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what the header Date is to be."""
        date: str | None = self.server.script.date  # type: ignore[attr-defined]
        return super().date_time_string(timestamp) if date is None else date

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output free of access logs."""


@contextmanager
def scripted_server(script: ScriptedServer | None = None) -> Iterator[ScriptedServer]:
    """Serve on a free port, by a script of its own or one that is given."""
    script = script or ScriptedServer()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHandler)
    httpd.daemon_threads = True
    httpd.script = script  # type: ignore[attr-defined]
    script.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> str:
    """Define the default connection in the environment, as a user may, and return its id."""
    value = json.dumps({"conn_type": "toloka", "host": url, "password": TOKEN, "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", value)
    return "toloka_default"


def connection_result(conn_id: str) -> ConnectionResult:
    """Return what Airflow answers to a task that asks for a connection; 3.1 asks before it looks at the environment."""
    fields = json.loads(os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"])
    return ConnectionResult(conn_id=conn_id, **{**fields, "extra": json.dumps(fields["extra"])})


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the monotonic clock of this process jump."""
    before = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: before() + seconds)


@dataclass
class TaskInstance:
    """The part of Airflow's task instance that a task uses while it runs; equal names are attempts of one task."""

    dag_id: str = "dag"
    run_id: str = "manual__1"
    task_id: str = "task"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)
    first_reschedule: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        """Return when the task was first put off, as a sensor asks to know how long it has waited."""
        return self.first_reschedule

    def xcom_push(self, key: str, value: Any) -> None:
        """Remember a value."""
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value", map_indexes: int = -1) -> Any:
        """Return a value that this task remembered."""
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)


@dataclass
class Outcome:
    """How a task ended: its return value, its XComs, the triggers it waited in, and its asset events."""

    result: Any
    xcoms: dict[str, Any]
    triggers: list[tuple[str, dict[str, Any]]]
    outlet_events: Any


def from_templates(make: Callable[..., Any], **arguments: Any) -> Any:
    """
    Return an operator whose arguments are known since its task runs only, as if templates had given them.

    :param make: The operator, with all arguments that the DAG gives.
    """
    task = make(**dict.fromkeys(arguments, "{{ given }}"))
    for name, value in arguments.items():
        setattr(task, name, value)
    return task


def run_task(
    task: Any, instance: TaskInstance | None = None, *, triggerer: Callable[..., Any] = asyncio.run, **facts: Any
) -> Outcome:
    """
    Run a task as Airflow does: on a worker, in the triggerer, and on a worker again, with stored arguments.

    :param triggerer: What runs the coroutine of a trigger, such as ``VirtualTime.run``.
    :param facts: What else is in the context of the task.
    """
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow.sdk.bases.sensor import AirflowRescheduleException
    from airflow.sdk.execution_time.context import OutletEventAccessors

    instance = instance or TaskInstance(task_id=task.task_id)
    instance.max_tries = max(instance.max_tries, task.retries)
    events = OutletEventAccessors()
    context = {"ti": instance, "outlet_events": events, **facts}
    triggers: list[tuple[str, dict[str, Any]]] = []
    step: Callable[[], Any] = lambda: task.execute(context)  # noqa: E731
    while True:
        try:
            return Outcome(step(), instance.xcoms, triggers, events)
        except AirflowRescheduleException as put_off:
            instance.first_reschedule = instance.first_reschedule or datetime.now(UTC)
            time.sleep(max(0.0, (put_off.reschedule_date - datetime.now(UTC)).total_seconds()))
        except TaskDeferred as deferred:
            path, arguments = deferred.trigger.serialize()
            stored = json.loads(json.dumps(arguments))
            triggers.append((path, stored))
            event = triggerer(fire(path, stored))
            kwargs = {**json.loads(json.dumps(deferred.kwargs or {})), "event": event}
            method = deferred.method_name
            step = lambda m=method, k=kwargs: task.resume_execution(m, k, context)  # noqa: E731


class Secrets:
    """
    A secrets backend that has nothing, and counts what is read; Airflow asks it before the environment.

    Airflow keeps the first backend that a process was configured with, so there is one for all tests. ``delays`` are
    the seconds that its next answers take.
    """

    reads: ClassVar[Counter[str]] = Counter()
    delays: ClassVar[list[float]] = []

    def _set_connection_class(self, connection_class: type) -> None:
        pass

    def get_connection(self, conn_id: str) -> None:
        self.reads[conn_id] += 1

    async def aget_connection(self, conn_id: str) -> None:
        if self.delays:
            await asyncio.sleep(self.delays.pop(0))
        self.get_connection(conn_id)


async def fire(path: str, arguments: dict[str, Any]) -> Any:
    """Build a trigger from its stored form, run it, and return the payload of its only event."""
    from importlib import import_module

    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**arguments)
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return json.loads(json.dumps(events[0]))


def operation(status: str = "SUCCESS", type: str = "POOL.OPEN", id: str = "op-1", **more: Any) -> dict[str, Any]:
    """Return an operation as the API answers it."""
    return {"id": id, "type": type, "status": status, "parameters": {"pool_id": "21"}, **more}


NO_OPERATIONS = NO_ANSWERS = {"items": [], "has_more": False}
ONE_ANSWER = {"items": [{"id": "a-1", "pool_id": "21", "status": "SUBMITTED"}], "has_more": True}


def nested(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


ABSURD: dict[str, dict[str, Any]] = {
    "Retry-After of 400 digits": {"status": 503, "headers": {"Retry-After": "9" * 400}},
    "Retry-After of no year": {"status": 503, "headers": {"Retry-After": "1 Jan 10000000000000000000000 0:0:0"}},
    "too deep to be parsed": {"body": b"[" * 100_000 + b"]" * 100_000},
    "too deep to be shown": {"status": 503, "json": {"code": "X", "payload": nested(400)}},
    "an operation too deep to be shown": {
        "json": {"id": "op-1", "type": "POOL.OPEN", "status": "FAIL", "details": {"a": nested(400)}}
    },
    "a status that is too deep": {"json": {"id": "op-1", "type": "POOL.OPEN", "status": nested(400)}},
    "a charset for names of hosts": {
        "status": 502,
        "body": "<h1>Störung</h1>".encode(),
        "headers": {"Content-Type": "text/html; charset=idna"},
    },
    "a status beyond 599": {"status": 700, "json": {"id": "op-1", "type": "POOL.OPEN", "status": "FAIL"}},
}
"""Answers of servers that are out of order, to a request for an operation that will succeed."""


def pool(status: str = "CLOSED", reason: str | None = "COMPLETED", **more: Any) -> dict[str, Any]:
    """Return a pool as the API answers it."""
    answer = {"id": "21", "project_id": "10", "private_name": "Pool", "status": status, **more}
    return answer if reason is None else {**answer, "last_close_reason": reason}
