"""Rules of quality control act on simulated people, as they would on real ones."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter, defaultdict

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600
# Of the usual crowd here.
EVERYBODY = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 12}
EXAM = {"real_tasks_count": 1, "golden_tasks_count": 2, "training_tasks_count": 0}
FOREVER = {"type": "RESTRICTION_V2", "parameters": {"scope": "PROJECT", "duration_unit": "PERMANENT"}}


def crowd(**settings):
    return CrowdSettings(**({"size": 12, "skip_rate": 0, "expire_rate": 0} | settings))


def when(key, operator, value):
    return {"key": key, "operator": operator, "value": value}


def control(collector, parameters, *rules):
    config = {"type": collector, "parameters": parameters} if parameters else {"type": collector}
    told = [{"conditions": conditions, "action": action} for conditions, action in rules]
    return {"configs": [{"collector_config": config, "rules": told}]}


def action(type, **parameters):
    return {"type": type, "parameters": parameters}


def run(api, pool_id, seconds=DAY):
    api.move(pool_id, "open")
    api.server.clock.advance(seconds)


def people(api, **habits):
    told = api("GET", "/_emulator/people").json()["items"]
    return {
        person["user_id"]: person for person in told if all(person[name] == is_so for name, is_so in habits.items())
    }


def by_person(api, pool_id):
    found = defaultdict(list)
    for item in api.assignments(pool_id, sort="created"):
        found[item["user_id"]].append(item)
    return found


def restricted(api, **params):
    items = api.get("/user-restrictions", limit=100, **params)["items"]
    return {item["user_id"]: item for item in items}


def add_golden(api, pool_id, count, **more):
    tasks = [
        {
            "pool_id": pool_id,
            "input_values": {"image": f"golden{i}"},
            "known_solutions": [{"output_values": {"result": "cat"}}],
            "infinite_overlap": True,
            **more,
        }
        for i in range(count)
    ]
    api.post("/tasks", tasks)


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    return [order.index(i) for i in range(len(values))]


def correlation(first, second):
    """Return Spearman's rank correlation of two lists in which nothing is equal."""
    size = len(first)
    squares = sum((a - b) ** 2 for a, b in zip(ranks(first), ranks(second), strict=True))
    return 1 - 6 * squares / (size * (size**2 - 1))


def test_a_skill_from_control_tasks_tells_who_is_accurate(make_api):
    api = make_api(crowd=crowd(size=15, accuracy=(0.4, 1)))
    skill_id = api.post("/skills", {"name": "Accuracy"})["id"]
    rule = (
        [when("golden_set_answers_count", "GTE", 10)],
        action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="golden_set_correct_answers_rate"),
    )
    pool_id = api.add_pool(mixer_config=EXAM, quality_control=control("GOLDEN_SET", {}, rule))
    add_golden(api, pool_id, 300)
    api.add_tasks(pool_id, 150, overlap=15)
    run(api, pool_id)
    skills = {item["user_id"]: item for item in api.get("/user-skills", skill_id=skill_id, limit=100)["items"]}
    real = {user_id: person["accuracy"] for user_id, person in people(api).items()}
    assert skills.keys() == real.keys()
    got = [skills[user_id]["exact_value"] for user_id in real]
    assert correlation([value + i / 1e6 for i, value in enumerate(got)], list(real.values())) >= 0.9
    for user_id, answered in by_person(api, pool_id).items():
        right = [
            solution["output_values"]["result"] == "cat"
            for item in answered
            for task, solution in zip(item["tasks"], item["solutions"], strict=True)
            if "known_solutions" in task
        ]
        assert skills[user_id]["exact_value"] == pytest.approx(100 * sum(right) / len(right))
        assert skills[user_id]["value"] == round(skills[user_id]["exact_value"])


