from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.resources.webhooks import parcel
from toloka_airflow.emulator.world.entities import Subscription

HANG = 60
ADDRESS = "https://awesome-requester.com/toloka-webhook"
HEAD = ["event_time", "project_id", "pool_id", "uuid"]
ASSIGNMENT = [*HEAD, "task_suite_id", "assignment_id", "webhook_subscription_id", "type"]
NOON = 946_728_000_000


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/hook?from=toloka"
        receiver.seen.append((dict(self.headers), body))
        receiver.got_one.set()
        receiver.may_answer.wait(HANG)
        self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output free of access logs."""


class Receiver:
    """A server that takes webhooks: it answers the prepared statuses, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.got_one = threading.Event()
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._httpd.receiver = self  # type: ignore[attr-defined]
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/hook?from=toloka"
        self._thread = threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.seen for event in json.loads(body)["events"]]

    def stop(self) -> None:
        self.may_answer.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def subscribe(api, url, pool_id, *types, **more):
    body = [{"webhook_url": url, "event_type": name, "pool_id": pool_id, **more} for name in types]
    answer = api("PUT", "/webhook-subscriptions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["validation_errors"] == {}
    return [item["id"] for item in answer.json()["items"].values()]


def run(api, seconds=0):
    """Let time pass and all webhooks arrive."""
    api.server.clock.advance(seconds)
    assert api.server.settle()


def test_create_change_look_up_and_delete(api):
    body = {"webhook_url": ADDRESS, "event_type": "POOL_CLOSED", "pool_id": api.add_pool(), "secret_key": "12345"}
    created = api("PUT", "/webhook-subscriptions", json=body)
    assert created.status_code == 201
    shown = created.json()
    assert list(shown) == ["webhook_url", "event_type", "pool_id", "id", "created"]
    again = api("PUT", "/webhook-subscriptions", json=body | {"secret_key": "other"})
    assert (again.status_code, again.json()) == (200, shown)
    assert api.get(f"/webhook-subscriptions/{shown['id']}") == shown
    assert api.get("/webhook-subscriptions", pool_id=body["pool_id"])["items"] == [shown]
    assert api.get("/webhook-subscriptions", event_type="ASSIGNMENT_CREATED")["items"] == []
    assert api("DELETE", f"/webhook-subscriptions/{shown['id']}").status_code == 204
    for method in ("GET", "DELETE"):
        assert api.code(method, f"/webhook-subscriptions/{shown['id']}") == (404, "DOES_NOT_EXIST")


def test_list_of_which_one_is_wrong(api):
    good = {"webhook_url": ADDRESS, "event_type": "POOL_CLOSED", "pool_id": api.add_pool()}
    bad = {"webhook_url": ADDRESS, "event_type": "POOL_CLOSED"}
    answer = api("PUT", "/webhook-subscriptions", json=[bad, good])
    assert answer.status_code == 200
    assert list(answer.json()["items"]) == ["1"]
    required = {"code": "VALUE_REQUIRED", "message": "Value must be present and not equal to null"}
    assert answer.json()["validation_errors"] == {"0": {"pool_id": required}}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"pool_id": "1"}, "pool_id", "ENTITY_DOES_NOT_EXIST"),
        ({"event_type": "POOL_OPENED"}, "event_type", "UNKNOWN_ENUM_VALUE"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url", "INVALID_URL_SYNTAX"),
        ({"webhook_url": "http://"}, "webhook_url", "INVALID_URL_SYNTAX"),
        ({"webhook_url": "http://example.com:99999/"}, "webhook_url", "INVALID_URL_SYNTAX"),
        ({"webhook_url": "http://example.com/\r\nX: y"}, "webhook_url", "INVALID_URL_SYNTAX"),
        ({"secret": "x"}, "secret", "VALUE_NOT_ALLOWED"),
    ],
)
def test_wrong_subscription(api, change, field, code):
    body = {"webhook_url": ADDRESS, "event_type": "POOL_CLOSED", "pool_id": api.add_pool()} | change
    answer = api("PUT", "/webhook-subscriptions", json=body)
    assert answer.status_code == 400
    assert answer.json()["payload"][field]["code"] == code


