"""That every task of a source is created once, and that people learn about those that are not."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from typing import Any

import numpy
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from tests.support import TOKEN, Outcome, TaskInstance, connect, fire, run_task
from tests.virtual_time import VirtualTime
from tests.worlds import POOL, PROJECT, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.tasks import CreateTasksOperator
from toloka_airflow.transfer import result_files

TASKS = "/api/v1/tasks"
OPERATION = "/api/v1/operations/{id}"
LOG = "/api/v1/operations/{id}/log"

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as emulator:
        emulator.progressions.set(Progression(seconds=0))
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))


@pytest.fixture
def pool_id(client: TolokaClient) -> str:
    return small_pool(client)


def tasks(count: int, start: int = 1) -> list[dict[str, Any]]:
    return [{"input_values": {"text": f"text {number}"}} for number in range(start, start + count)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The path of a file of 60 tasks."""
    return write(tmp_path / "tasks.jsonl", tasks(60))


def upload(pool_id: str, source: Any, attempt: int = 1, *, triggerer: Any = asyncio.run, **arguments: Any) -> Outcome:
    arguments = {"chunk_size": 10, "poll_interval": 0.01, **arguments}
    operator = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=source, **arguments)
    return run_task(operator, TaskInstance(task_id="upload", try_number=attempt), triggerer=triggerer)


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def uploaded(client: TolokaClient, pool_id: str) -> Counter[str]:
    return Counter(str(task.input_values["text"]) for task in client.list_tasks(pool_id))


def expected(count: int) -> Counter[str]:
    return Counter(f"text {number}" for number in range(1, count + 1))


def check_once(client: TolokaClient, pool_id: str, result: dict[str, Any], count: int) -> None:
    """Every task is in the pool once, and in the list of ids once with its own id."""
    texts = {task.id: task.input_values["text"] for task in client.list_tasks(pool_id)}
    assert Counter(texts.values()) == expected(count)
    rows = lines(result["ids_path"])
    assert [row["line"] for row in rows] == list(range(1, count + 1))
    assert all(texts[row["task_id"]] == f"text {row['line']}" for row in rows)


@both_ways
def test_a_file(client: TolokaClient, pool_id: str, source: str, deferrable: bool, tmp_path: Path) -> None:
    result = upload(pool_id, source, deferrable=deferrable).result
    check_once(client, pool_id, result, 60)
    assert result == {
        "pool_id": pool_id,
        "total": 60,
        "created": 60,
        "invalid": 0,
        "ids_path": result["ids_path"],
        "invalid_path": None,
    }
    assert result["ids_path"].startswith(f"{source}.")
    assert len(list(tmp_path.iterdir())) == 2


@both_ways
@pytest.mark.parametrize("progression", [Progression(looks=2), Progression(seconds=0.1)], ids=["looks", "seconds"])
def test_operations_that_take_their_time(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str, deferrable: bool, progression: Progression
) -> None:
    """The pool takes one operation at a time: the others are sent in turn."""
    toloka.progressions.set(progression)
    outcome = upload(pool_id, source, deferrable=deferrable)
    check_once(client, pool_id, outcome.result, 60)
    assert bool(outcome.triggers) == deferrable
    assert outcome.xcoms["toloka_link"].endswith(f"/pool/{pool_id}")


def test_a_list_has_no_files_unless_they_are_named(client: TolokaClient, pool_id: str, tmp_path: Path) -> None:
    assert upload(pool_id, tasks(25)).result["ids_path"] is None
    assert uploaded(client, pool_id) == expected(25)
    path = str(tmp_path / "ids.jsonl.gz")
    assert upload(pool_id, tasks(25), attempt=2, ids_path=path).result["ids_path"] == path
    assert Path(path).exists()
    assert uploaded(client, pool_id) == expected(25)


