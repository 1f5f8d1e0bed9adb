"""
Every task finds what it did before, when Airflow runs it from the start again in the same try.

Airflow 3.3 does so if the file of the DAG cannot be read when a deferred task is to resume. The number of the try, by
which a task might know, stays the same, and what it put into XCom is gone.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

import toloka_airflow
import toloka_airflow.operators
from tests.reports import answers
from tests.support import TOKEN, Outcome, TaskInstance, connect, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.waiting import WaitingOperator
from toloka_airflow.wait_sensor import WaitSensor

TRAINING = {
    "private_name": "Training",
    "may_contain_adult_content": False,
    "assignment_max_duration_seconds": 600,
    "mix_tasks_in_creation_order": True,
    "shuffle_tasks_in_task_suite": True,
    "training_tasks_in_task_suite_count": 2,
    "task_suites_required_to_pass": 1,
    "retry_training_after_days": 5,
    "inherited_instructions": True,
}
START = "2027-01-01T00:00:00"
LATER = datetime(2126, 1, 1, tzinfo=UTC)
Connected = Callable[[], AbstractContextManager[EmulatorServer]]


@dataclass
class Place:
    """A local Toloka, and where files can be."""

    toloka: EmulatorServer
    folder: Path
    client: TolokaClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=self.toloka.url))

    def pool(self, *, open: bool = False, **more: Any) -> str:
        return self.toloka.add_pool(4, overlap=2, open=open, **more)

    def answered(self, **more: Any) -> str:
        pool_id = self.pool(open=True, **more)
        self.toloka.clock.advance(7 * 24 * 3600)
        return pool_id

    def training(self, *, open: bool = False) -> str:
        document = {"projects": [{"trainings": [{"tasks": 2, "open": open}]}]}
        [training_id] = self.toloka.load(document)["trainings"]
        return training_id

    def project(self) -> str:
        return self.client.create_project(PROJECT).id

    def skill(self) -> str:
        return self.client.create_skill({"name": "careful"}).id

    def people(self) -> list[str]:
        return self.toloka.crowd.user_ids[:4]

    def restricted(self) -> list[str]:
        """Restrict people as somebody else, and return who they are."""
        for user_id in self.people():
            self.client.set_user_restriction({"scope": "ALL_PROJECTS", "user_id": user_id})
        return self.people()

    def tasks(self, pool_id: str) -> list[str]:
        return [task.id for task in self.client.list_tasks(pool_id)]

    def opening(self) -> str:
        operation = self.client.open_pool(self.pool())
        assert operation is not None
        return operation.id


def of(**arguments: Callable[[Place], Any]) -> Callable[[Place], dict[str, Any]]:
    """Return what makes the arguments of a task in a place."""
    return lambda place: {name: make(place) for name, make in arguments.items()}


def const(value: Any) -> Callable[[Place], Any]:
    return lambda place: value


def a_file(name: str) -> Callable[[Place], str]:
    return lambda place: str(place.folder / name)


OF_WINDOW = {f"{name}_task_id": const(name) for name in ("check", "open", "wait")} | {
    "toloka_conn_id": const("toloka_default")
}
OF_TEARDOWN = {"closes_at": const(LATER), "grace": const(timedelta(minutes=15)), **OF_WINDOW}
OF_LABELLING = {
    "pool_id": Place.answered,
    "fields": const(["label"]),
    "folder": a_file("rounds"),
    "target": const(1),
    "sure_at": const(1),
    "max_overlap": const(5),
    "method": const("dawid_skene_map"),
    "fee": const(0.3),
    "assess_task_ids": const(["group.round_1.assess"]),
    "group_id": const("group"),
    "toloka_conn_id": const("toloka_default"),
}
OF_ANSWERS = {"answers": const(answers(20)), "fields": const(["animal"])}
TASKS = [{"input_values": {"text": f"text {number}"}} for number in range(6)]
CASES: dict[str, Callable[[Place], dict[str, Any]]] = {
    "CreateProjectOperator": of(config=const(PROJECT)),
    "UpdateProjectOperator": of(project_id=Place.project, config=const({**PROJECT, "public_name": "Better"})),
    "CreateSkillOperator": of(name=const("careful")),
    "SetUserSkillsOperator": of(
        skill_id=Place.skill, values=lambda place: dict.fromkeys(place.people(), 70), in_flight=const(1)
    ),
    "RestrictUsersOperator": of(
        users=Place.people, scope=const("ALL_PROJECTS"), expires_in=const(timedelta(days=1)), in_flight=const(1)
    ),
    "LiftRestrictionsOperator": of(users=Place.restricted, restricted_by=const("anybody"), in_flight=const(1)),
    "ChangeOverlapOperator": lambda place: {
        "pool_id": (pool_id := place.answered()),
        "tasks": place.tasks(pool_id),
        "overlap": 3,
        "open_pool": True,
        "in_flight": 1,
    },
    "ArchiveProjectOperator": of(project_id=Place.project),
    "CreatePoolOperator": of(config=const(POOL), project_id=Place.project),
    "CreateTrainingOperator": of(config=const(TRAINING), project_id=Place.project),
    "ClonePoolOperator": of(pool_id=Place.pool),
    "CloneTrainingOperator": of(training_id=Place.training),
    "UpdatePoolOperator": of(pool_id=lambda place: place.pool(open=True), changes=const({"reward_per_assignment": 1})),
    "CreateTasksOperator": of(
        pool_id=Place.pool, tasks=const(TASKS), chunk_size=const(2), ids_path=a_file("ids.jsonl")
    ),
    "PayBonusesOperator": of(
        bonuses=lambda place: [{"user_id": user_id, "amount": "0.5"} for user_id in place.toloka.crowd.user_ids[:3]],
        max_total=const(5),
    ),
    "EstimateOperator": of(pool_id=Place.pool),
    "OpenPoolOperator": of(pool_id=Place.pool, will_expire=const(LATER)),
    "ClosePoolOperator": of(pool_id=lambda place: place.pool(open=True)),
    "ArchivePoolOperator": of(pool_id=Place.pool),
    "OpenTrainingOperator": of(training_id=Place.training),
    "CloseTrainingOperator": of(training_id=lambda place: place.training(open=True)),
    "ArchiveTrainingOperator": of(training_id=Place.training),
    "ReviewAssignmentsOperator": of(
        pool_id=lambda place: place.answered(auto_accept_solutions=False),
        decide=const(lambda answer: {"status": "ACCEPTED", "public_comment": "Thank you"}),
    ),
    "GetAssignmentsOperator": of(pool_id=Place.answered, path=a_file("answers.jsonl")),
    "DownloadAttachmentsOperator": of(pool_id=Place.answered, folder=a_file("files")),
    "AggregateSolutionsOperator": of(pool_id=Place.answered, fields=const(["label"]), path=a_file("labels.jsonl")),
    "QualityReportOperator": of(
        pool_id=Place.answered, answers=const(answers(2)), path=a_file("report.html"), fields=const(["animal"])
    ),
    "AggregateAnswersOperator": of(path=a_file("labels.jsonl"), **OF_ANSWERS),
    "MeasureQualityOperator": of(path=a_file("quality.json"), **OF_ANSWERS),
    "QualityGateOperator": of(min_tasks=const(1), **OF_ANSWERS),
    "AssessRoundOperator": of(
        round=const(1),
        max_total=const(100),
        closes_at=const(LATER),
        timeout=const(timedelta(days=36_500)),
        min_open=const(timedelta(minutes=5)),
        result_task_id=const(None),
        **OF_LABELLING,
    ),
    "LabelsOperator": of(result_task_ids=const(["group.round_1.result"]), **OF_LABELLING),
    "CheckWindowOperator": of(
        pool_id=Place.pool,
        closes_at=const(LATER),
        min_open=const(timedelta(minutes=5)),
        grace=const(timedelta(minutes=15)),
        measure_spending=const(True),
        toloka_conn_id=const("toloka_default"),
    ),
    "OpenWindowPoolOperator": of(
        pool_id=Place.pool,
        min_open=const(timedelta(minutes=5)),
        will_expire=const(LATER),
        check_task_id=const("check"),
    ),
    "WindowResultOperator": of(pool_id=Place.answered, **OF_WINDOW),
    "CloseWindowPoolOperator": of(pool_id=lambda place: place.pool(open=True), **OF_TEARDOWN),
    "CloseWindowTrainingOperator": of(training_id=lambda place: place.training(open=True), **OF_TEARDOWN),
    "TolokaCallOperator": of(method=const("GET"), path=lambda place: f"/pools/{place.pool()}"),
    "OperationSensor": of(operation_id=Place.opening),
    "PoolSensor": of(pool_id=lambda place: place.pool(open=True), until=const(datetime.now(UTC))),
}


def operators() -> dict[str, type[BaseOperator]]:
    """Return all classes of tasks that a DAG may have."""
    names = [module.name for module in iter_modules(toloka_airflow.operators.__path__, "toloka_airflow.operators.")]
    modules = [import_module(name) for name in [*names, "toloka_airflow.sensors"]]
    return {
        name: found
        for module in modules
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, BaseOperator) and found.__module__ == module.__name__ and is_whole(found)
    }


def is_whole(found: type[BaseOperator]) -> bool:
    return not inspect.isabstract(found) and found.execute is not BaseOperator.execute


def test_no_task_is_left_out() -> None:
    # EndLabellingOperator only reads the states of other tasks, which Airflow keeps.
    assert {*CASES, "EndLabellingOperator"} == set(operators())


class Lost(BaseException):
    """A task waits, and does not resume."""


DECISION = {"round": 1, "tasks": 4, "sure": 0, "share": 0.0, "answers_path": "", "paid": 0.0, "paid_before": 0.0} | {
    "stopped_by": None,
    "why": None,
}


class Instance(TaskInstance):
    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        """Return what the tasks of a window left, which their result is put together from."""
        if key == "already":
            return self.xcoms.get(key)
        if key == "decision":
            return DECISION
        left = {"spent": 0.0, "committed": 0.0, "began_at": f"{START}+00:00", "over_at": LATER.isoformat()}
        return left.get(
            key, {"stopped_by": "closed", "close_reason": "COMPLETED", "progress": {"spent": 0.5, "committed": 0.0}}
        )


def effects(place: Place) -> Counter[str]:
    """Return the calls that have changed something, and what happened; measurements change nothing."""
    calls = Counter(
        f"{entry['method']} {re.sub('[0-9a-f-]{6,}', '{id}', entry['path'])}"
        for entry in place.toloka.journal.requests()
        if entry["method"] != "GET" and entry["status"] in (200, 201, 202) and "analytics" not in entry["path"]
    )
    events = (entry["event"] for entry in place.toloka.journal.events())
    return calls + Counter(event for event in events if not event.startswith("operation."))


def run(name: str, folder: Path, connected: Connected, lost_at: int | None) -> tuple[Counter[str], str, int]:
    """
    Run a task in a Toloka of its own, and return its effects, how it ended, and how often it was deferred.

    :param lost_at: The number of the wait after which it is run from the start, by another process; the end of the task
        if it waits less often.
    """
    waits = 0

    def triggerer(waiting: Any) -> Any:
        nonlocal waits
        waits += 1
        if waits - 1 == lost_at:
            waiting.close()
            raise Lost
        return asyncio.run(waiting)

    with connected() as toloka:
        toloka.progressions.set(Progression(looks=2))
        place = Place(toloka, folder)
        task_type, arguments = operators()[name], CASES[name](place)
        interval = "poke_interval" if issubclass(task_type, WaitSensor) else "poll_interval"
        how = {interval: 0.01, "deferrable": True} if issubclass(task_type, WaitSensor | WaitingOperator) else {}

        def begin() -> Outcome:
            return run_task(task_type(task_id="task", **how, **arguments), Instance(), triggerer=triggerer)

        try:
            outcome = begin()
            if lost_at is not None:
                outcome = begin()
        except Lost:
            outcome = begin()
        for said in (outcome.result, outcome.xcoms):
            if isinstance(said, dict):
                for counted in ("already", "lifted"):  # by which tasks say what they found
                    said.pop(counted, None)
        outcome.xcoms.pop("began_at", None)  # when that was, to the microsecond
        outcome.xcoms.pop("toloka_link", None)  # a decision that is repeated does not ask for the pool
        ended = json.dumps([outcome.result, outcome.xcoms], sort_keys=True)
        return effects(place), ended.replace(toloka.url, "").replace(str(folder), ""), waits


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Connected:
    """What makes a new Toloka, always the same, and has Airflow know it."""

    @contextmanager
    def make() -> Iterator[EmulatorServer]:
        with EmulatorServer(seed=1, frozen=True, start=START) as toloka:
            connect(monkeypatch, toloka.url)
            yield toloka

    return make


@pytest.mark.parametrize("name", CASES)
def test_it_is_done_once(name: str, connected: Connected, tmp_path: Path) -> None:
    undisturbed, ended, waits = run(name, tmp_path / "undisturbed", connected, None)
    for lost_at in range(max(1, waits)):
        again, ended_again, _ = run(name, tmp_path / str(lost_at), connected, lost_at)
        assert again == undisturbed
        assert ended_again == ended


@pytest.mark.parametrize("name", [name for name, found in operators().items() if issubclass(found, WaitingOperator)])
def test_what_can_wait_does(name: str, connected: Connected, tmp_path: Path) -> None:
    """Lest the other test be about nothing."""
    assert run(name, tmp_path, connected, None)[2] > 0
