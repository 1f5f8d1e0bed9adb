from __future__ import annotations

import pytest

LOCKED = (409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
WRONG = (409, "INAPPROPRIATE_STATUS")
CALLS = ("open", "close", "close-for-update", "archive")
WAYS = {"OPEN": ["open"], "CLOSED": [], "ARCHIVED": ["archive"]}

POOLS = [
    ("OPEN", "open", (204, None)),
    ("OPEN", "close", (202, "POOL.CLOSE")),
    ("OPEN", "close-for-update", (202, "POOL.CLOSE")),
    ("OPEN", "archive", WRONG),
    ("OPEN", "clone", (202, "POOL.CLONE")),
    ("CLOSED", "open", (202, "POOL.OPEN")),
    ("CLOSED", "close", (204, None)),
    ("CLOSED", "close-for-update", (204, None)),
    ("CLOSED", "archive", (202, "POOL.ARCHIVE")),
    ("CLOSED", "clone", (202, "POOL.CLONE")),
    ("ARCHIVED", "open", WRONG),
    ("ARCHIVED", "close", WRONG),
    ("ARCHIVED", "close-for-update", WRONG),
    ("ARCHIVED", "archive", (204, None)),
    ("ARCHIVED", "clone", (202, "POOL.CLONE")),
]


def outcome(api, path):
    answer = api("POST", path)
    if answer.status_code == 204:
        assert answer.content == b""
        return 204, None
    body = answer.json()
    return answer.status_code, body.get("type") or body["code"]


@pytest.mark.parametrize(("status", "call", "expected"), POOLS)
def test_pool(api, status, call, expected):
    pool_id = api.add_pool(tasks=1)
    for step in WAYS[status]:
        api.move(pool_id, step)
    assert api.status(pool_id)[0] == status
    assert outcome(api, f"/pools/{pool_id}/{call}") == expected


@pytest.mark.parametrize(("status", "call", "expected"), POOLS)
def test_training(api, status, call, expected):
    training_id = api.add_training(tasks=1)
    for step in WAYS[status]:
        api.move(training_id, step, kind="trainings")
    code, word = expected
    wanted = (code, word.replace("POOL.", "TRAINING.") if word else None)
    assert outcome(api, f"/trainings/{training_id}/{call}") == wanted


@pytest.mark.parametrize("kind", ["pools", "trainings"])
@pytest.mark.parametrize("call", CALLS)
def test_only_one_operation_of_a_pool_at_a_time(api, kind, call):
    pool_id = api.add_pool(tasks=1) if kind == "pools" else api.add_training(tasks=1)
    api.post(f"/{kind}/{pool_id}/open")
    assert api.status(pool_id)[0] == "LOCKED"
    assert outcome(api, f"/{kind}/{pool_id}/{call}") == LOCKED
    assert api.code("PUT", f"/{kind}/{pool_id}", {}) == LOCKED
    assert outcome(api, f"/{kind}/{pool_id}/clone") == (202, f"{kind.upper()[:-1]}.CLONE")
    if kind == "pools":
        assert api("PATCH", f"/pools/{pool_id}", json={"priority": 1}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "query"),
    [
        ("/tasks", {"input_values": {"image": "u"}, "overlap": 1}, {}),
        ("/tasks", {"input_values": {"image": "u"}, "overlap": 1}, {"async_mode": "true"}),
        ("/task-suites", {"tasks": [{"input_values": {"image": "u"}}], "overlap": 1}, {}),
        ("/aggregated-solutions/aggregate-by-pool", {"type": "DAWID_SKENE", "fields": [{"name": "result"}]}, {}),
    ],
)
def test_nothing_else_begins_while_a_pool_is_locked(api, path, body, query):
    pool_id = api.add_pool(tasks=1)
    api.server.crowd.change(size=0)
    api.post(f"/pools/{pool_id}/open")
    assert api.code("POST", path, body | {"pool_id": pool_id}, **query) == LOCKED
    api.server.clock.advance(1)
    assert api("POST", path, json=body | {"pool_id": pool_id}, params=query).status_code in (201, 202)


def test_upload_of_tasks_locks_out_transitions_but_does_not_lock_the_pool(api):
    pool_id = api.add_pool(tasks=1)
    task = {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}
    api.post("/tasks", [task], async_mode="true")
    assert api.status(pool_id)[0] == "CLOSED"
    assert outcome(api, f"/pools/{pool_id}/open") == LOCKED
    api.server.clock.advance(1)
    assert outcome(api, f"/pools/{pool_id}/open") == (202, "POOL.OPEN")


@pytest.mark.parametrize(
    ("call", "appropriate"),
    [("open", ["OPEN", "CLOSED"]), ("close", ["OPEN", "CLOSED"]), ("close-for-update", ["OPEN", "CLOSED"])],
)
def test_refusal_names_the_appropriate_statuses(api, call, appropriate):
    pool_id = api.add_pool(tasks=1)
    api.move(pool_id, "archive")
    assert api("POST", f"/pools/{pool_id}/{call}").json()["payload"] == {"appropriate_statuses": appropriate}


@pytest.mark.parametrize("kind", ["pools", "trainings"])
def test_empty_pool_does_not_open_but_is_archived(api, kind):
    pool_id = api.add_pool() if kind == "pools" else api.add_training()
    assert outcome(api, f"/{kind}/{pool_id}/open") == (409, "EMPTY_POOL")
    assert api.get("/operations")["items"] == []
    api.move(pool_id, "archive", kind=kind)