def test_the_history_is_no_longer_than_asked_for(make_api):
    api = make_api(crowd=crowd(size=1, accuracy=(0, 0)))
    skill_id = api.post("/skills", {"name": "Accuracy"})["id"]
    rule = (
        [when("golden_set_answers_count", "EQ", 4)],
        action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="correct_answers_rate"),
    )
    pool_id = api.add_pool(
        mixer_config=EXAM,
        quality_control=control("GOLDEN_SET", {"history_size": 4}, rule),
        auto_close_after_complete_delay_seconds=2 * DAY,
    )
    add_golden(api, pool_id, 100)
    api.add_tasks(pool_id, 5, overlap=1)
    run(api, pool_id)
    assert [item["value"] for item in api.get("/user-skills")["items"]] == [0]
    api.server.crowd.change(accuracy=(1, 1))
    tasks = [{"pool_id": pool_id, "input_values": {"image": f"later{i}"}, "overlap": 1} for i in range(2)]
    api.post("/tasks", tasks)
    api.server.clock.advance(DAY)
    assert [item["value"] for item in api.get("/user-skills")["items"]] == [100]


def test_who_is_careless_is_banned_and_gets_no_further_task(make_api):
    api = make_api(crowd=crowd(size=20, accuracy=(0.95, 1), careless_people=0.25, careless_accuracy=(0, 0.2)))
    rule = (
        [when("golden_set_answers_count", "GTE", 6), when("golden_set_correct_answers_rate", "LT", 60)],
        action("RESTRICTION_V2", scope="PROJECT", duration=10, duration_unit="DAYS", private_comment="Control tasks"),
    )
    project_id = api.add_project()
    pool_id = api.add_pool(
        project_id, mixer_config=EXAM, quality_control=control("GOLDEN_SET", {"history_size": 10}, rule)
    )
    add_golden(api, pool_id, 100)
    api.add_tasks(pool_id, 40, overlap=20)
    run(api, pool_id)
    careless = people(api, careless=True)
    assert len(careless) == 5
    bans = restricted(api, project_id=project_id)
    assert bans.keys() == careless.keys()
    answered = by_person(api, pool_id)
    for user_id, ban in bans.items():
        assert ban["private_comment"] == "Control tasks"
        assert len(answered[user_id]) == 3
        assert answered[user_id][-1]["submitted"] == ban["created"]
        assert ban["will_expire"][:10] == "2030-01-11"
    assert {len(items) for user_id, items in answered.items() if user_id not in bans} == {40}
    # Ten days later they may go on.
    api.server.clock.advance(11 * DAY)
    assert restricted(api).keys() <= careless.keys()
    assert all(len(by_person(api, pool_id)[user_id]) > 3 for user_id in careless)


def test_fast_answers_are_rejected_and_the_others_are_left_to_review(make_api):
    api = make_api(crowd=crowd(fast_people=0.25, fast_seconds_per_task=(0.2, 0.4), seconds_per_task=(10, 20)))
    rule = [when("fast_submitted_count", "GTE", 3)], action("REJECT_ALL_ASSIGNMENTS", public_comment="Too fast")
    quality = control("ASSIGNMENT_SUBMIT_TIME", {"fast_submit_threshold_seconds": 3, "history_size": 10}, rule)
    pool_id = api.add_pool(tasks=60, quality_control=quality, auto_accept_solutions=False)
    run(api, pool_id)
    answered = by_person(api, pool_id)
    fast = people(api, fast=True)
    assert len(fast) == 3
    for user_id, items in answered.items():
        is_rejected = user_id in fast and len(items) >= 3
        assert {item["status"] for item in items} == {"REJECTED" if is_rejected else "SUBMITTED"}
        assert {item.get("public_comment") for item in items} == {"Too fast" if is_rejected else None}
    assert any(item["status"] == "REJECTED" for items in answered.values() for item in items)
    assert api.server.pool(pool_id)["spent"] == 0


