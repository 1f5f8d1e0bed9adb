from __future__ import annotations

import pytest

DAY = 24 * 3600
GOLDEN = {"known_solutions": [{"output_values": {"result": "cat"}}]}


def task(pool_id, /, **changes):
    return {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 2} | changes


def problems(answer):
    assert answer.status_code == 400
    return {at: entry["code"] for at, entry in answer.json()["payload"].items()}


def done(api, pool_id):
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_more_overlap(api):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id))["id"]
    done(api, pool_id)
    changed = api("PATCH", f"/tasks/{task_id}", json={"overlap": 5, "infinite_overlap": False}).json()
    assert (changed["overlap"], changed["remaining_overlap"]) == (5, 3)
    assert changed == api.get(f"/tasks/{task_id}")
    done(api, pool_id)
    assert len({item["user_id"] for item in api.assignments(pool_id)}) == 5


def test_less_overlap_than_answers(api):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id, overlap=3))["id"]
    done(api, pool_id)
    answer = api("PATCH", f"/tasks/{task_id}", json={"overlap": 2})
    assert (answer.status_code, answer.json()["code"]) == (409, "ASSIGNMENTS_COUNT_CONFLICT")
    lowered = api("PATCH", f"/tasks/{task_id}/set-overlap-or-min", json={"overlap": 1}).json()
    assert (lowered["overlap"], lowered["remaining_overlap"]) == (3, 0)


def test_stopping_a_task_completes_the_pool(api):
    api.server.crowd.change(size=2)
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id, overlap=10))["id"]
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id)[0] == "OPEN"
    body = {"overlap": 0, "infinite_overlap": False}
    assert api("PATCH", f"/tasks/{task_id}/set-overlap-or-min", json=body).json()["overlap"] == 2
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_infinite_overlap_and_back(api):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id))["id"]
    infinite = api("PATCH", f"/tasks/{task_id}", json={"overlap": None, "infinite_overlap": True}).json()
    assert infinite["infinite_overlap"] is True
    assert "overlap" not in infinite
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert len(api.assignments(pool_id)) == 10
    assert api.status(pool_id)[0] == "OPEN"
    assert problems(api("PATCH", f"/tasks/{task_id}", json={"infinite_overlap": False})) == {
        "overlap": "VALUE_REQUIRED"
    }
    assert api("PATCH", f"/tasks/{task_id}", json={"overlap": 10}).json()["remaining_overlap"] == 0
    api.server.clock.advance(1)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_open_pool_after_the_change(api):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id))["id"]
    assert api("PATCH", f"/tasks/{task_id}?open_pool=true", json={"overlap": 3}).status_code == 200
    assert api.status(pool_id)[0] == "OPEN"
    assert api.code("PATCH", f"/tasks/{task_id}?allow_defaults=true", {"overlap": 3}) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"overlap": 0}, {"overlap": "VALUE_LESS_THAN_MIN"}),
        ({"overlap": 2, "infinite_overlap": True}, {"overlap": "VALUE_NOT_ALLOWED"}),
        ({"pool_id": "2"}, {"pool_id": "VALUE_NOT_ALLOWED"}),
        (
            {"known_solutions": [{"output_values": {"resul": "cat"}}]},
            {"known_solutions.0.output_values.resul": "VALUE_NOT_ALLOWED"},
        ),
    ],
)
def test_impossible_change(api, body, wrong):
    task_id = api.post("/tasks", task(api.add_pool()))["id"]
    assert problems(api("PATCH", f"/tasks/{task_id}", json=body)) == wrong
    assert api.get(f"/tasks/{task_id}")["overlap"] == 2


def test_nothing_asked_for(api):
    task_id = api.post("/tasks", task(api.add_pool()))["id"]
    assert problems(api("PATCH", f"/tasks/{task_id}/set-overlap-or-min", json={})) == {"overlap": "VALUE_REQUIRED"}
    assert api("PATCH", f"/tasks/{task_id}", json={}).status_code == 200