def test_csv_is_read_by_the_specification_of_the_project(client: TolokaClient, tmp_path: Path) -> None:
    inputs = {"text": {"type": "string"}, "count": {"type": "integer"}}
    spec = {**PROJECT["task_spec"], "input_spec": inputs}
    pool_id = client.create_pool({**POOL, "project_id": client.create_project({**PROJECT, "task_spec": spec}).id}).id
    path = tmp_path / "tasks.csv"
    path.write_text("INPUT:text,INPUT:count,GOLDEN:answer,HINT:text\na,1,yes,look\nb,2,,\n")
    upload(pool_id, str(path))
    first, second = (task.raw for task in client.list_tasks(pool_id))
    assert first["input_values"] == {"text": "a", "count": 1}
    assert first["known_solutions"] == [{"output_values": {"answer": "yes"}, "correctness_weight": 1}]
    assert first["message_on_unknown_solution"] == "look"
    assert (first["infinite_overlap"], second["overlap"]) == (True, 2)
    assert second["input_values"] == {"text": "b", "count": 2}


TREES: list[dict[str, Any]] = [
    {"trees": ["Oak", "Pine, old"], "count": 3, "places": ["22.3341,32.32"]},
    {"trees": ["Elm"], "count": 4, "places": []},
]


def trees_csv(path: Path) -> str:
    path.write_text(
        "INPUT:trees,INPUT:count,INPUT:places,TASK:id\n"
        '"Oak,""Pine, old""",3.0,"""22.3341,32.32""",1\n,,,\nElm,4,[],2\n,,,\n'
    )
    return str(path)


def trees_json(path: Path) -> str:
    path.write_text(json.dumps([{"input_values": {**values, "count": float(values["count"])}} for values in TREES]))
    return str(path)


def trees_parquet(path: Path) -> str:
    import pyarrow
    from pyarrow import parquet

    columns = {f"INPUT:{name}": [*(values[name] for values in TREES), None] for name in TREES[0]}
    columns["INPUT:count"] = [3.0, 4.0, None]
    parquet.write_table(pyarrow.table(columns), path)
    return str(path)


@pytest.mark.parametrize(
    ("write", "name"), [(trees_csv, "a.csv"), (trees_json, "a.json"), (trees_parquet, "a.parquet")]
)
def test_values_as_people_write_them(client: TolokaClient, tmp_path: Path, write: Any, name: str) -> None:
    inputs = {"trees": {"type": "array_string"}, "count": {"type": "integer"}, "places": {"type": "array_coordinates"}}
    spec = {**PROJECT["task_spec"], "input_spec": inputs}
    pool_id = client.create_pool({**POOL, "project_id": client.create_project({**PROJECT, "task_spec": spec}).id}).id
    result = upload(pool_id, write(tmp_path / name)).result
    assert (result["total"], result["created"], result["invalid"]) == (2, 2, 0)
    assert [task.input_values for task in client.list_tasks(pool_id)] == TREES


def test_dates_of_numpy_are_refused(client: TolokaClient) -> None:
    spec = {**PROJECT["task_spec"], "input_spec": {"day": {"type": "json"}}}
    pool_id = client.create_pool({**POOL, "project_id": client.create_project({**PROJECT, "task_spec": spec}).id}).id
    day = numpy.datetime64("2026-03-02", "ns")
    for value in (day, numpy.array([day])):
        with pytest.raises(AirflowFailException, match="item 1: it cannot be written as JSON"):
            upload(pool_id, [{"input_values": {"day": value}}])
    assert list(client.list_tasks(pool_id)) == []


