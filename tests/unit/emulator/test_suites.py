from __future__ import annotations

import uuid

import pytest

CONFLICT = (409, "ASSIGNMENTS_COUNT_CONFLICT")
DAY = 24 * 3600


def suite(pool_id, /, count=2, **changes):
    bodies = [{"input_values": {"image": f"s{i}"}} for i in range(count)]
    return {"pool_id": pool_id, "tasks": bodies, "overlap": 2} | changes


def problems(answer):
    assert answer.status_code == 400
    return {at: entry["code"] for at, entry in answer.json()["payload"].items()}


@pytest.fixture
def pool_id(api):
    """A pool without a mixer: it hands out whole suites only."""
    return api.add_pool(mixer_config=None)


def test_single_suite(api, pool_id):
    created = api.post("/task-suites", suite(pool_id))
    assert set(created) == {
        "id", "pool_id", "tasks", "overlap", "infinite_overlap", "remaining_overlap", "reserved_for", "unavailable_for",
        "issuing_order_override", "mixed", "automerged", "created",
    }  # fmt: skip
    assert (created["mixed"], created["remaining_overlap"], created["issuing_order_override"]) == (False, 2, 0)
    assert created["id"].startswith(f"{int(pool_id):010x}--")
    assert all(set(task) == {"id", "input_values"} for task in created["tasks"])
    assert api.get(f"/task-suites/{created['id']}") == created
    task = api.get(f"/tasks/{created['tasks'][0]['id']}")
    assert (task["pool_id"], task["input_values"]) == (pool_id, {"image": "s0"})
    assert not {"overlap", "infinite_overlap", "remaining_overlap"} & set(task)


def test_list_of_suites_and_what_is_wrong_with_some(api, pool_id):
    bad = suite(pool_id, tasks=[{"input_values": {}}])
    assert list(api("POST", "/task-suites", json=[suite(pool_id), bad]).json()["payload"]) == ["1"]
    assert api.get("/task-suites", pool_id=pool_id)["items"] == []
    answer = api.post("/task-suites", [bad, suite(pool_id)], skip_invalid_items="true")
    assert list(answer["items"]) == ["1"]
    assert list(answer["validation_errors"]["0"]) == ["tasks.0.input_values.image"]
    assert api.get("/task-suites", pool_id=pool_id)["items"] == [answer["items"]["1"]]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"tasks": None}, {"tasks": "VALUE_REQUIRED"}),
        ({"tasks": []}, {"tasks": "ARRAY_SIZE_LESS_THAN_MIN"}),
        ({"tasks": {}}, {"tasks": "ARRAY_EXPECTED"}),
        ({"tasks": [1]}, {"tasks.0": "OBJECT_EXPECTED"}),
        ({"tasks": [{"input_values": {"image": 1}}]}, {"tasks.0.input_values.image": "STRING_EXPECTED"}),
        (
            {"tasks": [{"input_values": {"image": "u"}, "baseline_solutions": []}]},
            {"tasks.0.baseline_solutions": "VALUE_NOT_ALLOWED"},
        ),
        ({"overlap": None}, {"overlap": "VALUE_REQUIRED"}),
        ({"infinite_overlap": True}, {"overlap": "VALUE_NOT_ALLOWED"}),
        ({"issuing_order_override": 100_000}, {"issuing_order_override": "VALUE_GREATER_THAN_MAX"}),
        ({"pool_id": "1"}, {"pool_id": "ENTITY_DOES_NOT_EXIST"}),
        ({"suite": 1}, {"suite": "VALUE_NOT_ALLOWED"}),
    ],
)
def test_invalid_suite(api, pool_id, changes, wrong):
    assert problems(api("POST", "/task-suites", json=suite(pool_id, **changes))) == wrong


