from __future__ import annotations

import json

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.progression import Progression


def right(images):
    return [{"match": {"image": image}, "output_values": {"result": "cat"}} for image in images]


def run(api, pool_id, *, kind="pools", seconds=24 * 3600):
    api.move(pool_id, "open", kind=kind)
    api.server.clock.advance(seconds)


def test_crowd_completes_a_pool(api):
    pool_id = api.add_pool(tasks=20)
    run(api, pool_id)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    tasks = api.get("/tasks", pool_id=pool_id)["items"]
    assert {task["remaining_overlap"] for task in tasks} == {0}
    pairs = [(item["user_id"], task["id"]) for item in api.assignments(pool_id) for task in item["tasks"]]
    assert len(pairs) == len(set(pairs)) == 60


def test_assignment_looks_as_documented(api):
    pool_id = api.add_pool(tasks=2)
    run(api, pool_id)
    item = api.assignments(pool_id)[0]
    assert set(item) == {
        "id", "task_suite_id", "pool_id", "user_id", "status", "reward", "tasks", "solutions", "mixed", "automerged",
        "created", "submitted", "accepted", "owner",
    }  # fmt: skip
    assert item["status"] == "ACCEPTED"
    assert item["submitted"] == item["accepted"]
    assert len(item["tasks"]) == len(item["solutions"]) == 2
    assert list(item["solutions"][0]["output_values"]) == ["result"]
    assert api.get(f"/assignments/{item['id']}") == item


def test_filters_of_assignments(api):
    pool_id = api.add_pool(tasks=2)
    run(api, pool_id)
    items = api.assignments(pool_id)
    task_id, person = items[0]["tasks"][0]["id"], items[0]["user_id"]
    assert api.get("/assignments", task_id=task_id)["items"] == items
    assert api.get("/assignments", task_suite_id=items[1]["task_suite_id"])["items"] == [items[1]]
    assert api.assignments(pool_id, user_id=person) == [items[0]]
    assert api.assignments(pool_id, status="SUBMITTED,ACCEPTED") == items
    assert api.assignments(pool_id, status="SUBMITTED, ACTIVE") == []
    assert api.assignments(pool_id, submitted_gt=items[-1]["submitted"]) == [
        item for item in items if item["submitted"] > items[-1]["submitted"]
    ]


@pytest.mark.parametrize("accuracy", [0.6, 1.0])
def test_answers_are_as_right_as_the_crowd_is_accurate(make_api, accuracy):
    crowd = CrowdSettings(size=20, accuracy=(accuracy, accuracy), seconds_per_task=(1, 2), skip_rate=0, expire_rate=0)
    api = make_api(crowd=crowd)
    pool_id = api.add_pool(tasks=500)
    api.server.crowd.truth.tell(right(f"u{i}" for i in range(500)))
    run(api, pool_id)
    answers = [
        solution["output_values"]["result"] for item in api.assignments(pool_id) for solution in item["solutions"]
    ]
    assert len(answers) == 1500
    assert answers.count("cat") / 1500 == pytest.approx(accuracy, abs=0.04)


def test_same_seed_same_journal(make_api):
    def journal(seed):
        api = make_api(seed=seed, crowd=CrowdSettings(size=8))
        pool_id = api.add_pool(tasks=20)
        run(api, pool_id)
        return json.dumps([api.server.journal.after(0), api.assignments(pool_id)])

    assert journal(5) == journal(5)
    assert journal(5) != journal(6)


def test_how_often_one_looks_does_not_change_what_happens(make_api):
    def answers(steps):
        api = make_api()
        pool_id = api.add_pool(tasks=20)
        api.move(pool_id, "open")
        for _ in range(steps):
            api.server.clock.advance(6000 / steps)
            api("GET", "/pools/1")
        return api.assignments(pool_id)

    assert answers(1) == answers(60)


def test_tasks_that_were_skipped_or_forgotten_go_to_others(make_api):
    api = make_api(crowd=CrowdSettings(size=60, skip_rate=0.3, expire_rate=0.2))
    pool_id = api.add_pool(tasks=20)
    run(api, pool_id)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    items = api.assignments(pool_id)
    assert {item["status"] for item in items} == {"ACCEPTED", "SKIPPED", "EXPIRED"}
    assert all(item["status"].lower() in item for item in items)
    assert sum(len(item["tasks"]) for item in items if item["status"] == "ACCEPTED") == 60