@both_ways
def test_a_training(
    toloka: EmulatorServer, client: TolokaClient, tmp_path: Path, deferrable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its tasks are for everybody, so that none of them is a control task that runs out."""
    toloka.progressions.set(Progression(looks=2))
    lessons = [{**task, "known_solutions": [{"output_values": {"answer": "yes"}}]} for task in tasks(60)]
    source = write(tmp_path / "tasks.jsonl", lessons)
    training = {
        "project_id": client.create_project(PROJECT).id,
        "private_name": "Training",
        "may_contain_adult_content": False,
        "assignment_max_duration_seconds": 600,
        "mix_tasks_in_creation_order": True,
        "shuffle_tasks_in_task_suite": True,
        "training_tasks_in_task_suite_count": 1,
        "task_suites_required_to_pass": 1,
        "retry_training_after_days": 5,
        "inherited_instructions": True,
    }
    training_id = client.create_training(training).id
    outcome = upload(training_id, source, deferrable=deferrable)
    check_once(client, training_id, outcome.result, 60)
    assert outcome.xcoms["toloka_link"].endswith(f"/training/{training_id}")
    assert "control tasks" not in caplog.text


def test_chunks_are_cut_by_bytes(client: TolokaClient, pool_id: str) -> None:
    rows = [{"input_values": {"text": f"{number}" + "é" * 200_000}} for number in range(10)]
    for attempt in (1, 2):
        assert upload(pool_id, rows, attempt=attempt, chunk_size=100).result["created"] == 10
    assert len(list(client.list_operations(type="TASK.BATCH_CREATE"))) == 5
    assert len(list(client.list_tasks(pool_id))) == 10


# What goes wrong on the way


STEPS = [("POST", TASKS), ("GET", OPERATION), ("GET", LOG)]
each_step = pytest.mark.parametrize("route", STEPS, ids=["send", "find", "log"])


def first_attempt(route: tuple[str, str]) -> int:
    """Return the number of an attempt that sends such requests though nothing was sent before."""
    return 2 if route == ("GET", OPERATION) else 1


@each_step
@pytest.mark.parametrize(
    "fault",
    [
        {"lost_answer": True},
        {"drop": True},
        {"half_body": True},
        {"status": 500},
        {"html": 502},
        {"status": 429, "code": "TOO_MANY_REQUESTS", "payload": {"interval": "MIN"}},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_trouble_that_passes(
    toloka: EmulatorServer,
    client: TolokaClient,
    pool_id: str,
    source: str,
    route: tuple[str, str],
    fault: dict[str, Any],
) -> None:
    toloka.faults.add(*route, skip=2, times=3, **fault)
    check_once(client, pool_id, upload(pool_id, source, first_attempt(route)).result, 60)
    assert len(toloka.faults) == 0


@each_step
@pytest.mark.parametrize("skip", [0, 1, 3, 5])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_an_attempt_that_ends_anywhere_is_completed_by_the_next(
    toloka: EmulatorServer,
    client: TolokaClient,
    pool_id: str,
    source: str,
    route: tuple[str, str],
    skip: int,
    in_flight: int,
) -> None:
    first = first_attempt(route)
    # Of what is found ahead, something may be of no use: there is nothing behind the last batch.
    toloka.faults.add(*route, skip=skip, times=1 if first == 1 else 20, status=403)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, source, first, in_flight=in_flight)
    toloka.faults.clear()
    for attempt in (first + 1, first + 2):
        check_once(client, pool_id, upload(pool_id, source, attempt, in_flight=in_flight).result, 60)


def test_an_attempt_after_an_answer_that_was_lost_for_good(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str
) -> None:
    """The first POST is done, then no look at it is answered: as if the worker were killed there."""
    toloka.faults.add("POST", TASKS, lost_answer=True)
    toloka.faults.add("POST", TASKS, status=403)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, source, in_flight=1)
    assert uploaded(client, pool_id) == expected(10)
    check_once(client, pool_id, upload(pool_id, source, attempt=2).result, 60)


def test_an_operation_that_failed_created_nothing_and_is_sent_anew(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str
) -> None:
    toloka.progressions.set(Progression(seconds=0, fail={"code": "OPERATION_EXECUTION_ERROR"}))
    for attempt in (1, 2):
        with pytest.raises(AirflowException, match="OPERATION_EXECUTION_ERROR") as caught:
            upload(pool_id, source, attempt=attempt)
        assert not isinstance(caught.value, AirflowFailException)
    toloka.progressions.set(Progression(seconds=0))
    check_once(client, pool_id, upload(pool_id, source, attempt=3).result, 60)


@both_ways
@pytest.mark.parametrize("holder", ["upload", "opening"])
def test_a_pool_that_is_held_by_another_operation(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str, deferrable: bool, holder: str
) -> None:
    other = [{"pool_id": pool_id, "input_values": {"text": "other"}}]
    client.create_tasks(other, allow_defaults=True)
    toloka.progressions.set(Progression(seconds=0.3))
    # However slow this machine is, it is under way until somebody has waited for it.
    toloka.progressions.set(Progression(looks=2), type="POOL.OPEN")
    if holder == "upload":
        client.create_tasks_async(other, allow_defaults=True)
    else:
        client.open_pool(pool_id)
    outcome = upload(pool_id, source, deferrable=deferrable, chunk_size=30)
    others = Counter(other=2 if holder == "upload" else 1)
    assert uploaded(client, pool_id) == expected(60) + others
    assert len(outcome.triggers) == (1 + (holder == "opening") if deferrable else 0)


def requests_of_upload(toloka: EmulatorServer, since: int = 0) -> list[str]:
    """Return the requests about tasks and operations, by what they are for, that came after so many others."""
    names = {("POST", TASKS): "send", ("GET", OPERATION): "find", ("GET", LOG): "log"}
    shapes = [(entry["method"], re.sub(r"[0-9a-f-]{36}", "{id}", entry["path"])) for entry in toloka.journal.requests()]
    return [names[shape] for shape in shapes[since:] if shape in names]


def test_what_became_of_batches_is_fetched_while_others_are_sent(toloka: EmulatorServer, pool_id: str) -> None:
    """Two requests for each, as all are done at once, and four to find out that nothing else was sent before."""
    upload(pool_id, tasks(200), in_flight=2)
    found = requests_of_upload(toloka)
    assert Counter(found) == Counter(send=20, log=20, find=4)
    last_sent = len(found) - found[::-1].index("send")
    # Two are being sent, and four may be kept until their results are there.
    assert found[:last_sent].count("log") >= 20 - 2 - 4


@pytest.mark.parametrize("in_flight", [1, 4])
def test_what_is_there_is_found_a_few_batches_ahead_and_read_once(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str, in_flight: int
) -> None:
    """One request to find each batch, one for its log, one for what could be behind each; and a few beyond the end."""
    upload(pool_id, source, in_flight=in_flight)
    before = len(toloka.journal.requests())
    check_once(client, pool_id, upload(pool_id, source, 2, in_flight=in_flight).result, 60)
    found = Counter(requests_of_upload(toloka, before))
    assert found["log"] == 6
    assert found["find"] <= 6 + 6 + in_flight + 3
    assert "send" not in found


@pytest.mark.parametrize("blocking", ["another operation", "its own, of a previous attempt", "its own"])
def test_no_deferral_comes_through_what_uploads(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str, blocking: str
) -> None:
    """It is the operator that defers, for an operation that it is given."""
    if blocking == "another operation":
        client.create_tasks([{"pool_id": pool_id, **tasks(1)[0]}], allow_defaults=True)
    toloka.progressions.set(Progression(seconds=1000))
    operator = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=source, deferrable=True, defer_after=0)
    if blocking == "another operation":
        client.open_pool(pool_id)
    for attempt in (1, 2) if blocking == "its own, of a previous attempt" else (1,):
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({"ti": TaskInstance(task_id="upload", try_number=attempt)})  # type: ignore[typeddict-item]
    assert deferred.value.method_name == f"{'operations' if blocking == 'its own' else 'blocking_operation'}_finished"
    through = [str(frame.f_globals["__name__"]) for frame, _ in walk_tb(deferred.tb)]
    assert "toloka_airflow.operators.tasks" in through
    assert not [name for name in through if name.startswith("toloka_airflow.transfer")]


def test_the_log_has_percent_and_the_time_that_is_left(
    toloka: EmulatorServer, pool_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka.progressions.set(Progression(seconds=30))
    with VirtualTime(toloka, datetime(2100, 1, 1, tzinfo=UTC)):
        upload(pool_id, tasks(60), poll_interval=1.0, in_flight=1)
    shown = re.findall(r"Sent 30 tasks, 0.0 MB, in 3 operations; about (\d+)%, (\d+) s left", capsys.readouterr().out)
    assert [tuple(map(int, numbers)) for numbers in shown] == [(52, 56)]  # of 61 s for the 31 that are read


# What is wrong with the tasks


def with_invalid(count: int, *invalid: int) -> list[dict[str, Any]]:
    rows = tasks(count)
    for number in invalid:
        rows[number - 1] = {"input_values": {"text": f"text {number}", "more": 1}}
    return rows


@both_ways
def test_invalid_tasks_are_told_and_can_be_repaired(
    client: TolokaClient, pool_id: str, tmp_path: Path, deferrable: bool
) -> None:
    path = write(tmp_path / "tasks.jsonl", with_invalid(60, 17, 18))
    with pytest.raises(AirflowFailException, match=r"line 17: input_values\.more VALUE_NOT_ALLOWED") as caught:
        upload(pool_id, path, deferrable=deferrable)
    assert "2 of 60 tasks invalid, and 50 were created" in str(caught.value)
    [report] = tmp_path.glob("*.invalid.jsonl")
    assert str(report) in str(caught.value)
    assert [(row["line"], row["field"], row["code"]) for row in lines(str(report))] == [
        (17, "input_values.more", "VALUE_NOT_ALLOWED"),
        (18, "input_values.more", "VALUE_NOT_ALLOWED"),
    ]
    write(tmp_path / "tasks.jsonl", tasks(60))
    check_once(client, pool_id, upload(pool_id, path, attempt=2, deferrable=deferrable).result, 60)
    assert not report.exists()


@both_ways
def test_invalid_tasks_are_skipped_and_reported(
    client: TolokaClient, pool_id: str, tmp_path: Path, deferrable: bool
) -> None:
    """Those of the second chunk are all invalid, so that its operation fails."""
    invalid = [3, *range(11, 21), 60]
    path = write(tmp_path / "tasks.jsonl", with_invalid(60, *invalid))
    for attempt in (1, 2):
        result = upload(pool_id, path, attempt=attempt, skip_invalid_items=True, deferrable=deferrable).result
        assert (result["total"], result["created"], result["invalid"]) == (60, 48, 12)
        assert [row["line"] for row in lines(result["invalid_path"])] == invalid
        assert len(lines(result["ids_path"])) == 48
    assert sum(uploaded(client, pool_id).values()) == 48


def test_if_all_are_invalid_nothing_was_done(client: TolokaClient, pool_id: str, tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", with_invalid(12, *range(1, 13)))
    with pytest.raises(AirflowFailException, match="12 of 12 tasks invalid"):
        upload(pool_id, path, skip_invalid_items=True)


def test_without_a_place_for_the_report_the_error_tells(client: TolokaClient, pool_id: str) -> None:
    with pytest.raises(AirflowFailException, match=r"item 2: input_values\.more VALUE_NOT_ALLOWED Unknown field"):
        upload(pool_id, with_invalid(3, 2))


@pytest.mark.parametrize("change", ["other text", "removed", "inserted"])
@pytest.mark.parametrize("ended", [("POST", TASKS), ("GET", LOG)], ids=["sending", "writing"])
def test_a_source_that_changed_is_refused_before_anything_is_sent(
    toloka: EmulatorServer,
    client: TolokaClient,
    pool_id: str,
    source: str,
    change: str,
    ended: tuple[str, str],
) -> None:
    toloka.faults.add(*ended, skip=2, status=403)
    with pytest.raises(AirflowFailException):
        upload(pool_id, source, in_flight=1)
    before = uploaded(client, pool_id)
    rows = tasks(60)
    if change == "other text":
        rows[4] = {"input_values": {"text": "changed"}}
    elif change == "removed":
        del rows[4]
    else:
        rows.insert(4, {"input_values": {"text": "inserted"}})
    write(Path(source), rows)
    with pytest.raises(AirflowFailException, match=r"line 1 to 10: .*restore what was uploaded"):
        upload(pool_id, source, attempt=2)
    assert uploaded(client, pool_id) == before


def test_a_source_that_ends_earlier_is_refused(client: TolokaClient, pool_id: str, source: str) -> None:
    upload(pool_id, source)
    write(Path(source), tasks(30))
    with pytest.raises(AirflowFailException, match=r"line 21 to 30: .* is about tasks that came behind these"):
        upload(pool_id, source, attempt=2)


@both_ways
def test_a_source_that_grew_while_its_operation_ran_is_refused(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, tmp_path: Path, deferrable: bool
) -> None:
    """Of an operation that still runs nobody knows yet which tasks it creates, so it is waited for."""
    path = write(tmp_path / "tasks.jsonl", tasks(5))
    toloka.progressions.set(Progression(seconds=2.5))
    toloka.faults.add("GET", OPERATION, skip=1, status=403, times=3)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, path)
    toloka.faults.clear()
    write(tmp_path / "tasks.jsonl", tasks(25))
    with pytest.raises(AirflowFailException, match="does not say what became of task 6"):
        upload(pool_id, path, attempt=2, deferrable=deferrable)
    assert uploaded(client, pool_id) == expected(5)


@pytest.mark.parametrize("left", [0, 30])
def test_a_source_that_shrank_while_the_task_was_deferred_is_no_success(
    toloka: EmulatorServer, pool_id: str, source: str, left: int
) -> None:
    toloka.progressions.set(Progression(seconds=0.2))
    operator = CreateTasksOperator(
        task_id="upload", pool_id=pool_id, tasks=source, chunk_size=10, poll_interval=0.01, deferrable=True
    )
    context: Any = {"ti": TaskInstance(task_id="upload")}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    event = asyncio.run(fire(*deferred.value.trigger.serialize()))
    write(Path(source), tasks(left))
    with pytest.raises(AirflowFailException, match=r"that came behind these|there are no tasks in it"):
        operator.resume_execution(deferred.value.method_name, {"event": event}, context)


@both_ways
def test_an_attempt_that_finds_its_last_operation_under_way_waits_for_it(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str, deferrable: bool
) -> None:
    toloka.progressions.set(Progression(seconds=0.3))
    toloka.faults.add("GET", OPERATION, skip=1, status=403)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, source, chunk_size=30)
    check_once(client, pool_id, upload(pool_id, source, 2, chunk_size=30, deferrable=deferrable).result, 60)


def test_a_run_that_was_deleted_and_made_again_finds_what_it_uploaded(
    client: TolokaClient, pool_id: str, tmp_path: Path
) -> None:
    """It begins with the first attempt again."""
    path = write(tmp_path / "tasks.jsonl", tasks(25))
    upload(pool_id, path)
    write(tmp_path / "tasks.jsonl", [{"input_values": {"text": "new"}}, *tasks(35)])
    with pytest.raises(AirflowFailException, match=r"line 1 to 10: .*restore what was uploaded"):
        upload(pool_id, path)
    assert uploaded(client, pool_id) == expected(25)


def test_a_pool_that_was_made_anew_gets_all_tasks(
    toloka: EmulatorServer,
    client: TolokaClient,
    pool_id: str,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was written down about the pool before is of no use."""
    monkeypatch.setattr(result_files, "PART_BYTES", 1)
    toloka.faults.add("GET", LOG, skip=3, status=403)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, source, in_flight=1)
    other = small_pool(client)
    check_once(client, other, upload(other, source, attempt=2).result, 60)