def test_nothing_is_rejected_where_answers_are_accepted_by_themselves(make_api):
    api = make_api(crowd=crowd(fast_people=1))
    rule = [when("total_submitted_count", "GTE", 1)], action("REJECT_ALL_ASSIGNMENTS", public_comment="Too fast")
    quality = control("ASSIGNMENT_SUBMIT_TIME", {"fast_submit_threshold_seconds": 60}, rule)
    pool_id = api.add_pool(tasks=10, quality_control=quality)
    run(api, pool_id)
    assert {item["status"] for item in api.assignments(pool_id)} == {"ACCEPTED"}


def test_who_skips_in_a_row_is_banned_by_the_rule_of_the_project(make_api):
    api = make_api(crowd=crowd(skipping_people=0.25, skipping_skip_rate=1))
    rule = (
        [when("skipped_in_row_count", "GTE", 3)],
        action("RESTRICTION_V2", scope="ALL_PROJECTS", duration_unit="PERMANENT"),
    )
    project_id = api.add_project(quality_control=control("SKIPPED_IN_ROW_ASSIGNMENTS", None, rule))
    # Two pools of two suites for each person: only together they are enough.
    pools = [api.add_pool(project_id, tasks=4, defaults=EVERYBODY) for _ in range(2)]
    for pool_id in pools:
        api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    bans, skipping = restricted(api), people(api, skipping=True)
    assert len(skipping) == 3
    assert bans.keys() == skipping.keys()
    assert {ban["scope"] for ban in bans.values()} == {"ALL_PROJECTS"}
    assert not any("will_expire" in ban for ban in bans.values())
    for user_id in skipping:
        assert sum(len(by_person(api, pool_id)[user_id]) for pool_id in pools) == 3


def test_who_is_against_the_majority_loses_a_skill(make_api):
    api = make_api(crowd=crowd(accuracy=(1, 1), careless_people=0.25, careless_accuracy=(0, 0)))
    skill_id = api.post("/skills", {"name": "Agrees"})["id"]
    from_votes = action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="correct_answers_rate")
    quality = control("MAJORITY_VOTE", {"answer_threshold": 5}, ([when("total_answers_count", "GTE", 4)], from_votes))
    pool_id = api.add_pool(tasks=12, quality_control=quality, defaults=EVERYBODY)
    run(api, pool_id)
    skills = {item["user_id"]: item["value"] for item in api.get("/user-skills", limit=100)["items"]}
    careless = people(api, careless=True)
    assert skills == {user_id: 0 if user_id in careless else 100 for user_id in people(api)}


def test_only_required_fields_make_a_majority(make_api):
    # Everybody makes up another comment.
    api = make_api(crowd=crowd(accuracy=(0, 0)))
    skill_id = api.post("/skills", {"name": "Agrees"})["id"]
    output_spec = {
        "result": {"type": "string", "allowed_values": ["cat"]},
        "comment": {"type": "string", "required": False},
    }
    task_spec = {"input_spec": {"image": {"type": "url"}}, "output_spec": output_spec}
    project_id = api.add_project(task_spec=task_spec)
    from_votes = action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="correct_answers_rate")
    quality = control("MAJORITY_VOTE", {"answer_threshold": 3}, ([when("total_answers_count", "GTE", 4)], from_votes))
    pool_id = api.add_pool(project_id, tasks=8, quality_control=quality, defaults=EVERYBODY)
    run(api, pool_id)
    skills = {item["user_id"]: item["value"] for item in api.get("/user-skills", limit=100)["items"]}
    assert skills == dict.fromkeys(people(api), 100)


