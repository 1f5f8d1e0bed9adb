"""Clients that vanish at any point of a request: the server goes on, and stops without waiting for any of them."""

from __future__ import annotations

import gc
import json
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

LIST = b"GET /api/v1/tasks?pool_id=POOL_ID&limit=100000 HTTP/1.1\r\nHost: [::1]\r\nAuthorization: OAuth x\r\n\r\n"
MANY = 30
HANG = 60.0
"""After how many seconds a test is given up; nothing that works takes a tenth of it, however busy the machine is."""


def request(method: str, path: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: [::1]\r\nAuthorization: OAuth x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


PROJECT = request("POST", "/api/v1/projects", {"public_name": "x" * 1000})
JOURNAL = request("GET", "/_emulator/journal?after=1000&wait=60")
WEBHOOKS = "/api/v1/webhook-subscriptions"
LAST_WORDS = {
    "nothing": b"",
    "half a request line": b"POST /api/v1/pro",
    "half the headers": PROJECT[: PROJECT.index(b"Content-Type")],
    "headers without the body": PROJECT[: PROJECT.index(b"\r\n\r\n") + 4],
    "half the body": PROJECT[:-500],
    "half a chunk": b"POST /api/v1/projects HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{",
    "waiting for 100": b"PUT /api/v1/x HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a whole request": PROJECT,
    "one and a half requests": PROJECT + PROJECT[:-500],
    "a long list": LIST,
    "long lists at once": LIST * 3,
    "waiting for the journal": JOURNAL,
    "one more while waiting": JOURNAL + PROJECT,
    "waiting for webhooks": request("POST", "/_emulator/settle", {"timeout": 60}),
    "delayed": request("GET", "/api/v1/pools"),
    "dropped": request("GET", "/api/v1/requester"),
    "lost answer": request("GET", "/api/v1/projects"),
    "half an answer": request("GET", "/api/v1/task-suites"),
}


class SilentReceiver:
    """A receiver of webhooks that accepts connections and never answers."""

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self.connections: list[socket.socket] = []
        self._listener = listener

    def wait_for_one(self) -> None:
        self._listener.settimeout(HANG)
        connection, _ = self._listener.accept()
        self.connections.append(connection)
        assert connection.recv(4) == b"POST"


@pytest.fixture
def silent_receiver() -> Iterator[SilentReceiver]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        receiver = SilentReceiver(listener)
        yield receiver
        for connection in receiver.connections:
            connection.close()


@pytest.fixture
def connect(api, caplog, stop_at_once) -> Iterator[Callable[..., socket.socket]]:
    """Connect clients that say something; afterwards the server must be as if they had never been there."""
    pool_id = api.server.add_pool(tasks=500)
    faults = api.server.faults
    faults.add("GET", "/api/v1/pools", delay=600, probability=1)
    faults.add("GET", "/api/v1/requester", drop=True, probability=1)
    faults.add("GET", "/api/v1/projects", lost_answer=True, probability=1)
    faults.add("GET", "/api/v1/task-suites", half_body=True, probability=1)
    clients: list[socket.socket] = []

    def connect(words: bytes, pool_id: str = pool_id) -> socket.socket:
        address = urlsplit(api.server.url)
        client = socket.create_connection((address.hostname, address.port), timeout=HANG)
        clients.append(client)
        client.sendall(words.replace(b"POOL_ID", pool_id.encode()))
        return client

    with caplog.at_level(logging.ERROR):
        yield connect
        assert api("GET", "/operations").status_code == 200
        stop_at_once(api.server)
        # A transport that was left open would warn now.
        gc.collect()
    for client in clients:
        client.close()
    assert caplog.text == ""


def wait_until_heard(api):
    """
    Return when the server has read all that was said before.

    Its loop takes three rounds to accept a connection and to read from it, and an answer to somebody else is at least
    one.
    """
    for _ in range(4):
        assert api("GET", "/operations").status_code == 200


def leave(client: socket.socket) -> None:
    """Say goodbye as a process does that ends."""
    client.close()


def reset(client: socket.socket) -> None:
    """Break the connection as a process does that is killed with unread data."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def stay(client: socket.socket) -> None:
    """Neither read nor leave, as a process that hangs."""


@pytest.mark.parametrize("end", [leave, reset, stay])
@pytest.mark.parametrize("words", LAST_WORDS.values(), ids=LAST_WORDS)
def test_last_words(api, connect, words, end):
    client = connect(words)
    wait_until_heard(api)
    end(client)


def test_all_at_once(connect):
    clients = [connect(words) for words in LAST_WORDS.values() for _ in range(3)]
    for number, client in enumerate(clients):
        (leave, reset, stay)[number % 3](client)


@pytest.mark.parametrize("end", [leave, reset, stay])
@pytest.mark.parametrize("fault", [{}, {"half_body": True}], ids=["whole", "half"])
def test_while_a_long_answer_is_read(api, connect, end, fault):
    # More than the buffers of the system hold: 15 megabytes.
    values = {"text": "x" * 20_000}
    pool_id = api.server.add_pool([values])
    for _ in range(15):
        api.post("/tasks", [{"pool_id": pool_id, "input_values": values}] * 50, allow_defaults="true")
    for _ in range(2):
        if fault:
            api.server.faults.add("GET", "/api/v1/tasks", **fault)
        client = connect(LIST, pool_id)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        end(client)


@pytest.mark.parametrize("end", [leave, reset, stay])
def test_during_the_test_of_a_webhook(api, silent_receiver, connect, end):
    pool_id = api.add_pool()
    body = [{"webhook_url": silent_receiver.url, "event_type": "POOL_CLOSED", "pool_id": pool_id}]
    [item] = api("PUT", "/webhook-subscriptions", json=body).json()["items"].values()
    clients = [connect(request("POST", f"{WEBHOOKS}/{item['id']}/test")) for _ in range(5)]
    wait_until_heard(api)
    silent_receiver.wait_for_one()
    for client in clients:
        end(client)


def test_nothing_is_kept_of_clients_that_are_gone(api, connect):
    connections = api.server._runner._state.connections
    tasks = api.server._runner._state.tasks
    api("GET", "/operations")
    before = len(connections)
    for words in LAST_WORDS.values():
        for _ in range(MANY):
            reset(connect(words))
    give_up = time.monotonic() + HANG
    while (tasks or len(connections) > before) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert (len(tasks), len(connections)) == (0, before)


def test_half_a_request_does_nothing(api, connect):
    for name in ("headers without the body", "half the body"):
        leave(connect(LAST_WORDS[name]))
    wait_until_heard(api)
    assert api.server.journal.requests("POST", "/api/v1/projects") == []