@pytest.mark.parametrize("repaired", [(3, 13), (3,), (13,)], ids=str)
def test_refused_tasks_can_be_repaired_wherever_an_attempt_ended(
    toloka: EmulatorServer,
    client: TolokaClient,
    pool_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repaired: tuple[int, ...],
) -> None:
    """What was wrong with them is no longer true of what is there now, though it was written down."""
    monkeypatch.setattr(result_files, "PART_BYTES", 1)
    rows = with_invalid(60, 3, 13)
    path = write(tmp_path / "tasks.jsonl", rows)
    toloka.faults.add("GET", LOG, skip=4, status=403)
    with pytest.raises(AirflowFailException, match="ACCESS_DENIED"):
        upload(pool_id, path, in_flight=1)
    for number in repaired:
        rows[number - 1] = tasks(1, number)[0]
    write(tmp_path / "tasks.jsonl", rows)
    still = {3, 13} - set(repaired)
    if not still:
        check_once(client, pool_id, upload(pool_id, path, 2).result, 60)
        assert len(list(tmp_path.iterdir())) == 2
        return
    with pytest.raises(AirflowFailException, match=f"found {len(still)} of 60 tasks invalid, and 50 were created"):
        upload(pool_id, path, 2)
    [report] = tmp_path.glob("*.invalid.jsonl")
    assert {row["line"] for row in lines(str(report))} == still


