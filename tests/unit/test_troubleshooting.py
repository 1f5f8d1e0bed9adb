"""
Forty mistakes made on purpose, each with its message: it names the thing, says what to do, and ends with its page.

Nothing is made up: the tasks are run against the emulator, or are what a DAG file would make when it is read.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.providers.common.compat.sdk import AirflowException, Asset

from tests.support import TOKEN, TaskInstance, connect, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow._internal.airflow_internals import TRIGGER_FAILED
from toloka_airflow._internal.troubleshooting import _BY_PACKAGE, DOCUMENTATION, PAGE, Topic, topic_of, with_link
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.assets import pool_asset
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.operators.answer_aggregation import AggregateAnswersOperator
from toloka_airflow.operators.assignments import ReviewAssignmentsOperator
from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.calls import TolokaCallOperator
from toloka_airflow.operators.lifecycle import ArchivePoolOperator, OpenPoolOperator
from toloka_airflow.operators.pools import CreatePoolOperator
from toloka_airflow.operators.quality import QualityGateOperator
from toloka_airflow.operators.quality_report import QualityReportOperator
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.voting import MajorityVote

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
TASK = {"text": "Is it so?"}


@dataclass
class World:
    """A local Toloka, and what is there for mistakes."""

    toloka: EmulatorServer
    folder: Path
    patch: pytest.MonkeyPatch

    def connect(self, **fields: Any) -> None:
        """Have the connection say something else."""
        value = {"conn_type": "toloka", "host": self.toloka.url, "password": TOKEN, **fields}
        self.patch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", json.dumps(value))

    def pool(self, tasks: int = 4, **more: Any) -> str:
        """Return the id of a pool with tasks that ask for a text."""
        return self.toloka.add_pool([TASK] * tasks, project=PROJECT, **{**POOL, **more})

    def client(self) -> TolokaClient:
        return TolokaClient(ClientSettings(TOKEN, base_url=self.toloka.url))

    def archived(self) -> str:
        pool_id = self.pool()
        client = self.client()
        client.wait_operation(client.archive_pool(pool_id), timeout=60)
        return pool_id

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def fail(self, method: str, path: str, **fault: Any) -> None:
        self.toloka.faults.add(method, f"/api/v1{path}", times=100, **fault)

    def open(self, pool_id: Any, **arguments: Any) -> None:
        run_task(OpenPoolOperator(task_id="open", pool_id=pool_id, **arguments))

    def upload(self, tasks: Any, pool_id: str | None = None, **arguments: Any) -> None:
        run_task(CreateTasksOperator(task_id="upload", pool_id=pool_id or self.pool(), tasks=tasks, **arguments))

    def create(self, **config: Any) -> None:
        project_id = self.client().create_project(PROJECT).id
        given = {name: value for name, value in {**POOL, **config}.items() if value is not None}
        run_task(CreatePoolOperator(task_id="create", project_id=project_id, config=given, check_config=False))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with EmulatorServer(seed=1, speed=600) as toloka:
        toloka.crowd.change(size=0)  # what is open stays so, however busy this machine is
        connect(monkeypatch, toloka.url)
        yield World(toloka, tmp_path, monkeypatch)


def answer(task_id: str, value: str, person: str) -> str:
    known = {"assignment_id": f"a-{person}", "user_id": person, "status": "ACCEPTED", "is_control": False}
    return json.dumps({**known, "task_id": task_id, "output_values": {"answer": value}})


def wrong_token(world: World) -> None:
    world.toloka.accept_tokens("another")
    world.open(world.pool())


def no_right(world: World) -> None:
    world.fail("POST", "/pools/{id}/open", status=403, code="ACCESS_DENIED")
    world.open(world.pool())


def no_token(world: World) -> None:
    world.connect(password="")
    world.open("21")


def token_with_a_line_break(world: World) -> None:
    world.connect(password=f"{TOKEN[:9]}\n{TOKEN[9:]}")
    world.open("21")


def typo_in_the_extra(world: World) -> None:
    world.connect(extra={"enviroment": "sandbox"})
    world.open("21")


def unknown_environment(world: World) -> None:
    world.connect(extra={"environment": "prod"}, host="")
    world.open("21")


def unencrypted(world: World) -> None:
    world.connect(host="http://toloka.example")
    world.open("21")


def nobody_listens(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    world.connect(host=f"http://127.0.0.1:{port}")
    with task_errors():
        TolokaHook().get_conn().without_retries().get_requester()


def no_connection(world: World) -> None:
    world.open("21", toloka_conn_id="toloka_prod")


def spent_quota(world: World) -> None:
    world.fail("POST", "/pools/{id}/open", status=429, code="TOO_MANY_REQUESTS", payload={"interval": "DAY"})
    world.open(world.pool())


def wrong_id(world: World) -> None:
    world.open("404404")


def template_without_value(world: World) -> None:
    world.open("None")


def address_as_id(world: World) -> None:
    world.open("https://platform.toloka.ai/requester/project/10/pool/21")


def empty_pool(world: World) -> None:
    world.open(world.pool(tasks=0))


def opening_what_is_archived(world: World) -> None:
    world.open(world.archived())


def upload_to_what_is_archived(world: World) -> None:
    world.upload([{"input_values": TASK}], world.archived())


def review_of_what_is_archived(world: World) -> None:
    run_task(ReviewAssignmentsOperator(task_id="review", pool_id=world.archived(), decisions={}))


def archiving_what_is_open(world: World) -> None:
    run_task(ArchivePoolOperator(task_id="archive", pool_id=world.pool(open=True)))


def waiting_for_what_a_person_closed(world: World) -> None:
    pool_id = world.pool(open=True)
    client = world.client()
    client.wait_operation(client.close_pool(pool_id), timeout=60)
    run_task(PoolSensor(task_id="wait", pool_id=pool_id, deferrable=True))


def waiting_for_what_was_never_open(world: World) -> None:
    run_task(PoolSensor(task_id="wait", pool_id=world.pool()))


def too_little_time_in_the_worker(world: World) -> None:
    world.toloka.clock.freeze()
    run_task(PoolSensor(task_id="wait", pool_id=world.pool(open=True), poke_interval=0.1, timeout=0.3))


def too_little_time_in_the_triggerer(world: World) -> None:
    world.toloka.clock.freeze()
    pool_id = world.pool(open=True)
    run_task(PoolSensor(task_id="wait", pool_id=pool_id, poke_interval=0.1, timeout=0.3, deferrable=True))


def no_triggerer_for_a_sensor(world: World) -> None:
    task = PoolSensor(task_id="wait", pool_id="21", deferrable=True)
    task.resume_execution(TRIGGER_FAILED, {"error": "Trigger timeout"}, {"ti": TaskInstance()})  # type: ignore[typeddict-item]


def no_triggerer_for_an_operator(world: World) -> None:
    task = OpenPoolOperator(task_id="open", pool_id="21", deferrable=True)
    task.resume_execution(TRIGGER_FAILED, {"error": "Trigger timeout"}, {"ti": TaskInstance()})  # type: ignore[typeddict-item]


def too_little_money(world: World) -> None:
    world.toloka.set_balance(3)
    world.open(world.pool(), min_balance="12.50")


def no_money(world: World) -> None:
    world.toloka.set_balance(0)
    world.open(world.pool())


def interval_of_nothing(world: World) -> None:
    OpenPoolOperator(task_id="open", pool_id="21", poll_interval=0)


def time_without_a_zone(world: World) -> None:
    world.open("21", will_expire=datetime(2030, 1, 31))


def expiry_in_the_past(world: World) -> None:
    world.open(world.pool(), will_expire=datetime.now(UTC) - timedelta(hours=1))


def two_expiries(world: World) -> None:
    OpenPoolOperator(task_id="open", pool_id="21", will_expire="2030-01-31T00:00:00Z", expires_in=60)


def hour_that_is_none(world: World) -> None:
    PoolWindowTimetable(opens="9 o'clock", closes="18:00", timezone="Europe/Berlin")


def typo_in_a_configuration(world: World) -> None:
    mixer = {"real_tasks_count": 2, "golden_task_count": 1}
    CreatePoolOperator(task_id="create", project_id="10", config={**POOL, "mixer_config": mixer})


def no_such_configuration(world: World) -> None:
    run_task(CreatePoolOperator(task_id="create", project_id="10", config=str(world.folder / "pool.yaml")))


def broken_configuration(world: World) -> None:
    path = world.file("pool.yaml", "private_name: Pool\n  reward_per_assignment: 0.02\n")
    run_task(CreatePoolOperator(task_id="create", project_id="10", config=path))


def pool_that_never_expires(world: World) -> None:
    world.create(will_expire=None)


def refused_reward(world: World) -> None:
    world.create(reward_per_assignment=-1)


def wrong_header(world: World) -> None:
    world.upload(world.file("tasks.csv", "INPUT:txt\nIs it so?\n"))


def missing_column(world: World) -> None:
    world.upload(world.file("tasks.csv", "TASK:overlap\n2\n"))


def semicolons(world: World) -> None:
    world.upload(world.file("tasks.csv", "INPUT:text;GOLDEN:answer\nIs it so?;yes\n"))


def unknown_format(world: World) -> None:
    world.upload(world.file("tasks.xlsx", ""))


def no_such_file(world: World) -> None:
    world.upload(str(world.folder / "tasks.csv"))


def rows_as_text(world: World) -> None:
    world.upload(str([{"input_values": TASK}]))


def rows_that_are_read_once(world: World) -> None:
    CreateTasksOperator(task_id="upload", pool_id="21", tasks=iter([{"input_values": TASK}]))


def wrong_cell(world: World) -> None:
    world.upload(world.file("tasks.csv", "INPUT:text,TASK:overlap\nIs it so?,many\n"))


def invalid_task(world: World) -> None:
    world.upload([{"input_values": {"text": ["no text"]}}])


def too_many_bonuses(world: World) -> None:
    rows = [{"user_id": "u-1", "amount": 5, "public_title": {"EN": "Thanks"}, "public_message": {"EN": "Thanks"}}]
    run_task(PayBonusesOperator(task_id="pay", bonuses=rows, max_total=1))


def bonus_of_nothing(world: World) -> None:
    rows = [{"user_id": "u-1", "amount": "a lot", "public_title": {"EN": "Hi"}, "public_message": {"EN": "Hi"}}]
    run_task(PayBonusesOperator(task_id="pay", bonuses=rows, max_total=1))


def rejection_without_a_reason(world: World) -> None:
    decisions = [{"assignment_id": "a-1", "status": "REJECTED"}]
    run_task(ReviewAssignmentsOperator(task_id="review", pool_id=world.pool(), decisions=decisions))


def majority_of_more_than_all(world: World) -> None:
    MajorityVote("answer", comment="Most say otherwise", min_share=2)


def no_answers_in_the_file(world: World) -> None:
    path = world.file("answers.jsonl", '{"text": "Is it so?"}\n')
    labels = str(world.folder / "labels.jsonl")
    run_task(AggregateAnswersOperator(task_id="aggregate", answers=path, fields=["answer"], path=labels))


def gate_that_holds(world: World) -> None:
    lines = [answer("t-1", "yes", "u-1"), answer("t-1", "no", "u-2")]
    path = world.file("answers.jsonl", "\n".join(lines))
    run_task(QualityGateOperator(task_id="gate", answers=path, fields=["answer"], min_answers=3))


def gate_without_a_limit(world: World) -> None:
    QualityGateOperator(task_id="gate", answers="answers.jsonl", fields=["answer"])


def no_numpy(world: World) -> None:
    for name in [name for name in sys.modules if name.startswith("toloka_airflow.quality.")]:
        world.patch.delitem(sys.modules, name)
    world.patch.setitem(sys.modules, "numpy", None)
    no_answers_in_the_file(world)


def report_that_no_browser_shows(world: World) -> None:
    run_task(QualityReportOperator(task_id="report", answers=[], path=str(world.folder / "report.txt")))


def call_with_a_host(world: World) -> None:
    run_task(TolokaCallOperator(task_id="call", method="GET", path="https://toloka.dev/api/v1/pools"))


def asset_of_no_pool(world: World) -> None:
    Asset("toloka://toloka_default/pool/21")


def asset_without_an_id(world: World) -> None:
    pool_asset("")


MISTAKES: dict[Callable[[World], None], tuple[str, str, Topic]] = {
    wrong_token: ("401 AUTHENTICATION_ERROR", "Check the token (the password of the Airflow", "token-refused"),
    no_right: ("403 ACCESS_DENIED", "check the account and `account_id`", "token-refused"),
    no_token: ("'toloka_default': token is empty", "put Toloka's API token into the password", "connection-fields"),
    token_with_a_line_break: ("'toloka_default': token has characters", "copy it again", "connection-fields"),
    typo_in_the_extra: ("unknown fields: enviroment", "known are account_id", "connection-fields"),
    unknown_environment: ("environment is 'prod'", "must be one of production", "connection-fields"),
    unencrypted: ("host is 'http://toloka.example'", "use https://", "connection-fields"),
    nobody_listens: ("no answer from http://127.0.0.1", "check host and port", "no-answer"),
    no_connection: ("toloka_prod", "Add the connection", "connection-fields"),
    spent_quota: ("429 TOO_MANY_REQUESTS", "returns by 20", "quota-spent"),
    wrong_id: ("/pools/404404/open", "Check the id and the environment", "no-such-object"),
    template_without_value: ("pool_id is 'None'", "the output of the task", "no-id"),
    address_as_id: ("project/10/pool/21'", "only letters, digits and hyphens", "no-id"),
    empty_pool: ("EMPTY_POOL", "Upload tasks to the pool", "wrong-state"),
    opening_what_is_archived: ("is ARCHIVED", "create another one", "archived"),
    upload_to_what_is_archived: ("is ARCHIVED", "Create another pool", "archived"),
    review_of_what_is_archived: ("is ARCHIVED", "before the pool is archived", "archived"),
    archiving_what_is_open: ("is OPEN", "Allowed statuses: CLOSED", "wrong-state"),
    waiting_for_what_a_person_closed: ("closed for MANUAL", "Open it again", "pool-stopped-otherwise"),
    waiting_for_what_was_never_open: ("never open", "open it first", "pool-stopped-otherwise"),
    too_little_time_in_the_worker: ("is OPEN", "Raise timeout", "timed-out"),
    too_little_time_in_the_triggerer: ("last known: OPEN", "Raise timeout", "timed-out"),
    no_triggerer_for_a_sensor: ("the wait of this task", "start `airflow triggerer`", "no-triggerer"),
    no_triggerer_for_an_operator: ("the wait of this task", "start `airflow triggerer`", "no-triggerer"),
    too_little_money: ("has 3.0 and needs 12.50", "Top it up", "not-enough-money"),
    no_money: ("NOT_ENOUGH_BALANCE", "Top up the account", "not-enough-money"),
    interval_of_nothing: ("poll_interval is 0", "must be a positive number", "arguments"),
    time_without_a_zone: ("will_expire is '2030-01-31", "must be a time with a zone", "arguments"),
    expiry_in_the_past: ("will_expire is 20", "Give a later one", "time-is-over"),
    two_expiries: ("will_expire and expires_in", "give only one", "arguments"),
    hour_that_is_none: ('opens="9 o\'clock"', "such as '09:00'", "window-times"),
    typo_in_a_configuration: ("golden_task_count", "did you mean 'golden_tasks_count'?", "configuration"),
    no_such_configuration: ("pool.yaml'", "give the path of one that is there", "configuration"),
    broken_configuration: ("pool.yaml, line 2", "no YAML: mapping values are not allowed here", "configuration"),
    pool_that_never_expires: ("will_expire is missing", "give will_expire (a date) or expires_in", "arguments"),
    refused_reward: ("reward_per_assignment: ", "(you sent -1)", "refused-values"),
    wrong_header: ("tasks.csv: unknown columns: INPUT:txt", "did you mean INPUT:text?", "rows-and-columns"),
    missing_column: ("missing columns: INPUT:text", "the project requires them", "rows-and-columns"),
    semicolons: ("'INPUT:text;GOLDEN:answer'", "Save it so, or name the file", "rows-and-columns"),
    unknown_format: ("tasks.xlsx'", "name the file .jsonl", "paths-and-files"),
    no_such_file: ("tasks.csv'", "give the path of one that is there", "paths-and-files"),
    rows_as_text: ("tasks is the text", "give the output of that task", "paths-and-files"),
    rows_that_are_read_once: ("tasks is <list_iterator", "give a list or a path", "arguments"),
    wrong_cell: ("line 2: column TASK:overlap: 'many'", "is no integer", "rows-and-columns"),
    invalid_task: ("item 1: input_values.text", "Repair them in their place", "invalid-tasks"),
    too_many_bonuses: ("max_total is 1", "Check the amounts", "bonuses"),
    bonus_of_nothing: ("amount: it is 'a lot'", "must be a number from", "rows-and-columns"),
    rejection_without_a_reason: ("public_comment is None", "it must be text", "decisions"),
    majority_of_more_than_all: ("min_share is 2", "must be a number above 0", "decisions"),
    no_answers_in_the_file: ("line 1: it has no output_values", "one for each field", "answers-and-labels"),
    gate_that_holds: ("the field 'answer' is 2", "min_answers is 3", "quality-gate"),
    gate_without_a_limit: ("A gate without a limit", "give one of min_agreement", "quality-gate"),
    no_numpy: ("numpy", "pip install 'airflow-toloka[quality]'", "missing-library"),
    report_that_no_browser_shows: ("report.txt'", "must end with .html", "arguments"),
    asset_of_no_pool: ("toloka_default/pool/21", "such as toloka://<connection id>/pools/<pool id>", "assets"),
    asset_without_an_id: ("pool_id is ''", "Pass an id, or the output of the task", "no-id"),
    call_with_a_host: ("path is 'https://toloka.dev", "must be without a host", "arguments"),
}
"""What is done, what the message names, what it says to do, and the heading in `docs/troubleshooting.md`."""


@pytest.mark.parametrize("make", MISTAKES, ids=lambda make: make.__name__)
def test_a_mistake_is_named_and_leads_somewhere(world: World, make: Callable[[World], None]) -> None:
    named, advice, topic = MISTAKES[make]
    with pytest.raises((AirflowException, ValueError)) as raised:
        make(world)
    message = str(raised.value)
    assert named in message
    assert advice in message
    assert message.endswith(f"Help: {PAGE}#{topic}")
    assert message.count(PAGE) == 1
    assert TOKEN not in message
    assert TOKEN[9:] not in message


def test_there_are_forty() -> None:
    assert len(MISTAKES) >= 40


HEADINGS = [re.sub(r"[^a-z]+", "-", name.lower()) for name in re.findall(r"^### (.*)$", TEXT, re.MULTILINE)]


def test_the_page_has_a_heading_for_each_topic_and_no_other() -> None:
    assert sorted(HEADINGS) == sorted(get_args(Topic))


def test_every_topic_is_used() -> None:
    code = "".join(path.read_text() for path in (ROOT / "toloka_airflow").rglob("*.py"))
    for topic in get_args(Topic):
        assert code.count(f'"{topic}"') > 1, topic


@pytest.mark.parametrize("module", _BY_PACKAGE)
def test_every_package_of_the_table_is_there(module: str) -> None:
    path = ROOT / "toloka_airflow" / module.replace(".", "/")
    assert path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize(
    ("module", "topic"),
    [
        ("toloka_airflow.transfer.upload.columns", "rows-and-columns"),
        ("toloka_airflow.transfer.review.decisions", "decisions"),
        ("toloka_airflow.storage.config_files", "configuration"),
        ("toloka_airflow.nowhere", "arguments"),
    ],
)
def test_the_topic_of_a_module_is_that_of_the_nearest_package(module: str, topic: Topic) -> None:
    assert topic_of(module) == topic


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("It is 3", "It is 3. Help: {}#arguments"),
        ("It is 3.", "It is 3. Help: {}#arguments"),
        ("Is it 3?", "Is it 3? Help: {}#arguments"),
        ("Two:\n  it\n  that", "Two:\n  it\n  that\nHelp: {}#arguments"),
        ("It is 3. Help: {}#no-id", "It is 3. Help: {}#no-id"),
        ("Line 1: it is 3. Help: {}#no-id. 5 are done", "Line 1: it is 3. 5 are done. Help: {}#no-id"),
    ],
)
def test_a_text_has_one_link_at_its_end(text: str, linked: str) -> None:
    assert with_link(text.format(PAGE), "arguments") == linked.format(PAGE)


def test_the_address_is_the_one_in_the_metadata() -> None:
    metadata = ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    urls = dict(line.split(" = ") for line in metadata["metadata"]["project_urls"].strip().splitlines())
    assert urls["Documentation"] == DOCUMENTATION