def test_votes_that_are_rejected_count_no_more(make_api):
    api = make_api(crowd=crowd(size=8, accuracy=(0.5, 0.9)))
    skill_id = api.post("/skills", {"name": "Agrees"})["id"]
    from_votes = action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="correct_answers_rate")
    parameters = {"answer_threshold": 2, "history_size": 5}
    quality = control("MAJORITY_VOTE", parameters, ([when("total_answers_count", "GTE", 1)], from_votes))
    defaults = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 4}
    pool_id = api.add_pool(tasks=20, auto_accept_solutions=False, quality_control=quality, defaults=defaults)
    api.move(pool_id, "open")
    for _ in range(6):
        api.server.clock.advance(15)
        for item in api.assignments(pool_id, status="SUBMITTED", sort="-submitted")[:2]:
            answer = api("PATCH", f"/assignments/{item['id']}", json={"status": "REJECTED", "public_comment": "Seen"})
            assert answer.status_code == 200
    api.server.clock.advance(DAY)
    items = api.assignments(pool_id, sort="submitted")
    votes = defaultdict(dict)
    for item in items:
        if item["status"] in ("SUBMITTED", "ACCEPTED"):
            for task, solution in zip(item["tasks"], item["solutions"], strict=True):
                votes[task["id"]][item["user_id"]] = solution["output_values"]["result"]
    majorities = {}
    for task_id, by_user in votes.items():
        (best, count), (_, second) = [*Counter(by_user.values()).most_common(2), ("", 0), ("", 0)][:2]
        if count >= 2 and count > second:
            majorities[task_id] = best
    assert "REJECTED" in {item["status"] for item in items}
    last = items[-1]["user_id"]
    mine = [
        votes[task["id"]][last] == majorities[task["id"]]
        for item in sorted(items, key=lambda item: item["created"])
        if item["user_id"] == last and item["status"] in ("SUBMITTED", "ACCEPTED")
        for task in item["tasks"]
        if task["id"] in majorities
    ][-5:]
    [skill] = api.get("/user-skills", user_id=last)["items"]
    assert skill["exact_value"] == pytest.approx(100 * sum(mine) / len(mine))


@pytest.mark.parametrize(("collector", "parameters"), [("MAJORITY_VOTE", {"answer_threshold": 2}), ("GOLDEN_SET", {})])
def test_long_histories_are_not_read_anew_at_each_answer(make_api, collector, parameters):
    never = ([when("total_answers_count", "GTE", 10**6)], FOREVER)

    def calls(tasks):
        api = make_api(crowd=crowd(size=4))
        mixer = EXAM | {"golden_tasks_count": 1}
        pool_id = api.add_pool(mixer_config=mixer, quality_control=control(collector, parameters, never))
        add_golden(api, pool_id, tasks)
        api.add_tasks(pool_id, tasks, overlap=4)
        api.move(pool_id, "open")
        profile = cProfile.Profile()
        # Nobody else lets time pass meanwhile.
        with api.server.world.lock:
            api.server.clock.advance(10 * DAY)
            profile.runcall(getattr, api.server, "world")
        assert len(api.assignments(pool_id)) == 4 * tasks
        return pstats.Stats(profile).total_calls

    assert calls(120) < 3 * calls(60)


def test_what_is_rejected_often_leads_to_a_skill_that_is_set(make_api):
    api = make_api(crowd=crowd(size=1))
    skill_id = api.post("/skills", {"name": "Rejected"})["id"]
    rule = (
        [when("total_assignments_count", "GTE", 4), when("rejected_assignments_rate", "GTE", 50)],
        action("SET_SKILL", skill_id=skill_id, skill_value=1),
    )
    pool_id = api.add_pool(
        tasks=20, auto_accept_solutions=False, quality_control=control("ACCEPTANCE_RATE", {"history_size": 4}, rule)
    )
    run(api, pool_id)
    items = api.assignments(pool_id, sort="created")
    for status, item in zip(["ACCEPTED"] * 4 + ["REJECTED"] * 2, items, strict=False):
        assert api.get("/user-skills")["items"] == []
        answer = api("PATCH", f"/assignments/{item['id']}", json={"status": status, "public_comment": "Seen"})
        assert answer.status_code == 200
    assert [item["value"] for item in api.get("/user-skills")["items"]] == [1]


