"""Restrictions: who gets no more tasks, where, and until when."""

from __future__ import annotations

import json

import pytest

from toloka_airflow.emulator.resources import user_restrictions

HOUR = 3600


def person(api, number=0):
    return api.server.crowd.user_ids[number]


def put(api, scope, number=0, **fields):
    return api("PUT", "/user-restrictions", json={"scope": scope, "user_id": person(api, number), **fields})


def listed(api, **params):
    return [held["user_id"] for held in api.get("/user-restrictions", **params)["items"]]


def may_work(api, pool_id, number=0):
    with api.server.world.up_to_date() as world:
        return user_restrictions.may_work(world, person(api, number), world.pools[pool_id])


def test_a_restriction_is_set_changed_and_lifted(api):
    pool_id = api.add_pool()
    new = put(api, "POOL", pool_id=int(pool_id), private_comment="Many mistakes", will_expire="2030-01-02T00:00:00Z")
    assert new.status_code == 201
    held = new.json()
    assert (held["pool_id"], held["private_comment"]) == (pool_id, "Many mistakes")
    assert held["will_expire"] == "2030-01-02T00:00:00.000"
    assert api.get(f"/user-restrictions/{held['id']}") == held
    changed = put(api, "POOL", pool_id=pool_id)
    assert changed.status_code == 200
    assert changed.json() == {name: held[name] for name in ("id", "scope", "user_id", "pool_id", "created")}
    assert api("DELETE", f"/user-restrictions/{held['id']}").status_code == 204
    assert api.code("DELETE", f"/user-restrictions/{held['id']}") == (404, "DOES_NOT_EXIST")
    assert put(api, "POOL", pool_id=pool_id).status_code == 201


def test_restrictions_hold_where_they_say(api):
    first, second = api.add_pool(), api.add_pool()
    project_id = api.get(f"/pools/{first}")["project_id"]
    put(api, "POOL", 0, pool_id=first)
    put(api, "PROJECT", 1, project_id=project_id)
    put(api, "ALL_PROJECTS", 2)
    told = {pool_id: [may_work(api, pool_id, number) for number in range(4)] for pool_id in (first, second)}
    assert told == {first: [False, False, False, True], second: [True, True, False, True]}


def test_restrictions_are_listed(api):
    pool_id = api.add_pool()
    put(api, "POOL", 0, pool_id=pool_id)
    put(api, "ALL_PROJECTS", 0)
    put(api, "ALL_PROJECTS", 1)
    assert listed(api, scope="ALL_PROJECTS") == [person(api, 0), person(api, 1)]
    assert listed(api, scope="POOL", pool_id=pool_id) == [person(api, 0)]
    assert listed(api, user_id=person(api, 1), sort="-created") == [person(api, 1)]
    assert api.code("GET", "/user-restrictions", scope="EVERYWHERE") == (400, "VALIDATION_ERROR")


def test_a_restriction_ends_at_its_moment_and_not_before(api):
    pool_id = api.add_pool()
    put(api, "ALL_PROJECTS", 0, will_expire="2030-01-01T01:00:00")
    put(api, "ALL_PROJECTS", 1, will_expire="2030-01-01T01:00:00")
    put(api, "ALL_PROJECTS", 1, will_expire="2030-01-01T03:00:00")
    put(api, "ALL_PROJECTS", 2, will_expire="2030-01-01T01:00:00")
    put(api, "ALL_PROJECTS", 2)
    api.server.restore(json.loads(json.dumps(api.server.snapshot())))
    assert [may_work(api, pool_id, number) for number in range(3)] == [False, False, False]
    api.server.clock.advance(HOUR)
    assert listed(api) == [person(api, 1), person(api, 2)]
    assert may_work(api, pool_id)
    api.server.clock.advance(2 * HOUR)
    assert listed(api) == [person(api, 2)]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"scope": None}, "scope", "VALUE_REQUIRED"),
        ({"scope": "WORLD"}, "scope", "UNKNOWN_ENUM_VALUE"),
        ({"scope": "POOL"}, "pool_id", "VALUE_REQUIRED"),
        ({"scope": "PROJECT", "project_id": "1"}, "project_id", "ENTITY_DOES_NOT_EXIST"),
        ({"pool_id": "1"}, "pool_id", "VALUE_NOT_ALLOWED"),
        ({"user_id": "nobody"}, "user_id", "ENTITY_DOES_NOT_EXIST"),
        ({"private_comment": "x" * 500}, "private_comment", "STRING_LENGTH_GREATER_THAN_MAX"),
        ({"will_expire": "tomorrow"}, "will_expire", "INVALID_DATE_TIME_SYNTAX"),
        ({"will_expire": "2030-01-01T00:00:00"}, "will_expire", "INVALID_VALUE"),
    ],
)
def test_a_restriction_that_is_wrong(api, body, field, code):
    answer = api("PUT", "/user-restrictions", json={"scope": "ALL_PROJECTS", "user_id": person(api)} | body)
    assert answer.status_code == 400
    assert {name: wrong["code"] for name, wrong in answer.json()["payload"].items()} == {field: code}


def test_the_platforms_own_restrictions_cannot_be_set(api):
    answer = put(api, "SYSTEM")
    assert (answer.status_code, answer.json()["code"]) == (409, "SYSTEM_SCOPE_MODIFICATION")
