from __future__ import annotations

import uuid

import pytest

from toloka_airflow.emulator.resources import uploads


def task(pool_id, /, **changes):
    return {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 2} | changes


def test_single_task(api):
    pool_id = api.add_pool()
    created = api.post("/tasks", task(pool_id))
    assert created["id"].startswith(f"{int(pool_id):010x}--")
    assert created["remaining_overlap"] == created["overlap"] == 2
    assert created["infinite_overlap"] is False
    assert api.get(f"/tasks/{created['id']}") == created


def test_list_of_tasks(api):
    pool_id = api.add_pool()
    answer = api.post("/tasks", [task(pool_id), task(pool_id)])
    assert set(answer) == {"items"}
    ids = [answer["items"][str(i)]["id"] for i in range(2)]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("changes", "query", "problems"),
    [
        ({"input_values": {}}, {}, {"input_values.image": "VALUE_REQUIRED"}),
        ({"input_values": {"image": "u", "b": 1}}, {}, {"input_values.b": "VALUE_NOT_ALLOWED"}),
        ({"input_values": {"image": 1}}, {}, {"input_values.image": "STRING_EXPECTED"}),
        ({"overlap": None}, {}, {"overlap": "VALUE_REQUIRED"}),
        ({"overlap": 0}, {}, {"overlap": "VALUE_LESS_THAN_MIN"}),
        ({"infinite_overlap": True}, {}, {"overlap": "VALUE_NOT_ALLOWED"}),
        ({"pool_id": "1"}, {}, {"pool_id": "ENTITY_DOES_NOT_EXIST"}),
        ({"overlapp": 1}, {}, {"overlapp": "VALUE_NOT_ALLOWED"}),
        (
            {"known_solutions": [{"output_values": {"resul": "cat"}}]},
            {},
            {"known_solutions.0.output_values.resul": "VALUE_NOT_ALLOWED"},
        ),
    ],
)
def test_invalid_task(api, changes, query, problems):
    pool_id = api.add_pool()
    single = api("POST", "/tasks", json=task(pool_id, **changes), params=query)
    assert single.status_code == 400
    assert {at: entry["code"] for at, entry in single.json()["payload"].items()} == problems
    several = api("POST", "/tasks", json=[task(pool_id), task(pool_id, **changes)], params=query)
    assert list(several.json()["payload"]) == ["1"]
    assert api.get("/tasks", pool_id=pool_id)["items"] == []


def test_invalid_items_are_skipped_on_request(api):
    pool_id = api.add_pool()
    bad = task(pool_id, input_values={})
    answer = api.post("/tasks", [bad, task(pool_id)], skip_invalid_items="true")
    assert list(answer["items"]) == ["1"]
    assert list(answer["validation_errors"]["0"]) == ["input_values.image"]
    assert api.code("POST", "/tasks", [bad], skip_invalid_items="true") == (400, "VALIDATION_ERROR")


def test_overlap_from_the_defaults_of_the_pool(api):
    pool_id = api.add_pool()
    assert api.post("/tasks", task(pool_id, overlap=None), allow_defaults="true")["overlap"] == 3
    infinite = api.post("/tasks", task(pool_id, overlap=None, infinite_overlap=True))
    assert infinite["infinite_overlap"] is True
    assert "overlap" not in infinite


def test_open_pool_after_the_upload(api):
    pool_id = api.add_pool()
    api.post("/tasks", task(pool_id), open_pool="true")
    assert api.status(pool_id)[0] == "OPEN"


def test_open_pool_is_already_open(api):
    pool_id = api.add_pool(tasks=1)
    api.server.crowd.change(size=0)
    api.move(pool_id, "open")
    started = api.get(f"/pools/{pool_id}")["last_started"]
    api.post("/tasks", task(pool_id), open_pool="true")
    assert api.get(f"/pools/{pool_id}")["last_started"] == started


