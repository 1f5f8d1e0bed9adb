from __future__ import annotations

from collections import Counter

import pytest
import requests

from toloka_airflow.emulator.http.steering import STEERING

STEER = "/_emulator"
JSON = {"Content-Type": "application/json"}
DECIDED = ("created", "submitted", "accepted")


def steer(api, method, path, body=None):
    """Steer without a token."""
    return requests.request(method, f"{api.server.url}{STEER}{path}", json=body, headers=JSON, timeout=5)


def test_clock(api):
    assert steer(api, "GET", "/clock").json() == {"now": "2030-01-01T00:00:00.000", "speed": 1.0, "frozen": True}
    moved = steer(api, "PATCH", "/clock", {"advance": 90.5, "speed": 60})
    assert moved.json() == {"now": "2030-01-01T00:01:30.500", "speed": 60, "frozen": True}


def test_truth_may_come_before_the_tasks(api):
    rules = [
        {"match": {}, "output_values": {"result": "other"}},
        {"match": {"image": "u0"}, "output_values": {"result": "dog"}},
    ]
    assert steer(api, "PUT", "/truth", rules).json() == {"rules": 2}
    assert steer(api, "PATCH", "/crowd", {"accuracy": [1, 1]}).json()["accuracy"] == [1, 1]
    pool_id = api.add_pool(tasks=2)
    api.move(pool_id, "open")
    steer(api, "PATCH", "/clock", {"advance": 3600})
    items = api.assignments(pool_id)
    pairs = [pair for item in items for pair in zip(item["tasks"], item["solutions"], strict=True)]
    found = {(task["input_values"]["image"], solution["output_values"]["result"]) for task, solution in pairs}
    assert found == {("u0", "dog"), ("u1", "other")}


def test_requester(api):
    assert steer(api, "PATCH", "/requester", {"balance": 12.5}).json() == {"balance": 12.5, "reserved": 0}
    assert api.get("/requester")["balance"] == 12.5


def test_tokens(api):
    refused = (401, "AUTHENTICATION_ERROR")
    assert steer(api, "PUT", "/tokens", ["secret", "new"]).json() == {"accepted": 2}
    assert api.get("/requester")
    assert steer(api, "PUT", "/tokens", ["new"]).json() == {"accepted": 1}
    assert api.code("GET", "/requester") == refused
    assert api.server.journal.requests()[-1]["status"] == 401
    document = api.server.snapshot()
    assert "new" not in str(document["state"]["world"]["account"])
    assert steer(api, "PUT", "/tokens", []).json() == {"accepted": "any"}
    assert api.get("/requester")
    api.server.restore(document)
    assert api.code("GET", "/requester") == refused
    api.session.headers["Authorization"] = "ApiKey new"
    assert api.get("/requester")
    api.server.accept_tokens("another")
    assert api.code("GET", "/requester") == refused
    api.server.reset()
    assert api.get("/requester")


def test_operations(api):
    pool_id = api.add_pool(tasks=1)
    setting = {"type": "POOL.OPEN", "pool_id": pool_id, "looks": 1}
    assert steer(api, "PUT", "/operations", setting).status_code == 204
    operation = api.post(f"/pools/{pool_id}/open")
    assert api.get(f"/operations/{operation['id']}")["status"] == "SUCCESS"
    fail = {"type": None, "pool_id": None, "seconds": 0, "fail": {"code": "INTERNAL_ERROR", "message": "No"}}
    assert steer(api, "PUT", "/operations", fail).status_code == 204
    assert api.post(f"/pools/{pool_id}/close")["status"] == "FAIL"


def test_faults(api):
    fault = {"method": "get", "path": "/api/v1/pools/{id}", "times": 2, "status": 503, "retry_after": 1}
    assert steer(api, "POST", "/faults", fault).json() == {"faults": 1}
    assert api.code("GET", "/pools/1") == (503, "REMOTE_SERVICE_UNAVAILABLE")
    assert steer(api, "DELETE", "/faults").status_code == 204
    assert api.code("GET", "/pools/1") == (404, "DOES_NOT_EXIST")


