"""Archiving a project; creating one is tested with everything else that is created."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.support import NO_OPERATIONS, ScriptedServer, operation, pool, run_task
from tests.worlds import PROJECT, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.projects import ArchiveProjectOperator

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
        with pytest.raises(AirflowFailException, match=f"Not archived: {pool_id} .CLOSED., {training_id} .CLOSED.$"):
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
        with pytest.raises(AirflowFailException, match=r"Archive every pool of the project first\.$"):
            archive()

    @pytest.mark.parametrize("value", ["1/2", "", None])
    def test_a_bad_id_sends_nothing(self, server: ScriptedServer, value: Any) -> None:
        with pytest.raises(ValueError, match="project_id is "):
            archive(value)
        assert server.seen == []