def test_documented_signature():
    event = dict.fromkeys(ASSIGNMENT, "")
    event |= {
        "event_time": "2000-01-01T12:00:00",
        "project_id": "project-1",
        "pool_id": "pool-1",
        "uuid": "00000000-0000-0000-0000-000000000000",
        "task_suite_id": "task-suite-1",
        "assignment_id": "assignment-1",
        "webhook_subscription_id": "subscription-1",
        "type": "ASSIGNMENT_APPROVED",
    }
    subscription = Subscription("subscription-1", ADDRESS, "ASSIGNMENT_APPROVED", "pool-1", NOON, "12345")
    sent = parcel(subscription, [event], NOON)
    assert len(sent.body) == 273
    sign = "609af3eefd4c12b6afad30ab456efcd21fe82f4247d3340151a3ca0c97a6cbcb"
    assert sent.headers["Toloka-Signature"] == f"{{v=1, ts=946728000000, sign={sign}}}"


def test_a_round_of_labelling(api, receiver):
    pool_id = api.add_pool(tasks=4)
    types = [f"ASSIGNMENT_{step}" for step in ("CREATED", "SUBMITTED", "APPROVED", "REJECTED", "SKIPPED", "EXPIRED")]
    ids = subscribe(api, receiver.url, pool_id, "POOL_CLOSED", *types)
    subscribe(api, receiver.url, api.add_pool(), "POOL_CLOSED")
    api.move(pool_id, "open")
    run(api, 3600)
    kinds = Counter(event["type"] for event in receiver.events)
    steps = ("CREATED", "SUBMITTED", "APPROVED")
    assert kinds == {"POOL_CLOSED": 1} | {f"ASSIGNMENT_{step}": 6 for step in steps}
    [closed] = [event for event in receiver.events if event["type"] == "POOL_CLOSED"]
    assert list(closed) == [*HEAD, "close_reason", "webhook_subscription_id", "type"]
    assert (closed["close_reason"], closed["webhook_subscription_id"]) == ("COMPLETED", ids[0])
    [entry] = api.server.journal.events("pool.closed")
    assert closed["event_time"] == entry["at"].partition(".")[0]
    submitted = [event for event in receiver.events if event["type"] == "ASSIGNMENT_SUBMITTED"]
    found = {item["id"]: item for item in api.assignments(pool_id)}
    assert all(list(event) == ASSIGNMENT for event in submitted)
    assert {event["assignment_id"]: event["task_suite_id"] for event in submitted} == {
        name: item["task_suite_id"] for name, item in found.items()
    }
    assert len({event["uuid"] for event in receiver.events}) == len(receiver.events)


def test_what_the_requester_and_the_clock_decide(api, receiver):
    pool_id = api.add_pool(tasks=4, auto_accept_solutions=False)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_APPROVED", "ASSIGNMENT_REJECTED")
    api.move(pool_id, "open")
    run(api, 3600)
    one, other, *_ = api.assignments(pool_id)
    for assignment, status in ((one, "ACCEPTED"), (other, "REJECTED")):
        api("PATCH", f"/assignments/{assignment['id']}", json={"status": status, "public_comment": "."})
    run(api)
    assert [(event["type"], event["assignment_id"]) for event in receiver.events] == [
        ("ASSIGNMENT_APPROVED", one["id"]),
        ("ASSIGNMENT_REJECTED", other["id"]),
    ]
    run(api, 22 * 24 * 3600)
    assert Counter(event["type"] for event in receiver.events)["ASSIGNMENT_APPROVED"] == 5


def test_skipped_and_expired(make_api, receiver):
    api = make_api()
    api.server.crowd.change(skip_rate=0.5, expire_rate=0.5)
    pool_id = api.add_pool(tasks=4)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_SKIPPED", "ASSIGNMENT_EXPIRED")
    api.move(pool_id, "open")
    run(api, 3600)
    assert {event["type"] for event in receiver.events} == {"ASSIGNMENT_SKIPPED", "ASSIGNMENT_EXPIRED"}