def test_the_overlap_of_what_is_rejected_is_raised_and_the_pool_opened(make_api):
    api = make_api(crowd=crowd(size=5))
    conditions = [when("rejected_assignments_count", "GTE", "1"), when("assessment_event", "EQ", "REJECT")]
    quality = control("ASSIGNMENTS_ASSESSMENT", None, (conditions, action("CHANGE_OVERLAP", delta=1, open_pool=True)))
    defaults = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1}
    pool_id = api.add_pool(tasks=2, auto_accept_solutions=False, quality_control=quality, defaults=defaults)
    run(api, pool_id)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    [first] = api.assignments(pool_id)
    api("PATCH", f"/assignments/{first['id']}", json={"status": "REJECTED", "public_comment": "Wrong"})
    assert api.status(pool_id)[0] == "OPEN"
    assert {task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]} == {2}
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    again = [item for item in api.assignments(pool_id) if item["id"] != first["id"]]
    assert [len(item["tasks"]) for item in again] == [2]
    assert again[0]["user_id"] != first["user_id"]
    # Accepting it after all is another event.
    api("PATCH", f"/assignments/{first['id']}", json={"status": "ACCEPTED", "public_comment": "Right"})
    assert {task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]} == {2}


@pytest.mark.parametrize("reason", ["RESTRICTION", "SKILL_CHANGE"])
def test_what_people_did_who_lost_access_is_done_again_once(make_api, reason):
    api = make_api(crowd=crowd(size=6))
    skill_id = api.post("/skills", {"name": "Trusted"})["id"]
    conditions = [when("pool_access_revoked_reason", "EQ", reason)]
    if reason == "SKILL_CHANGE":
        conditions.append(when("skill_id", "EQ", skill_id))
    quality = control("USERS_ASSESSMENT", None, (conditions, action("CHANGE_OVERLAP", delta=1, open_pool=True)))
    told = {"category": "skill", "key": skill_id, "operator": "GTE", "value": 50}
    defaults = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1}
    pool_id = api.add_pool(tasks=12, quality_control=quality, filter={"and": [told]}, defaults=defaults)
    for user_id in people(api):
        api("PUT", "/user-skills", json={"skill_id": skill_id, "user_id": user_id, "value": 60})
    run(api, pool_id)
    lost, items = next(iter(by_person(api, pool_id).items()))
    again = {task["id"] for item in items for task in item["tasks"]}
    for value in (40, 30):
        if reason == "RESTRICTION":
            api("PUT", "/user-restrictions", json={"scope": "POOL", "user_id": lost, "pool_id": pool_id})
        else:
            api("PUT", "/user-skills", json={"skill_id": skill_id, "user_id": lost, "value": value})
    overlaps = {task["id"]: task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]}
    assert overlaps == {task_id: 2 if task_id in again else 1 for task_id in overlaps}
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    done = [item for item in api.assignments(pool_id) if {task["id"] for task in item["tasks"]} & again]
    assert len(done) > len(items)
    assert [item["user_id"] for item in done].count(lost) == len(items)


def test_who_had_no_access_for_two_reasons_is_acted_on_once(make_api):
    api = make_api(crowd=crowd(size=6))
    rule = [when("pool_access_revoked_reason", "EQ", "RESTRICTION")], action("CHANGE_OVERLAP", delta=1)
    defaults = {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1}
    project_id = api.add_project()
    pool_id = api.add_pool(
        project_id, tasks=12, quality_control=control("USERS_ASSESSMENT", None, rule), defaults=defaults
    )
    run(api, pool_id)
    lost = next(iter(by_person(api, pool_id)))
    api("PUT", "/user-restrictions", json={"scope": "PROJECT", "user_id": lost, "project_id": project_id})
    for _ in range(2):
        answer = api("PUT", "/user-restrictions", json={"scope": "POOL", "user_id": lost, "pool_id": pool_id})
        assert api("DELETE", f"/user-restrictions/{answer.json()['id']}").status_code == 204
    assert max(task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]) == 2


