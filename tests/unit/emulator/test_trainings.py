from __future__ import annotations

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600
KNOWN = {"known_solutions": [{"output_values": {"result": "cat"}}], "message_on_unknown_solution": "It is a cat"}


def school(api, *, value=70, training=None):
    """Return a training of four tasks and a main pool that asks for it."""
    project_id = api.add_project()
    training_id = api.add_training(project_id, **(training or {}))
    api.add_tasks(training_id, 4, **KNOWN)
    requirement = {"training_pool_id": training_id, "training_passing_skill_value": value}
    pool_id = api.add_pool(project_id, tasks=2, quality_control={"training_requirement": requirement})
    return training_id, pool_id


def test_nobody_gets_tasks_before_the_training_is_open(api):
    training_id, pool_id = school(api, value=0)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.assignments(pool_id) == []
    api.move(training_id, "open", kind="trainings")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    learned = {item["user_id"]: item["submitted"] for item in reversed(api.assignments(training_id))}
    for item in api.assignments(pool_id):
        assert learned[item["user_id"]] <= item["created"]


@pytest.mark.parametrize(("accuracy", "value", "passes"), [(1, 100, True), (0, 1, False), (0, 0, True)])
def test_the_training_has_to_be_passed(make_api, accuracy, value, passes):
    api = make_api(crowd=CrowdSettings(size=5, accuracy=(accuracy, accuracy), skip_rate=0, expire_rate=0))
    training_id, pool_id = school(api, value=value)
    api.move(training_id, "open", kind="trainings")
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert len(api.assignments(training_id)) == 10
    assert api.status(pool_id) == (("CLOSED", "COMPLETED") if passes else ("OPEN", None))


@pytest.mark.parametrize("suites", [1, 2, 9])
def test_as_many_suites_as_the_training_asks_for_or_has(api, suites):
    training_id, pool_id = school(api, value=0, training={"task_suites_required_to_pass": suites})
    api.move(training_id, "open", kind="trainings")
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    for item in api.assignments(pool_id):
        done = [
            lesson for lesson in api.assignments(training_id, user_id=item["user_id"])
            if lesson["submitted"] <= item["created"]
        ]  # fmt: skip
        assert len(done) >= min(suites, 2)


def test_training_without_known_solutions_is_passed_by_doing_it(api):
    project_id = api.add_project()
    training_id = api.add_training(project_id, tasks=2)
    requirement = {"training_pool_id": training_id, "training_passing_skill_value": 100}
    pool_id = api.add_pool(project_id, tasks=2, quality_control={"training_requirement": requirement})
    api.move(training_id, "open", kind="trainings")
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")


def test_who_passed_works_in_the_main_pool_first(api):
    api.server.crowd.change(size=1)
    project_id = api.add_project()
    training_id = api.add_training(project_id, tasks=20, task_suites_required_to_pass=1)
    requirement = {"training_pool_id": training_id, "training_passing_skill_value": 100}
    pool_id = api.add_pool(
        project_id,
        tasks=4,
        defaults={"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 1},
        quality_control={"training_requirement": requirement},
    )
    api.move(training_id, "open", kind="trainings")
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    taken = api.server.journal.events("assignment.created")
    first, last = (
        next(i for i, event in enumerate(taken) if event["pool_id"] == wanted) for wanted in (training_id, pool_id)
    )
    assert (first, last) == (0, 1)
    assert [event["pool_id"] for event in taken[1:3]] == [pool_id, pool_id]
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
