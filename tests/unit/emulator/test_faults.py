from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx
import pytest
import requests

from tests.virtual_time import VirtualTime
from toloka_airflow.emulator.http.app import API_ROUTES, create_app
from toloka_airflow.emulator.world.faults import Fault

OPEN = "/api/v1/pools/{id}/open"


def test_refusal_does_no_work(api):
    pool_id = api.add_pool(tasks=1)
    api.server.faults.add("POST", OPEN, times=2, status=503, retry_after=7)
    for _ in range(2):
        answer = api("POST", f"/pools/{pool_id}/open")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert set(answer.json()) == {"request_id", "code", "message"}
        assert answer.json()["code"] == "REMOTE_SERVICE_UNAVAILABLE"
    assert api("POST", f"/pools/{pool_id}/open").status_code == 202


def test_refusal_with_details(api):
    quota = {"code": "TOO_MANY_REQUESTS", "message": "Slow down", "payload": {"interval": "MIN"}}
    api.server.faults.add("GET", "/api/v1/requester", status=429, **quota)
    answer = api("GET", "/requester")
    assert answer.status_code == 429
    assert {name: answer.json()[name] for name in quota} == quota


def test_page_instead_of_json(api):
    api.server.faults.add("GET", "/api/v1/pools", html=502)
    answer = api("GET", "/pools")
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("kind", "worked"), [("drop", False), ("lost_answer", True), ("half_body", True)])
def test_broken_connection(api, kind, worked):
    pool_id = api.add_pool(tasks=1)
    api.server.faults.add("POST", OPEN, **{kind: True})
    with pytest.raises(requests.RequestException):
        api("POST", f"/pools/{pool_id}/open")
    assert (api.status(pool_id)[0] == "LOCKED") is worked
    assert api("GET", "/requester").status_code == 200


