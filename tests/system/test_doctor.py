"""`airflow-toloka doctor` beside a real Airflow with prepared faults, each of which it has to find."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.support import TOKEN
from tests.system.disturbed import MANY, PATIENCE, insist
from tests.worlds import PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "toloka_airflow.cli", "doctor"]
CHECKS = {
    "metadata-database",
    "versions",
    "plugin",
    "provider",
    "default-deferrable",
    "celery",
    "scheduler",
    "dag-processor",
    "triggerer",
    "triggerer-capacity",
    "triggerer-queues",
    "unassigned-waits",
    "overdue-waits",
    "paused-dags",
    "shared-streams",
    "import-errors",
    "connection",
    "balance",
    "quota",
    "clock",
    "open-pools",
    "pool-expiry",
    "open-trainings",
}
ADVANCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Report:
    """What the command said, and how it ended."""

    code: int
    checks: list[dict[str, Any]]

    def has(self, status: str, check: str, message: str, remedy: str, conn_id: str | None = None) -> bool:
        """Return whether one line has it all."""
        return any(
            (line["status"], line["check"]) == (status, check)
            and (conn_id is None or line["conn_id"] == conn_id)
            and message in line["message"]
            and remedy in (line["remedy"] or "")
            for line in self.checks
        )

    def lines(self, check: str) -> list[dict[str, Any]]:
        return [line for line in self.checks if line["check"] == check]


def run(airflow: LocalAirflow, *options: str, env: dict[str, str] | None = None) -> Report:
    """Run the command as an operator of the deployment would, and make sure that it shows no token."""
    done = subprocess.run(
        [*COMMAND, "--json", *options],
        env={**airflow.env, **(env or {})},
        cwd=airflow.home,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    return Report(done.returncode, report["checks"])


def as_connection(toloka: EmulatorServer, **fields: Any) -> str:
    return json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN, **fields})


def will_expire(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).replace(tzinfo=None).isoformat(timespec="seconds")


@pytest.fixture(scope="module")
def toloka() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)  # nobody completes a pool, which would close it
        yield server


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, toloka: EmulatorServer) -> Iterator[LocalAirflow]:
    """An Airflow that notices within seconds what does not live any more."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "doctor.py", folder / "dags")
    env = {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_CONN_TOLOKA_DEFAULT": as_connection(toloka),
        "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
        "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
        "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD": "10",
    }
    with LocalAirflow(folder / "home", folder / "dags", env=env) as local:
        local.start()
        for dag_id in ("left_open", "training_left_open", "waited_for", "waited_for_briefly"):
            local.api.wait_for_dag(dag_id)
        yield local


@pytest.fixture(autouse=True)
def _whole(airflow: LocalAirflow) -> Iterator[None]:
    """Start again what a test has stopped."""
    yield
    airflow.restore()


def defer(airflow: LocalAirflow, dag_id: str, pool_id: str) -> str:
    """Start a run, and return when its task is deferred."""
    run_id: str = insist(partial(airflow.api.trigger, dag_id, {"pool_id": pool_id}))
    airflow.api.wait_for_task(dag_id, run_id, "wait", "deferred", timeout=PATIENCE)
    return run_id


def until(airflow: LocalAirflow, *found: tuple[str, str], env: dict[str, str] | None = None) -> Report:
    """Return what the command says as soon as lines have the statuses."""
    reports: list[Report] = []

    def is_found() -> bool:
        reports.append(run(airflow, env=env))
        return all(reports[-1].has(status, check, "", "") for status, check in found)

    wait_until(is_found, f"{found} is found", PATIENCE, 1)
    return reports[-1]


