from __future__ import annotations

import pytest

from toloka_airflow.emulator.world.progression import Progression


def look(api, operation):
    seen = api.get(f"/operations/{operation['id']}")
    return seen["status"], seen["progress"]


def test_operation_takes_a_second(api):
    operation = api.post(f"/pools/{api.add_pool(tasks=1)}/open")
    assert operation["status"] == "PENDING"
    assert not {"started", "finished"} & set(operation)
    api.server.clock.advance(0.5)
    running = api.get(f"/operations/{operation['id']}")
    assert (running["status"], running["progress"], "finished" in running) == ("RUNNING", 50, False)
    api.server.clock.advance(0.5)
    finished = api.get(f"/operations/{operation['id']}")
    assert (finished["status"], finished["progress"]) == ("SUCCESS", 100)
    assert finished["submitted"] < finished["started"] < finished["finished"] == "2030-01-01T00:00:01.000"
    assert "details" not in finished


def test_training_operations_have_empty_details(api):
    operation = api.post(f"/trainings/{api.add_training(tasks=1)}/open")
    assert operation["details"] == {}
    assert list(operation["parameters"]) == ["training_id"]


def test_at_once(api):
    api.server.progressions.set(Progression(seconds=0))
    pool_id = api.add_pool(tasks=1)
    operation = api.post(f"/pools/{pool_id}/open")
    assert (operation["status"], operation["progress"]) == ("SUCCESS", 100)
    assert api.status(pool_id)[0] == "OPEN"


def test_after_looks(api):
    api.server.progressions.set(Progression(looks=3), type="POOL.OPEN")
    pool_id = api.add_pool(tasks=1)
    operation = api.post(f"/pools/{pool_id}/open")
    api.server.clock.advance(3600)
    assert [look(api, operation) for _ in range(3)] == [("RUNNING", 33), ("RUNNING", 66), ("SUCCESS", 100)]
    assert api.status(pool_id)[0] == "OPEN"


@pytest.mark.parametrize("progression", [{"seconds": 0}, {"seconds": 5}, {"looks": 1}, {}])
def test_failure_changes_nothing(api, progression):
    pool_id = api.add_pool(tasks=1)
    failure = {"code": "INTERNAL_ERROR", "message": "No luck"}
    api.server.progressions.set(Progression(**progression, fail=failure), pool_id=pool_id)
    operation = api.post(f"/pools/{pool_id}/open")
    api.server.clock.advance(5)
    assert look(api, operation) == ("FAIL", 100)
    assert api.get(f"/operations/{operation['id']}")["details"] == failure
    assert api.status(pool_id) == ("CLOSED", None)


def test_the_most_specific_setting_wins(api):
    progressions = api.server.progressions
    progressions.set(Progression(seconds=1))
    progressions.set(Progression(seconds=2), type="POOL.OPEN")
    progressions.set(Progression(seconds=3), pool_id="7")
    progressions.set(Progression(seconds=4), type="POOL.OPEN", pool_id="7")
    found = [progressions.find(*key) for key in [("A", None), ("POOL.OPEN", "8"), ("A", "7"), ("POOL.OPEN", "7")]]
    assert [progression.seconds for progression in found] == [1, 2, 3, 4]


@pytest.mark.parametrize("wrong", [{"seconds": 1, "looks": 1}, {"seconds": -1}, {"looks": 0}])
def test_impossible_progression(wrong):
    with pytest.raises(ValueError, match=r"seconds|looks"):
        Progression(**wrong)


def test_failed_upload_creates_nothing(api):
    api.server.progressions.set(Progression(fail={"code": "INTERNAL_ERROR", "message": "No luck"}))
    pool_id = api.add_pool()
    task = {"pool_id": pool_id, "input_values": {"image": "u"}, "overlap": 1}
    operation = api.post("/tasks", [task], async_mode="true")
    api.server.clock.advance(1)
    assert look(api, operation) == ("FAIL", 100)
    details = api.get(f"/operations/{operation['id']}")["details"]
    assert (details["total_count"], details["failed_count"], details["code"]) == (1, 1, "INTERNAL_ERROR")
    assert api.get(f"/operations/{operation['id']}/log") == []
    assert api.get("/tasks", pool_id=pool_id)["items"] == []


def test_log_is_for_uploads(api):
    operation = api.post(f"/pools/{api.add_pool(tasks=1)}/open")
    assert api.code("GET", f"/operations/{operation['id']}/log") == (409, "INVALID_OPERATION_TYPE")
    assert api.code("GET", "/operations/x") == (404, "DOES_NOT_EXIST")
