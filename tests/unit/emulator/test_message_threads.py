"""Messages to people, and what is known of people."""

from __future__ import annotations

import json

import pytest

MESSAGE = {
    "topic": {"EN": "You have got a bonus!"},
    "text": {"EN": "For good work"},
    "recipients_select_type": "DIRECT",
    "answerable": True,
}


def compose(api, *people, **fields):
    recipients = {"recipients_ids": [api.server.crowd.user_ids[number] for number in people]} if people else {}
    return MESSAGE | recipients | fields


def test_a_message_and_a_reply(api):
    answer = api("POST", "/message-threads/compose", json=compose(api, 0, 1))
    assert answer.status_code == 201
    thread = answer.json()
    assert sorted(person["role"] for person in thread["interlocutors"]) == ["REQUESTER", "USER", "USER"]
    assert [message["text"] for message in thread["messages"]] == [MESSAGE["text"]]
    assert (thread["folders"], thread["answerable"]) == (["OUTBOX"], True)
    replied = api("POST", f"/message-threads/{thread['id']}/reply", json={"text": {"EN": "Thanks"}})
    assert replied.status_code == 200
    assert [message["text"] for message in replied.json()["messages"]] == [{"EN": "Thanks"}, MESSAGE["text"]]
    api.server.restore(json.loads(json.dumps(api.server.snapshot())))
    assert api.get("/message-threads")["items"] == [replied.json()]
    assert api.code("POST", "/message-threads/1/reply", {"text": {"EN": "x"}}) == (404, "DOES_NOT_EXIST")


def test_folders(api):
    first, second = (api.post("/message-threads/compose", compose(api, number))["id"] for number in (0, 1))
    moved = api("POST", f"/message-threads/{first}/add-to-folders", json={"folders": ["IMPORTANT", "OUTBOX"]})
    assert (moved.status_code, moved.json()["folders"]) == (200, ["OUTBOX", "IMPORTANT"])

    def listed(**params):
        return [thread["id"] for thread in api.get("/message-threads", **params)["items"]]

    assert listed(folder="INBOX,IMPORTANT") == [first]
    assert listed(folder_ne="IMPORTANT") == [second]
    assert listed(sort="-id", limit=1) == [second]
    moved = api("POST", f"/message-threads/{first}/remove-from-folders", json={"folders": ["OUTBOX"]})
    assert moved.json()["folders"] == ["IMPORTANT"]
    assert listed(folder="OUTBOX") == [second]
    assert api.code("GET", "/message-threads", folder="TRASH") == (400, "VALIDATION_ERROR")
    wrong = api("POST", f"/message-threads/{first}/add-to-folders", json={"folders": ["TRASH"]})
    assert list(wrong.json()["payload"]) == ["folders.0"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"recipients_ids": None}, "recipients_ids"),
        ({"recipients_ids": ["nobody"]}, "recipients_ids.0"),
        ({"recipients_select_type": "ALL"}, "recipients_ids"),
        ({"recipients_filter": {"and": []}}, "recipients_filter"),
        (
            {"recipients_select_type": "FILTER", "recipients_ids": None, "recipients_filter": {"people": "all"}},
            "recipients_filter.people",
        ),
        ({"recipients_select_type": "SOME"}, "recipients_select_type"),
        ({"topic": "x"}, "topic"),
        ({"text": None}, "text"),
    ],
)
def test_a_message_that_is_wrong(api, change, field):
    answer = api("POST", "/message-threads/compose", json=compose(api, 0) | change)
    assert (answer.status_code, list(answer.json()["payload"])) == (400, [field])


def test_at_most_a_hundred_recipients(api):
    answer = api("POST", "/message-threads/compose", json=compose(api, *[0] * 101))
    assert answer.json()["payload"]["recipients_ids"]["code"] == "ARRAY_SIZE_GREATER_THAN_MAX"


def test_one_message_to_all_a_day(api):
    to_all = compose(api, recipients_select_type="ALL")
    api.post("/message-threads/compose", to_all)
    answer = api("POST", "/message-threads/compose", json=to_all)
    assert (answer.status_code, answer.json()["payload"]) == (429, {"interval": "DAY"})
    api.post("/message-threads/compose", compose(api, 0))
    some = {"and": [{"category": "skill", "key": "1", "operator": "GT", "value": 90}]}
    api.post("/message-threads/compose", compose(api, recipients_select_type="FILTER", recipients_filter=some))
    api.server.clock.advance(24 * 3600)
    api.post("/message-threads/compose", to_all)


def test_what_is_known_of_people(api):
    known = [api.get(f"/user-metadata/{user_id}") for user_id in api.server.crowd.user_ids]
    assert [person["id"] for person in known] == api.server.crowd.user_ids
    assert len({person["country"] for person in known}) > 1
    assert len({person["attributes"]["device_category"] for person in known}) > 1
    assert api.get(f"/user-metadata/{known[0]['id']}") == known[0]
    assert api.code("GET", "/user-metadata/1") == (404, "DOES_NOT_EXIST")
