"""
What a task does whose supervisor alone was killed: under Celery, the next attempt begins within seconds beside it.

Each task is caught when its next call to Toloka would change something: the answer before that call comes late, or
the call was refused and is to be repeated. Then its supervisor is killed, the next attempt does the work, and the run
ends, before the orphan goes on. Several of them are caught at once, each with a Toloka of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psutil
import pytest

from demo.airflow_api import AirflowApi, wait_until
from fleet.lane import Lane
from tests.support import TOKEN
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer

HELD = 85
"""Seconds for which the orphan is held: longer than the next attempt needs, shorter than a call is repeated (90 s)."""
PATIENCE = 600.0
AT_ONCE = 4
"""With more, the next attempts on two busy cores take longer than an orphan is held."""
ASSIGNMENT = re.compile(r"(?<=/assignments/).+")
API = "/api/v1"
LATE = {"delay": HELD}
REFUSED = {"status": 429, "code": "TOO_MANY_REQUESTS", "retry_after": HELD}
CROWD = CrowdSettings(size=0, accuracy=(1, 1), seconds_per_task=(1, 2), skip_rate=0, expire_rate=0)
Ids = dict[str, str]
Seed = Callable[[EmulatorServer], Ids]


def project(toloka: EmulatorServer) -> Ids:
    return {"project": toloka.load({"projects": [{}]})["projects"][0]}


def pool(toloka: EmulatorServer, **body: Any) -> Ids:
    added = toloka.load({"projects": [{"pools": [{"tasks": 3, **body}]}]})
    return {"project": added["projects"][0], "pool": added["pools"][0]}


def training(toloka: EmulatorServer, **body: Any) -> Ids:
    lesson = {
        "input_values": {"text": "a"},
        "known_solutions": [{"output_values": {"label": "yes"}}],
        "infinite_overlap": True,
    }
    body = {"tasks": [lesson], **body}
    added = toloka.load({"projects": [{"trainings": [body]}]})
    return {"project": added["projects"][0], "training": added["trainings"][0]}


def answered(toloka: EmulatorServer, *, accepted: bool) -> Ids:
    """A pool whose tasks are all answered."""
    toloka.crowd.change(size=5)
    ids = pool(toloka, open=True, auto_accept_solutions=accepted, auto_accept_period_day=7)
    toloka.clock.advance(3600)
    toloka.crowd.change(size=0)
    assert toloka.pool(ids["pool"])["status"] == "CLOSED"
    return ids


def client_of(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


def task(toloka: EmulatorServer) -> Ids:
    """A task of a pool."""
    ids = pool(toloka)
    return {**ids, "task": next(client_of(toloka).list_tasks(ids["pool"])).id}


def person(toloka: EmulatorServer) -> Ids:
    """Somebody whose answer was accepted."""
    ids = answered(toloka, accepted=True)
    answer = next(client_of(toloka).list_assignments(pool_id=ids["pool"]))
    return {**ids, "user": str(answer.raw["user_id"]), "assignment": answer.id}


def person_and_skill(toloka: EmulatorServer) -> Ids:
    return {**person(toloka), "skill": client_of(toloka).create_skill({"name": "Orphan"}).id}


def restricted(toloka: EmulatorServer) -> Ids:
    ids = person(toloka)
    restriction = {"scope": "ALL_PROJECTS", "user_id": ids["user"], "private_comment": "By hand"}
    return {**ids, "restriction": client_of(toloka).set_user_restriction(restriction).id}


@dataclass(frozen=True)
class Case:
    """
    How the task of a DAG is caught, and what may be changed once its supervisor is dead: by the next attempt only.

    :param holds: The method and the path of the call that is answered late, or refused.
        What of them changes something is sent before the supervisor dies; ``create_project_sent`` is the one that takes
        effect, which is the only thing that an orphan can have done.
    """

    name: str
    seed: Seed
    holds: tuple[str, str]
    how: dict[str, Any]
    changes: list[str] = field(default_factory=list)

    @property
    def dag_id(self) -> str:
        return f"orphan_{self.name}"


CASES = [
    # The first two are as they were found: an opening that is to be repeated, and a creation that looks first.
    Case(
        "open_pool",
        pool,
        ("POST", "/pools/{pool}/open"),
        REFUSED,
        ["POST /pools/{pool}/open", "POST /pools/{pool}/close"],
    ),
    Case("create_project", lambda toloka: {}, ("GET", "/projects"), LATE, ["POST /projects"]),
    Case("create_project_sent", lambda toloka: {}, ("POST", "/projects"), LATE),
    Case("create_pool", project, ("GET", "/pools"), LATE, ["POST /pools"]),
    Case("create_training", project, ("GET", "/trainings"), LATE, ["POST /trainings"]),
    Case("clone_pool", pool, ("GET", "/pools"), LATE, ["POST /pools"]),
    Case("clone_training", training, ("GET", "/trainings"), LATE, ["POST /trainings"]),
    # It fetches a closed pool twice, lest an opening that ends between both is overlooked.
    Case("update_pool", pool, ("GET", "/pools/{pool}"), {**LATE, "skip": 1}, ["PUT /pools/{pool}"]),
    Case("upload", partial(pool, tasks=0), ("POST", "/tasks"), REFUSED, ["POST /tasks"]),
    Case(
        "review",
        partial(answered, accepted=False),
        ("GET", "/assignments"),
        LATE,
        ["PATCH /assignments/?"] * 3,
    ),
    Case(
        "aggregate",
        partial(answered, accepted=True),
        ("POST", "/aggregated-solutions/aggregate-by-pool"),
        REFUSED,
        ["POST /aggregated-solutions/aggregate-by-pool"],
    ),
    Case(
        "close_pool", partial(pool, open=True), ("POST", "/pools/{pool}/close"), REFUSED, ["POST /pools/{pool}/close"]
    ),
    Case("archive_pool", pool, ("POST", "/pools/{pool}/archive"), REFUSED, ["POST /pools/{pool}/archive"]),
    Case(
        "open_training",
        training,
        ("POST", "/trainings/{training}/open"),
        REFUSED,
        ["POST /trainings/{training}/open"],
    ),
    Case(
        "close_training",
        partial(training, open=True),
        ("GET", "/trainings/{training}"),
        LATE,
        ["POST /trainings/{training}/close"],
    ),
    Case(
        "archive_training",
        training,
        ("POST", "/trainings/{training}/archive"),
        REFUSED,
        ["POST /trainings/{training}/archive"],
    ),
    Case(
        "archive_project",
        project,
        ("POST", "/projects/{project}/archive"),
        REFUSED,
        ["POST /projects/{project}/archive"],
    ),
    Case("pay_bonuses", person, ("POST", "/user-bonuses"), REFUSED, ["POST /user-bonuses"]),
    Case("create_skill", lambda toloka: {}, ("GET", "/skills"), LATE, ["POST /skills"]),
    Case("set_user_skills", person_and_skill, ("GET", "/user-skills"), LATE, ["PUT /user-skills"]),
    Case("restrict_users", person, ("GET", "/user-restrictions"), LATE, ["PUT /user-restrictions"]),
    Case(
        "lift_restrictions",
        restricted,
        ("GET", "/user-restrictions"),
        LATE,
        ["DELETE /user-restrictions/{restriction}"],
    ),
    Case("update_project", project, ("GET", "/projects/{project}"), LATE, ["PUT /projects/{project}"]),
    Case("change_overlap", task, ("GET", "/tasks/{task}"), LATE, ["PATCH /tasks/{task}"]),
    Case("call", pool, ("PATCH", "/pools/{pool}"), REFUSED, ["PATCH /pools/{pool}"]),
]
BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True)
class Outcome:
    """What became of a run whose supervisor was killed: what was changed from then on, and after its end."""

    state: str
    attempts: int
    ids: Ids
    sent_before: list[str]
    changes: list[str]
    changes_after_end: list[str]


class Orphan:
    """One case, from the run's begin until the orphan has ended."""

    def __init__(self, lane: Lane, case: Case, toloka: EmulatorServer) -> None:
        self.lane, self.case, self.toloka = lane, case, toloka
        self.api = AirflowApi(lane.api.url, interval=1.0)  # each thread has its own
        self.ids = case.seed(toloka)
        self.seeded = toloka.journal.last

    def outcome(self) -> Outcome:
        method, path = self.case.holds
        hold = self.toloka.faults.add(method, API + path.format(**self.ids), times=1, **self.case.how)
        self._connect()
        self.api.wait_for_dag(self.case.dag_id, timeout=PATIENCE)
        until = datetime.now(UTC) + timedelta(seconds=40)
        conf = {**self.ids, "until": until.isoformat(), "folder": f"file://{self.lane.files}/{self.case.name}"}
        run_id = self.api.trigger(self.case.dag_id, conf)
        wait_until(lambda: hold.times == 0, f"the task of {self.case.dag_id} is held", PATIENCE, 0.5)
        [first] = [task for task in self.api.tasks(self.case.dag_id, run_id) if task["task_id"] == "act"]
        orphan = psutil.Process(first["pid"])
        supervisor = orphan.parent()
        assert supervisor is not None
        assert supervisor.parent() in [self.lane.process(name) for name in self.lane.workers]
        sent_before, killed = self._changes(self.seeded), self.toloka.journal.last
        supervisor.kill()
        state = self.api.wait_for_run(self.case.dag_id, run_id, timeout=PATIENCE)
        ended = self.toloka.journal.last
        assert orphan.is_running(), "the orphan has ended before the run did, so it shows nothing"
        orphan.wait(PATIENCE)
        [last] = [task for task in self.api.tasks(self.case.dag_id, run_id) if task["task_id"] == "act"]
        return Outcome(state, last["try_number"], self.ids, sent_before, self._changes(killed), self._changes(ended))

    def _connect(self) -> None:
        connection = {
            "connection_id": self.case.dag_id,
            "conn_type": "toloka",
            "host": self.toloka.url,
            "password": TOKEN,
            "extra": '{"timeout": 300}',
        }
        self.api.call("POST", "/connections", json=connection)

    def _changes(self, after: int) -> list[str]:
        """The calls after an entry of the journal that may change something."""
        entries = self.toloka.journal.after(after, kind="request")
        return [f"{each['method']} {each['path'].removeprefix(API)}" for each in entries if each["method"] != "GET"]


