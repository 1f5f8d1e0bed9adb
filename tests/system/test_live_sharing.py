"""Hundreds of deferred sensors on three connections, in a real Airflow, while triggerers are killed and Toloka errs."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import airflow as airflow_package
import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import insist
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

ROOT = Path(__file__).resolve().parents[2]
IS_3_3 = tuple(map(int, airflow_package.__version__.split(".")[:2])) >= (3, 3)
# How many operations each account has, and in how many seconds the last of them ends. Two triggerers are to share the
# work, for which a third of the waits is enough. Before 3.3 nothing is shared: there each wait has only to end right.
MANY, FEW = (97, 130), (31, 60)
POOLS = 3
INTERVAL = 5
FIRST_END = 10
OUTAGE = 30
LAST_DEFERRED = "state=deferred&order_by=-start_date&limit=100"
SINGLE = ("/operations/{id}", "/pools/{id}")
WRONG = (400, 401, 403, 404, 500, 503)
FAILURE = {"code": "OPERATION_EXECUTION_ERROR", "message": "It was told to fail"}
PATIENCE = 1200

pytestmark = pytest.mark.live


class Account:
    """A Toloka of its own, where operations and pools end at known moments, as soon as time runs."""

    def __init__(self, conn_id: str, toloka: EmulatorServer) -> None:
        self.conn_id, self.toloka = conn_id, toloka
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))

    def prepare(self, random: Random, operations: int, last_end: float) -> None:
        """Start operations, each fifth of which is to fail, and open pools that expire."""
        self.toloka.clock.freeze()
        self.operations = [
            self._operation(random.uniform(FIRST_END, last_end), is_to_fail=number % 5 == 4)
            for number in range(operations)
        ]
        self.pools = [self._pool(random.uniform(FIRST_END, last_end)) for _ in range(POOLS)]

    def _operation(self, seconds: float, *, is_to_fail: bool) -> str:
        pool_id = self.toloka.add_pool()
        self.toloka.progressions.set(Progression(seconds, fail=FAILURE if is_to_fail else None), pool_id=pool_id)
        operation = self.client.open_pool(pool_id)
        assert operation is not None
        return operation.id

    def _pool(self, seconds: float) -> str:
        expires = datetime.fromisoformat(self.toloka.clock.view()["now"]) + timedelta(seconds=seconds)
        return self.toloka.add_pool(open=True, will_expire=expires.isoformat(timespec="milliseconds"))

    def let_time_run(self) -> None:
        """Let time run, and remember by how much it differs from the real one."""
        self.before = self.toloka.journal.last
        self.began_at = time.time()
        self.toloka.clock.unfreeze()
        self.lag = time.time() - unix_time(self.toloka.clock.view()["now"])

    def ends(self) -> dict[str, tuple[float, str]]:
        """Return at which Unix time, and how, each operation and each pool ended."""
        events = self.toloka.journal.after(self.before, kind="event")
        ends = {each["operation_id"]: each for each in events if each["event"] == "operation.finished"}
        ends |= {each["pool_id"]: {**each, "status": "SUCCESS"} for each in events if each["event"] == "pool.closed"}
        return {key: (unix_time(end["at"]) + self.lag, end["status"]) for key, end in ends.items()}

    def last_end(self) -> float:
        return max(at for at, _ in self.ends().values())

    def looks_by_id(self) -> float:
        """Return how often the waits for operations would have looked by themselves."""
        ends = self.ends()
        return sum(ends[key][0] - self.began_at for key in self.operations) / INTERVAL

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Return the looks at something since time runs."""
        return self.toloka.journal.after(self.before, kind="request", method="GET", path=f"/api/v1{path}")


def unix_time(date: str) -> float:
    return datetime.fromisoformat(f"{date}+00:00").timestamp()


class Note(NamedTuple):
    """What a worker wrote down about a sensor."""

    run_id: str
    task_id: str
    map_index: int
    try_number: int
    what: str
    at: float
    error: str | None