@pytest.mark.parametrize(("status", "expected"), [("OPEN", WRONG), ("CLOSED", (200, None)), ("ARCHIVED", WRONG)])
@pytest.mark.parametrize("kind", ["pools", "trainings"])
def test_put(api, kind, status, expected):
    pool_id = api.add_pool(tasks=1) if kind == "pools" else api.add_training(tasks=1)
    body = api.get(f"/{kind}/{pool_id}")
    for step in WAYS[status]:
        api.move(pool_id, step, kind=kind)
    answer = api("PUT", f"/{kind}/{pool_id}", json=body)
    assert (answer.status_code, answer.json().get("code")) == expected
    if expected == WRONG:
        assert answer.json()["payload"] == {"appropriate_statuses": ["CLOSED"]}


def test_archived_pool_is_final(api):
    pool_id = api.add_pool(tasks=1)
    body = api.get(f"/pools/{pool_id}")
    api.move(pool_id, "archive")
    assert api.code("PATCH", f"/pools/{pool_id}", {"priority": 1}) == (409, None)
    assert api.code("PUT", f"/pools/{pool_id}", body) == WRONG
    assert api.code("POST", "/tasks", {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}) == WRONG


def test_clone_is_empty_and_has_the_same_parameters(api):
    pool_id = api.add_pool(tasks=2, private_name="Original")
    operation = api.post(f"/pools/{pool_id}/clone")
    assert "details" not in operation
    api.server.clock.advance(1)
    copy_id = api.get(f"/operations/{operation['id']}")["details"]["pool_id"]
    copy, original = api.get(f"/pools/{copy_id}"), api.get(f"/pools/{pool_id}")
    assert copy | {"id": 0, "created": 0} == original | {"id": 0, "created": 0}
    assert api.get("/tasks", pool_id=copy_id)["items"] == []


def test_pool_closed_for_update_reopens_after_a_quarter_of_an_hour(api):
    pool_id = api.add_pool(tasks=1)
    api.server.crowd.change(size=0)
    api.move(pool_id, "open")
    api.move(pool_id, "close-for-update")
    assert api.status(pool_id) == ("CLOSED", "FOR_UPDATE")
    api.server.clock.advance(899)
    assert api.status(pool_id)[0] == "CLOSED"
    api.server.clock.advance(1)
    assert api.status(pool_id)[0] == "OPEN"


def test_pool_closed_for_update_reopens_without_the_usual_checks(api):
    pool_id = api.add_pool(tasks=1)
    api.server.crowd.change(size=0)
    api.move(pool_id, "open")
    api.move(pool_id, "close-for-update")
    api.server.set_balance(0)
    assert api.code("POST", f"/pools/{pool_id}/open") == (409, "NOT_ENOUGH_BALANCE")
    api.server.clock.advance(900)
    assert api.status(pool_id)[0] == "OPEN"


def test_pool_closed_for_update_and_opened_by_hand_stays_closed_after_the_next_close(api):
    pool_id = api.add_pool(tasks=1)
    api.server.crowd.change(size=0)
    for call in ("open", "close-for-update", "open", "close"):
        api.move(pool_id, call)
    api.server.clock.advance(3600)
    assert api.status(pool_id) == ("CLOSED", "MANUAL")


def test_training_is_archived_after_its_main_pools(api):
    project_id = api.add_project()
    training_id = api.add_training(project_id, tasks=1)
    requirement = {"training_pool_id": training_id, "training_passing_skill_value": 70}
    pool_id = api.add_pool(project_id, quality_control={"training_requirement": requirement})
    answer = api("POST", f"/trainings/{training_id}/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "TRAINING_ARCHIVE_CONFLICT")
    assert answer.json()["payload"] == {"pool_ids": [pool_id]}
    api.move(pool_id, "archive")
    api.move(training_id, "archive", kind="trainings")


def test_project_is_archived_after_its_pools(api):
    project_id = api.add_project()
    pool_id = api.add_pool(project_id)
    assert api.code("POST", f"/projects/{project_id}/archive") == (409, "UNARCHIVED_POOLS_CONFLICT")
    api.move(pool_id, "archive")
    operation = api.post(f"/projects/{project_id}/archive")
    assert operation["parameters"] == {"project_id": project_id}
    api.server.clock.advance(1)
    assert api.get(f"/projects/{project_id}")["status"] == "ARCHIVED"


def test_archived_project_is_final(api):
    project_id = api.add_project()
    project, pool = api.get(f"/projects/{project_id}"), api.get(f"/pools/{api.add_pool()}")
    api.post(f"/projects/{project_id}/archive")
    api.server.clock.advance(1)
    answer = api("PUT", f"/projects/{project_id}", json=project)
    assert (answer.status_code, answer.json()["payload"]) == (409, {"appropriate_statuses": ["ACTIVE"]})
    assert api.code("POST", "/pools", pool | {"project_id": project_id}) == WRONG
    assert api.post(f"/projects/{project_id}/archive")["type"] == "PROJECT.ARCHIVE"


def test_pool_cannot_ask_for_a_training_that_does_not_exist(api):
    pool = api.get(f"/pools/{api.add_pool()}")
    requirement = {"training_pool_id": pool["id"], "training_passing_skill_value": 70}
    answer = api("POST", "/pools", json=pool | {"quality_control": {"training_requirement": requirement}})
    assert {at: entry["code"] for at, entry in answer.json()["payload"].items()} == {
        "quality_control.training_requirement.training_pool_id": "ENTITY_DOES_NOT_EXIST"
    }


def test_training_seen_as_a_pool(api):
    training_id = api.add_training(tasks=1)
    assert api.get(f"/pools/{training_id}")["type"] == "TRAINING"
    assert api.get("/pools")["items"] == []
    assert api.code("POST", f"/pools/{training_id}/open") == (409, "POOL_IS_TRAINING")
    pool_id = api.add_pool()
    assert api.code("GET", f"/trainings/{pool_id}") == (404, "DOES_NOT_EXIST")