def test_journal(api):
    pool_id = api.add_pool(tasks=1)
    api.move(pool_id, "open")
    api("GET", "/pools", params={"limit": 1})
    page = steer(api, "GET", "/journal").json()
    assert [entry["seq"] for entry in page["items"]] == list(range(1, page["last"] + 1))
    assert "secret" not in str(page)
    last = page["items"][-1]
    assert last == {
        "seq": page["last"], "at": "2030-01-01T00:00:01.000", "kind": "request", "method": "GET",
        "path": "/api/v1/pools", "query": "limit=1", "status": 200,
    }  # fmt: skip
    events = [entry["event"] for entry in page["items"] if entry["kind"] == "event"]
    assert events == [
        "project.created", "pool.created", "tasks.created", "operation.created", "pool.opened", "operation.finished",
    ]  # fmt: skip
    assert steer(api, "GET", f"/journal?after={page['last']}").json() == {"items": [], "last": page["last"]}
    api.server.clock.advance(3600)
    news = steer(api, "GET", f"/journal?after={page['last']}").json()["items"]
    steps = [entry["event"] for entry in news]
    assert Counter(steps) == {"pool.closed": 1} | dict.fromkeys(map("assignment.{}".format, DECIDED), 3)
    assert news[-1]["reason"] == "COMPLETED"
    assert news[-1]["at"] == news[-2]["at"] < "2030-01-01T01:00:00"


def test_journal_in_python(api):
    api("GET", "/pools")
    api("POST", "/pools")
    assert [entry["status"] for entry in api.server.journal.requests("POST")] == [400]
    assert len(api.server.journal.requests(path="/api/v1/pools")) == 2


def test_pool(api):
    pool_id = api.add_pool(tasks=2)
    empty = {"status": "CLOSED", "close_reason": None, "tasks": 2, "answers_wanted": 6, "answers": 0, "people": 0}
    assert steer(api, "GET", f"/pools/{pool_id}").json() == empty | {"spent": 0, "completion": 0}
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    done = {"status": "CLOSED", "close_reason": "COMPLETED", "answers": 6, "people": 3, "spent": 0.078, "completion": 1}
    assert steer(api, "GET", f"/pools/{pool_id}").json() == empty | done
    assert steer(api, "GET", "/pools/1").status_code == 404


def test_reset(api):
    pool_id = api.add_pool(tasks=1)
    api.move(pool_id, "open")
    api.server.faults.add("GET", "/api/v1/pools", status=500)
    assert steer(api, "POST", "/reset").status_code == 204
    assert steer(api, "GET", "/journal").json()["items"] == []
    assert api.get("/pools")["items"] == []
    api.server.clock.advance(3600)
    assert api.server.journal.events() == []
    assert api.add_pool() == pool_id


def test_reset_puts_the_clock_back(api):
    before = steer(api, "GET", "/clock").json()
    assert steer(api, "PATCH", "/clock", {"advance": 30 * 86400, "speed": 60, "frozen": False}).json() != before
    assert steer(api, "POST", "/reset").status_code == 204
    assert steer(api, "GET", "/clock").json() == before
    assert api("GET", "/pools").headers["Date"] == "Tue, 01 Jan 2030 00:00:00 GMT"


