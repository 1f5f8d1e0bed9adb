from __future__ import annotations

import json

import pytest
import requests

from toloka_airflow.emulator.__main__ import main
from toloka_airflow.emulator.server import EmulatorServer

HOOK = {"webhook_url": "http://127.0.0.1:9/", "event_type": "POOL_CLOSED", "pool_id": "21", "secret_key": "12345"}
SEED = {
    "balance": 12.5,
    "tokens": ["secret"],
    "crowd": {"size": 7, "accuracy": [1, 1]},
    "truth": [{"match": {"text": "Task 1"}, "output_values": {"label": "no"}}],
    "projects": [
        {
            "id": "10",
            "public_name": "Cats",
            "trainings": [{"id": "31", "private_name": "School"}],
            "pools": [
                {
                    "id": 21,
                    "tasks": [{"input_values": {"text": "Task 1"}, "overlap": 2}, {"input_values": {"text": "?"}}],
                    "quality_control": {
                        "training_requirement": {"training_pool_id": "31", "training_passing_skill_value": 50}
                    },
                },
                {"tasks": 3, "open": True},
            ],
        },
        {"public_name": "Dogs"},
    ],
    "webhooks": [HOOK],
}


def load(api, document):
    return requests.post(f"{api.server.url}/_emulator/seed", json=document, timeout=5)


def test_everything(api):
    answer = load(api, SEED)
    assert answer.status_code == 201, answer.text
    added = answer.json()
    assert (added["projects"][0], added["pools"][0], added["trainings"]) == ("10", "21", ["31"])
    assert api.get("/requester")["balance"] == 12.5
    assert (
        requests.get(f"{api.server.url}/api/v1/pools", headers={"Authorization": "OAuth old"}, timeout=5).status_code
        == 401
    )
    assert api.server.crowd.settings.size == 7
    assert api.get("/projects/10")["public_name"] == "Cats"
    assert api.get("/trainings/31")["private_name"] == "School"
    assert [task["overlap"] for task in api.get("/tasks", pool_id="21")["items"]] == [2, 1]
    assert [pool["status"] for pool in api.get("/pools")["items"]] == ["CLOSED", "OPEN"]
    [hook] = api.get("/webhook-subscriptions")["items"]
    assert "secret_key" not in hook
    assert api.server.world.subscriptions[hook["id"]].secret_key == "12345"


def test_ids_go_on_and_lists_are_in_order(api):
    before = api.add_project()
    load(api, {"projects": [{"id": "999999"}, {"id": "5"}]})
    after = api.add_project()
    assert int(after) > 999_999
    assert [project["id"] for project in api.get("/projects")["items"]] == ["5", before, "999999", after]
    assert [project["id"] for project in api.get("/projects", id_gt=before)["items"]] == ["999999", after]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"project": []}, "project"),
        ({"projects": {}}, "projects"),
        ({"balance": -1}, "balance"),
        ({"crowd": {"size": -1}}, "crowd.size"),
        ({"crowd": {"accuracy": [1, 0]}}, "crowd"),
        ({"crowd": {"sise": 1}}, "crowd.sise"),
        ({"truth": [{"match": {}}]}, "truth.0.output_values"),
        ({"projects": [{"name": "x"}]}, "projects.0.name"),
        ({"projects": [{"id": "x"}]}, "projects.0.id"),
        ({"projects": [{"id": "7"}, {"id": "7"}]}, "projects.1.id"),
        ({"projects": [{"pools": [{"colour": 1}]}]}, "projects.0.pools.0.colour"),
        ({"projects": [{"pools": [{"tasks": -1}]}]}, "projects.0.pools.0.tasks"),
        ({"projects": [{"pools": [{"tasks": [{}]}]}]}, "projects.0.pools.0.tasks.0.input_values"),
        ({"projects": [{"pools": [{"tasks": [7]}]}]}, "projects.0.pools.0.tasks.0.body"),
        ({"projects": [{"pools": [{"open": True}]}]}, "projects.0.pools.0.open"),
        ({"webhooks": [HOOK]}, "webhooks.0.pool_id"),
    ],
)
def test_all_or_nothing(api, change, named):
    balance = api.get("/requester")["balance"]
    answer = load(api, {"projects": [{"pools": [{"tasks": 1}]}]} | change)
    assert answer.status_code == 400
    assert named in answer.json()["payload"]
    assert api.get("/projects")["items"] == api.get("/pools")["items"] == []
    assert api.get("/requester")["balance"] == balance
    assert api.server.journal.events() == []


