"""Archiving something archives what its task has created twice, and nothing that anybody may need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import TOKEN, TaskInstance, connect, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import OperationStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.lifecycle import ArchivePoolOperator, ArchiveTrainingOperator
from toloka_airflow.operators.pools import CreatePoolOperator, CreateTrainingOperator
from toloka_airflow.operators.projects import ArchiveProjectOperator, CreateProjectOperator

TRAINING = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
TASK = {"input_values": {"text": "?"}, "overlap": 1}
ARCHIVED = "ARCHIVED"
OPERATORS: dict[str, tuple[Any, Any]] = {
    "project": (CreateProjectOperator, ArchiveProjectOperator),
    "pool": (CreatePoolOperator, ArchivePoolOperator),
    "training": (CreateTrainingOperator, ArchiveTrainingOperator),
}
every_noun = pytest.mark.parametrize("noun", OPERATORS)
both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


class Toloka:
    """An emulator with a project, and something that a task of a run has created."""

    def __init__(self, server: EmulatorServer, noun: str) -> None:
        self.server, self.noun = server, noun
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        self.project_id = self.client.create_project(PROJECT).id
        bodies = {"project": PROJECT, "pool": POOL, "training": TRAINING}
        self._body = {**bodies[noun], **({} if noun == "project" else {"project_id": self.project_id})}
        self.create, self.archive = OPERATORS[noun]
        self.own = run_task(self.create(task_id="make", config=self._body)).result

    def add(self, **tag: Any) -> str:
        """Create one like it, as another attempt of the task does, or another task."""
        instance = TaskInstance(**{"task_id": "make", **tag})
        name = f"/{instance.dag_id}/{instance.run_id}/{instance.task_id}/{instance.map_index}"
        body = {**self._body, "metadata": {"airflow_task": [name]}}
        return str(getattr(self.client, f"create_{self.noun}")(body).id)

    def fill(self, object_id: str) -> None:
        if self.noun == "project":
            self.client.create_training({**TRAINING, "project_id": object_id})
            return
        known = {"known_solutions": [{"output_values": {"answer": "yes"}}], "message_on_unknown_solution": "No"}
        task = {**TASK, "pool_id": object_id, **(known if self.noun == "training" else {})}
        self.client.create_tasks([task])

    def status(self, object_id: str) -> str:
        return str(getattr(self.client, f"get_{self.noun}")(object_id).status.value)

    def run(self, **arguments: Any) -> Any:
        ids = {f"{self.noun}_id": self.own}
        return run_task(self.archive(task_id="archive", poll_interval=0.05, **ids, **arguments)).result


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Toloka]]:
    with EmulatorServer(seed=1, speed=20, crowd=CrowdSettings(size=0)) as server:
        connect(monkeypatch, server.url)
        yield lambda noun: Toloka(server, noun)


@every_noun
@both_ways
def test_what_was_created_twice_is_archived(
    make: Callable[[str], Toloka], noun: str, deferrable: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka = make(noun)
    strays = [toloka.add(), toloka.add()]
    operation = toloka.client.get_operation(toloka.run(deferrable=deferrable, defer_after=0))
    assert operation.parameters[f"{noun}_id"] == toloka.own
    assert [toloka.status(each) for each in (toloka.own, *strays)] == [ARCHIVED] * 3
    printed = "".join(capsys.readouterr().out.splitlines())
    for stray in strays:
        assert f"archives {noun} {stray}, too, which nobody uses" in printed
    assert toloka.run() is None


@every_noun
def test_it_is_archived_by_the_next_attempt_even_if_the_rest_is_done(make: Callable[[str], Toloka], noun: str) -> None:
    toloka = make(noun)
    toloka.run()
    stray = toloka.add()
    assert toloka.run() is None
    assert toloka.status(stray) == ARCHIVED


@every_noun
def test_an_archiving_that_an_earlier_attempt_has_begun_is_waited_for(make: Callable[[str], Toloka], noun: str) -> None:
    toloka = make(noun)
    stray = toloka.add()
    begun = getattr(toloka.client, f"archive_{noun}")(stray)
    toloka.run()
    assert (toloka.status(toloka.own), toloka.status(stray)) == (ARCHIVED, ARCHIVED)
    assert toloka.client.get_operation(begun.id).status == OperationStatus.SUCCESS
    # On a busy machine it has ended before it is found; then a request is answered that nothing is to be changed.
    answers = [entry["status"] for entry in toloka.server.journal.requests("POST", f"/api/v1/{noun}s/{stray}/archive")]
    assert answers[0] == 202
    assert set(answers[1:]) <= {204}


@every_noun
@pytest.mark.parametrize("copy", ["later", "filled", "copy of the copy"])
def test_a_copy_that_somebody_may_need_is_named(
    make: Callable[[str], Toloka], noun: str, copy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka = make(noun)
    if copy == "later":
        toloka.server.clock.advance(200)
    other = toloka.add()
    if copy != "later":
        toloka.fill(other)
    if copy == "copy of the copy":
        toloka.own, other = other, toloka.own
        for each in (pool for pool in toloka.client.list_trainings(project_id=toloka.own) if noun == "project"):
            toloka.client.wait_operation(toloka.client.archive_training(each.id), timeout=10, poll_interval=0.05)
    toloka.run()
    assert (toloka.status(toloka.own), toloka.status(other) == ARCHIVED) == (ARCHIVED, False)
    # What is older than what is to be archived is not searched for.
    named = f"{noun.capitalize()} {other} was created by the task that created {noun} {toloka.own}, or is a copy"
    assert (named in "".join(capsys.readouterr().out.splitlines())) == (copy != "copy of the copy")


@pytest.mark.parametrize("noun", ["pool", "training"])
def test_a_copy_that_the_run_has_made_at_once_is_named(
    make: Callable[[str], Toloka], noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka = make(noun)
    copying = getattr(toloka.client, f"clone_{noun}")(toloka.own)
    copied = toloka.client.wait_operation(copying, timeout=10, poll_interval=0.05)
    copy = str(copied.details[f"{noun}_id"])
    toloka.run()
    assert [toloka.status(each) for each in (toloka.own, copy)] == [ARCHIVED, "CLOSED"]
    named = f"{noun.capitalize()} {copy} was created by the task that created {noun} {toloka.own}, or is a copy"
    assert named in "".join(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("noun", ["pool", "training"])
@pytest.mark.parametrize("closed", [False, True])
def test_what_was_ever_open_is_named(
    make: Callable[[str], Toloka], noun: str, closed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka = make(noun)
    other = toloka.add()
    toloka.fill(other)
    for verb in ("open", "close")[: 1 + closed]:
        operation = getattr(toloka.client, f"{verb}_{noun}")(other)
        toloka.client.ensure_success(toloka.client.wait_operation(operation, timeout=10, poll_interval=0.05))
    toloka.run()
    assert toloka.status(other) == ("CLOSED" if closed else "OPEN")
    assert f"{noun.capitalize()} {other} was created by" in "".join(capsys.readouterr().out.splitlines())


@every_noun
def test_nothing_of_other_runs_and_tasks_is_touched(
    make: Callable[[str], Toloka], noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka = make(noun)
    tags: list[dict[str, Any]] = [{"run_id": "manual__2"}, {"task_id": "make_too"}, {"map_index": 3}, {"dag_id": "x"}]
    others = [toloka.add(**tag) for tag in tags]
    toloka.run()
    assert ARCHIVED not in {toloka.status(each) for each in others}
    assert "was created by" not in capsys.readouterr().out


@every_noun
def test_nothing_is_searched_for_what_another_run_has_created(make: Callable[[str], Toloka], noun: str) -> None:
    toloka = make(noun)
    toloka.own, other = toloka.add(run_id="manual__0"), toloka.add(run_id="manual__0")
    before = len(toloka.server.journal.requests("GET", f"/api/v1/{noun}s"))
    toloka.run()
    assert len(toloka.server.journal.requests("GET", f"/api/v1/{noun}s")) == before
    assert toloka.status(other) != ARCHIVED


@every_noun
def test_what_cannot_be_archived_is_no_success(make: Callable[[str], Toloka], noun: str) -> None:
    toloka = make(noun)
    stray = toloka.add()
    toloka.server.faults.add("POST", f"/api/v1/{noun}s/{stray}/archive", status=403, code="ACCESS_DENIED")
    with pytest.raises(AirflowFailException, match=f"POST /{noun}s/{stray}/archive answered 403"):
        toloka.run()


@every_noun
def test_nor_is_an_archiving_that_fails(make: Callable[[str], Toloka], noun: str) -> None:
    toloka = make(noun)
    toloka.add()
    toloka.server.progressions.set(
        Progression(fail={"code": "INTERNAL_ERROR", "message": "Broken"}), type=f"{noun.upper()}.ARCHIVE"
    )
    with pytest.raises(AirflowException, match="ended as FAIL") as caught:
        toloka.run()
    assert not isinstance(caught.value, AirflowFailException)


def test_a_pool_that_is_left_over_does_not_keep_its_project_from_being_archived(
    make: Callable[[str], Toloka],
) -> None:
    toloka = make("pool")
    toloka.add()
    toloka.run()
    run_task(ArchiveProjectOperator(task_id="archive_project", project_id=toloka.project_id, poll_interval=0.05))
    assert toloka.client.get_project(toloka.project_id).status == ARCHIVED
