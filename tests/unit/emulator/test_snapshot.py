from __future__ import annotations

import json

import pytest
import requests

from tests.unit.emulator.conftest import PROJECT
from tests.unit.emulator.test_webhooks import receiver, run, subscribe
from toloka_airflow.emulator.__main__ import main
from toloka_airflow.emulator.server import EmulatorServer

__all__ = ["receiver"]


def steer(api, method, body=None):
    return requests.request(method, f"{api.server.url}/_emulator/snapshot", json=body, timeout=5)


@pytest.fixture
def busy(api, receiver):
    """An emulator in the middle of everything that can be under way."""
    school = api.add_training(tasks=4)
    api.move(school, "open", kind="trainings")
    pool_id = api.add_pool(tasks=30, auto_accept_solutions=False)
    subscribe(api, receiver.url, pool_id, "ASSIGNMENT_SUBMITTED", "POOL_CLOSED", secret_key="12345")
    api.move(pool_id, "open")
    api.server.faults.add("GET", "/api/v1/pools/{id}", status=503, probability=0.5)
    api.server.crowd.change(skip_rate=0.1, expire_rate=0.1, active_hours=(6, 20))
    run(api, 6 * 3600 + 40)
    api.post(f"/pools/{pool_id}/close-for-update")
    return api, pool_id


def go_on(api, pool_id):
    """Let much happen, and return all that can be seen of it."""
    seen = []
    for seconds in (0.5, 2, 901, 24 * 3600):
        run(api, seconds)
        seen += [api("GET", f"/pools/{pool_id}").text, api("GET", "/operations").text]
        api("PATCH", f"/assignments/{api.assignments(pool_id)[0]['id']}", json={"status": "ACCEPTED"})
    api.add_tasks(pool_id, 2)
    run(api, 30 * 24 * 3600)
    return json.dumps([seen, api.assignments(pool_id), api.server.journal.after(0)])


def test_the_same_again(busy):
    api, pool_id = busy
    document = steer(api, "GET").json()
    first = go_on(api, pool_id)
    assert len(api.server.journal.deliveries()) > 2
    assert steer(api, "PUT", document).status_code == 204
    assert steer(api, "GET").json() == document
    assert go_on(api, pool_id) == first


def test_in_another_emulator(busy, make_api):
    api, pool_id = busy
    document = api.server.snapshot()
    first = go_on(api, pool_id)
    other = make_api(seed=9, start="2035-01-01")
    other.server.restore(document)
    assert other.server.clock.view() == document["clock"]
    assert go_on(other, pool_id) == first


def test_what_was_under_way_is_sent_again(api, receiver, make_api):
    receiver.may_answer.clear()
    pool_id = api.add_pool(tasks=1)
    subscribe(api, receiver.url, pool_id, "POOL_CLOSED")
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert receiver.got_one.wait(10)
    document = api.server.snapshot()
    other = make_api()
    other.server.restore(document)
    receiver.may_answer.set()
    assert other.server.settle()
    assert len({event["uuid"] for event in receiver.events}) == 1
    assert other.server.journal.deliveries()[0]["status"] == 200


def test_deep_bodies(api):
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    project_id = api.add_project(task_spec=PROJECT["task_spec"] | {"view_spec": deep})
    api.server.restore(json.loads(json.dumps(api.server.snapshot())))
    assert api.get(f"/projects/{project_id}")["task_spec"]["view_spec"] == deep


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda document: {}, "clock"),
        (lambda document: document | {"version": 0}, "version"),
        (lambda document: document | {"more": 1}, "more"),
        (lambda document: document | {"clock": {}}, "now"),
        (lambda document: document | {"clock": document["clock"] | {"colour": 1}}, "colour"),
        (lambda document: document | {"things": []}, "things"),
        (lambda document: document | {"things": [["dict", []]]}, "things"),
        (lambda document: document | {"things": [["function", "os:getcwd"]]}, "os:getcwd"),
        (lambda document: document | {"things": [["function", "courier:_post"]]}, "courier:_post"),
        (lambda document: document | {"things": [["object", "snapshot:World", []]]}, "snapshot:World"),
        (lambda document: document | {"things": [["tuple", [[0]]]]}, "things"),
    ],
)
def test_not_a_snapshot(api, spoil, named):
    api.add_project()
    document = api.server.snapshot()
    answer = steer(api, "PUT", spoil(document))
    assert answer.status_code == 400
    assert named in answer.text
    assert api.get("/projects")["items"]
    assert api.server.clock.view() == document["clock"]


def test_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(EmulatorServer().snapshot() | {"version": 0}))
    with pytest.raises(SystemExit, match="2"):
        main(["--snapshot", str(path)])
    assert "version" in capsys.readouterr().err


def test_refused_snapshot_changes_nothing(api):
    document = api.server.snapshot()
    document["clock"]["speed"] = -1
    api.server.clock.advance(60)
    api.add_pool()
    before = api.server.clock.view(), api.get("/pools")
    assert api("PUT", "/_emulator/snapshot", json=document).status_code == 400
    assert (api.server.clock.view(), api.get("/pools")) == before
