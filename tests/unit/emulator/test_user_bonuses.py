"""Bonuses: paid once, to the cent, or refused with a reason."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal

import pytest

from toloka_airflow.emulator.world.progression import Progression

TITLE = {"public_title": {"EN": "Well done"}, "public_message": {"EN": "You are the best"}}


def bonus(api, amount=0.5, *, person=0, **fields):
    return {"user_id": api.server.crowd.user_ids[person], "amount": amount, **TITLE, **fields}


def balance(api):
    return api.get("/requester")["balance"]


def later(api, items, **params):
    """Pay in an operation, and return the operation when it has ended."""
    operation = api.post("/user-bonuses", items, async_mode="true", **params)
    api.server.clock.advance(60)
    return api.get(f"/operations/{operation['id']}")


def test_a_bonus_is_paid(api):
    sent = bonus(api, 0.5, private_comment="Good job!")
    answer = api("POST", "/user-bonuses", json=sent)
    assert answer.status_code == 201
    paid = answer.json()
    assert paid == sent | {"without_message": False, "id": paid["id"], "created": "2030-01-01T00:00:00.000"}
    assert api.get(f"/user-bonuses/{paid['id']}") == paid
    assert balance(api) == 999.5
    assert api.code("GET", "/user-bonuses/1") == (404, "DOES_NOT_EXIST")


def test_the_balance_goes_down_by_exactly_the_sum(api):
    amounts = [0.005, 0.1, 0.2, 0.3, 0.07, 99.99, 0.0051]
    items = [bonus(api, amount, person=i) for i, amount in enumerate(amounts)]
    api.post("/user-bonuses", items)
    assert balance(api) == float(1000 - sum(Decimal(str(amount)) for amount in amounts))
    assert api.server.world.account.balance == Decimal("899.3299")


def test_a_bonus_for_an_assignment(api):
    pool_id = api.add_pool(tasks=2)
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    own, other = api.assignments(pool_id)[:2]
    sent = bonus(api) | {"user_id": own["user_id"], "assignment_id": own["id"]}
    paid = api.post("/user-bonuses", sent)
    assert api.get(f"/assignments/{own['id']}")["bonus_ids"] == [paid["id"]]
    assert "bonus_ids" not in api.get(f"/assignments/{other['id']}")
    assert api.get("/user-bonuses", assignment_id=own["id"])["items"] == [paid]
    for wrong in (other["id"], "nothing"):
        answer = api("POST", "/user-bonuses", json=sent | {"assignment_id": wrong})
        assert list(answer.json()["payload"]) == ["assignment_id"]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"amount": 0.004}, "amount", "VALUE_LESS_THAN_MIN"),
        ({"amount": 100.01}, "amount", "VALUE_GREATER_THAN_MAX"),
        ({"amount": "0.5"}, "amount", "FLOAT_EXPECTED"),
        ({"amount": True}, "amount", "FLOAT_EXPECTED"),
        ({"amount": None}, "amount", "VALUE_REQUIRED"),
        ({"user_id": "nobody"}, "user_id", "ENTITY_DOES_NOT_EXIST"),
        ({"public_title": None}, "public_title", "VALUE_REQUIRED"),
        ({"public_message": {}}, "public_message", "VALUE_REQUIRED"),
        ({"public_message": "x"}, "public_message", "OBJECT_EXPECTED"),
        ({"title": {"EN": "x"}}, "title", "VALUE_NOT_ALLOWED"),
    ],
)
def test_a_bonus_that_is_wrong(api, change, field, code):
    answer = api("POST", "/user-bonuses", json=bonus(api) | change)
    assert answer.status_code == 400
    assert {name: wrong["code"] for name, wrong in answer.json()["payload"].items()} == {field: code}
    assert balance(api) == 1000


def test_a_bonus_without_a_message(api):
    sent = {"user_id": api.server.crowd.user_ids[0], "amount": 1, "without_message": True, "public_title": None}
    paid = api.post("/user-bonuses", sent)
    assert paid["without_message"] is True
    assert "public_title" not in paid


def test_one_wrong_bonus_stops_all_or_is_left_out(api):
    items = [bonus(api), bonus(api, 0), bonus(api, person=1)]
    answer = api("POST", "/user-bonuses", json=items)
    assert (answer.status_code, list(answer.json()["payload"])) == (400, ["1"])
    assert balance(api) == 1000
    told = api.post("/user-bonuses", items, skip_invalid_items="true")
    assert list(told["items"]) == ["0", "2"]
    assert told["validation_errors"]["1"]["amount"]["code"] == "VALUE_LESS_THAN_MIN"
    assert balance(api) == 999
    assert api.code("POST", "/user-bonuses", items[1:2], skip_invalid_items="true") == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("params", [{}, {"async_mode": "true"}, {"skip_invalid_items": "true"}])
def test_equal_bonuses_in_one_request_are_refused(api, params):
    items = [bonus(api, 1, private_comment="a"), bonus(api, 1.0, private_comment="a")]
    answer = api("POST", "/user-bonuses", json=items, params=params)
    assert answer.status_code == 409
    assert answer.json() == {
        "user_id": {
            "code": "ENTITY_CONFLICT",
            "message": "It is not allowed to apply multiple bonuses with the same amount, title, message and comment "
            "to same Toloker in single operation",
        }
    }
    assert balance(api) == 1000
    assert api.get("/operations")["items"] == []


@pytest.mark.parametrize(
    "change", [{"amount": 2}, {"private_comment": "b"}, {"public_title": {"EN": "x"}}, {"public_message": {"EN": "x"}}]
)
def test_bonuses_that_differ_are_paid(api, change):
    api.post("/user-bonuses", [bonus(api, 1), bonus(api, 1) | change, bonus(api, 1, person=1)])
    assert len(api.get("/user-bonuses")["items"]) == 3


def test_at_most_a_hundred_at_once(api):
    items = [bonus(api, private_comment=str(i)) for i in range(101)]
    assert api.code("POST", "/user-bonuses", items) == (413, "ENTITY_TOO_LARGE")
    assert len(api.post("/user-bonuses", items[:100])["items"]) == 100
    assert api.code("POST", "/user-bonuses", []) == (400, "VALIDATION_ERROR")
    assert later(api, items)["details"]["success_count"] == 101


def test_there_must_be_money_for_all_of_them(make_api):
    api = make_api(balance=1)
    items = [bonus(api, 0.5, person=i) for i in range(3)]
    assert api.code("POST", "/user-bonuses", items) == (409, "NOT_ENOUGH_BALANCE")
    assert balance(api) == 1
    operation = later(api, items)
    assert operation["status"] == "FAIL"
    steps = api.get(f"/operations/{operation['id']}/log")
    assert [(step["type"], step["success"]) for step in steps] == [("USER_BONUS_PERSIST", False)] * 3
    assert {step["output"]["code"] for step in steps} == {"NOT_ENOUGH_BALANCE"}
    api.post("/user-bonuses", items[:2])
    assert balance(api) == 0


def test_money_that_is_promised_for_answers_is_not_paid_as_a_bonus(make_api):
    api = make_api(balance=1)
    pool_id = api.add_pool(tasks=2, reward_per_assignment=0.2, auto_accept_solutions=False)
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert len(api.assignments(pool_id, status="SUBMITTED")) == 3
    assert api.code("POST", "/user-bonuses", bonus(api, 0.5)) == (409, "NOT_ENOUGH_BALANCE")
    api.post("/user-bonuses", bonus(api, 0.2))


def test_an_operation_pays_and_its_log_tells_of_each(api):
    items = [{**bonus(api), "__item_idx": "0"}, bonus(api, 0), bonus(api, person=1)]
    operation = later(api, items, skip_invalid_items="true")
    assert (operation["type"], operation["status"]) == ("USER_BONUS.BATCH_CREATE", "SUCCESS")
    assert operation["parameters"] == {"skip_invalid_items": True}
    assert operation["details"] == {
        "total_count": 3,
        "valid_count": 2,
        "not_valid_count": 1,
        "success_count": 2,
        "failed_count": 1,
    }
    first, wrong, last = api.get(f"/operations/{operation['id']}/log")
    ids = [paid["id"] for paid in api.get("/user-bonuses")["items"]]
    assert [step["output"]["user_bonus_id"] for step in (first, last)] == ids
    assert (first["type"], first["input"]) == ("USER_BONUS_PERSIST", items[0])
    assert (wrong["type"], list(wrong["output"])) == ("USER_BONUS_VALIDATE", ["amount"])
    assert balance(api) == 999


def test_an_operation_pays_nothing_if_one_is_wrong(api):
    operation = later(api, [bonus(api), bonus(api, 0)])
    assert (operation["status"], operation["details"]["success_count"]) == ("FAIL", 0)
    assert [step["success"] for step in api.get(f"/operations/{operation['id']}/log")] == [False]
    assert balance(api) == 1000


def test_an_operation_id_is_used_once(api):
    operation_id = str(uuid.uuid4())
    params = {"async_mode": "true", "operation_id": operation_id}
    assert api.post("/user-bonuses", [bonus(api)], **params)["id"] == operation_id
    for _ in range(2):
        assert api.code("POST", "/user-bonuses", [bonus(api)], **params) == (409, "OPERATION_ALREADY_EXISTS")
        api.server.clock.advance(60)
    assert balance(api) == 999.5
    answer = api("POST", "/user-bonuses", json=bonus(api), params={"operation_id": "1", "async_mode": "true"})
    assert list(answer.json()["payload"]) == ["operation_id"]


def test_nothing_is_lost_or_paid_twice_by_a_snapshot(api):
    api.post("/user-bonuses", bonus(api, 0.005))
    operation = api.post(
        "/user-bonuses", [bonus(api, 0.1), bonus(api, 0)], async_mode="true", skip_invalid_items="true"
    )
    document = json.loads(json.dumps(api.server.snapshot()))
    for _ in range(2):
        api.server.restore(document)
        assert balance(api) == 999.995
        api.server.clock.advance(60)
        assert balance(api) == 999.895
        assert [paid["amount"] for paid in api.get("/user-bonuses")["items"]] == [0.005, 0.1]
        assert api.get(f"/operations/{operation['id']}")["status"] == "SUCCESS"


def test_an_operation_that_shall_fail_pays_nothing(api):
    failing = Progression(seconds=1, fail={"code": "OPERATION_EXECUTION_ERROR"})
    api.server.progressions.set(failing, type="USER_BONUS.BATCH_CREATE")
    operation = later(api, [bonus(api)])
    assert (operation["status"], operation["details"]["success_count"]) == ("FAIL", 0)
    assert balance(api) == 1000


def test_a_lost_answer_has_paid(api):
    api.server.faults.add("POST", "/api/v1/user-bonuses", lost_answer=True)
    with pytest.raises(Exception, match="Connection aborted"):
        api.post("/user-bonuses", bonus(api))
    assert balance(api) == 999.5


def test_bonuses_are_listed(api):
    for i in range(3):
        api.post("/user-bonuses", bonus(api, person=i % 2, private_comment=f"run {i}"))
        api.server.clock.advance(60)
    user_ids = api.server.crowd.user_ids
    assert [paid["private_comment"] for paid in api.get("/user-bonuses", user_id=user_ids[0])["items"]] == [
        "run 0",
        "run 2",
    ]
    assert len(api.get("/user-bonuses", private_comment="run 1")["items"]) == 1
    page = api.get("/user-bonuses", sort="-created", limit=1, created_lt="2030-01-01T00:02:00")
    assert (page["items"][0]["private_comment"], page["has_more"]) == ("run 1", True)


def test_the_journal_has_each_bonus(api):
    paid = api.post("/user-bonuses", [bonus(api), bonus(api, person=1)])["items"].values()
    told = api.server.journal.events("user_bonus.paid")
    assert [(event["user_bonus_id"], event["amount"]) for event in told] == [(item["id"], 0.5) for item in paid]


def test_ten_thousand_a_day(api):
    items = [bonus(api, 0.005, private_comment=str(i)) for i in range(10_000)]
    assert later(api, items)["status"] == "SUCCESS"
    answer = api("POST", "/user-bonuses", json=bonus(api))
    assert (answer.status_code, answer.json()["payload"]) == (429, {"interval": "DAY"})
    api.server.clock.advance(24 * 3600)
    api.post("/user-bonuses", bonus(api))