def test_open_pool_waits_for_no_other_operation(api):
    pool_id = api.add_pool(tasks=1)
    api.post(f"/pools/{pool_id}/archive")
    refused = api.code("POST", "/tasks", task(pool_id), open_pool="true")
    assert refused == (409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    assert len(api.get("/tasks", pool_id=pool_id)["items"]) == 1


def test_pool_without_mixer_takes_no_single_tasks(api):
    pool_id = api.add_pool(mixer_config=None)
    assert api.code("POST", "/tasks", task(pool_id)) == (409, "MIXER_CONFIG_REQUIRED")
    assert api.code("POST", "/tasks", [task(pool_id)], async_mode="true") == (409, "MIXER_CONFIG_REQUIRED")
    assert api.post("/tasks", task(api.add_training(), overlap=None), allow_defaults="true")["infinite_overlap"]


def test_too_many_at_once(api):
    assert api.code("POST", "/tasks", [task("1")] * 5001) == (413, "ENTITY_TOO_LARGE")


@pytest.mark.parametrize(("known", "name"), [(False, "input_values"), (True, "output_values")])
@pytest.mark.parametrize("mode", ["false", "true"])
def test_too_many_bytes_at_once(api, monkeypatch, mode, known, name):
    monkeypatch.setitem(uploads.MAX_BYTES, name, 100)
    pool_id = api.add_pool()
    more = (
        {"known_solutions": [{"output_values": {"result": "cat"}}]} if known else {"input_values": {"image": "u" * 30}}
    )
    assert api("POST", "/tasks", json=[task(pool_id, **more)], params={"async_mode": mode}).status_code in (201, 202)
    api.server.clock.advance(1)
    answer = api("POST", "/tasks", json=[task(pool_id, **more)] * 3, params={"async_mode": mode})
    assert answer.status_code == 400
    assert {at: entry["code"] for at, entry in answer.json()["payload"].items()} == {
        name: "OBJECT_SIZE_BYTES_GREATER_THAN_MAX"
    }


def test_documented_sizes():
    assert uploads.MAX_BYTES == {"input_values": 1_048_576, "output_values": 4_194_304}


def upload(api, items, **params):
    operation = api.post("/tasks", items, async_mode="true", **params)
    assert operation["type"] == "TASK.BATCH_CREATE"
    assert operation["status"] == "PENDING"
    api.server.clock.advance(1)
    return api.get(f"/operations/{operation['id']}"), api.get(f"/operations/{operation['id']}/log")


def test_upload_as_an_operation(api):
    pool_id = api.add_pool()
    items = [task(pool_id, __item_idx=str(i)) for i in range(2)]
    operation, log = upload(api, items)
    assert operation["status"] == "SUCCESS"
    assert operation["parameters"] == {"open_pool": False, "allow_defaults": False, "skip_invalid_items": False}
    assert operation["details"] == {
        "total_count": 2, "valid_count": 2, "not_valid_count": 0, "success_count": 2, "failed_count": 0,
    }  # fmt: skip
    assert [step["input"] for step in log] == items
    assert {step["type"] for step in log} == {"TASK_CREATE"}
    created = [step["output"]["task_id"] for step in log]
    assert [item["id"] for item in api.get("/tasks", pool_id=pool_id, id_gte=created[0])["items"]] == created


def test_one_invalid_item_fails_the_upload(api):
    pool_id = api.add_pool()
    bad = task(pool_id, input_values={"imagis": "u"})
    operation, log = upload(api, [task(pool_id), bad])
    assert operation["status"] == "FAIL"
    assert operation["details"] == {
        "total_count": 2, "valid_count": 1, "not_valid_count": 1, "success_count": 0, "failed_count": 2,
    }  # fmt: skip
    assert [(step["type"], step["success"], step["input"]) for step in log] == [("TASK_VALIDATE", False, bad)]
    assert {at: entry["code"] for at, entry in log[0]["output"].items()} == {
        "input_values.image": "VALUE_REQUIRED",
        "input_values.imagis": "VALUE_NOT_ALLOWED",
    }
    operation, log = upload(api, [task(pool_id), bad], skip_invalid_items="true")
    assert operation["status"] == "SUCCESS"
    assert [step["success"] for step in log] == [True, False]


def test_upload_opens_the_pool_and_says_so_in_the_log(api):
    pool_id = api.add_pool()
    _, log = upload(api, [task(pool_id)], open_pool="true")
    assert log[-1]["type"] == "POOL_OPEN"
    assert api.status(pool_id)[0] == "OPEN"


def test_upload_that_cannot_open_the_pool_says_so_in_the_log(api):
    pool_id = api.add_pool()
    api.server.set_balance(0)
    operation, log = upload(api, [task(pool_id)], open_pool="true")
    assert operation["status"] == "SUCCESS"
    assert [(step["type"], step["success"]) for step in log] == [("TASK_CREATE", True), ("POOL_OPEN", False)]
    assert log[1]["output"]["code"] == "NOT_ENOUGH_BALANCE"
    assert api.status(pool_id)[0] == "CLOSED"


INPUTS = {
    "count": {"type": "integer", "min_value": 1, "max_value": 3},
    "share": {"type": "float"},
    "name": {"type": "string", "min_length": 2, "max_length": 4},
    "words": {"type": "array_string", "allowed_values": ["a", "b"]},
    "flag": {"type": "boolean"},
    "place": {"type": "coordinates"},
    "places": {"type": "array_coordinates"},
}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"count": 0}, "VALUE_LESS_THAN_MIN"),
        ({"count": 4}, "VALUE_GREATER_THAN_MAX"),
        ({"count": 1.5}, "INTEGER_EXPECTED"),
        ({"share": "1"}, "FLOAT_EXPECTED"),
        ({"name": "x"}, "STRING_LENGTH_LESS_THAN_MIN"),
        ({"name": "xxxxx"}, "STRING_LENGTH_GREATER_THAN_MAX"),
        ({"words": "a"}, "ARRAY_EXPECTED"),
        ({"words": ["a", "c"]}, "VALUE_NOT_ALLOWED"),
        ({"flag": "true"}, "BOOLEAN_EXPECTED"),
        ({"place": 1}, "STRING_EXPECTED"),
        ({"place": "Berlin"}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "22.3341"}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "22.3341;32.32"}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "22.3341,32.32,1"}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "90.1,0"}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "0,-180.1"}, "INVALID_COORDINATES_SYNTAX"),
        ({"places": ["22.3341", "32.32"]}, "INVALID_COORDINATES_SYNTAX"),
        ({"place": "22.3341,32.32", "places": ["-90,180", "0,0"]}, None),
        ({"count": 2, "share": 1, "name": "ab", "words": ["b", "a"], "flag": False}, None),
    ],
)
def test_values_against_the_specification(api, values, code):
    spec = {name: field | {"required": False} for name, field in INPUTS.items()}
    outputs = {"result": {"type": "string"}}
    pool_id = api.add_pool(api.add_project(task_spec={"input_spec": spec, "output_spec": outputs}))
    answer = api("POST", "/tasks", json=task(pool_id, input_values=values))
    problems = answer.json().get("payload", {})
    assert {at: entry["code"] for at, entry in problems.items()} == (
        {f"input_values.{name}": code for name in values} if code else {}
    )


def test_nothing_to_upload(api):
    assert api.code("POST", "/tasks", []) == (400, "VALIDATION_ERROR")


def test_operation_id_is_used_once(api):
    pool_id = api.add_pool()
    operation_id = str(uuid.uuid4())
    operation, _ = upload(api, [task(pool_id)], operation_id=operation_id)
    assert operation["id"] == operation_id
    again = api.code("POST", "/tasks", [task(pool_id)], async_mode="true", operation_id=operation_id)
    assert again == (409, "OPERATION_ALREADY_EXISTS")
    api.server.clock.advance(1)
    assert len(api.get("/tasks", pool_id=pool_id)["items"]) == 1


@pytest.mark.parametrize(("name", "value"), [("operation_id", "x"), ("async_mode", "1"), ("wait", "true")])
def test_bad_query(api, name, value):
    answer = api("POST", "/tasks", json=[], params={name: value})
    assert answer.status_code == 400
    assert list(answer.json()["payload"]) == [name]