def test_pool_waits_before_it_closes_itself(api):
    pool_id = api.add_pool(tasks=1, auto_close_after_complete_delay_seconds=3600)
    run(api, pool_id, seconds=1800)
    assert api.status(pool_id)[0] == "OPEN"
    api.add_tasks(pool_id, 1)
    api.server.clock.advance(3600)
    assert api.status(pool_id)[0] == "OPEN"
    api.server.clock.advance(3600)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_pool_that_has_handed_out_too_many_suites_closes(api, monkeypatch):
    monkeypatch.setattr(pools, "MAX_ASSIGNMENTS", 7)
    pool_id = api.add_pool(tasks=20)
    run(api, pool_id)
    assert api.status(pool_id) == ("CLOSED", "ASSIGNMENTS_LIMIT_EXCEEDED")
    assert len(api.assignments(pool_id)) == 7


def test_every_step_of_an_assignment_is_an_event(make_api):
    api = make_api(crowd=CrowdSettings(size=60, skip_rate=0.3, expire_rate=0.2))
    pool_id = api.add_pool(tasks=20, auto_accept_solutions=False)
    run(api, pool_id)
    first, second = api.assignments(pool_id, status="SUBMITTED")[:2]
    api("PATCH", f"/assignments/{first['id']}", json={"status": "ACCEPTED"})
    api("PATCH", f"/assignments/{second['id']}", json={"status": "REJECTED"})
    items = {item["id"]: item for item in api.assignments(pool_id)}
    steps = {"created", "submitted", "skipped", "expired", "accepted", "rejected"}
    told = [entry for entry in api.server.journal.events() if entry["event"].partition(".")[0] == "assignment"]
    assert {entry["event"].partition(".")[2] for entry in told} == steps
    assert len(told) == sum(len(steps & set(item)) for item in items.values())
    project_id = api.get(f"/pools/{pool_id}")["project_id"]
    for entry in told:
        item = items[entry["assignment_id"]]
        assert entry["at"] == item[entry["event"].partition(".")[2]]
        assert (entry["project_id"], entry["pool_id"]) == (project_id, pool_id)
        assert (entry["task_suite_id"], entry["user_id"]) == (item["task_suite_id"], item["user_id"])


def test_close_of_a_pool_is_an_event(api):
    pool_id = api.add_pool(tasks=1)
    run(api, pool_id)
    (closed,) = api.server.journal.events("pool.closed")
    assert (closed["pool_id"], closed["reason"]) == (pool_id, "COMPLETED")
    assert closed["project_id"] == api.get(f"/pools/{pool_id}")["project_id"]


def test_pool_expires(api):
    pool_id = api.add_pool(tasks=1, will_expire="2030-01-02", assignment_max_duration_seconds=5)
    api.server.crowd.change(size=1)
    run(api, pool_id, seconds=24 * 3600 - 2)
    assert api.status(pool_id)[0] == "OPEN"
    api.server.clock.advance(1)
    assert api.status(pool_id) == ("CLOSED", "EXPIRED")
    assert api.get(f"/pools/{pool_id}")["last_stopped"] == "2030-01-02T00:00:00.000"


def test_answers_under_way_come_in_after_the_close(api):
    pool_id = api.add_pool(tasks=100)
    run(api, pool_id, seconds=60)
    api.move(pool_id, "close")
    items = api.assignments(pool_id)
    assert any(item["status"] == "ACTIVE" for item in items)
    api.server.clock.advance(3600)
    later = api.assignments(pool_id)
    assert [item["id"] for item in later] == [item["id"] for item in items]
    assert {item["status"] for item in later} == {"ACCEPTED"}


def test_work_goes_on_after_a_close_that_failed(api):
    pool_id = api.add_pool(tasks=50)
    api.move(pool_id, "open")
    failure = Progression(seconds=600, fail={"code": "INTERNAL_ERROR"})
    api.server.progressions.set(failure, type="POOL.CLOSE")
    api.post(f"/pools/{pool_id}/close")
    api.server.clock.advance(599)
    handed_out = len(api.assignments(pool_id))
    api.server.clock.advance(24 * 3600)
    assert handed_out < len(api.assignments(pool_id))
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_control_tasks_are_mixed_in_and_not_counted(api):
    mixer = {"real_tasks_count": 2, "golden_tasks_count": 1, "training_tasks_count": 0}
    pool_id = api.add_pool(tasks=4, mixer_config=mixer)
    known = [{"output_values": {"result": "dog"}}]
    golden = api.post(
        "/tasks",
        {"pool_id": pool_id, "input_values": {"image": "g"}, "known_solutions": known, "infinite_overlap": True},
    )
    run(api, pool_id)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    suites = [[task["id"] for task in item["tasks"]] for item in api.assignments(pool_id)]
    assert sum(golden["id"] in suite for suite in suites) == len({item["user_id"] for item in api.assignments(pool_id)})