@pytest.mark.parametrize("length", [1, 500_000], ids=["shorter", "longer"])
def test_a_repaired_task_of_another_length_moves_no_other(
    client: TolokaClient, pool_id: str, tmp_path: Path, length: int
) -> None:
    rows: list[dict[str, Any]] = [{"input_values": {"text": f"{n:02}" + "x" * 300_000}} for n in range(9)]
    path = write(
        tmp_path / "tasks.jsonl", [rows[0], {"input_values": {**rows[1]["input_values"], "more": 1}}, *rows[2:]]
    )
    with pytest.raises(AirflowFailException, match="1 of 9 tasks invalid, and 6 were created"):
        upload(pool_id, path, chunk_size=100)
    rows[1] = {"input_values": {"text": "01" + "x" * length}}
    write(tmp_path / "tasks.jsonl", rows)
    for attempt in (2, 3):
        result = upload(pool_id, path, chunk_size=100, attempt=attempt).result
        assert (result["created"], [row["line"] for row in lines(result["ids_path"])]) == (9, list(range(1, 10)))
    assert uploaded(client, pool_id) == Counter(row["input_values"]["text"] for row in rows)


def test_a_task_that_was_skipped_is_not_repaired_in_its_place(
    client: TolokaClient, pool_id: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "tasks.jsonl", with_invalid(20, 3))
    upload(pool_id, path, skip_invalid_items=True)
    write(tmp_path / "tasks.jsonl", tasks(20))
    with pytest.raises(AirflowFailException, match="repaired what was skipped as invalid, to a task of its own"):
        upload(pool_id, path, skip_invalid_items=True, attempt=2)
    assert uploaded(client, pool_id).total() == 19