def test_overlap_from_the_defaults_of_the_pool(api, pool_id):
    assert api.post("/task-suites", suite(pool_id, overlap=None), allow_defaults="true")["overlap"] == 1
    infinite = api.post("/task-suites", suite(pool_id, overlap=None, infinite_overlap=True))
    assert "overlap" not in infinite
    in_training = api.post("/task-suites", suite(api.add_training(), overlap=None), allow_defaults="true")
    assert in_training["infinite_overlap"] is True


def test_upload_as_an_operation(api, pool_id):
    operation_id = str(uuid.uuid4())
    items = [suite(pool_id, __item_idx="0"), suite(pool_id, __item_idx="1", tasks=[{}])]
    query = {"async_mode": "true", "operation_id": operation_id, "skip_invalid_items": "true", "open_pool": "true"}
    answer = api("POST", "/task-suites", json=items, params=query)
    assert (answer.status_code, answer.json()["id"]) == (202, operation_id)
    assert api.code("POST", "/task-suites", items, **query) == (409, "OPERATION_ALREADY_EXISTS")
    api.server.clock.advance(1)
    operation = api.get(f"/operations/{operation_id}")
    assert (operation["type"], operation["status"]) == ("TASK_SUITE.BATCH_CREATE", "SUCCESS")
    assert (operation["details"]["success_count"], operation["details"]["not_valid_count"]) == (1, 1)
    created, refused, opened = api.get(f"/operations/{operation_id}/log")
    assert (created["type"], created["input"]) == ("TASK_SUITE_CREATE", items[0])
    assert api.get(f"/task-suites/{created['output']['task_suite_id']}")["pool_id"] == pool_id
    assert (refused["type"], list(refused["output"])) == ("TASK_SUITE_VALIDATE", ["tasks.0.input_values"])
    assert opened["type"] == "POOL_OPEN"
    assert api.status(pool_id)[0] == "OPEN"


@pytest.mark.parametrize("mixer", [None, {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0}])
def test_the_crowd_takes_suites_as_they_are(api, mixer):
    pool_id = api.add_pool(mixer_config=mixer)
    ids = [item["id"] for item in api.post("/task-suites", [suite(pool_id, count=3)] * 4)["items"].values()]
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    items = api.assignments(pool_id)
    assert sorted(item["task_suite_id"] for item in items) == sorted(ids * 2)
    assert {item["mixed"] for item in items} == {False}
    assert {len(item["solutions"]) for item in items} == {3}
    assert {api.get(f"/task-suites/{suite_id}")["remaining_overlap"] for suite_id in ids} == {0}
    taken = {(item["user_id"], item["task_suite_id"]) for item in items}
    assert len(taken) == 8
    by_suite = api.get("/assignments", task_suite_id=ids[0])["items"]
    assert by_suite == [item for item in items if item["task_suite_id"] == ids[0]]
    task_id = by_suite[0]["tasks"][0]["id"]
    assert api.get("/assignments", task_id=task_id)["items"] == by_suite
    assert [found["id"] for found in api.get("/task-suites", task_id=task_id)["items"]] == [ids[0]]


def test_mixed_suites_can_be_looked_at_and_not_changed(api):
    pool_id = api.add_pool(tasks=4)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    suites = api.get("/task-suites", pool_id=pool_id)["items"]
    assert len(suites) == 6
    assert {(found["mixed"], found["overlap"], found["remaining_overlap"]) for found in suites} == {(True, 1, 0)}
    assignment = api.assignments(pool_id)[0]
    mixed = api.get(f"/task-suites/{assignment['task_suite_id']}")
    assert [task["id"] for task in mixed["tasks"]] == [task["id"] for task in assignment["tasks"]]
    assert len(api.get("/task-suites", task_id=mixed["tasks"][0]["id"])["items"]) == 3
    path = f"/task-suites/{mixed['id']}"
    assert problems(api("PATCH", path, json={"overlap": 5})) == {"overlap": "VALUE_NOT_ALLOWED"}