def test_place_of_a_task_in_a_long_list(api):
    items = [{"input_values": {"text": "x"}} for _ in range(250)]
    answer = load(api, {"projects": [{"pools": [{"tasks": [*items, {}]}]}]})
    assert list(answer.json()["payload"]) == ["projects.0.pools.0.tasks.250.input_values"]


def test_from_a_file_and_again_after_a_reset(tmp_path):
    path = tmp_path / "seed.json"
    path.write_text(json.dumps(SEED))
    server = EmulatorServer(seed_file=path)
    server.set_balance(1)
    server.load({"projects": [{}]})
    server.reset()
    assert next(iter(server.world.projects)) == "10"
    assert len(server.world.projects) == 2
    assert server.world.account.balance == 12.5


def test_wrong_file(tmp_path, capsys):
    path = tmp_path / "seed.json"
    for text, named in (("{", "Expecting"), ('{"pools": []}', "pools"), ("[]", "object")):
        path.write_text(text)
        with pytest.raises(SystemExit, match="2"):
            main(["--seed-file", str(path)])
        assert named in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--seed-file", str(tmp_path / "none")])


def test_operations_and_faults(api):
    faults = [{"method": "GET", "path": "/api/v1/requester", "status": 503}]
    slow = [{"type": "POOL.OPEN", "looks": 2}, {"pool_id": "21", "seconds": 9, "fail": {"code": "BROKEN"}}]
    assert load(api, {**SEED, "operations": slow, "faults": faults}).status_code == 201
    assert api.server.world.progressions.find("POOL.OPEN", "22").looks == 2
    assert api.server.world.progressions.find("POOL.OPEN", "21").fail["code"] == "BROKEN"
    assert requests.get(f"{api.server.url}/api/v1/requester", timeout=5).status_code == 503


def test_wrong_operations_and_faults_are_named(api):
    answer = load(api, {"operations": [{"looks": 2}, {"looks": 0}]})
    assert (answer.status_code, list(answer.json()["payload"])) == (400, ["operations.1.looks"])
    answer = load(api, {"faults": [{"method": "GET", "path": "/api/v1/requester", "colour": 1}]})
    assert (answer.status_code, list(answer.json()["payload"])) == (400, ["faults.0.colour"])
    answer = load(api, {"faults": [{"method": "GET", "path": "/api/v1/requester"}]})
    assert (answer.status_code, list(answer.json()["payload"])) == (400, ["faults.0"])


def test_add_pool(api):
    pool_id = api.server.add_pool()
    assert len(api.get("/tasks", pool_id=pool_id)["items"]) == 5
    assert api.status(pool_id) == ("CLOSED", None)
    images = [{"image": f"https://example.com/{i}.png", "hard": i > 1, "size": 7} for i in range(3)]
    pool_id = api.server.add_pool(images, overlap=2, open=True, private_name="Mine", reward_per_assignment=0.5)
    pool = api.get(f"/pools/{pool_id}")
    assert (pool["status"], pool["private_name"], pool["reward_per_assignment"]) == ("OPEN", "Mine", 0.5)
    api.server.clock.advance(3600)
    assert api.status(pool_id) == ("CLOSED", "COMPLETED")
    assert len(api.assignments(pool_id)) == 6


def test_add_pool_in_a_project_of_a_kind(api):
    spec = {"input_spec": {"text": {"type": "string"}}, "output_spec": {"ok": {"type": "boolean"}}}
    pool_id = api.server.add_pool(1, open=True, project={"public_name": "Ok?", "task_spec": spec})
    api.server.clock.advance(3600)
    [assignment] = api.assignments(pool_id)
    assert set(assignment["solutions"][0]["output_values"]) == {"ok"}


def test_add_pool_says_what_is_wrong(api):
    with pytest.raises(ValueError, match="colour"):
        api.server.add_pool(colour="red")
    with pytest.raises(ValueError, match="tasks"):
        api.server.add_pool(-1)
