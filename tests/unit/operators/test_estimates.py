"""What `EstimateOperator` returns, logs and refuses, with a local Toloka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import NO_ANSWERS, TOKEN, ScriptedServer, connect, from_templates, operation, pool, run_task
from tests.virtual_time import VirtualTime
from tests.worlds import PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.estimates import EstimateOperator

HOUR = 3600
CONFIG: dict[str, Any] = {
    "private_name": "Pool",
    "may_contain_adult_content": False,
    "will_expire": "2030-06-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 360,
    "defaults": {"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 5, "golden_tasks_count": 1, "training_tasks_count": 0},
}
TABLE = (
    "INPUT:text,GOLDEN:answer\n" + "".join(f"Is it {i}?,\n" for i in range(12)) + "Is it?,yes\nIs it not?,no\nNo?,no\n"
)


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """A Toloka whose time stands still, and whose people do what they begin."""
    crowd = CrowdSettings(size=20, seconds_per_task=(10, 10), skip_rate=0, expire_rate=0)
    with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00", crowd=crowd) as server:
        connect(monkeypatch, server.url)
        server.progressions.set(Progression(seconds=0))
        yield server


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.csv"
    path.write_text(TABLE)
    return path


def estimated(**arguments: Any) -> Any:
    return run_task(EstimateOperator(task_id="estimate", **arguments)).result


def answered(toloka: EmulatorServer, client: TolokaClient, project_id: str, count: int = 40) -> str:
    """Return a pool of a project that was opened, answered and closed."""
    mixer = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}
    pool_id = client.create_pool({**CONFIG, "mixer_config": mixer, "project_id": project_id}).id
    upload(client, pool_id, [{"input_values": {"text": f"{i}"}, "overlap": 1} for i in range(count)])
    client.open_pool(pool_id)
    toloka.clock.advance(HOUR)
    assert client.get_pool(pool_id).status.value == "CLOSED"
    return pool_id


def upload(client: TolokaClient, pool_id: str, tasks: list[dict[str, Any]]) -> None:
    client.call("POST", "/tasks", json=[{"pool_id": pool_id, **task} for task in tasks])


def paths(toloka: EmulatorServer) -> list[str]:
    return [call["path"] for call in toloka.journal.requests()]


class TestBeforeAnythingIsCreated:
    def test_a_table_of_tasks(self, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
        # There is no connection, and none is needed.
        result = estimated(config=CONFIG, project_config=PROJECT, tasks=str(table), use_previous_pools=False)
        assert result["total"] == {"least": 0.208, "most": 0.234}
        assert (result["tasks"], result["control_tasks"], result["pages"]) == (12, 3, 3)
        assert result["duration"]["source"] == "time_limit"
        assert json.loads(json.dumps(result)) == result
        log = capsys.readouterr().out
        assert "total                   0.208  0.234" in log
        assert "hours of work" in log
        assert all(f"- {sentence}" in log for sentence in result["assumptions"] + result["duration"]["assumptions"])

    def test_files_of_configuration(self, table: Path, tmp_path: Path) -> None:
        (tmp_path / "pool.json").write_text(json.dumps(CONFIG))
        (tmp_path / "project.json").write_text(json.dumps(PROJECT))
        files = {"config": tmp_path / "pool.json", "project_config": str(tmp_path / "project.json")}
        result = estimated(**files, tasks=table, use_previous_pools=False)
        assert result["total"]["most"] == 0.234

    def test_a_list_of_tasks_needs_no_project(self) -> None:
        tasks = [{"input_values": {"text": "a"}}] * 5 + [{"input_values": {}, "known_solutions": [{}], "overlap": 9}]
        result = estimated(config=CONFIG, tasks=tasks, use_previous_pools=False, fee=0.5, min_fee=0)
        assert result["price"] == {"least": 0.03, "most": 0.03}
        assert result["answers"] == {"least": 3, "most": 3}

    def test_the_project_at_toloka_has_the_fields(
        self, toloka: EmulatorServer, client: TolokaClient, table: Path
    ) -> None:
        project_id = client.create_project(PROJECT).id
        result = estimated(config=CONFIG, project_id=project_id, tasks=table, use_previous_pools=False)
        assert result["total"]["most"] == 0.234
        assert paths(toloka)[-1] == f"/api/v1/projects/{project_id}"

    def test_without_the_project_a_table_is_refused(self, table: Path) -> None:
        with pytest.raises(AirflowFailException, match="fields of the tasks are not known; give project_config"):
            estimated(config=CONFIG, tasks=table, use_previous_pools=False)

    def test_rejections(self) -> None:
        config = CONFIG | {
            "auto_accept_solutions": False,
            "mixer_config": CONFIG["mixer_config"] | {"golden_tasks_count": 0},
        }
        tasks = [{"input_values": {}}] * 20
        result = estimated(config=config, tasks=tasks, use_previous_pools=False, rejected_share=0.25)
        assert (result["answers"]["most"], result["paid_answers"]["most"]) == (12, 9)

    def test_defaults_that_are_not_allowed(self) -> None:
        with pytest.raises(AirflowFailException, match="Task 1 has no overlap"):
            estimated(config=CONFIG, tasks=[{"input_values": {}}], use_previous_pools=False, allow_defaults=False)


class TestPoolsThatAreThere:
    def test_what_is_not_answered_yet(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        project_id = client.create_project(PROJECT).id
        mixer = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}
        pool_id = client.create_pool({**CONFIG, "mixer_config": mixer, "project_id": project_id}).id
        upload(client, pool_id, [{"input_values": {"text": f"{i}"}, "overlap": 3} for i in range(10)])
        assert estimated(pool_id=pool_id)["total"] == {"least": 0.78, "most": 0.78}
        toloka.world.crowd.change(size=2)  # so two of three answers to each task
        client.open_pool(pool_id)
        toloka.clock.advance(HOUR)
        assert estimated(pool_id=pool_id)["total"] == {"least": 0.26, "most": 0.26}
        # With tasks that are still to be uploaded, only they count.
        more = [{"input_values": {"text": "more"}, "overlap": 1}]
        assert estimated(pool_id=pool_id, tasks=more)["answers"] == {"least": 1, "most": 1}

    def test_task_suites(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        body = {key: value for key, value in CONFIG.items() if key != "mixer_config"}
        pool_id = client.create_pool({**body, "project_id": client.create_project(PROJECT).id}).id
        suite = {"pool_id": pool_id, "overlap": 4, "tasks": [{"input_values": {"text": "a"}}] * 3}
        client.call("POST", "/task-suites", json=[suite] * 2)
        result = estimated(pool_id=pool_id)
        assert (result["tasks"], result["answers"]) == (2, {"least": 8, "most": 8})

    def test_nobody_knows(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        pool_id = client.create_pool({**CONFIG, "project_id": client.create_project(PROJECT).id}).id
        upload(client, pool_id, [{"input_values": {"text": "a"}, "infinite_overlap": True}])
        with pytest.raises(AirflowFailException, match="1 of 1 task has an infinite overlap"):
            estimated(pool_id=pool_id)


class TestLimit:
    TASKS = [{"input_values": {}}] * 20
    CONFIG = CONFIG | {"mixer_config": {"real_tasks_count": 5, "golden_tasks_count": 0, "training_tasks_count": 0}}

    @pytest.mark.parametrize("limit", [0.312, "0.312", 1, None])
    def test_within(self, limit: Any) -> None:
        result = estimated(config=self.CONFIG, tasks=self.TASKS, max_total=limit, use_previous_pools=False)
        assert result["total"]["most"] == 0.312

    def test_more(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(AirflowFailException, match=r"The pool may cost 0\.312, and max_total is 0\.311\."):
            estimated(config=self.CONFIG, tasks=self.TASKS, max_total="0.311", use_previous_pools=False)
        # What it would cost, and why, is in the log all the same.
        assert "total                   0.312  0.312" in capsys.readouterr().out

    @pytest.mark.parametrize("limit", ["", "much", -1])
    def test_no_amount_is_an_error(self, limit: Any) -> None:
        make = partial(EstimateOperator, task_id="estimate", config=self.CONFIG, tasks=self.TASKS)
        with pytest.raises(AirflowFailException, match="max_total is"):
            run_task(from_templates(make, max_total=limit))


class TestTime:
    def test_by_previous_pools(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        project_id = client.create_project(PROJECT).id
        pools = [answered(toloka, client, project_id) for _ in range(2)]
        other = client.create_pool({**CONFIG, "project_id": project_id}).id
        control = {"known_solutions": [{"output_values": {"answer": "yes"}}], "infinite_overlap": True}
        real = [{"input_values": {"text": f"{i}"}, "overlap": 1} for i in range(100)]
        upload(client, other, [*real, {"input_values": {"text": "a"}, **control}])
        duration = estimated(pool_id=other)["duration"]
        assert duration["source"] == "previous_pools"
        assert sorted(duration["pools"]) == sorted(pools)
        # 20 answers of 10 s each, more or less; and nobody waits for anybody.
        assert 20 * 6 / HOUR < duration["work_hours"]["least"] <= duration["work_hours"]["most"] < 20 * 14 / HOUR
        measured = [client.get_pool(pool_id) for pool_id in pools]
        hours = [(pool.last_stopped - pool.last_started).total_seconds() / HOUR for pool in measured]  # type: ignore[operator]
        assert duration["hours"]["most"] == pytest.approx(20 / (40 / max(hours)), abs=0.01)

    def test_a_pool_that_was_opened_twice_says_nothing_of_how_many_come(
        self, toloka: EmulatorServer, client: TolokaClient
    ) -> None:
        project_id = client.create_project(PROJECT).id
        pool_id = answered(toloka, client, project_id)
        toloka.clock.advance(10 * HOUR)
        upload(client, pool_id, [{"input_values": {"text": "more"}, "overlap": 1}])
        client.open_pool(pool_id)
        toloka.clock.advance(HOUR)
        tasks = [{"input_values": {}, "overlap": 1}]
        mixer = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}
        config = CONFIG | {"project_id": project_id, "mixer_config": mixer}
        duration = estimated(config=config, tasks=tasks * 41, people=(2, 2))["duration"]
        assert (duration["source"], duration["pools"]) == ("previous_pools", [pool_id])
        assert "2 to 2 people work at a time" in " ".join(duration["assumptions"])

    def test_pools_that_say_nothing(self, toloka: EmulatorServer, client: TolokaClient) -> None:
        project_id = client.create_project(PROJECT).id
        client.create_pool({**CONFIG, "project_id": project_id})
        tasks = [{"input_values": {}}, {"input_values": {}, "known_solutions": [{}], "overlap": 9}]
        result = estimated(config=CONFIG | {"project_id": project_id}, tasks=tasks)
        assert result["duration"]["source"] == "time_limit"
        assert "/api/staging/analytics-2" not in paths(toloka)

    def test_no_task_fails_for_an_estimate_of_time(
        self, server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        closed = pool(last_started="2030-01-01T00:00:00", last_stopped="2030-01-01T01:00:00")
        tasks = [{"input_values": {}, "overlap": 1}, {"input_values": {}, "known_solutions": [{}], "overlap": 9}]
        asked = {"config": CONFIG | {"project_id": "7"}, "tasks": tasks}
        server.answer("GET", "/pools", json={"items": [closed], "has_more": False})
        failed = operation("FAIL", type="ANALYTICS", details={})
        server.answer("POST", "/api/staging/analytics-2", json=failed)
        assert estimated(**asked)["duration"]["source"] == "time_limit"
        assert "How fast people were in pool 21 did not become known" in capsys.readouterr().out
        server.error("GET", "/pools", 403, "ACCESS_DENIED")
        assert estimated(**asked)["duration"]["source"] == "time_limit"
        assert "How fast people were in previous pools did not become known" in capsys.readouterr().out

    def test_endless_answers_that_cost_nothing_have_no_time(self, server: ScriptedServer, connection: str) -> None:
        config = CONFIG | {"reward_per_assignment": 0}
        result = estimated(config=config, tasks=[{"input_values": {}, "infinite_overlap": True}])
        assert (result["answers"], result["total"]["most"], result["duration"]) == (None, 0, None)


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            ({}, "Give either config, .* or pool_id"),
            ({"config": CONFIG, "pool_id": "21", "tasks": []}, "Give either config, .* or pool_id"),
            ({"config": CONFIG}, "tasks is None"),
            ({"config": CONFIG, "tasks": iter([])}, "can be read only once"),
            ({"pool_id": "21", "fee": "much"}, "fee is 'much'"),
            ({"pool_id": "21", "min_fee": -1}, "min_fee is -1"),
            ({"pool_id": "21", "rejected_share": 2}, "rejected_share is 2"),
            ({"pool_id": "21", "people": 5}, "people is 5"),
            ({"pool_id": "21", "people": (5, 4)}, r"people is \(5, 4\)"),
            ({"pool_id": "21", "people": (0, 4)}, r"people is \(0, 4\)"),
        ],
    )
    def test_mistakes(self, arguments: dict[str, Any], why: str) -> None:
        with pytest.raises(ValueError, match=why):
            EstimateOperator(task_id="estimate", **arguments)

    def test_what_is_tried_again(self, server: ScriptedServer, connection: str, virtual: VirtualTime) -> None:
        server.error("GET", "/pools/21", 503, "REMOTE_SERVICE_UNAVAILABLE", times=99)
        with pytest.raises(AirflowException) as caught:
            estimated(pool_id="21")
        assert not isinstance(caught.value, AirflowFailException)
        server.error("GET", "/pools/22", 404, "DOES_NOT_EXIST")
        with pytest.raises(AirflowFailException):
            estimated(pool_id="22")

    def test_a_pool_without_tasks(self, server: ScriptedServer, connection: str) -> None:
        server.answer("GET", "/pools/21", json=pool(reward_per_assignment=0.05))
        server.answer("GET", "/task-suites", json=NO_ANSWERS)
        server.answer("GET", "/tasks", json=NO_ANSWERS)
        with pytest.raises(AirflowFailException, match="The pool has no tasks"):
            estimated(pool_id="21")