def test_half_a_body_announces_the_whole(api):
    api.server.faults.add("GET", "/api/v1/requester", half_body=True)
    answer = api("GET", "/requester", stream=True)
    assert answer.status_code == 200
    announced = int(answer.headers["Content-Length"])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=str(announced // 2)):
        assert answer.content


def test_delay(api):
    """In virtual time, so that nobody waits: the server's own application, without its sockets."""
    api.server.faults.add("GET", "/api/v1/requester", delay=600)

    async def get():
        transport = httpx.ASGITransport(create_app(api.server.world))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/api/v1/requester", headers={"Authorization": "OAuth secret"})

    with VirtualTime(api.server, datetime(2030, 1, 1, tzinfo=UTC)) as virtual:
        before = virtual.now
        assert virtual.run(get()).status_code == 200
        assert virtual.now - before == pytest.approx(600, abs=0.01)


def test_client_gives_up_and_server_stops_during_a_delay(api, stop_at_once):
    api.server.faults.add("POST", "/api/v1/projects", delay=600)
    with pytest.raises(requests.Timeout):
        api.session.post(f"{api.server.url}/api/v1/projects", json={}, timeout=0.05)
    stop_at_once(api.server)


def test_faults_are_used_in_order(api):
    faults = api.server.faults
    faults.add("GET", "/api/v1/pools/{id}", status=500)
    faults.add("GET", "/api/v1/pools/7", status=503)
    faults.add("GET", "/api/v1/pools/8", status=429)
    codes = [api("GET", f"/pools/{pool_id}").status_code for pool_id in (7, 8, 7, 7)]
    assert codes == [500, 429, 503, 404]
    assert len(faults) == 0


def statuses(api, count):
    return [api("GET", "/requester").status_code for _ in range(count)]


def test_by_probability(api):
    api.server.faults.add("GET", "/api/v1/requester", status=503, probability=0.3)
    first = statuses(api, 100)
    assert 15 < first.count(503) < 45
    assert len(api.server.faults) == 1
    api.server.reset()
    api.server.faults.add("GET", "/api/v1/requester", status=503, probability=0.3)
    assert statuses(api, 100) == first
    api.server.faults.clear()
    assert set(statuses(api, 20)) == {200}


def test_by_probability_a_few_times(api):
    api.server.faults.add("GET", "/api/v1/requester", status=503, probability=0.5, times=2)
    assert statuses(api, 40).count(503) == 2
    assert len(api.server.faults) == 0


def test_who_is_spared_by_one_fault_may_suffer_the_next(api):
    api.server.faults.add("GET", "/api/v1/requester", status=503, probability=0.3)
    api.server.faults.add("GET", "/api/v1/requester", status=500, times=3)
    assert statuses(api, 20).count(500) == 3


def test_spares_the_first_requests(api):
    api.server.faults.add("GET", "/api/v1/requester", status=503, skip=2)
    assert statuses(api, 5) == [200, 200, 503, 200, 200]


def test_is_taken_back(api):
    fault = api.server.faults.add("GET", "/api/v1/requester", status=503, times=9)
    assert statuses(api, 1) == [503]
    for _ in range(2):
        api.server.faults.remove(fault)
        assert statuses(api, 1) == [200]


def test_what_does_not_fit_is_left_alone(api):
    api.server.faults.add("GET", "/api/v1/pools/{id}", status=500)
    assert api("GET", "/pools").status_code == 200
    assert api.code("POST", "/pools/7/open") == (404, "DOES_NOT_EXIST")
    assert api.code("GET", "/pools/7") == (500, "INTERNAL_ERROR")


def test_in_the_journal(api):
    for kind in ({"status": 503}, {"drop": True}, {"lost_answer": True}):
        api.server.faults.add("GET", "/api/v1/requester", **kind)
    assert api("GET", "/requester").status_code == 503
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            api("GET", "/requester")
    entries = [(entry.get("status"), entry["fault"]) for entry in api.server.journal.requests("GET")]
    assert entries == [(503, "status"), (None, "drop"), (200, "lost_answer")]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({}, "exactly one"),
        ({"drop": True, "status": 500}, "exactly one"),
        ({"status": 200}, "status"),
        ({"html": 600}, "html"),
        ({"drop": True, "times": 0}, "times"),
        ({"drop": True, "skip": -1}, "skip"),
        ({"drop": True, "probability": 2.0}, "probability"),
        ({"drop": True, "code": "X"}, "code"),
        ({"delay": -1.0}, "delay"),
        ({"drop": True, "path": "pools"}, "path"),
        ({"drop": True, "method": "FETCH"}, "method"),
    ],
)
def test_impossible_fault(wrong, name):
    with pytest.raises(ValueError, match=name):
        Fault(**({"method": "GET", "path": "/x"} | wrong))


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [
        ("GET", "/pools/{id}", "GET /api/v1/pools/{id}"),
        ("POST", "/api/v1/pool/{id}/open", "POST /api/v1/pools/{id}/open"),
        ("PUT", "/api/v1/pools/7/open", "POST /api/v1/pools/{id}/open"),
        ("GET", "/api/v1/operation/7", "GET /api/v1/operations/{id}"),
        ("GET", "/api/v1/operations?status=PENDING", "GET /api/v1/operations"),
        ("POST", "/api/v1/staging/analytics-2", "POST /api/staging/analytics-2"),
        ("GET", "/_emulator/clock", "GET /api/v1/"),
    ],
)
def test_a_fault_that_could_never_happen(api, method, path, nearest):
    with pytest.raises(
        ValueError, match=f"no route {re.escape(f'{method} {path}')}, .*nearest is {re.escape(nearest)}"
    ):
        api.server.faults.add(method, path, status=503)
    fault = {"method": method, "path": path, "status": 503}
    answer = requests.post(f"{api.server.url}/_emulator/faults", json=fault, timeout=60)
    assert answer.status_code == 400
    assert f"the nearest is {nearest}" in answer.json()["message"]
    with pytest.raises(ValueError, match="no route"):
        api.server.load({"faults": [fault]})
    assert len(api.server.faults) == 0


def test_every_route_can_have_faults(api):
    for method, path in API_ROUTES:
        for fault_path in (path, path.replace("{id}", "7"), f"{path}/", path.replace("{id}", "{pool_id}")):
            api.server.faults.remove(api.server.faults.add(method, fault_path, status=503))
    api.server.faults.add("GET", "/api/v1/{noun}/{id}", status=503)
    assert api("GET", "/pools/7").status_code == 503