def test_a_healthy_deployment(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(open=True, will_expire=will_expire(2))
    defer(airflow, "waited_for", pool_id)
    before = toloka.journal.last
    report = run(airflow)
    assert [line for line in report.checks if line["status"] != "ok"] == []
    assert {line["check"] for line in report.checks} == CHECKS
    assert report.code == 0
    assert report.has("ok", "open-pools", "1 open, each needed by a run under way", "")
    assert report.has("ok", "triggerer-capacity", "1 of 1000 is in use", "")
    sent = toloka.journal.after(before, kind="request")
    assert {entry["method"] for entry in sent} == {"GET"}
    written = subprocess.run([*COMMAND, "--strict"], env=airflow.env, text=True, capture_output=True, check=False)
    assert written.returncode == 0, written.stdout
    assert written.stdout.splitlines()[-1] == f"{len(report.checks)} ok"


@pytest.fixture(scope="module")
def of_connections(airflow: LocalAirflow, toloka: EmulatorServer) -> Iterator[Report]:
    """What is said of connections with one fault each, tried at once beside one that is well."""
    late = (datetime.now(UTC) - ADVANCE).replace(tzinfo=None).isoformat(timespec="seconds")
    with (
        EmulatorServer(seed=2, start=late) as behind,
        EmulatorServer(seed=3, balance=3) as poor,
        EmulatorServer(seed=4, balance=0) as broke,
        EmulatorServer(seed=5) as spent,
        EmulatorServer(seed=6) as changed,
        EmulatorServer(seed=7) as slow,
    ):
        changed.accept_tokens("another-token")
        payload = {"interval": "DAY"}
        spent.faults.add("GET", "/api/v1/requester", status=429, payload=payload, times=MANY)
        slow.faults.add("GET", "/api/v1/requester", delay=60)
        connections = {
            "well": as_connection(toloka),
            "clock": as_connection(behind),
            "poor": as_connection(poor),
            "broke": as_connection(broke),
            "quota": as_connection(spent),
            "wrong_token": as_connection(changed),
            "no_token": as_connection(toloka, password=""),
            "refused": json.dumps({"conn_type": "toloka", "host": "http://127.0.0.1:1", "password": TOKEN}),
            "nameless": json.dumps({"conn_type": "toloka", "host": "https://toloka.invalid", "password": TOKEN}),
            "http": json.dumps({"conn_type": "toloka", "host": "http://toloka.lan", "password": TOKEN}),
            "slow": as_connection(slow),
            "misspelt": as_connection(toloka, extra={"enviroment": "production"}),
            "wrong_type": as_connection(toloka, conn_type="http"),
            "unreadable": f"toloka://:{TOKEN}@[::1",
        }
        env = {f"AIRFLOW_CONN_{name.upper()}": value for name, value in connections.items()}
        options = [part for name in [*connections, "nowhere"] for part in ("--conn-id", name)]
        yield run(airflow, "--timeout", "12", *options, env=env)
        slow.faults.clear()


class TestConnections:
    @pytest.mark.parametrize(
        ("conn_id", "status", "check", "message", "remedy"),
        [
            ("nowhere", "fail", "connection", "no connection 'nowhere'", "airflow connections add nowhere"),
            ("wrong_token", "fail", "connection", "answered 401", "Copy the token again"),
            ("no_token", "fail", "connection", "token is empty", "Edit this field"),
            ("refused", "fail", "connection", "Connection refused", "Nothing listens at that address"),
            ("nameless", "fail", "connection", "toloka.invalid", "cannot be resolved"),
            ("http", "fail", "connection", "unencrypted; use https://", "Edit this field"),
            ("slow", "fail", "connection", "no complete answer in", "firewall and proxy"),
            ("misspelt", "fail", "connection", "unknown fields: enviroment", "Edit this field"),
            ("unreadable", "fail", "connection", "cannot read the connection", "AIRFLOW_CONN_UNREADABLE"),
            ("wrong_type", "warn", "connection-type", "'http'", "Make it `toloka`"),
            ("clock", "fail", "clock", "s ahead of that of Toloka", "NTP"),
            ("poor", "warn", "balance", "which is less than 10", "Top up"),
            ("broke", "fail", "balance", "The balance is 0", "Top up"),
            ("quota", "fail", "quota", "it returns by", "Wait until it returns"),
            ("quota", "unknown", "connection", "Whether the token is accepted is not known", ""),
        ],
    )
    def test_is_found(
        self, of_connections: Report, conn_id: str, status: str, check: str, message: str, remedy: str
    ) -> None:
        assert of_connections.has(status, check, message, remedy, conn_id), of_connections.checks

    def test_the_clocks_are_measured(self, of_connections: Report) -> None:
        [line] = [line for line in of_connections.lines("clock") if line["conn_id"] == "clock"]
        [seconds] = re.findall(r"(\d+) s ahead", line["message"])
        assert abs(int(seconds) - ADVANCE.total_seconds()) <= 60

    def test_the_others_go_on(self, of_connections: Report) -> None:
        assert of_connections.code == 1
        well = [line for line in of_connections.checks if line["conn_id"] == "well"]
        assert {line["check"] for line in well} == {
            "connection", "balance", "quota", "clock", "open-pools", "pool-expiry", "open-trainings",
        }  # fmt: skip
        assert {line["status"] for line in well} == {"ok"}


@pytest.fixture(scope="module")
def pools(airflow: LocalAirflow, toloka: EmulatorServer) -> Iterator[dict[str, str]]:
    """Pools and trainings that nobody waits for, or that nothing ends, and some that are well."""
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    soon = {"will_expire": will_expire(2)}
    tag, other = ({"airflow_task": [f"{name}/left_open/manual__of_old/open/-1"]} for name in ("", "staging"))
    pools = {
        "left": toloka.add_pool(**soon),
        "by_hand": toloka.add_pool(open=True, **soon),
        "deleted_run": toloka.add_pool(open=True, metadata=tag, **soon),
        "other_airflow": toloka.add_pool(open=True, metadata=other, **soon),
        "far": toloka.add_pool(open=True, will_expire=will_expire(300)),
        "endless": toloka.add_pool(open=True, **soon),
        "over": toloka.add_pool(open=True, **soon),
        "waited_for": toloka.add_pool(open=True, **soon),
        "opened_again": toloka.add_pool(**soon),
    }
    trainings = {name: new_training(client) for name in ("training_left", "training_by_hand")}
    client.open_training(trainings["training_by_hand"])
    with toloka.world.lock:
        del toloka.world.pools[pools["endless"]].body["will_expire"]
        toloka.world.pools[pools["over"]].body["will_expire"] = will_expire(-1)
    for dag_id, pool_id in {"left_open": pools["left"], "training_left_open": trainings["training_left"]}.items():
        airflow.api.wait_for_run(dag_id, insist(partial(airflow.api.trigger, dag_id, {"pool_id": pool_id})))
    defer(airflow, "waited_for", pools["waited_for"])
    yield pools | trainings
    for pool_id in pools.values():
        client.close_pool(pool_id)
    for training_id in trainings.values():
        client.close_training(training_id)


@pytest.fixture(scope="module")
def of_pools(airflow: LocalAirflow, pools: dict[str, str]) -> Report:
    return run(airflow)


class TestPools:
    @pytest.mark.parametrize(
        ("name", "status", "check", "message", "remedy"),
        [
            ("left", "fail", "open-pools", "which named it, ended as success", "ClosePoolOperator(pool_id="),
            ("by_hand", "warn", "open-pools", "opened by hand or by another program", "If nobody needs it, close it"),
            ("deleted_run", "warn", "open-pools", "manual__of_old created it, which this", "If nobody needs it"),
            ("training_left", "fail", "open-trainings", "ended as success", "CloseTrainingOperator(training_id="),
            ("training_by_hand", "warn", "open-trainings", "opened by hand", "If nobody needs it, close it"),
            ("far", "warn", "pool-expiry", "expires only in 299 days", "expires_in"),
            ("endless", "warn", "pool-expiry", "is open without an expiry", "expires_in"),
            ("over", "fail", "pool-expiry", "although it expired", "Close it at"),
        ],
    )
    def test_is_found(
        self, of_pools: Report, pools: dict[str, str], name: str, status: str, check: str, message: str, remedy: str
    ) -> None:
        of_pool = [line for line in of_pools.lines(check) if pools[name] in line["message"]]
        assert [line["status"] for line in of_pool] == [status], of_pools.checks
        assert message in of_pool[0]["message"]
        assert remedy in of_pool[0]["remedy"]
        assert pools[name] in of_pool[0]["remedy"] or check == "pool-expiry"

    @pytest.mark.parametrize("name", ["waited_for", "other_airflow"])
    def test_is_no_orphan(self, of_pools: Report, pools: dict[str, str], name: str) -> None:
        assert not any(pools[name] in line["message"] for line in of_pools.checks)

    def test_what_was_opened_again_after_its_run_is_not_certain(
        self, airflow: LocalAirflow, toloka: EmulatorServer, pools: dict[str, str]
    ) -> None:
        run_id = insist(partial(airflow.api.trigger, "left_open", {"pool_id": pools["opened_again"]}))
        airflow.api.wait_for_run("left_open", run_id)
        with toloka.world.lock:
            toloka.world.pools[pools["opened_again"]].last_started += 3_600_000
        report = run(airflow)
        assert report.has("warn", "open-pools", "but it was opened again", "If nobody needs it"), report.checks


def new_training(client: TolokaClient) -> str:
    """Create a training that can be opened."""
    training = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 1}
    training_id = client.create_training({**training, "project_id": client.create_project(PROJECT).id}).id
    task = {"pool_id": training_id, "input_values": {"text": "Is it?"}, "infinite_overlap": True}
    known = {"known_solutions": [{"output_values": {"answer": "yes"}}], "message_on_unknown_solution": "It is."}
    client.call("POST", "/tasks", json={**task, **known})
    return training_id


