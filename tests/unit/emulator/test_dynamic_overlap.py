from __future__ import annotations

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600
CONFIG = {
    "type": "BASIC",
    "max_overlap": 5,
    "min_confidence": 0.9,
    "answer_weight_skill_id": "1",
    "fields": [{"name": "result"}],
}
SKILL = {"skills": [{"id": "1", "name": "Weight"}]}


def labelled(make_api, accuracy, **config):
    api = make_api(crowd=CrowdSettings(size=20, accuracy=accuracy, skip_rate=0, expire_rate=0))
    api.server.load(SKILL)
    pool_id = api.add_pool(
        dynamic_overlap_config=CONFIG | config,
        auto_close_after_complete_delay_seconds=60,
        defaults={"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1},
        mixer_config={"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0},
    )
    api.add_tasks(pool_id, 20)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    events = {event["task_id"]: event for event in api.server.journal.events("dynamic_overlap.completed")}
    return api, pool_id, events


def test_overlap_grows_until_the_answer_is_certain(make_api):
    api, pool_id, events = labelled(make_api, (1, 1))
    tasks = api.get("/tasks", pool_id=pool_id)["items"]
    assert {task["overlap"] for task in tasks} == {2}
    assert set(events) == {task["id"] for task in tasks}
    event = events[tasks[0]["id"]]
    assert event["pool_id"] == pool_id
    assert event["project_id"] == api.get(f"/pools/{pool_id}")["project_id"]
    assert event["confidence"] == pytest.approx(0.941176)
    answers = api.get("/assignments", task_id=tasks[0]["id"])["items"]
    assert event["assignment_ids"] == [item["id"] for item in answers]
    place = [task["id"] for task in answers[0]["tasks"]].index(tasks[0]["id"])
    assert event["output_values"] == answers[0]["solutions"][place]["output_values"]


def test_people_who_disagree_bring_it_to_the_maximum(make_api):
    api, pool_id, events = labelled(make_api, (0.5, 0.5), max_overlap=4)
    overlaps = [task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]]
    assert {2, 4} <= set(overlaps) <= {2, 3, 4}
    for event in events.values():
        assert event["confidence"] >= 0.9 or len(event["assignment_ids"]) == 4
    assert len(events) == len(api.server.journal.events("dynamic_overlap.completed")) == 20


def test_one_answer_is_enough_where_little_is_wanted(make_api):
    api, pool_id, _ = labelled(make_api, (1, 1), min_confidence=0.8)
    assert {task["overlap"] for task in api.get("/tasks", pool_id=pool_id)["items"]} == {1}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"max_overlap": 0}, "max_overlap", "VALUE_LESS_THAN_MIN"),
        ({"min_confidence": 2}, "min_confidence", "VALUE_GREATER_THAN_MAX"),
        ({"type": "SMART"}, "type", "UNKNOWN_ENUM_VALUE"),
        ({"fields": []}, "fields", "ARRAY_SIZE_LESS_THAN_MIN"),
        ({"fields": [{"name": "color"}]}, "fields.0.name", "VALUE_NOT_ALLOWED"),
        ({"answer_weight_skill_id": "2"}, "answer_weight_skill_id", "ENTITY_DOES_NOT_EXIST"),
    ],
)
def test_impossible_config(api, changes, path, code):
    api.server.load(SKILL)
    pool = api.get(f"/pools/{api.add_pool()}") | {"auto_close_after_complete_delay_seconds": 1}
    answer = api("POST", "/pools", json=pool | {"dynamic_overlap_config": CONFIG | changes})
    assert answer.status_code == 400
    wrong = {at: entry["code"] for at, entry in answer.json()["payload"].items()}
    assert wrong == {f"dynamic_overlap_config.{path}": code}


def test_automatic_close_has_to_wait(api):
    api.server.load(SKILL)
    pool = api.get(f"/pools/{api.add_pool()}")
    answer = api("POST", "/pools", json=pool | {"dynamic_overlap_config": CONFIG})
    assert list(answer.json()["payload"]) == ["auto_close_after_complete_delay_seconds"]