def test_every_answer_has_the_date_of_the_virtual_clock(api):
    steer(api, "PATCH", "/clock", {"advance": 3600.75})
    api.server.faults.add("GET", "/api/v1/pools", status=503, times=1)
    for path in (
        "/api/v1/pools",
        "/api/v1/pools",
        "/api/v1/pools/404",
        "/api/v1/user-bonuses",
        "/nowhere",
        f"{STEER}/clock",
    ):
        answer = requests.get(api.server.url + path, headers={"Authorization": "OAuth secret"}, timeout=5)
        assert answer.headers["Date"] == "Tue, 01 Jan 2030 01:00:00 GMT", path


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("PATCH", "/clock", {"sped": 1}, "sped"),
        ("PATCH", "/clock", {"speed": 0}, "speed"),
        ("PATCH", "/clock", {"speed": "fast"}, "speed"),
        ("PATCH", "/clock", {"advance": -1}, "advance"),
        ("PATCH", "/clock", {"frozen": 1}, "frozen"),
        ("PATCH", "/clock", [], "object"),
        ("PUT", "/truth", {}, "array"),
        ("PUT", "/truth", [{"match": {}}], "0.output_values"),
        ("PUT", "/truth", [{"match": {}, "output_values": {}, "x": 1}], "0.x"),
        ("PATCH", "/crowd", {"sise": 1}, "sise"),
        ("PATCH", "/crowd", {"size": -1}, "size"),
        ("PATCH", "/crowd", {"accuracy": [1]}, "accuracy"),
        ("PATCH", "/crowd", {"accuracy": [0.9, 0.1]}, "accuracy"),
        ("PATCH", "/requester", {}, "balance"),
        ("PATCH", "/requester", {"balance": -1}, "balance"),
        ("PUT", "/tokens", {"token": "new"}, "tokens"),
        ("PUT", "/tokens", ["new", "with a space"], "tokens"),
        ("PUT", "/tokens", ["\N{BROKEN HEART}"], "tokens"),
        ("PUT", "/operations", {"second": 1}, "second"),
        ("PUT", "/operations", {"seconds": 1, "looks": 1}, "looks"),
        ("PUT", "/operations", {"fail": {"message": "x"}}, "fail.code"),
        ("POST", "/faults", {"method": "GET", "path": "/x"}, "exactly one"),
        ("POST", "/faults", {"method": "GET", "path": "/x", "drop": True, "x": 1}, "x"),
        ("GET", "/journal?before=1", None, "before"),
        ("GET", "/journal?after=-1", None, "after"),
        ("GET", "/journal?wait=61", None, "wait"),
        ("GET", "/journal?wait=soon", None, "wait"),
        ("GET", "/journal?path=pools", None, "path"),
        ("PATCH", "/crowd", {"active_hours": [8]}, "active_hours"),
        ("PATCH", "/crowd", {"active_hours": [8, 25]}, "active_hours"),
        ("PATCH", "/crowd", {"active_hours": [8, 8]}, "active_hours"),
        ("POST", "/faults", {"method": "GET", "path": "/x", "drop": True, "probability": 0}, "probability"),
        ("POST", "/faults", {"method": "GET", "path": "/x", "drop": True, "probability": 1.1}, "probability"),
        ("POST", "/settle", {"timeout": 61}, "timeout"),
        ("POST", "/settle", {"seconds": 1}, "seconds"),
    ],
)
def test_strict_about_its_input(api, method, path, body, named):
    answer = steer(api, method, path, body)
    assert answer.status_code == 400
    assert named in answer.text


def test_settle(api):
    assert steer(api, "POST", "/settle").json() == {"settled": True}
    assert steer(api, "POST", "/settle", {"timeout": 0}).json() == {"settled": True}


def test_unknown_steering_route(api):
    assert steer(api, "GET", "/nothing").status_code == 404
    assert steer(api, "DELETE", "/clock").status_code == 405


CHANGING = [(method, path.replace("{id}", "1")) for method, path in STEERING if method != "GET"]


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_steering_is_sent_as_json(api, method, path, content_type):
    """A form of a page on another site can send any other type without being asked."""
    pool_id = api.add_pool(tasks=1)
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = requests.request(method, f"{api.server.url}{STEER}{path}", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "application/json" in answer.json()["message"]
    assert api.get(f"/pools/{pool_id}")