def test_what_does_not_live(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    """Nobody runs a wait, whose deadline passes; then neither scheduler nor DAG processor live either."""
    airflow.kill("triggerer")
    pool_id = toloka.add_pool(open=True, will_expire=will_expire(2))
    defer(airflow, "waited_for_briefly", pool_id)
    TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).close_pool(pool_id)
    with toloka.world.lock:
        toloka.world.pools[pool_id].body["will_expire"] = will_expire(-1)
    airflow.kill("scheduler")
    airflow.kill("dag-processor")
    wanted = ("triggerer", "scheduler", "dag-processor", "overdue-waits", "unassigned-waits")
    report = until(airflow, *(("fail", check) for check in wanted))
    assert report.code == 1
    assert report.has("fail", "triggerer", "No triggerer is alive; the last heartbeat is", "Start `airflow triggerer`")
    assert report.has("fail", "scheduler", "No scheduler is alive", "Start `airflow scheduler`")
    assert report.has("fail", "dag-processor", "No dag processor is alive", "Start `airflow dag-processor`")
    assert report.has("fail", "overdue-waits", "waited_for_briefly", "Start `airflow triggerer`")
    assert report.has("fail", "unassigned-waits", "waited_for_briefly", "Start `airflow triggerer`")
    assert report.has(
        "warn", "pool-expiry", f"Pool {pool_id} (Sample) is closed, a run under way names it", "expires_in"
    )