def test_everybody_takes_the_training_once_and_for_nothing(api):
    training_id = api.add_training(tasks=4)
    run(api, training_id, kind="trainings")
    items = api.assignments(training_id)
    assert len(items) == 20
    assert {item["reward"] for item in items} == {0}
    assert api.get("/requester")["balance"] == 1000
    assert api.status(training_id)[0] == "OPEN"


def test_the_pool_of_higher_priority_is_served_first(api):
    project_id = api.add_project()
    low = api.add_pool(project_id, tasks=30, priority=1)
    high = api.add_pool(project_id, tasks=30, priority=2)
    for pool_id in (low, high):
        api.post(f"/pools/{pool_id}/open")
    api.server.clock.advance(24 * 3600)
    closed = [event["pool_id"] for event in api.server.journal.events("pool.closed")]
    assert closed == [high, low]


def test_change_of_the_crowd(api):
    api.server.crowd.change(size=0)
    pool_id = api.add_pool(tasks=1)
    run(api, pool_id)
    assert api.assignments(pool_id) == []
    api.server.crowd.change(size=5)
    api.server.clock.advance(24 * 3600)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"size": -1}, "size"),
        ({"accuracy": (0.9, 0.1)}, "accuracy"),
        ({"accuracy": (0.9, 1.1)}, "accuracy"),
        ({"seconds_per_task": (-1, 1)}, "seconds_per_task"),
        ({"skip_rate": 2}, "skip_rate"),
        ({"skip_rate": 0.6, "expire_rate": 0.6}, "skip_rate"),
    ],
)
def test_impossible_crowd(wrong, name):
    with pytest.raises(ValueError, match=name):
        CrowdSettings(**wrong)


def test_pool_whose_mixer_was_taken_away_hands_nothing_out(api):
    pool_id = api.add_pool(tasks=1)
    body = api.get(f"/pools/{pool_id}")
    api("PUT", f"/pools/{pool_id}", json={name: value for name, value in body.items() if name != "mixer_config"})
    run(api, pool_id)
    assert api.status(pool_id)[0] == "OPEN"
    assert api.assignments(pool_id) == []


OUTPUTS = {
    "flag": {"type": "boolean"},
    "count": {"type": "integer", "min_value": 1, "max_value": 2},
    "only": {"type": "integer", "min_value": 3, "max_value": 3},
    "share": {"type": "float", "min_value": 0, "max_value": 1},
    "text": {"type": "string"},
    "many": {"type": "array_string", "allowed_values": ["a", "b"]},
    "place": {"type": "coordinates"},
    "data": {"type": "json"},
    "link": {"type": "url"},
    "file": {"type": "file"},
}


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_every_type_of_output_is_answered_with_allowed_values(make_api, accuracy):
    api = make_api(crowd=CrowdSettings(size=5, accuracy=(accuracy, accuracy)))
    spec = {"input_spec": {"image": {"type": "url"}}, "output_spec": OUTPUTS}
    pool_id = api.add_pool(api.add_project(task_spec=spec), tasks=10)
    run(api, pool_id)
    for item in api.assignments(pool_id, status="ACCEPTED"):
        for solution in item["solutions"]:
            values = solution["output_values"]
            assert set(values) == set(OUTPUTS)
            assert values["count"] in (1, 2)
            assert values["only"] == 3
            assert 0 <= values["share"] <= 1
            assert set(values["many"]) <= {"a", "b"}


@pytest.mark.parametrize(("begin", "end", "hours"), [(8, 20, range(8, 20)), (22, 6, [22, 23, 0, 1, 2, 3, 4, 5])])
def test_active_hours(make_api, begin, end, hours):
    api = make_api(crowd=CrowdSettings(size=1, seconds_per_task=(60, 60), skip_rate=0, active_hours=(begin, end)))
    pool_id = api.add_pool(tasks=2000)
    run(api, pool_id, seconds=48 * 3600)
    assert {int(item["created"][11:13]) for item in api.assignments(pool_id)} == set(hours)


def test_sleepers_wake_when_the_hours_change(make_api):
    api = make_api(crowd=CrowdSettings(size=3, seconds_per_task=(1, 1), active_hours=(12, 13)))
    pool_id = api.add_pool(tasks=2)
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    assert api.assignments(pool_id) == []
    api.server.crowd.change(active_hours=(0, 24))
    api.server.clock.advance(3600)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
