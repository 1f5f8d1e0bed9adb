from __future__ import annotations

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600
PRICE = 0.026  # 0.02 and 30 % of it


def test_answers_are_paid_with_the_fee(api):
    pool_id = api.add_pool(tasks=10)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    paid = len(api.assignments(pool_id, status="ACCEPTED"))
    assert api.get("/requester")["balance"] == pytest.approx(1000 - paid * PRICE)


def test_no_pool_opens_without_money(make_api):
    api = make_api(balance=0.051)
    pool_id = api.add_pool()
    api.post("/tasks", {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 2})
    assert api.code("POST", f"/pools/{pool_id}/open") == (409, "NOT_ENOUGH_BALANCE")
    task = {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}
    assert api.code("POST", "/tasks", task, open_pool="true") == (409, "NOT_ENOUGH_BALANCE")
    assert len(api.get("/tasks", pool_id=pool_id)["items"]) == 1
    training_id = api.add_training(tasks=1)
    api.move(training_id, "open", kind="trainings")


def test_pool_closes_when_the_money_is_gone(make_api):
    api = make_api()
    pool_id = api.add_pool(tasks=50)
    api.move(pool_id, "open")
    api.server.set_balance(0.1)
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "NOT_ENOUGH_BALANCE")
    assert len(api.assignments(pool_id)) == 3
    assert api.get("/requester")["balance"] == pytest.approx(0.1 - 3 * PRICE)


def test_balance_taken_away_while_people_work(api):
    pool_id = api.add_pool(tasks=20)
    api.move(pool_id, "open")
    api.server.clock.advance(20)
    assert any(item["status"] == "ACTIVE" for item in api.assignments(pool_id))
    api.server.set_balance(0.001)
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "NOT_ENOUGH_BALANCE")
    assert {item["status"] for item in api.assignments(pool_id)} == {"ACCEPTED"}
    assert api.get("/requester")["balance"] == 0


def reviewed(api, **changes):
    pool_id = api.add_pool(tasks=2, auto_accept_solutions=False, **changes)
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    return pool_id, [item["id"] for item in api.assignments(pool_id)]


def decide(api, assignment_id, status, comment="x"):
    return api.code("PATCH", f"/assignments/{assignment_id}", {"status": status, "public_comment": comment})


def test_review(api):
    pool_id, (first, second, third) = reviewed(api)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    assert api.get("/requester")["balance"] == 1000
    answer = api("PATCH", f"/assignments/{first}", json={"status": "ACCEPTED", "public_comment": "Good"}).json()
    assert (answer["status"], answer["public_comment"], "accepted" in answer) == ("ACCEPTED", "Good", True)
    api("PATCH", f"/assignments/{second}", json={"status": "REJECTED", "public_comment": "Bad"})
    assert api.get("/requester")["balance"] == pytest.approx(1000 - PRICE)
    assert decide(api, first, "REJECTED") == (409, "INAPPROPRIATE_STATUS")
    assert decide(api, first, "ACCEPTED") == (409, "INAPPROPRIATE_STATUS")
    assert api("PATCH", f"/assignments/{second}", json={"status": "ACCEPTED"}).status_code == 200
    assert api.get("/requester")["balance"] == pytest.approx(1000 - 2 * PRICE)
    assert decide(api, third, "SKIPPED") == (400, "VALIDATION_ERROR")


def test_rejected_answer_is_not_accepted_without_money(api):
    _, (first, *_) = reviewed(api)
    api("PATCH", f"/assignments/{first}", json={"status": "REJECTED"})
    api.server.set_balance(0)
    assert decide(api, first, "ACCEPTED") == (409, "NOT_ENOUGH_BALANCE")
    assert api.get(f"/assignments/{first}")["status"] == "REJECTED"


def test_money_is_reserved_while_people_work_and_returned_if_they_do_not_answer(make_api):
    api = make_api(crowd=CrowdSettings(size=5, skip_rate=1, expire_rate=0, seconds_per_task=(60, 60)))
    pool_id = api.add_pool(tasks=10)
    api.move(pool_id, "open")
    api.server.clock.advance(61)
    active = len(api.assignments(pool_id, status="ACTIVE"))
    reserved = api.session.patch(f"{api.server.url}/_emulator/requester", json={"balance": 10}, timeout=5).json()
    assert reserved == {"balance": 10, "reserved": pytest.approx(active * PRICE)}
    assert active > 0
    api.server.clock.advance(DAY)
    account = api.server.world.account
    assert (account.balance, account.reserved) == (10, 0)


@pytest.mark.parametrize(("changes", "days"), [({}, 21), ({"auto_accept_period_day": 3}, 3)])
def test_nobody_decides(api, changes, days):
    pool_id, ids = reviewed(api, **changes)
    api.server.clock.advance(days * DAY - 3600)
    api.server.clock.advance(3600)
    assert {item["status"] for item in api.assignments(pool_id)} == {"ACCEPTED"}
    assert len(ids) == 3


def test_pool_with_a_fresh_rejection_is_not_archived(api):
    pool_id, (first, *_) = reviewed(api)
    api("PATCH", f"/assignments/{first}", json={"status": "REJECTED"})
    assert api.code("POST", f"/pools/{pool_id}/archive") == (409, "THERE_IS_REJECTED_ASSIGNMENT")
    api.server.clock.advance(9 * DAY)
    api.move(pool_id, "archive")
    assert decide(api, first, "ACCEPTED") == (409, "INAPPROPRIATE_STATUS")
