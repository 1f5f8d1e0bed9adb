"""Pools hand out tasks to those whom they ask for, and to nobody who is restricted."""

from __future__ import annotations

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600
EVERYBODY = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 40}


def crowd(**settings):
    return CrowdSettings(**({"size": 40, "skip_rate": 0, "expire_rate": 0} | settings))


def wanted(category, key, operator, value):
    return {"category": category, "key": key, "operator": operator, "value": value}


def people(api):
    return {person["user_id"]: person for person in api("GET", "/_emulator/people").json()["items"]}


def workers(api, pool_id):
    return {item["user_id"] for item in api.assignments(pool_id)}


def run(api, pool_id, seconds=DAY):
    api.move(pool_id, "open")
    api.server.clock.advance(seconds)


@pytest.mark.parametrize(
    ("told", "is_wanted"),
    [
        ({"and": [{"or": [wanted("profile", "languages", "IN", "FR")]}]}, lambda person: "FR" in person["languages"]),
        ({"and": [wanted("profile", "languages", "NOT_IN", "FR")]}, lambda person: "FR" not in person["languages"]),
        ({"and": [wanted("profile", "country", "EQ", "IN")]}, lambda person: person["country"] == "IN"),
        ({"and": [wanted("profile", "country", "NE", "IN")]}, lambda person: person["country"] != "IN"),
        (
            {
                "or": [
                    wanted("computed", "os_family", "EQ", "IOS"),
                    {
                        "and": [
                            wanted("computed", "client_type", "EQ", "BROWSER"),
                            wanted("profile", "languages", "IN", "RU"),
                        ]
                    },
                ]
            },
            lambda person: (
                person["os_family"] == "IOS" or (person["client_type"] == "BROWSER" and "RU" in person["languages"])
            ),
        ),
        ({"and": [wanted("profile", "gender", "EQ", "MALE")]}, lambda person: True),
        ({"and": [wanted("skill", "26366", "EQ", 100)]}, lambda person: True),
    ],
)
def test_a_filter_decides_who_works(make_api, told, is_wanted):
    api = make_api(crowd=crowd())
    pool_id = api.add_pool(tasks=100, filter=told, defaults=EVERYBODY)
    run(api, pool_id)
    expected = {user_id for user_id, person in people(api).items() if is_wanted(person)}
    assert 0 < len(expected) <= 40
    assert workers(api, pool_id) == expected


def test_the_mix_of_people_can_be_steered_and_is_kept(make_api):
    api = make_api(crowd=crowd(size=200))
    change = {"languages": {"DE": 0.5}, "countries": {"AT": 1, "CH": 1}, "devices": {"TABLET": 1}}
    assert api("PATCH", "/_emulator/crowd", json=change).status_code == 200
    told = list(people(api).values())
    assert {tuple(person["languages"]) for person in told} == {("DE",), ()}
    assert sum(person["languages"] == ["DE"] for person in told) == pytest.approx(100, abs=20)
    assert sum(person["country"] == "AT" for person in told) == pytest.approx(100, abs=20)
    assert {person["device_category"] for person in told} == {"TABLET"}
    kept = api("GET", "/_emulator/snapshot").json()
    other = make_api(seed=5)
    assert other("PUT", "/_emulator/snapshot", json=kept).status_code == 204
    assert list(people(other).values()) == told


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            {"languages": {"english": 1}},
            "languages: 'english' is no code that filters have: capital letters, such as EN",
        ),
        ({"languages": {"EN": 2}}, "languages"),
        ({"countries": {}}, "countries"),
        ({"countries": {"USA": 1}}, "countries"),
        ({"devices": {"PHONE": 1}}, "is no code that filters have: PERSONAL_COMPUTER, SMARTPHONE"),
        ({"careless_people": 0.8, "fast_people": 0.5}, "careless_people, fast_people and skipping_people together"),
        ({"careless_people": 1.5}, "careless_people"),
        ({"careless_accuracy": [0.9, 0.1]}, "careless_accuracy"),
        ({"skipping_people": 0.5, "skipping_skip_rate": 1, "expire_rate": 0.1}, "skipping_skip_rate"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(api, change, name):
    answer = api("PATCH", "/_emulator/crowd", json=change)
    assert answer.status_code == 400
    assert name in answer.json()["message"]


@pytest.mark.parametrize("share", [0, 0.2, 0.3])
def test_shares_of_people_are_exact_also_in_a_small_crowd(make_api, share):
    api = make_api(crowd=crowd(size=30, careless_people=share, fast_people=share, skipping_people=share))
    for habit in ("careless", "fast", "skipping"):
        assert abs(sum(person[habit] for person in people(api).values()) - 30 * share) <= 1
    assert all(person["careless"] + person["fast"] + person["skipping"] <= 1 for person in people(api).values())


def test_an_exam_pool_by_skill(make_api):
    api = make_api(crowd=crowd(size=10))
    skill_id = api.post("/skills", {"name": "Passed the exam"})["id"]
    main = api.add_pool(tasks=20, filter={"and": [wanted("skill", skill_id, "GTE", 80)]})
    beginners = api.add_pool(tasks=20, filter={"and": [wanted("skill", int(skill_id), "EQ", None)]})
    good, bad = api.server.crowd.user_ids[:2]
    for user_id, value in ((good, 80), (bad, 79.9)):
        body = {"skill_id": skill_id, "user_id": user_id, "value": value}
        assert api("PUT", "/user-skills", json=body).status_code == 201
    run(api, main)
    assert workers(api, main) == {good}
    run(api, beginners)
    assert workers(api, beginners) <= set(api.server.crowd.user_ids) - {good, bad}
    # Who gets the skill later finds the work that is left, although nothing else happens.
    body = {"skill_id": skill_id, "user_id": bad, "value": 95}
    assert api("PUT", "/user-skills", json=body).status_code == 200
    api.server.clock.advance(DAY)
    assert workers(api, main) == {good, bad}


@pytest.mark.parametrize("scope", ["ALL_PROJECTS", "PROJECT", "POOL"])
def test_a_restriction_stops_further_tasks_until_it_ends(make_api, scope):
    api = make_api(crowd=crowd(size=1))
    project_id = api.add_project()
    pool_id = api.add_pool(project_id, tasks=4)
    place = {"PROJECT": {"project_id": project_id}, "POOL": {"pool_id": pool_id}}.get(scope, {})
    body = {"scope": scope, "user_id": api.server.crowd.user_ids[0], **place, "will_expire": "2030-01-03T00:00:00"}
    assert api("PUT", "/user-restrictions", json=body).status_code == 201
    run(api, pool_id)
    assert workers(api, pool_id) == set()
    api.server.clock.advance(2 * DAY)
    assert workers(api, pool_id) == {body["user_id"]}
    assert min(item["created"] for item in api.assignments(pool_id)) >= body["will_expire"]


def test_a_restriction_that_is_lifted_and_one_of_another_place(make_api):
    api = make_api(crowd=crowd(size=1))
    user_id = api.server.crowd.user_ids[0]
    pool_id, other = api.add_pool(tasks=4), api.add_pool(tasks=4)
    body = {"scope": "POOL", "user_id": user_id, "pool_id": pool_id}
    restriction = api("PUT", "/user-restrictions", json=body).json()
    run(api, other)
    run(api, pool_id)
    assert workers(api, other) == {user_id}
    assert workers(api, pool_id) == set()
    assert api("DELETE", f"/user-restrictions/{restriction['id']}").status_code == 204
    api.server.clock.advance(DAY)
    assert workers(api, pool_id) == {user_id}