def test_invalid_tasks_can_be_skipped_later(client: TolokaClient, pool_id: str, tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.jsonl", with_invalid(20, 3))
    with pytest.raises(AirflowFailException, match="or set skip_invalid_items=True to continue without them"):
        upload(pool_id, path)
    assert upload(pool_id, path, skip_invalid_items=True, attempt=2).result["created"] == 19


def test_a_broken_line_stops_the_upload_and_can_be_repaired(client: TolokaClient, pool_id: str, source: str) -> None:
    good = Path(source).read_text()
    rows = good.splitlines(keepends=True)
    rows[36] = '{"input_values": \n'
    Path(source).write_text("".join(rows))
    for attempt in (1, 2):
        with pytest.raises(AirflowFailException, match=f"^{source}, line 37: it is not JSON") as caught:
            upload(pool_id, source, attempt=attempt, in_flight=1)
        assert ". 30 tasks before it are uploaded and stay so: repair it in its place" in str(caught.value)
    Path(source).write_text(good)
    check_once(client, pool_id, upload(pool_id, source, attempt=3).result, 60)


def test_what_is_under_way_when_a_line_cannot_be_read_is_counted(
    toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str
) -> None:
    rows = Path(source).read_text().splitlines(keepends=True)
    rows[30] = "{\n"
    Path(source).write_text("".join(rows))
    toloka.faults.add("POST", TASKS, delay=0.3, times=3)
    with pytest.raises(AirflowFailException, match="line 31: it is not JSON") as caught:
        upload(pool_id, source)
    [count] = re.findall(r"(\d+) tasks before it are uploaded", str(caught.value)) or ["0"]
    assert int(count) == uploaded(client, pool_id).total()


# Where the results go


@pytest.mark.parametrize("name", ["ids_path", "invalid_path"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("{folder}", "which is a folder"),
        ("{folder}/ids.csv", r"name the file \*.jsonl"),
        ("nowhere://ids.jsonl", "nowhere"),
        ("{folder}/tasks.jsonl", "as tasks is; name another file"),
        ("file://{folder}/../{name}/tasks.jsonl", "as tasks is; name another file"),
        ("/proc/1/no/ids.jsonl", "cannot be written to"),
    ],
)
def test_a_bad_path_of_results_is_told_before_anything_is_sent(
    toloka: EmulatorServer, pool_id: str, source: str, tmp_path: Path, name: str, path: str, problem: str
) -> None:
    path = path.format(folder=tmp_path, name=tmp_path.name)
    with pytest.raises(AirflowFailException, match=f"{name}.*{problem}"):
        upload(pool_id, source, **{name: path})
    assert not toloka.journal.requests("POST", TASKS)


def test_the_report_is_beside_the_ids(pool_id: str, tmp_path: Path) -> None:
    """Not beside the tasks, whose folder may be one that nobody can write to."""
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "tasks.jsonl", with_invalid(3, 2))
    result = upload(pool_id, path, skip_invalid_items=True, ids_path=str(tmp_path / "ids.jsonl")).result
    assert Path(result["invalid_path"]).parent == tmp_path
    assert len(list((tmp_path / "in").iterdir())) == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"input_values": {"text": "x" * 1_048_577}}, "item 17: the input values are too large.*input_values.text"),
        ({"input_values": {}, "pool_id": "7"}, "item 17: pool_id is '7', but the tasks are for"),
        ({"input_values": {"text": {1, 2}}}, "item 17: it cannot be written as JSON"),
        ({"input_values": {"text": float("nan")}}, "item 17: it cannot be written as JSON"),
        ({"text": "a"}, "item 17: input_values is None"),
    ],
)
def test_a_bad_task_is_named_and_nothing_is_sent(
    toloka: EmulatorServer, pool_id: str, row: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        upload(pool_id, [*tasks(16), row], chunk_size=100)
    assert not toloka.journal.requests("POST", TASKS)


@pytest.mark.parametrize(
    ("content", "problem"),
    [("INPUT:other\n1\n", "unknown columns: INPUT:other"), ("GOLDEN:answer\nyes\n", "missing columns: INPUT:text")],
)
def test_bad_columns_are_named_and_nothing_is_sent(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, content: str, problem: str
) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text(content)
    with pytest.raises(AirflowFailException, match=f"{path}: {problem}"):
        upload(pool_id, str(path))
    assert not toloka.journal.requests("POST", TASKS)


def test_no_tasks(pool_id: str, tmp_path: Path) -> None:
    for source in ([], write(tmp_path / "a.jsonl", [])):
        with pytest.raises(AirflowFailException, match="there are no tasks in it"):
            upload(pool_id, source)


def test_an_archived_pool_gets_nothing(toloka: EmulatorServer, client: TolokaClient, pool_id: str, source: str) -> None:
    client.archive_pool(pool_id)
    with pytest.raises(AirflowFailException, match="is ARCHIVED, so it takes no tasks; nothing was sent"):
        upload(pool_id, source)
    assert not toloka.journal.requests("POST", TASKS)


def test_a_pool_that_does_not_exist(toloka: EmulatorServer, source: str) -> None:
    with pytest.raises(AirflowFailException, match="DOES_NOT_EXIST"):
        upload("7", source)


@pytest.mark.parametrize("value", [None, "", "../1", "None"])
def test_a_bad_id_sends_nothing(toloka: EmulatorServer, value: Any) -> None:
    with pytest.raises(ValueError, match="pool_id is "):
        upload(value, tasks(1))


@pytest.mark.parametrize(("name", "value"), [("chunk_size", 0), ("chunk_size", 10_001), ("in_flight", "4")])
def test_bad_numbers_are_refused_when_the_dag_is_read(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it must be a whole number from 1 to"):
        upload("21", [], **{name: value})


@both_ways
def test_operations_that_do_not_end(toloka: EmulatorServer, pool_id: str, source: str, deferrable: bool) -> None:
    toloka.progressions.set(Progression(seconds=1000))
    arguments: dict[str, Any] = {"deferrable": deferrable, "chunk_size": 100, "timeout": 100, "poll_interval": 1.0}
    with (
        VirtualTime(toloka, datetime(2100, 1, 1, tzinfo=UTC)) as virtual,
        pytest.raises(AirflowException, match=r"RUNNING|PENDING") as caught,
    ):
        upload(pool_id, source, triggerer=virtual.run, **arguments)
    assert not isinstance(caught.value, AirflowFailException)


def test_the_time_is_for_all_operations_together(toloka: EmulatorServer, pool_id: str, source: str) -> None:
    toloka.progressions.set(Progression(seconds=30))
    with VirtualTime(toloka, datetime(2100, 1, 1, tzinfo=UTC)) as virtual:
        began = virtual.now
        with pytest.raises(AirflowException, match=r"was still|still held"):
            upload(pool_id, source, timeout=80, poll_interval=1.0, chunk_size=5)
        assert virtual.now - began == pytest.approx(80, abs=1)
    assert 0 < len(toloka.journal.requests("POST", TASKS)) < 12


def test_what_can_be_read_only_once_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(ValueError, match="which can be read only once; give a list or a path"):
        CreateTasksOperator(task_id="upload", pool_id="21", tasks=iter(tasks(3)))


def test_an_event_of_nobody_is_no_success(toloka: EmulatorServer, pool_id: str) -> None:
    operator = CreateTasksOperator(task_id="upload", pool_id=pool_id, tasks=tasks(1))
    for method in (operator.holder_finished, operator.operations_finished):
        with pytest.raises(AirflowFailException, match="resumed with an event"):
            method({"ti": TaskInstance()}, None)  # type: ignore[typeddict-item]
