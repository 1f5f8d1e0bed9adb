from __future__ import annotations

import pytest

from toloka_airflow.emulator.resources.analytics import METRICS as MEASURES

METRICS = list(MEASURES)

DAY = 24 * 3600


def ask(api, requests):
    return api.session.post(f"{api.server.url}/api/staging/analytics-2", json=requests, timeout=5)


def metric(pool_id, name, **more):
    return {"name": name, "subject": "POOL", "subject_id": pool_id} | more


def measured(api, pool_id, *names):
    requests = [metric(pool_id, name, **({"interval_hours": 1} if "filter" in name else {})) for name in names]
    operation = ask(api, requests).json()
    api.server.clock.advance(1)
    results = api.get(f"/operations/{operation['id']}")["details"]["value"]
    assert [result["request"] for result in results] == requests
    return {result["request"]["name"]: result["result"] for result in results}


def test_metrics_are_an_operation(api):
    pool_id = api.add_pool(tasks=4)
    answer = ask(api, [metric(pool_id, "real_tasks_count")])
    assert answer.status_code == 200
    operation = answer.json()
    assert (operation["type"], operation["status"]) == ("ANALYTICS", "PENDING")
    assert operation["parameters"] == {"value": [metric(pool_id, "real_tasks_count")]}
    assert "details" not in operation
    api.server.clock.advance(1)
    finished = api.get(f"/operations/{operation['id']}")
    assert finished["status"] == "SUCCESS"
    assert finished["details"]["value"] == [
        {"result": 4, "request": metric(pool_id, "real_tasks_count"), "finished": finished["finished"]}
    ]


def test_all_metrics(api):
    pool_id = api.add_pool(tasks=4, auto_accept_solutions=False)
    before = measured(api, pool_id, *METRICS[:10]) | measured(api, pool_id, *METRICS[10:])
    assert set(before) == set(METRICS)
    assert before["completion_percentage"] == {"type": "NORMAL", "value": 0, "infinite": False, "approximate": False}
    assert before["estimated_assignments_count"]["value"] == 6
    api.move(pool_id, "open")
    api.server.clock.advance(3000)
    first, second, *_ = api.assignments(pool_id)
    api("PATCH", f"/assignments/{first['id']}", json={"status": "ACCEPTED"})
    api("PATCH", f"/assignments/{second['id']}", json={"status": "REJECTED"})
    after = measured(api, pool_id, *METRICS[:10]) | measured(api, pool_id, *METRICS[10:])
    people = {item["user_id"] for item in api.assignments(pool_id)}
    average = after.pop("avg_submit_assignment_millis")
    assert 5_000 < average < 60_000
    assert after | {"completion_percentage": 0, "estimated_assignments_count": 0} == {
        "real_tasks_count": 4,
        "submitted_assignments_count": 6,
        "skipped_assignments_count": 0,
        "rejected_assignments_count": 1,
        "approved_assignments_count": 1,
        "completion_percentage": 0,
        "spent_budget": 0.02,
        "unique_workers_count": len(people),
        "unique_submitters_count": len(people),
        "active_workers_by_filter_count": len(people),
        "estimated_assignments_count": 0,
    }
    assert (after["completion_percentage"]["value"], after["estimated_assignments_count"]["value"]) == (100, 6)
    api.server.clock.advance(DAY)
    assert measured(api, pool_id, "active_workers_by_filter_count") == {"active_workers_by_filter_count": 0}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"name": "speed"}, "0.name", "UNKNOWN_ENUM_VALUE"),
        ({"name": None}, "0.name", "VALUE_REQUIRED"),
        ({"subject": "PROJECT"}, "0.subject", "UNKNOWN_ENUM_VALUE"),
        ({"subject_id": "1"}, "0.subject_id", "ENTITY_DOES_NOT_EXIST"),
        ({"name": "active_workers_by_filter_count"}, "0.interval_hours", "VALUE_REQUIRED"),
        ({"interval": 1}, "0.interval", "VALUE_NOT_ALLOWED"),
    ],
)
def test_impossible_metric(api, changes, path, code):
    answer = ask(api, [metric(api.add_pool(), "real_tasks_count") | changes])
    assert answer.status_code == 400
    assert {at: wrong["code"] for at, wrong in answer.json()["payload"].items()} == {path: code}


@pytest.mark.parametrize(("body", "status"), [({}, 400), ([], 400), ([1], 400), ([{}] * 11, 413)])
def test_impossible_body(api, body, status):
    assert ask(api, body).status_code == status