def test_dynamic_overlap(make_api, receiver):
    api = make_api(crowd=CrowdSettings(size=20, accuracy=(1, 1), skip_rate=0, expire_rate=0))
    skill_id = api.post("/skills", {"name": "Weight"})["id"]
    config = {"type": "BASIC", "max_overlap": 5, "min_confidence": 0.9, "answer_weight_skill_id": skill_id}
    pool_id = api.add_pool(
        dynamic_overlap_config=config | {"fields": [{"name": "result"}]}, auto_close_after_complete_delay_seconds=60
    )
    [subscription_id] = subscribe(api, receiver.url, pool_id, "DYNAMIC_OVERLAP_COMPLETED")
    api.add_tasks(pool_id, 2)
    api.move(pool_id, "open")
    run(api, 24 * 3600)
    tail = ["task_id", "confidence", "webhook_subscription_id", "type", "assignment_ids", "output_values"]
    assert [list(event) for event in receiver.events] == [[*HEAD, *tail]] * 2
    assert {event["task_id"] for event in receiver.events} == {
        task["id"] for task in api.get("/tasks", pool_id=pool_id)["items"]
    }
    assert {event["webhook_subscription_id"] for event in receiver.events} == {subscription_id}


def test_in_batches(api, receiver):
    pool_id = api.add_pool(tasks=150)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_SUBMITTED")
    api.move(pool_id, "open")
    run(api, 24 * 3600)
    sizes = [len(json.loads(body)["events"]) for _, body in receiver.seen]
    assert sizes == [100, 100, 25]
    assert len({event["uuid"] for event in receiver.events}) == 225


def test_headers(api, receiver):
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_CREATED")
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED", secret_key="12345")
    api.move(pool_id, "open")
    run(api, 3600)
    for headers, body in receiver.seen:
        assert headers["Content-Type"] == "application/json"
        assert ("Toloka-Signature" in headers) is (b"POOL_CLOSED" in body)
        assert b'": ' not in body


def test_repeated_until_the_receiver_takes_it(api, receiver):
    receiver.statuses = [500, 404, 302]
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    run(api, 3600)
    for seconds in (9, 1, 59, 1, 299, 1, 7200):
        run(api, seconds)
    assert len(receiver.seen) == 4
    assert len({body for _, body in receiver.seen}) == 1
    entries = api.server.journal.deliveries()
    assert [(entry["attempt"], entry["status"]) for entry in entries] == [(1, 500), (2, 404), (3, 302), (4, 200)]
    assert [entry.get("error") for entry in entries] == ["WRONG_STATUS_CODE"] * 3 + [None]
    assert entries[0]["next_attempt"] == entries[1]["at"]
    assert "next_attempt" not in entries[3]


def test_given_up(api, receiver):
    receiver.statuses = [503] * 6
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_SUBMITTED")
    api.move(pool_id, "open")
    for _ in range(10):
        run(api, 2 * 3600)
    # What was given up does not come back, and does not stop what comes after it.
    assert [entry["attempt"] for entry in api.server.journal.deliveries()] == [1, 2, 3, 4, 5, 6]
    api.add_tasks(pool_id, 1)
    api.move(pool_id, "open")
    run(api, 3600)
    assert api.server.journal.deliveries()[-1]["status"] == 200


def test_nobody_listens(api, receiver):
    receiver.stop()
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    run(api, 3600)
    [entry] = api.server.journal.deliveries()
    assert entry["error"] == "CONNECTION_ERROR"
    assert "status" not in entry


@pytest.mark.parametrize(("answer", "error"), [(b"", "CONNECTION_ERROR"), (b"What do you want?\r\n\r\n", "UNKNOWN")])
def test_strange_receivers(api, answer, error):
    deliver_to(api, answer)
    assert api.server.journal.deliveries()[0]["error"] == error


def test_receiver_that_does_not_answer(api, monkeypatch):
    monkeypatch.setattr("toloka_airflow.emulator.courier.TIMEOUT", 0.1)
    deliver_to(api, None)
    assert api.server.journal.deliveries()[0]["error"] == "REQUEST_TIMEOUT"


