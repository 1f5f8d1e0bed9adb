"""What an answer costs, and who is paid how much, as the guide's page on prices has it."""

from __future__ import annotations

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600


def few(size, **changes):
    return CrowdSettings(size=size, skip_rate=0, expire_rate=0, **changes)


INTERVALS = [
    {"from": 50, "to": 79, "reward_per_assignment": 0.05},
    {"from": 80, "reward_per_assignment": 0.1},
]


def priced(api, **values):
    """Return a pool whose price depends on a skill, of which people have these values, by their place in the crowd."""
    skill_id = api.post("/skills", {"name": "Cats"})["id"]
    for number, value in values.items():
        person = api.server.crowd.user_ids[int(number.removeprefix("person_"))]
        api("PUT", "/user-skills", json={"user_id": person, "skill_id": skill_id, "value": value})
    pricing = {"type": "SKILL", "skill_id": skill_id, "intervals": INTERVALS}
    return api.add_pool(tasks=4, dynamic_pricing_config=pricing)


def worked(api, pool_id):
    """Let everybody answer all tasks of a pool, and return the reward of each person."""
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    items = api.assignments(pool_id)
    people = api.server.crowd.user_ids
    return {people.index(item["user_id"]): item["reward"] for item in items}


@pytest.mark.parametrize(
    ("reward", "price"), [(0.005, 0.010), (0.01, 0.015), (0.0166, 0.0216), (0.02, 0.026), (1, 1.3), (0, 0)]
)
def test_the_fee_is_a_share_but_not_less_than_half_a_cent(api, reward, price):
    pool_id = api.add_pool(tasks=2, reward_per_assignment=reward)
    worked(api, pool_id)
    answers = len(api.assignments(pool_id))
    assert answers == 3
    assert api.get("/requester")["balance"] == pytest.approx(1000 - answers * price, abs=1e-9)


def test_people_are_paid_by_their_skill(make_api):
    api = make_api(crowd=few(3))
    pool_id = priced(api, person_0=79.4, person_1=100)
    assert worked(api, pool_id) == {0: 0.05, 1: 0.1, 2: 0.02}
    # Each of the three has answered two suites.
    assert api.get("/requester")["balance"] == pytest.approx(1000 - 2 * (0.05 + 0.1 + 0.02) * 1.3, abs=1e-9)


def test_who_is_in_no_interval_gets_the_price_of_the_pool(make_api):
    api = make_api(crowd=few(3))
    assert worked(api, priced(api, person_0=49, person_1=50, person_2=80)) == {0: 0.02, 1: 0.05, 2: 0.1}


def test_the_price_is_that_of_the_moment_when_the_suite_is_given_out(make_api):
    api = make_api(crowd=few(3, seconds_per_task=(100, 100)))
    pool_id = priced(api, person_0=10)
    api.move(pool_id, "open")
    api.server.clock.advance(101)
    (person, *_) = api.server.crowd.user_ids
    skill_id = api.get(f"/pools/{pool_id}")["dynamic_pricing_config"]["skill_id"]
    assert [item["status"] for item in api.assignments(pool_id, user_id=person)] == ["ACTIVE"]
    api("PUT", "/user-skills", json={"user_id": person, "skill_id": skill_id, "value": 90})
    api.server.clock.advance(DAY)
    assert [item["reward"] for item in api.assignments(pool_id, user_id=person)] == [0.02, 0.1]


def test_nobody_gets_a_suite_that_the_account_cannot_pay(make_api):
    api = make_api(crowd=few(3))
    pool_id = priced(api, person_0=90, person_1=90, person_2=90)
    api.server.set_balance(0.2)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "NOT_ENOUGH_BALANCE")
    assert [item["reward"] for item in api.assignments(pool_id)] == [0.1]
