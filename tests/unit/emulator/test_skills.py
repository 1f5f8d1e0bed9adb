"""Skills, and who has how much of which."""

from __future__ import annotations

import pytest

HOUR = 3600
SKILL = {
    "name": "Programmer",
    "public_name": {"EN": "Programmer"},
    "public_requester_description": {"EN": "You are an expert"},
    "private_comment": "Five right answers",
}


def add_skill(api, **fields):
    return api.post("/skills", SKILL | fields)["id"]


def put(api, skill_id, user_id, value, **fields):
    body = {"skill_id": skill_id, "user_id": user_id, "value": value, **fields}
    return api("PUT", "/user-skills", json=body)


def person(api, number=0):
    return api.server.crowd.user_ids[number]


def test_a_skill(api):
    skill = api.post("/skills", SKILL)
    assert {name: skill[name] for name in SKILL} == SKILL
    assert (skill["hidden"], skill["deprecated"], skill["global"]) == (True, False, False)
    assert api.get(f"/skills/{skill['id']}") == skill
    changed = api("PUT", f"/skills/{skill['id']}", json=skill | {"name": "Coder", "hidden": False}).json()
    assert (changed["id"], changed["name"], changed["hidden"]) == (skill["id"], "Coder", False)
    assert changed["private_comment"] == SKILL["private_comment"]
    assert api.code("GET", "/skills/1") == (404, "DOES_NOT_EXIST")


def test_two_skills_may_have_one_name(api):
    first, second = add_skill(api), add_skill(api)
    add_skill(api, name="Other")
    api.server.clock.advance(60)
    api("PUT", f"/skills/{second}", json=SKILL)
    assert [skill["id"] for skill in api.get("/skills", name="Programmer")["items"]] == [first, second]
    assert len(api.get("/skills", **{"global": "false"})["items"]) == 3
    assert api.get("/skills", **{"global": "true"})["items"] == []
    assert [skill["id"] for skill in api.get("/skills", modified_gt="2030-01-01T00:00:30")["items"]] == [second]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"name": None}, "name", "VALUE_REQUIRED"),
        ({"name": ""}, "name", "STRING_LENGTH_LESS_THAN_MIN"),
        ({"public_name": "Programmer"}, "public_name", "OBJECT_EXPECTED"),
        ({"public_name": {"EN": 1}}, "public_name.EN", "STRING_EXPECTED"),
        ({"skill_ttl_hours": 0}, "skill_ttl_hours", "VALUE_LESS_THAN_MIN"),
        ({"hiden": True}, "hiden", "VALUE_NOT_ALLOWED"),
    ],
)
def test_a_skill_that_is_wrong(api, change, field, code):
    answer = api("POST", "/skills", json=SKILL | change)
    assert answer.status_code == 400
    assert {name: wrong["code"] for name, wrong in answer.json()["payload"].items()} == {field: code}


def test_a_skill_is_set_and_changed(api):
    skill_id, user_id = add_skill(api), person(api)
    new = put(api, int(skill_id), user_id, 59.5, reason="Good work")
    assert new.status_code == 201
    assert (new.json()["value"], new.json()["exact_value"]) == (60, 59.5)
    api.server.clock.advance(60)
    changed = put(api, skill_id, user_id, 0)
    assert changed.status_code == 200
    had = changed.json()
    assert (had["id"], had["value"], had["created"]) == (new.json()["id"], 0, new.json()["created"])
    assert had["modified"] > had["created"]
    assert api.get(f"/user-skills/{had['id']}") == had


def test_skills_of_people_are_listed_and_taken_away(api):
    first, second = add_skill(api), add_skill(api)
    for skill_id in (first, second):
        for number in range(3):
            put(api, skill_id, person(api, number), number)
    assert len(api.get("/user-skills", skill_id=first)["items"]) == 3
    assert len(api.get("/user-skills", user_id=person(api))["items"]) == 2
    had = api.get("/user-skills", user_id=person(api), skill_id=second, sort="-modified")["items"]
    assert api("DELETE", f"/user-skills/{had[0]['id']}").status_code == 204
    assert api.code("DELETE", f"/user-skills/{had[0]['id']}") == (404, "DOES_NOT_EXIST")
    assert len(api.get("/user-skills", skill_id=second)["items"]) == 2
    assert put(api, second, person(api), 5).status_code == 201


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"value": 100.1}, "value", "VALUE_GREATER_THAN_MAX"),
        ({"value": -1}, "value", "VALUE_LESS_THAN_MIN"),
        ({"value": "50"}, "value", "FLOAT_EXPECTED"),
        ({"value": None}, "value", "VALUE_REQUIRED"),
        ({"skill_id": "1"}, "skill_id", "ENTITY_DOES_NOT_EXIST"),
        ({"user_id": "nobody"}, "user_id", "ENTITY_DOES_NOT_EXIST"),
        ({"skill": "1"}, "skill", "VALUE_NOT_ALLOWED"),
    ],
)
def test_a_skill_of_somebody_that_is_wrong(api, change, field, code):
    body = {"skill_id": add_skill(api), "user_id": person(api), "value": 50} | change
    answer = api("PUT", "/user-skills", json=body)
    assert answer.status_code == 400
    assert {name: wrong["code"] for name, wrong in answer.json()["payload"].items()} == {field: code}


def test_a_skill_ends_with_its_time(api):
    skill_id = add_skill(api, skill_ttl_hours=2)
    put(api, skill_id, person(api, 0), 50)
    put(api, skill_id, person(api, 1), 50)
    api.server.clock.advance(HOUR)
    put(api, skill_id, person(api, 1), 60)
    api.server.restore(api.server.snapshot())
    api.server.clock.advance(HOUR)
    assert [had["user_id"] for had in api.get("/user-skills")["items"]] == [person(api, 1)]
    api.server.clock.advance(HOUR)
    assert api.get("/user-skills")["items"] == []


def test_the_quota_of_new_skills(api):
    for _ in range(10):
        add_skill(api)
    answer = api("POST", "/skills", json=SKILL)
    assert (answer.status_code, answer.json()["payload"]) == (429, {"interval": "MIN"})


def test_a_seed_tells_skills_of_people_and_bans(api):
    ids = api.server.load(
        {
            "skills": [{"id": "77", "name": "Cats"}, {"id": 5, "name": "Dogs"}],
            "projects": [{"pools": [{"tasks": 1}]}],
            "user_skills": [{"skill_id": "77", "user_id": person(api), "value": 80}],
            "user_restrictions": [{"scope": "ALL_PROJECTS", "user_id": person(api)}],
        }
    )
    assert [skill["id"] for skill in api.get("/skills")["items"]] == ["5", "77"]
    assert api.get("/user-skills")["items"][0]["value"] == 80
    assert api.get("/user-restrictions", user_id=person(api))["items"][0]["scope"] == "ALL_PROJECTS"
    with pytest.raises(ValueError, match=r"skills\.0\.id"):
        api.server.load({"skills": [{"id": ids["pools"][0], "name": "Birds"}]})
    with pytest.raises(ValueError, match=r"user_skills\.0\.skill_id"):
        api.server.load({"user_skills": [{"skill_id": "78", "user_id": person(api), "value": 80}]})