def test_a_triggerer_that_is_full(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    airflow.kill("triggerer")
    one, usual = {"AIRFLOW__TRIGGERER__CAPACITY": "1"}, dict(airflow.env)
    airflow.env |= one
    try:
        airflow.start("triggerer")
        for _ in range(2):
            defer(airflow, "waited_for", toloka.add_pool(open=True, will_expire=will_expire(2)))
        report = until(airflow, ("fail", "unassigned-waits"))
        assert report.has("fail", "triggerer-capacity", "capacity is 1; 1 of 1 is in use", "Raise [triggerer] capacity")
        assert report.has(
            "fail", "unassigned-waits", "waited_for", "raise [triggerer] capacity or the option --capacity"
        )
        # Whoever started it with --capacity 1: nothing in the configuration says so.
        hidden = run(airflow, env={"AIRFLOW__TRIGGERER__CAPACITY": "1000"})
        assert hidden.has("ok", "triggerer-capacity", "capacity is 1000", "")
        assert hidden.has("fail", "unassigned-waits", "waited_for", "the option --capacity of the triggerers")
    finally:
        airflow.kill("triggerer")
        airflow.env.clear()
        airflow.env |= usual


def test_a_paused_dag(airflow: LocalAirflow, toloka: EmulatorServer) -> None:
    defer(airflow, "waited_for", toloka.add_pool(open=True, will_expire=will_expire(2)))
    insist(partial(airflow.api.pause, "waited_for", True))
    try:
        report = run(airflow, "--strict")
        assert report.has("warn", "paused-dags", "waited_for", "airflow dags unpause")
        assert report.code == 1
    finally:
        insist(partial(airflow.api.pause, "waited_for", False))


def test_a_dag_file_with_an_error(airflow: LocalAirflow) -> None:
    """Its traceback quotes a token, which is crossed out."""
    file = airflow.dags / "broken.py"
    file.write_text(f'raise ValueError("The DAG of toloka_airflow cannot be used with {TOKEN}")\n')
    try:
        wait_until(airflow.api.import_errors, "the error is known", PATIENCE, 1)
        report = run(airflow)
        assert report.has("fail", "import-errors", "The DAG of toloka_airflow cannot be used with ***", "Mend the file")
    finally:
        file.unlink()


def test_settings(airflow: LocalAirflow) -> None:
    env = {
        "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "False",
        "AIRFLOW__CORE__EXECUTOR": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    }
    report = run(airflow, env=env)
    assert report.has("warn", "default-deferrable", "default_deferrable is off", "default_deferrable = True")
    # Celery is not installed here; tests/fleet has it.
    assert report.has("unknown", "celery", "This could not be tried: ", "")


@pytest.mark.parametrize(
    ("entry_points", "missing"),
    [
        ("[apache_airflow_provider]\nprovider_info = toloka_airflow.get_provider_info:get_provider_info\n", {"plugin"}),
        ("[airflow.plugins]\ntoloka = toloka_airflow.plugin:TolokaPlugin\n", {"provider"}),
    ],
    ids=["plugin", "provider"],
)
def test_what_is_not_installed(airflow: LocalAirflow, tmp_path: Path, entry_points: str, missing: set[str]) -> None:
    """The same packages in an environment in which this one is only half there, as after a copy of its folder."""
    for path in Path(pytest.__file__).resolve().parents[1].iterdir():
        if not path.name.startswith(("airflow_toloka", "__editable__")):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "toloka_airflow").symlink_to(ROOT / "toloka_airflow")
    metadata = tmp_path / "airflow_toloka-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-toloka\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    python = str(Path(sys._base_executable).resolve())
    command = [python, "-m", "toloka_airflow.cli", "doctor", "--json"]
    env = {**airflow.env, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=env, cwd=airflow.home, text=True, capture_output=True, check=False)
    checks = json.loads(done.stdout)["checks"]
    for check in ("plugin", "provider"):
        [line] = [line for line in checks if line["check"] == check]
        assert line["status"] == ("fail" if check in missing else "ok"), line
        assert check not in missing or "Install the distribution airflow-toloka" in line["remedy"]
    assert done.returncode == 1
    [versions] = [line for line in checks if line["check"] == "versions"]
    assert (versions["status"], "what is installed is 0" in versions["message"]) == ("warn", True)