def test_solutions_are_changed(api):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id))["id"]
    body = GOLDEN | {"message_on_unknown_solution": "It is a cat"}
    changed = api("PATCH", f"/tasks/{task_id}", json=body).json()
    assert changed["known_solutions"] == body["known_solutions"]
    assert api.server.pool(pool_id)["answers_wanted"] == 0
    baseline = [{"output_values": {"result": "cat"}, "confidence_weight": 0.5}]
    assert api("PATCH", f"/tasks/{task_id}", json={"baseline_solutions": baseline}).json()["baseline_solutions"]


def test_task_that_becomes_a_control_task_is_handed_out_as_one(api):
    mixer = {"real_tasks_count": 1, "golden_tasks_count": 1, "training_tasks_count": 0}
    pool_id = api.add_pool(mixer_config=mixer)
    first, second = (api.post("/tasks", task(pool_id, overlap=2))["id"] for _ in range(2))
    api("PATCH", f"/tasks/{second}", json=GOLDEN)
    done(api, pool_id)
    assert [[item["id"] for item in found["tasks"]] for found in api.assignments(pool_id)] == [[first, second]] * 2


def test_control_task_that_becomes_a_real_one_is_work_for_people_who_wait(api):
    pool_id = api.add_pool()
    api.post("/tasks", task(pool_id, overlap=None, infinite_overlap=True))
    task_id = api.post("/tasks", task(pool_id, **GOLDEN))["id"]
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert task_id not in str(api.assignments(pool_id))
    api("PATCH", f"/tasks/{task_id}", json={"known_solutions": []})
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    assert str(api.assignments(pool_id)).count(task_id) == 2


def test_overlap_of_a_task_in_a_suite_is_the_suites(api):
    pool_id = api.add_pool()
    suite = api.post("/task-suites", {"pool_id": pool_id, "tasks": [{"input_values": {"image": "u"}}], "overlap": 2})
    path = f"/tasks/{suite['tasks'][0]['id']}"
    assert problems(api("PATCH", path, json={"overlap": 3})) == {"overlap": "VALUE_NOT_ALLOWED"}
    assert problems(api("PATCH", f"{path}/set-overlap-or-min", json={"overlap": 0})) == {"overlap": "VALUE_NOT_ALLOWED"}
    assert api("PATCH", path, json=GOLDEN).json()["known_solutions"] == GOLDEN["known_solutions"]
    assert api.server.pool(pool_id)["answers_wanted"] == 0


@pytest.mark.parametrize("path", ["", "/set-overlap-or-min"])
def test_locked_and_archived_pools_take_no_changes(api, path):
    pool_id = api.add_pool()
    task_id = api.post("/tasks", task(pool_id))["id"]
    api.post(f"/pools/{pool_id}/archive")
    locked = api.code("PATCH", f"/tasks/{task_id}{path}", {"overlap": 3})
    assert locked == (409, "POOL_LOCKED_BY_ANOTHER_OPERATION")
    assert api.code("POST", "/tasks", task(pool_id)) == locked
    api.server.clock.advance(1)
    assert api.code("PATCH", f"/tasks/{task_id}{path}", {"overlap": 3}) == (409, "INAPPROPRIATE_STATUS")
    assert api.code("PATCH", f"/tasks/1{path}", {"overlap": 3}) == (404, "DOES_NOT_EXIST")


def test_tasks_for_some_people_only(api):
    people = api.server.world.crowd.user_ids[:3]
    api.server.crowd.change(size=3)
    pool_id = api.add_pool()
    reserved = api.post("/tasks", task(pool_id, overlap=1, reserved_for=people[2:]))["id"]
    open_to_two = api.post("/tasks", task(pool_id, overlap=2, unavailable_for=people[2:]))["id"]
    done(api, pool_id)
    taken = {(found["user_id"], item["id"]) for found in api.assignments(pool_id) for item in found["tasks"]}
    assert taken == {(people[2], reserved), (people[0], open_to_two), (people[1], open_to_two)}