def test_lists_of_suites(api, pool_id):
    created = api.post("/task-suites", [suite(pool_id, overlap=1 + i % 2) for i in range(6)])["items"].values()
    ids = [item["id"] for item in created]
    page = api.get("/task-suites", pool_id=pool_id, id_gt=ids[1], sort="id", limit=2)
    assert ([item["id"] for item in page["items"]], page["has_more"]) == (ids[2:4], True)
    assert [item["id"] for item in api.get("/task-suites", pool_id=pool_id, overlap=2, sort="-id")["items"]] == [
        ids[5], ids[3], ids[1],
    ]  # fmt: skip
    assert problems(api("GET", "/task-suites")) == {"pool_id": "VALUE_REQUIRED"}
    assert api.get("/task-suites", pool_id="1")["items"] == []
    assert api.get("/task-suites", task_id="1")["items"] == []
    assert api.code("GET", "/task-suites/1") == (404, "DOES_NOT_EXIST")


def test_suites_of_a_greater_order_come_first(api, pool_id):
    api.server.crowd.change(size=1)
    places = [0, -1, 5, 0]
    created = api.post("/task-suites", [suite(pool_id, issuing_order_override=place, overlap=1) for place in places])
    ids = [item["id"] for item in created["items"].values()]
    api("PATCH", f"/task-suites/{ids[3]}", json={"issuing_order_override": 7})
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert [item["task_suite_id"] for item in api.assignments(pool_id)] == [ids[3], ids[2], ids[0], ids[1]]


def test_more_overlap_is_given_to_more_people(api, pool_id):
    suite_id = api.post("/task-suites", suite(pool_id, overlap=1))["id"]
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    changed = api("PATCH", f"/task-suites/{suite_id}?open_pool=true", json={"overlap": 3, "infinite_overlap": False})
    assert (changed.json()["overlap"], changed.json()["remaining_overlap"]) == (3, 2)
    assert api.status(pool_id)[0] == "OPEN"
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    assert len({item["user_id"] for item in api.assignments(pool_id)}) == 3
    assert api.code("PATCH", f"/task-suites/{suite_id}", {"overlap": 2}) == CONFLICT
    lowered = api("PATCH", f"/task-suites/{suite_id}/set-overlap-or-min", json={"overlap": 0}).json()
    assert (lowered["overlap"], lowered["remaining_overlap"]) == (3, 0)


def test_suite_is_handed_out_no_more(api, pool_id):
    api.server.crowd.change(size=0)
    suite_id = api.post("/task-suites", suite(pool_id, overlap=None, infinite_overlap=True))["id"]
    assert problems(api("PATCH", f"/task-suites/{suite_id}", json={})) == {"infinite_overlap": "VALUE_REQUIRED"}
    assert problems(api("PATCH", f"/task-suites/{suite_id}", json={"infinite_overlap": False})) == {
        "overlap": "VALUE_REQUIRED"
    }
    lowered = api("PATCH", f"/task-suites/{suite_id}/set-overlap-or-min", json={"overlap": 0}).json()
    assert (lowered["overlap"], lowered["infinite_overlap"]) == (0, False)
    api.server.crowd.change(size=5)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.assignments(pool_id) == []


def test_suites_for_some_people_only(api, pool_id):
    people = api.server.world.crowd.user_ids[:3]
    ids = [
        api.post("/task-suites", suite(pool_id, overlap=5, **rule))["id"]
        for rule in ({"reserved_for": people[:1]}, {"unavailable_for": people[:2]})
    ]
    api.server.crowd.change(size=3)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    taken = {(item["task_suite_id"], item["user_id"]) for item in api.assignments(pool_id)}
    assert taken == {(ids[0], people[0]), (ids[1], people[2])}


def test_control_task_in_a_suite_is_not_counted(api, pool_id):
    golden = {"input_values": {"image": "g"}, "known_solutions": [{"output_values": {"result": "cat"}}]}
    api.post("/task-suites", suite(pool_id, overlap=2, tasks=[{"input_values": {"image": "r"}}, golden]))
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    facts = api.server.pool(pool_id)
    assert (facts["answers_wanted"], facts["answers"], facts["completion"]) == (2, 2, 1)