@pytest.fixture(scope="module")
def outcomes(lane: Lane, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Outcome]]]:
    """What becomes of each case of this session; the next begins while one is asserted."""
    chosen = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "name" in item.callspec.params
    ]
    servers = {name: EmulatorServer(seed=1, speed=60, quotas=False, crowd=CROWD).start() for name in chosen}
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            orphans = {name: Orphan(lane, BY_NAME[name], servers[name]) for name in chosen}
            yield {name: threads.submit(orphan.outcome) for name, orphan in orphans.items()}
    finally:
        for server in servers.values():
            server.stop()


@pytest.mark.parametrize("name", list(BY_NAME))
def test_an_orphan_changes_nothing_after_its_run(outcomes: dict[str, Future[Outcome]], name: str) -> None:
    case, outcome = BY_NAME[name], outcomes[name].result()
    assert (outcome.state, outcome.attempts) == ("success", 2)
    assert outcome.changes_after_end == []
    # What the next attempt has sent, and nothing of the orphan's.
    assert [ASSIGNMENT.sub("?", change) for change in outcome.changes] == [
        change.format(**outcome.ids) for change in case.changes
    ]
    # The exception: the call that was on its way when the supervisor died.
    assert outcome.sent_before == ([" ".join(case.holds).format(**outcome.ids)] if case.holds[0] != "GET" else [])