@pytest.mark.parametrize(
    ("collector", "key", "value"),
    [("ANSWER_COUNT", "assignments_accepted_count", 2), ("INCOME", "income_sum_for_last_24_hours", 0.04)],
)
def test_who_has_done_enough_gets_no_more(make_api, collector, key, value):
    api = make_api(crowd=crowd(size=3))
    pool_id = api.add_pool(tasks=40, quality_control=control(collector, None, ([when(key, "GTE", value)], FOREVER)))
    run(api, pool_id)
    assert {len(items) for items in by_person(api, pool_id).values()} == {2}
    assert len(restricted(api)) == 3


def test_a_rule_makes_no_ban_shorter(make_api):
    api = make_api(crowd=crowd(size=1))
    short = action("RESTRICTION", scope="POOL", duration_days=1)
    quality = control("ANSWER_COUNT", None, ([when("assignments_accepted_count", "GTE", 1)], short))
    pool_id = api.add_pool(tasks=40, quality_control=quality)
    other = api.add_pool(tasks=2)
    api.move(pool_id, "open")
    while not api.assignments(pool_id):
        api.server.clock.advance(1)
    body = {"scope": "POOL", "user_id": api.server.crowd.user_ids[0], "pool_id": pool_id}
    assert api("PUT", "/user-restrictions", json=body).status_code == 201
    run(api, other)
    api.server.clock.advance(3 * DAY)
    assert [item["status"] for item in api.assignments(pool_id)] == ["ACCEPTED"]
    assert "will_expire" not in restricted(api)[body["user_id"]]


def test_a_ban_that_ends_after_all_dates_never_ends(make_api):
    api = make_api(crowd=crowd(size=1))
    long = action("RESTRICTION_V2", scope="PROJECT", duration_unit="DAYS", duration=10_000_000)
    quality = control("ANSWER_COUNT", None, ([when("assignments_accepted_count", "GTE", 1)], long))
    run(api, api.add_pool(tasks=4, quality_control=quality))
    [ban] = restricted(api).values()
    assert "will_expire" not in ban


def test_a_snapshot_goes_on_with_bans_skills_and_histories(make_api):
    def start(seed):
        api = make_api(seed=seed, crowd=crowd(size=10, careless_people=0.3, careless_accuracy=(0, 0.3)))
        skill_id = api.post("/skills", {"name": "Accuracy"})["id"]
        rate = "golden_set_correct_answers_rate"
        skill = action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field=rate)
        quality = control(
            "GOLDEN_SET",
            {"history_size": 8},
            ([when("golden_set_answers_count", "GTE", 2)], skill),
            ([when("golden_set_answers_count", "GTE", 8), when(rate, "LT", 50)], FOREVER),
        )
        pool_id = api.add_pool(mixer_config=EXAM, quality_control=quality)
        add_golden(api, pool_id, 60)
        api.add_tasks(pool_id, 30, overlap=8)
        run(api, pool_id, seconds=100)
        return api, pool_id

    def end(api, pool_id):
        api.server.clock.advance(DAY)
        return api.assignments(pool_id), api.get("/user-skills", limit=100), api.get("/user-restrictions", limit=100)

    api, pool_id = start(1)
    kept = api("GET", "/_emulator/snapshot").json()
    expected = end(api, pool_id)
    assert expected[2]["items"]
    other = make_api(seed=9)
    assert other("PUT", "/_emulator/snapshot", json=kept).status_code == 204
    assert end(other, pool_id) == expected


def test_the_same_seed_gives_the_same_bans(make_api):
    def bans():
        api = make_api(crowd=crowd(size=10, careless_people=0.3))
        rule = [when("total_answers_count", "GTE", 5), when("incorrect_answers_rate", "GT", 40)], FOREVER
        quality = control("MAJORITY_VOTE", {"answer_threshold": 2, "history_size": 10}, rule)
        pool_id = api.add_pool(tasks=60, quality_control=quality)
        run(api, pool_id)
        return api.get("/user-restrictions", limit=100)["items"]

    assert bans() == bans() != []
