from __future__ import annotations

import uuid

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.world.progression import Progression

DAY = 24 * 3600
MONTH = 30 * DAY
KNOWN = {"known_solutions": [{"output_values": {"result": "cat"}}], "message_on_unknown_solution": "It is a cat"}


def a_round(api):
    """Do a labelling round with a bit of everything; return all that was answered and all that was written down."""
    answers = []

    def ask(method, path, body=None, **params):
        answers.append(api(method, path, json=body, params=params))
        return answers[-1].json() if answers[-1].content else {}

    project_id = api.add_project()
    training_id = api.add_training(project_id, tasks=2)
    api.add_tasks(training_id, 4, **KNOWN)
    requirement = {"training_pool_id": training_id, "training_passing_skill_value": 50}
    pool_id = api.add_pool(
        project_id, tasks=10, auto_accept_solutions=False, quality_control={"training_requirement": requirement}
    )
    suite = {"pool_id": pool_id, "tasks": [{"input_values": {"image": "s"}}], "overlap": 2}
    ask("POST", "/task-suites", [suite] * 3, async_mode="true", operation_id=str(uuid.UUID(int=7)))
    api.server.clock.advance(2)
    ask("POST", f"/trainings/{training_id}/open")
    ask("POST", f"/pools/{pool_id}/open")
    for _ in range(5):
        api.server.clock.advance(DAY / 5)
        ask("GET", f"/pools/{pool_id}")
    for item in ask("GET", "/assignments", pool_id=pool_id, status="SUBMITTED", limit=4)["items"]:
        ask("PATCH", f"/assignments/{item['id']}", {"status": "REJECTED", "public_comment": "No"})
    api.server.clock.advance(MONTH)
    form = {"pool_id": pool_id, "type": "DAWID_SKENE", "fields": [{"name": "result"}]}
    operation = ask("POST", "/aggregated-solutions/aggregate-by-pool", form)
    api.server.clock.advance(2)
    ask("GET", f"/aggregated-solutions/{operation['id']}")
    ask("GET", "/task-suites", pool_id=pool_id)
    ask("GET", "/assignments", pool_id=pool_id, limit=1000)
    ask("GET", "/pools/1")
    journal = api.session.get(f"{api.server.url}/_emulator/journal", timeout=10)
    return [journal.content, *(answer.content for answer in answers)]


def test_two_runs_with_one_seed_are_the_same_byte_for_byte(make_api):
    crowd = CrowdSettings(size=12, skip_rate=0.1, expire_rate=0.05)
    first, second, other = (a_round(make_api(seed=seed, crowd=crowd)) for seed in (3, 3, 4))
    assert len(first[0]) > 10_000
    assert first == second
    assert first != other


def test_a_thousand_operations_through_thirty_days(make_api):
    api = make_api(quotas=False)
    api.server.crowd.change(size=0)
    progressions = api.server.progressions
    project_id = api.add_project()
    pool_ids = [api.add_pool(project_id, tasks=1) for _ in range(100)]
    progressions.set(Progression(seconds=MONTH / 2))
    failure = {"code": "INTERNAL_ERROR", "message": "No luck"}
    progressions.set(Progression(seconds=MONTH, fail=failure), pool_id=pool_ids[0])
    opened = [api.post(f"/pools/{pool_id}/open")["id"] for pool_id in pool_ids]
    cloned = [api.post(f"/pools/{pool_id}/clone")["id"] for pool_id in pool_ids for _ in range(9)]
    for _ in range(30):
        api.server.clock.advance(DAY)
        api.get(f"/operations/{opened[0]}")
    listed = {item["id"]: item for page in pages(api) for item in page}
    assert set(listed) == {*opened, *cloned}
    assert listed[opened[0]]["status"] == "FAIL"
    assert {listed[operation_id]["status"] for operation_id in (*opened[1:], *cloned)} == {"SUCCESS"}
    assert len(api.server.journal.events("operation.finished")) == 1000


def pages(api):
    """Read all operations as the documentation recommends."""
    page = api.get("/operations", sort="id", limit=300)
    yield page["items"]
    while page["has_more"]:
        page = api.get("/operations", sort="id", limit=300, id_gt=page["items"][-1]["id"])
        yield page["items"]