def deliver_to(api, answer):
    """Deliver a webhook to a receiver that reads it and says this; None is nothing, and the line stays open."""
    pool_id = api.add_pool(tasks=1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        subscribe(api, f"http://127.0.0.1:{listener.getsockname()[1]}/", pool_id, "POOL_CLOSED")
        api.move(pool_id, "open")
        api.server.clock.advance(3600)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            if answer is not None:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
            assert api.server.settle()


def test_slow_receiver_holds_up_nobody(api, receiver, stop_at_once):
    receiver.may_answer.clear()
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED", "ASSIGNMENT_SUBMITTED")
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert receiver.got_one.wait(HANG)
    assert not api.server.settle(timeout=0)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    stop_at_once(api.server)
    assert [entry["error"] for entry in api.server.journal.deliveries()] == ["CONNECTION_ERROR"]


def test_comes_by_itself(make_api, receiver):
    """Nobody asks the emulator anything after the pool was opened."""
    api = make_api(frozen=False, speed=100_000)
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.post(f"/pools/{pool_id}/open")
    assert receiver.got_one.wait(HANG)
    assert receiver.events[0]["close_reason"] == "COMPLETED"


def test_comes_by_itself_when_a_frozen_clock_is_advanced(api, receiver):
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.post(f"/pools/{pool_id}/open")
    api.server.clock.advance(3600)
    assert receiver.got_one.wait(HANG)


def test_deleted_while_under_way(api, receiver):
    receiver.may_answer.clear()
    receiver.statuses = [500]
    pool_id = api.add_pool(tasks=1)
    [subscription_id] = subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert receiver.got_one.wait(HANG)
    assert api("DELETE", f"/webhook-subscriptions/{subscription_id}").status_code == 204
    receiver.may_answer.set()
    run(api, 3600)
    assert len(receiver.seen) == 1
    assert api.server.journal.deliveries() == []


def test_secret_is_never_told(api, receiver):
    pool_id = api.add_pool(tasks=1)
    body = {"webhook_url": receiver.url, "event_type": "POOL_CLOSED", "pool_id": pool_id, "secret_key": "top-secret-1"}
    answers = [api("PUT", "/webhook-subscriptions", json=body), api("GET", "/webhook-subscriptions")]
    api.move(pool_id, "open")
    run(api, 3600)
    assert receiver.events
    assert "top-secret-1" not in str([answer.text for answer in answers]) + str(api.server.journal.after(0))


def test_test_call(api, receiver):
    pool_id = api.add_pool()
    [subscription_id] = subscribe(api, receiver.url, pool_id, "POOL_CLOSED", secret_key="12345")
    result = api.post(f"/webhook-subscriptions/{subscription_id}/test")
    [event] = receiver.events
    assert list(event) == [*HEAD, "type"]
    assert (event["type"], event["pool_id"]) == ("TEST_EVENT", pool_id)
    assert result == {
        "success": True,
        "responseReceivedAt": "2030-01-01T00:00:00.000",
        "originalStatusCode": 200,
        "uuids": [event["uuid"]],
    }
    receiver.statuses = [500]
    result = api.post(f"/webhook-subscriptions/{subscription_id}/test")
    assert (result["success"], result["errorType"], result["originalStatusCode"]) == (False, "WRONG_STATUS_CODE", 500)
    receiver.stop()
    result = api.post(f"/webhook-subscriptions/{subscription_id}/test")
    assert (result["success"], result["errorType"]) == (False, "CONNECTION_ERROR")
    assert set(result) == {"success", "errorType", "uuids"}
    assert [entry["type"] for entry in api.server.journal.deliveries()] == ["TEST_EVENT"] * 3


def test_test_call_holds_up_nobody(api, receiver):
    receiver.may_answer.clear()
    [subscription_id] = subscribe(api, receiver.url, api.add_pool(), "POOL_CLOSED")
    results: list[Any] = []
    path = f"{api.server.url}/api/v1/webhook-subscriptions/{subscription_id}/test"
    caller = threading.Thread(target=lambda: results.append(api.session.post(path, timeout=10).json()))
    caller.start()
    assert receiver.got_one.wait(HANG)
    assert api("GET", "/requester").status_code == 200
    receiver.may_answer.set()
    caller.join()
    assert results[0]["success"] is True


def test_reset_forgets_what_is_under_way(api, receiver):
    receiver.may_answer.clear()
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert receiver.got_one.wait(HANG)
    api.server.reset()
    receiver.may_answer.set()
    run(api)
    assert api.server.journal.after(0) == []


def test_delivered_also_after_a_stop_and_a_start(api, receiver):
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    api.server.stop()
    api.server.clock.advance(2 * 365 * 24 * 3600)
    # It closes while nobody delivers.
    assert api.server.pool(pool_id)["status"] == "CLOSED"
    api.server.start()
    assert api.server.settle()
    assert [event["type"] for event in receiver.events] == ["POOL_CLOSED"]