class Waits:
    """A run of the DAG whose sensors wait for everything that accounts prepared."""

    def __init__(self, airflow: LocalAirflow, accounts: list[Account], notes: Path) -> None:
        self.airflow, self.api, self.file = airflow, airflow.api, notes
        operations = [(each.conn_id, key) for each in accounts for key in each.operations]
        pools = [(each.conn_id, key) for each in accounts for key in each.pools]
        self.subjects = {("operation", number): key for number, (_, key) in enumerate(operations)}
        self.subjects |= {("pool", number): key for number, (_, key) in enumerate(pools)}
        conf = {
            "operations": [{"toloka_conn_id": conn_id, "operation_id": key} for conn_id, key in operations],
            "pools": [{"toloka_conn_id": conn_id, "pool_id": key} for conn_id, key in pools],
        }
        self.run_id = insist(partial(self.api.trigger, "sharing", conf))

    def are_deferred(self) -> bool:
        """Return whether all sensors are deferred, and the scheduler knows that their workers are done."""
        # A race of Airflow's own: a task that goes on before that is taken for one that was lost.
        lines = (self.airflow.home / "processes" / "scheduler.log").read_text().splitlines()
        known = [line for line in lines if "Received executor event with state success" in line and self.run_id in line]
        return len(known) >= len(self.subjects) + 2 and self._deferred()["total_entries"] == len(self.subjects)

    def triggerers(self) -> set[int]:
        """Return who waits for the last hundred sensors."""
        return {task["triggerer_job"]["id"] for task in self._deferred()["task_instances"] if task["triggerer_job"]}

    def _deferred(self) -> Any:
        return self.api.call("GET", f"/dags/sharing/dagRuns/{self.run_id}/taskInstances?{LAST_DEFERRED}")

    def notes(self) -> dict[tuple[str, int], list[Note]]:
        """Return what happened to each sensor, in its order."""
        notes: dict[tuple[str, int], list[Note]] = defaultdict(list)
        for note in (Note(*json.loads(line)) for line in self.file.read_text().splitlines()):
            if note.run_id == self.run_id:
                notes[note.task_id, note.map_index].append(note)
        return notes


@pytest.fixture(scope="module")
def accounts() -> Iterator[list[Account]]:
    with ExitStack() as stack:
        tolokas = [stack.enter_context(EmulatorServer(seed=seed, crowd=CrowdSettings(size=0))) for seed in (1, 2, 3)]
        yield [Account(f"toloka_{number}", toloka) for number, toloka in enumerate(tolokas, 1)]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes") / "notes.jsonl"


