"""Changing and archiving a project; creating one is tested with everything else that is created."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.support import NO_OPERATIONS, ScriptedServer, connect, operation, pool, run_task
from tests.worlds import PROJECT, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator, UpdateProjectOperator

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def archive(project_id: str = "10", **arguments: Any) -> Any:
    return run_task(
        ArchiveProjectOperator(task_id="archive", project_id=project_id, poll_interval=0.05, **arguments)
    ).result


def project(status: str = "ACTIVE") -> dict[str, Any]:
    return {**PROJECT, "id": "10", "status": status}


@both_ways
def test_a_project_is_archived_once(monkeypatch: pytest.MonkeyPatch, deferrable: bool) -> None:
    with EmulatorServer(speed=20) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", emulator.connection)
        client = TolokaClient(ClientSettings("t", base_url=emulator.url))
        project_id = client.create_project(PROJECT).id
        operation_id = archive(project_id, deferrable=deferrable)
        assert client.get_operation(operation_id).type == "PROJECT.ARCHIVE"
        assert client.get_project(project_id).status == "ARCHIVED"
        assert archive(project_id, deferrable=deferrable) is None
        assert len(list(client.list_operations())) == 1


def test_pools_and_trainings_in_the_way_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer() as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", emulator.connection)
        client = TolokaClient(ClientSettings("t", base_url=emulator.url))
        pool_id = small_pool(client)
        project_id = client.get_pool(pool_id).project_id
        school = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
        training_id = client.create_training({**school, "project_id": project_id}).id
        small_pool(client)
        with pytest.raises(
            AirflowFailException, match=f"Not archived: {pool_id} .CLOSED., {training_id} .CLOSED.. Project"
        ):
            archive(project_id)


@pytest.mark.usefixtures("connection")
class TestAnswers:
    @pytest.fixture(autouse=True)
    def nothing_under_way(self, server: ScriptedServer) -> None:
        server.default("GET", "/operations", NO_OPERATIONS)

    def test_a_lost_answer_to_what_is_done(self, server: ScriptedServer) -> None:
        server.answer("GET", "/projects/10", json=project())
        server.answer("POST", "/projects/10/archive", drop=True)
        server.error("POST", "/projects/10/archive", 409, "PROJECT_INAPPROPRIATE_STATUS")
        server.answer("GET", "/projects/10", json=project("ARCHIVED"))
        assert archive() is None

    @both_ways
    def test_another_attempt_is_waited_for(self, server: ScriptedServer, deferrable: bool) -> None:
        """It is not archived yet when this attempt looks, but it is when it sends the call."""
        running = operation("RUNNING", type="PROJECT.ARCHIVE", id="first", parameters={"project_id": "10"})
        server.default("GET", "/projects/10", project("ARCHIVED"))
        server.answer("GET", "/operations", json={"items": [running], "has_more": False})
        server.answer("GET", "/operations/first", json={**running, "status": "SUCCESS"})
        assert archive(deferrable=deferrable) == "first"

    def test_a_refusal_fails_at_once(self, server: ScriptedServer) -> None:
        server.default("GET", "/projects/10", project())
        server.error("POST", "/projects/10/archive", 409, "UNARCHIVED_POOLS_CONFLICT")
        server.answer("GET", "/pools", json={"items": [pool("ARCHIVED")], "has_more": False})
        server.error("GET", "/trainings", 500, "INTERNAL_ERROR")
        with pytest.raises(AirflowFailException, match=r"Archive every pool of the project first\. Help: "):
            archive()

    @pytest.mark.parametrize("value", ["1/2", "", None])
    def test_a_bad_id_sends_nothing(self, server: ScriptedServer, value: Any) -> None:
        with pytest.raises(ValueError, match="project_id is "):
            archive(value)
        assert server.seen == []


class TestUpdating:
    @pytest.fixture
    def emulator(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
        with EmulatorServer(seed=1) as emulator:
            connect(monkeypatch, emulator.url)
            yield emulator

    @staticmethod
    def update(project_id: Any, config: Any) -> Any:
        return run_task(UpdateProjectOperator(task_id="update", project_id=project_id, config=config)).result

    def test_what_differs_is_changed_once(
        self, emulator: EmulatorServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        client = TolokaClient(ClientSettings("t", base_url=emulator.url))
        first = {**PROJECT, "private_comment": "first", "max_active_assignments_count": 5}
        project_id = run_task(CreateProjectOperator(task_id="create", config=first)).result
        wanted = {**PROJECT, "public_name": "Better questions", "private_comment": "second"}
        path = tmp_path / "project.json"
        path.write_text(json.dumps(wanted))
        assert self.update(project_id, str(path)) == project_id
        said = "".join(capsys.readouterr().out.splitlines())
        assert f"Project {project_id} changes in public_name, private_comment" in said
        assert f"Project {project_id}: config does not have max_active_assignments_count, so Toloka gives it" in said
        found = client.get_project(project_id).raw
        assert {key: found[key] for key in wanted} == wanted
        assert "max_active_assignments_count" not in found
        assert self.update(project_id, wanted) == self.update(project_id, dict(found)) == project_id
        assert len(emulator.journal.requests("PUT")) == 1
        assert "is as wanted already" in "".join(capsys.readouterr().out.splitlines())
        # By its tag it is found again; without it, another would be created.
        assert run_task(CreateProjectOperator(task_id="create", config=first)).result == project_id

    def test_metadata_is_replaced_but_for_the_tag(self, emulator: EmulatorServer) -> None:
        client = TolokaClient(ClientSettings("t", base_url=emulator.url))
        config = {**PROJECT, "metadata": {"team": ["red"], "old": ["x"]}}
        project_id = run_task(CreateProjectOperator(task_id="create", config=config)).result
        tag = client.get_project(project_id).raw["metadata"]["airflow_task"]
        self.update(project_id, {**PROJECT, "metadata": {"team": ["blue"], "airflow_task": ["forged"]}})
        assert client.get_project(project_id).raw["metadata"] == {"team": ["blue"], "airflow_task": tag}

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 503}])
    def test_lost_answers(self, emulator: EmulatorServer, fault: dict[str, Any]) -> None:
        client = TolokaClient(ClientSettings("t", base_url=emulator.url))
        project_id = client.create_project(PROJECT).id
        emulator.faults.add("PUT", f"/api/v1/projects/{project_id}", **fault)
        self.update(project_id, {**PROJECT, "public_name": "New"})
        assert client.get_project(project_id).public_name == "New"

    @pytest.mark.parametrize(
        ("project_id", "config", "message"),
        [
            ("10", {**PROJECT, "id": "11"}, "project_id is '10', but config is that of project '11'"),
            ("None", PROJECT, "project_id is 'None'"),
            ("10", "nothing.yaml", "config is 'nothing.yaml', and there is no such file"),
        ],
    )
    @pytest.mark.usefixtures("connection")
    def test_what_cannot_be_used(self, server: ScriptedServer, project_id: str, config: Any, message: str) -> None:
        server.default("GET", "/projects/10", project())
        with pytest.raises(AirflowFailException, match=message):
            self.update(project_id, config)
        assert server.calls("PUT") == []

    @pytest.mark.usefixtures("connection")
    def test_an_archived_one_is_left(self, server: ScriptedServer) -> None:
        server.default("GET", "/projects/10", project("ARCHIVED"))
        with pytest.raises(AirflowFailException, match="Project 10 is ARCHIVED, so it cannot be changed any more"):
            self.update("10", PROJECT)
