from __future__ import annotations

from random import Random

import pytest

from toloka_airflow.emulator.resources.aggregation import Vote, dawid_skene, votes_by_task, weighted_majority

DAWID_SKENE = {"type": "DAWID_SKENE", "fields": [{"name": "result"}]}
WEIGHTED = {"type": "WEIGHTED_DYNAMIC_OVERLAP", "answer_weight_skill_id": "12", "fields": [{"name": "result"}]}


def test_majority():
    votes = [Vote("t", "a", "x"), Vote("t", "b", "x"), Vote("t", "c", "y")]
    assert weighted_majority(votes, {}) == ("x", pytest.approx(2 / 3))
    assert weighted_majority(votes, {"c": 8.0}) == ("y", pytest.approx(0.8))
    assert weighted_majority(votes, {"a": 0, "b": 0, "c": 0})[1] == pytest.approx(1 / 2)


def simulated(accuracies, tasks=400):
    random = Random(3)
    truth = {f"t{i}": random.choice("xyz") for i in range(tasks)}
    votes = []
    for person, accuracy in enumerate(accuracies):
        for task, label in truth.items():
            right = random.random() < accuracy
            votes.append(Vote(task, f"p{person}", label if right else random.choice([o for o in "xyz" if o != label])))
    return truth, votes


def share(truth, found):
    return sum(found[task][0] == label for task, label in truth.items()) / len(truth)


def test_dawid_skene_finds_out_who_is_good():
    truth, votes = simulated([0.95, 0.9, 0.5, 0.45, 0.4])
    by_majority = {task: weighted_majority(group, {}) for task, group in votes_by_task(votes).items()}
    assert share(truth, dawid_skene(votes)) > max(0.9, share(truth, by_majority))


def test_dawid_skene_knows_how_sure_it_is():
    truth, votes = simulated([0.9] * 3)
    found = dawid_skene(votes)
    assert all(0 < confidence <= 1 for _, confidence in found.values())
    sure = [task for task, (_, confidence) in found.items() if confidence > 0.95]
    assert share({task: truth[task] for task in sure}, found) > 0.95


def test_dawid_skene_with_few_answers_a_person_is_no_worse_than_the_majority():
    """Ten labels and eight answers a person say little about how that person confuses labels."""
    random = Random(5)
    accuracy = {f"p{i}": random.uniform(0.75, 0.97) for i in range(40)}
    truth, votes = {}, []
    for task in range(100):
        truth[f"t{task}"] = right = str(task % 10)
        for person in random.sample(sorted(accuracy), 3):
            is_right = random.random() < accuracy[person]
            wrong = random.choice([label for label in "0123456789" if label != right])
            votes.append(Vote(f"t{task}", person, right if is_right else wrong))
    by_majority = {task: weighted_majority(group, {}) for task, group in votes_by_task(votes).items()}
    assert share(truth, dawid_skene(votes)) >= share(truth, by_majority) - 0.03


def test_dawid_skene_of_little():
    assert dawid_skene([]) == {}
    assert dawid_skene([Vote("t", "a", "x")]) == {"t": ("x", 1.0)}


@pytest.fixture
def done(api):
    pool_id = api.add_pool(tasks=10)
    api.move(pool_id, "open")
    api.server.clock.advance(24 * 3600)
    return pool_id


@pytest.mark.parametrize("form", [DAWID_SKENE, WEIGHTED])
def test_aggregation_of_a_pool(api, done, form):
    operation = api.post("/aggregated-solutions/aggregate-by-pool", form | {"pool_id": int(done)})
    assert operation["type"] == "SOLUTION.AGGREGATE"
    assert operation["parameters"]["pool_id"] == done
    assert operation["parameters"]["algorithm"] == form["type"]
    path = f"/aggregated-solutions/{operation['id']}"
    assert api.code("GET", path) == (409, "CONFLICT_STATE")
    api.server.clock.advance(1)
    page = api.get(path, limit=4, sort="task_id")
    assert page["has_more"] is True
    rest = api.get(path, task_id_gt=page["items"][-1]["task_id"])["items"]
    tasks = api.get("/tasks", pool_id=done)["items"]
    solutions = page["items"] + rest
    assert [solution["task_id"] for solution in solutions] == [task["id"] for task in tasks]
    assert all(set(item) == {"confidence", "output_values", "pool_id", "task_id"} for item in solutions)
    single = api.post("/aggregated-solutions/aggregate-by-task", form | {"pool_id": done, "task_id": tasks[0]["id"]})
    assert single == solutions[0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "MAJORITY"}, "type"),
        ({"fields": []}, "fields"),
        ({"fields": [{"name": "resul"}]}, "fields.0.name"),
        ({"fields": [{"name": "result"}] * 2}, "fields"),
        ({"type": "WEIGHTED_DYNAMIC_OVERLAP"}, "answer_weight_skill_id"),
    ],
)
def test_wrong_form(api, changes, field):
    body = DAWID_SKENE | {"pool_id": api.add_pool()} | changes
    answer = api("POST", "/aggregated-solutions/aggregate-by-pool", json=body)
    assert answer.status_code == 400
    assert list(answer.json()["payload"]) == [field]


def test_nothing_to_aggregate(api):
    pool_id = api.add_pool(tasks=1)
    task_id = api.get("/tasks", pool_id=pool_id)["items"][0]["id"]
    body = DAWID_SKENE | {"pool_id": pool_id, "task_id": task_id}
    assert api.code("POST", "/aggregated-solutions/aggregate-by-task", body) == (409, "CONFLICT_STATE")
    assert api.code("POST", "/aggregated-solutions/aggregate-by-task", body | {"task_id": "x"}) == (
        404,
        "DOES_NOT_EXIST",
    )
    operation = api.post(f"/pools/{pool_id}/open")
    assert api.code("GET", f"/aggregated-solutions/{operation['id']}") == (409, "INVALID_OPERATION_TYPE")
