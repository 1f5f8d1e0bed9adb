from __future__ import annotations

import uuid

import pytest
import requests


def test_error_body_has_the_documented_keys(api):
    answer = api("GET", "/pools/1")
    assert answer.status_code == 404
    body = answer.json()
    assert str(uuid.UUID(body.pop("request_id")))
    assert body == {"code": "DOES_NOT_EXIST", "message": "There are no results for such parameters"}


@pytest.mark.parametrize("header", [None, "", "OAuth", "OAuth ", "Bearer x", "x"])
def test_without_a_token(api, header):
    headers = {} if header is None else {"Authorization": header}
    answer = requests.get(f"{api.server.url}/api/v1/requester", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_ERROR")


@pytest.mark.parametrize("header", ["OAuth x", "ApiKey x", "oauth x"])
def test_with_a_token(api, header):
    answer = requests.get(f"{api.server.url}/api/v1/requester", headers={"Authorization": header}, timeout=5)
    assert answer.status_code == 200
    assert answer.json()["balance"] == 1000


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "NOT_FOUND")),
        ("GET", "/pools/1/2/3", (404, "NOT_FOUND")),
        ("DELETE", "/pools", (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/pools/1/open", (405, "METHOD_NOT_ALLOWED")),
        ("PATCH", "/skills", (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/user-bonuses/1/log", (404, "NOT_FOUND")),
    ],
)
def test_what_is_not_there(api, method, path, expected):
    assert api.code(method, path) == expected


def test_trailing_slash_is_tolerated(api):
    assert api("GET", "/pools/").json() == {"items": [], "has_more": False}


def test_body_that_is_not_json(api):
    headers = {"Content-Type": "application/json"}
    answer = api("POST", "/projects", data="{", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["payload"]["body"]["code"] == "JSON_EXPECTED"
    assert api("POST", "/projects", data="NaN", headers=headers).status_code == 400
    assert api("POST", "/projects", data="{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_action_with_content_type_but_no_body(api):
    pool_id = api.add_pool(tasks=1)
    answer = api("POST", f"/pools/{pool_id}/open", headers={"Content-Type": "application/json"})
    assert answer.status_code == 202


PROBLEMS = [
    ({"private_name": None}, "private_name", "VALUE_REQUIRED"),
    ({"private_name": 1}, "private_name", "STRING_EXPECTED"),
    ({"private_nam": "x"}, "private_nam", "VALUE_NOT_ALLOWED"),
    ({"priority": 101}, "priority", "VALUE_GREATER_THAN_MAX"),
    ({"priority": True}, "priority", "INTEGER_EXPECTED"),
    ({"reward_per_assignment": -1}, "reward_per_assignment", "VALUE_LESS_THAN_MIN"),
    ({"reward_per_assignment": 0.001}, "reward_per_assignment", "VALUE_LESS_THAN_MIN"),
    ({"reward_per_assignment": "1"}, "reward_per_assignment", "FLOAT_EXPECTED"),
    ({"will_expire": "tomorrow"}, "will_expire", "INVALID_DATE_TIME_SYNTAX"),
    ({"defaults": {}}, "defaults.default_overlap_for_new_task_suites", "VALUE_REQUIRED"),
    ({"defaults": []}, "defaults", "OBJECT_EXPECTED"),
    ({"quality_control": {"captcha_frequency": "?"}}, "quality_control.captcha_frequency", "UNKNOWN_ENUM_VALUE"),
    ({"quality_control": {"configs": [1]}}, "quality_control.configs.0", "OBJECT_EXPECTED"),
    ({"project_id": "7"}, "project_id", "ENTITY_DOES_NOT_EXIST"),
    ({"metadata": {"run": "1"}}, "metadata.run", "ARRAY_EXPECTED"),
    ({"filter": {"and": {}}}, "filter.and", "ARRAY_EXPECTED"),
    ({"filter": {"not": []}}, "filter.not", "VALUE_NOT_ALLOWED"),
    ({"speed_quality_balance": {"type": "BEST"}}, "speed_quality_balance.type", "UNKNOWN_ENUM_VALUE"),
    (
        {"mixer_config": {"real_tasks_count": 1, "golden_tasks_count": 0}},
        "mixer_config.training_tasks_count",
        "VALUE_REQUIRED",
    ),
    ({"reward_per_assignment": 0.001}, "reward_per_assignment", "VALUE_LESS_THAN_MIN"),
    ({"assignment_max_duration_seconds": 4}, "assignment_max_duration_seconds", "VALUE_LESS_THAN_MIN"),
    ({"auto_accept_period_day": 22}, "auto_accept_period_day", "VALUE_GREATER_THAN_MAX"),
    ({"will_expire": "2030-13-01"}, "will_expire", "INVALID_DATE_TIME_SYNTAX"),
    (
        {"dynamic_pricing_config": {"type": "SKILL", "skill_id": "1"}},
        "dynamic_pricing_config.intervals",
        "VALUE_REQUIRED",
    ),
]


@pytest.mark.parametrize(("changes", "path", "code"), PROBLEMS)
def test_wrong_field_is_named(api, changes, path, code):
    pool = api.get(f"/pools/{api.add_pool()}")
    answer = api("POST", "/pools", json=pool | changes)
    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert {at: entry["code"] for at, entry in answer.json()["payload"].items()} == {path: code}


def test_all_wrong_fields_are_named_together(api):
    payload = api("POST", "/projects", json={}).json()["payload"]
    assert set(payload) == {"public_name", "public_description", "task_spec", "assignments_issuing_type"}


def test_object_is_echoed_with_ids_as_text_and_dates_without_zone(api):
    project_id = api.add_project()
    pool = api.get(f"/pools/{api.add_pool(project_id, will_expire='2030-06-01T02:00+02:00')}")
    assert pool["project_id"] == project_id
    assert pool["will_expire"] == "2030-06-01T00:00:00.000"
    assert pool["created"] == "2030-01-01T00:00:00.000"
    assert pool["status"] == "CLOSED"
    assert not {"last_started", "last_stopped", "last_close_reason"} & set(pool)
    number = api.post("/pools", pool | {"project_id": int(project_id)})
    assert number["project_id"] == project_id


def test_put_and_patch(api):
    pool_id = api.add_pool(tasks=1)
    pool = api.get(f"/pools/{pool_id}")
    assert api("PUT", f"/pools/{pool_id}", json=pool | {"private_name": "Second"}).json()["private_name"] == "Second"
    assert api("PATCH", f"/pools/{pool_id}", json={"priority": 5}).json()["priority"] == 5
    api.move(pool_id, "open")
    assert api.code("PUT", f"/pools/{pool_id}", pool) == (409, "INAPPROPRIATE_STATUS")
    assert api("PATCH", f"/pools/{pool_id}", json={"priority": 6}).status_code == 200


def test_text_that_has_no_bytes(api):
    project_id = api.add_project(public_name="\ud800")
    assert api.get(f"/projects/{project_id}")["public_name"] == "\ud800"
    pool_id = api.add_pool(project_id, private_name="\ud800")
    assert api("GET", f"/requester/project/{project_id}/pool/{pool_id}").status_code == 200


def test_mistake_in_the_emulator_has_the_body_of_an_error(api, monkeypatch):
    monkeypatch.setattr(api.server.world, "account", None)
    assert api.code("GET", "/requester") == (500, "INTERNAL_ERROR")


def test_put_of_a_project(api):
    project = api.get(f"/projects/{api.add_project()}")
    changed = api("PUT", f"/projects/{project['id']}", json=project | {"public_name": "Dogs"})
    assert changed.json() == project | {"public_name": "Dogs"}