@pytest.fixture(scope="module")
def airflow(accounts: list[Account], notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    # Most of the time a worker waits for the rest of Airflow: the usual four would leave the processors idle.
    env = {"PYTHONPATH": str(ROOT), "TOLOKA_TEST_NOTES": str(notes), "AIRFLOW__CORE__PARALLELISM": "12"}
    for each in accounts:
        connection = {"conn_type": "toloka", "host": each.toloka.url, "password": TOKEN}
        env[f"AIRFLOW_CONN_{each.conn_id.upper()}"] = json.dumps(connection)
    with LocalAirflow(tmp_path_factory.mktemp("live"), ROOT / "tests" / "system" / "dags", env=env) as local:
        local.start()
        local.api.interval = 2.0
        local.api.wait_for_dag("sharing")
        yield local


@pytest.mark.parametrize(
    ("triggerers", "size"),
    [(["triggerer"], MANY if IS_3_3 else FEW), (["triggerer", "triggerer.2"], FEW)],
    ids=["one", "two"],
)
def test_every_wait_ends_once_and_right(
    airflow: LocalAirflow, accounts: list[Account], notes: Path, triggerers: list[str], size: tuple[int, float]
) -> None:
    for number, account in enumerate(accounts):
        account.prepare(Random(number), *size)
    for name in triggerers[1:]:
        airflow.start(name)
    waits = Waits(airflow, accounts, notes)
    wait_until(waits.are_deferred, "all sensors are deferred", PATIENCE, 2)
    assert len(waits.triggerers()) == len(triggerers)

    unlucky = accounts[:2]
    with wrong_answers(accounts):
        for account in accounts:
            account.let_time_run()
        have_ended(accounts, 0.15)
        restart(airflow, triggerers[0])
        have_ended(accounts, 0.3)
        lists_fail(unlucky)
        have_ended(accounts, 0.65)
        restart(airflow, triggerers[-1])
        assert airflow.api.wait_for_run("sharing", waits.run_id, PATIENCE) == "success"

    have_ended_right(waits, accounts)
    wrong = [each for account in accounts for path in SINGLE for each in account.asked(path) if "fault" in each]
    assert wrong
    if IS_3_3:
        for account in accounts:
            are_shared(account, len(triggerers), OUTAGE if account in unlucky else 0)
    else:
        for account in accounts:
            are_by_id(account)


def have_ended_right(waits: Waits, accounts: list[Account]) -> None:
    """Check that each sensor was submitted, resumed after its subject had ended, and ended in the same way, once."""
    ends = {key: end for account in accounts for key, end in account.ends().items()}
    happened = waits.notes()
    for sensor, key in waits.subjects.items():
        ended_at, status = ends[key]
        submitted, resumed, end = happened[sensor]  # and nothing else
        assert (submitted.what, resumed.what) == ("worker", "worker")
        assert submitted.try_number == resumed.try_number == end.try_number == 1
        assert resumed.at > ended_at
        assert end.what == ("success" if status == "SUCCESS" else "failed")
        if status == "FAIL":
            assert key in str(end.error)
            assert FAILURE["message"] in str(end.error)
    succeeded = [key for key in waits.subjects.values() if ends[key][1] == "SUCCESS"]
    assert waits.api.xcom("sharing", waits.run_id, "results") == succeeded


def are_shared(account: Account, triggerers: int, outage: float) -> None:
    """
    Check that an account was asked for a few lists at each interval, and by id hardly ever while these answered.

    That each wait looked once at each interval would have been about fifteen times its number.
    """
    rounds = triggerers * ((account.last_end() - account.began_at) / INTERVAL + 1)
    lists, looks = len(account.asked("/operations")), len(account.asked("/operations/{id}"))
    # What ended lately; what is pending and what is running.
    assert lists <= 3 * rounds
    assert looks <= len(account.operations) * (1 + outage / INTERVAL)
    assert len(account.asked("/pools")) <= 2 * rounds
    assert len(account.asked("/pools/{id}")) <= len(account.pools) * (8 + outage / INTERVAL)


def are_by_id(account: Account) -> None:
    """Check that each wait looked once at each interval, and once more whenever a triggerer began."""
    looks = len(account.asked("/operations/{id}"))
    assert looks <= account.looks_by_id() + 4 * len(account.operations)


def have_ended(accounts: list[Account], share: float) -> None:
    def have() -> bool:
        return all(len(each.ends()) >= share * len(each.operations) for each in accounts)

    wait_until(have, f"{share:.0%} of all has ended", PATIENCE, 0.5)


def restart(airflow: LocalAirflow, name: str) -> None:
    airflow.kill(name)
    airflow.start(name)


@contextmanager
def wrong_answers(accounts: list[Account], share: float = 0.01) -> Iterator[None]:
    """Have the first look at a single thing, and a share of the others, answered with any status."""
    for each in accounts:
        for path in SINGLE:
            each.toloka.faults.add("GET", f"/api/v1{path}", status=WRONG[0], times=1)
    faults = [
        (each.toloka, each.toloka.faults.add("GET", f"/api/v1{path}", status=status, probability=share / len(WRONG)))
        for each in accounts
        for path in SINGLE
        for status in WRONG
    ]
    yield
    for toloka, fault in faults:
        toloka.faults.remove(fault)


def lists_fail(accounts: list[Account]) -> None:
    """Return after a while in which all lists have failed."""
    until = time.monotonic() + OUTAGE
    faults = [
        (each.toloka, each.toloka.faults.add("GET", path, status=500, probability=1))
        for each in accounts
        for path in ("/api/v1/operations", "/api/v1/pools")
    ]
    wait_until(lambda: time.monotonic() > until, "lists have failed for long enough", 2 * OUTAGE)
    for toloka, fault in faults:
        toloka.faults.remove(fault)
