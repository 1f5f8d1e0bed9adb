"""That every bonus is paid once, whatever happens, and that people learn about those that are not."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import Outcome, TaskInstance, connect, from_templates, run_task
from toloka_airflow.api.errors import TolokaQuotaError
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.operators.bonuses import PayBonusesOperator

BONUSES = "/api/v1/user-bonuses"
OPERATION = "/api/v1/operations/{id}"
LOG = "/api/v1/operations/{id}/log"

Rows = list[dict[str, Any]]

both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, crowd=CrowdSettings(size=300), balance=10_000) as emulator:
        emulator.progressions.set(Progression(seconds=0))
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def rows(toloka: EmulatorServer) -> Rows:
    return some(toloka, 250)


def some(toloka: EmulatorServer, count: int) -> Rows:
    """Return bonuses with different amounts."""
    people = toloka.crowd.user_ids
    return [
        {"user_id": people[number % len(people)], "amount": f"{Decimal(5 + number) / 1000}"} for number in range(count)
    ]


def pay(
    bonuses: Any = None,
    attempt: int = 1,
    *,
    triggerer: Any = asyncio.run,
    logical_date: datetime | None = None,
    **arguments: Any,
) -> Outcome:
    facts = {name: arguments.pop(name) for name in ("map_index", "run_id") if name in arguments}
    operator = PayBonusesOperator(
        task_id="pay", bonuses=bonuses, **{"max_total": None, "poll_interval": 0.01, **arguments}
    )
    instance = TaskInstance(task_id="pay", try_number=attempt, **facts)
    run = SimpleNamespace(run_after=datetime.now(UTC), logical_date=logical_date)
    return run_task(operator, instance, triggerer=triggerer, dag_run=run)


def paid(toloka: EmulatorServer) -> Counter[tuple[str, Decimal]]:
    return Counter((bonus.user_id, bonus.amount) for bonus in toloka.world.user_bonuses.values())


def wanted(rows: Rows) -> Counter[tuple[str, Decimal]]:
    return Counter((row["user_id"], Decimal(row["amount"])) for row in rows)


def total(rows: Rows) -> Decimal:
    return sum((Decimal(row["amount"]) for row in rows), Decimal(0))


def sent(toloka: EmulatorServer) -> int:
    return len(toloka.journal.requests("POST", BONUSES))


def as_lines(path: Path, rows: Rows) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def as_zipped_lines(path: Path, rows: Rows) -> str:
    path.write_bytes(gzip.compress("".join(f"{json.dumps(row)}\n" for row in rows).encode()))
    return str(path)


def as_array(path: Path, rows: Rows) -> str:
    path.write_text(json.dumps([{**row, "amount": float(row["amount"])} for row in rows]))
    return str(path)


def as_table(path: Path, rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, delimiter="\t" if path.suffix == ".tsv" else ",")
        table.writeheader()
        table.writerows(rows)
    return str(path)


def as_parquet(path: Path, rows: Rows) -> str:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist([{**row, "amount": Decimal(row["amount"])} for row in rows])
    parquet.write_table(table, path)
    return str(path)


FILES: dict[str, Callable[[Path, Rows], str]] = {
    ".jsonl": as_lines,
    ".jsonl.gz": as_zipped_lines,
    ".json": as_array,
    ".csv": as_table,
    ".tsv": as_table,
    ".parquet": as_parquet,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file(toloka: EmulatorServer, rows: Rows, tmp_path: Path, kind: str) -> None:
    source = FILES[kind](tmp_path / f"bonuses{kind}", rows)
    result = pay(source, max_total=total(rows)).result
    assert paid(toloka) == wanted(rows)
    assert result == {
        "total": 250,
        "paid": 250,
        "already": 0,
        "refused": 0,
        "amount": format(total(rows).normalize(), "f"),
        "refused_path": None,
    }
    assert sent(toloka) == 3
    assert list(tmp_path.iterdir()) == [Path(source)]


@both_ways
@pytest.mark.parametrize("progression", [Progression(looks=2), Progression(seconds=0.1)], ids=["looks", "seconds"])
def test_operations_that_take_their_time(
    toloka: EmulatorServer, rows: Rows, deferrable: bool, progression: Progression
) -> None:
    toloka.progressions.set(progression)
    outcome = pay(rows, deferrable=deferrable)
    assert paid(toloka) == wanted(rows)
    assert outcome.result["paid"] == 250
    assert outcome.result["already"] == outcome.xcoms["already"] == 0
    if progression.looks:  # seconds may pass before it is looked at
        assert bool(outcome.triggers) == deferrable
    before = sent(toloka)
    again = pay(rows, 2, deferrable=deferrable).result
    assert again == {**outcome.result, "already": 250}
    assert sent(toloka) == before


def test_messages_and_comments(toloka: EmulatorServer, tmp_path: Path) -> None:
    [first, second, third, fourth] = some(toloka, 4)
    own = {"public_title": '{"EN": "Wow", "FR": "Bien"}', "public_message": "More"}
    source = as_table(tmp_path / "bonuses.csv", [first, {**second, **own}, {**third, "private_comment": "Best"}])
    pay(source, public_title="Well done", public_message={"EN": "Thank you"}, private_comment="March")
    pay([fourth], run_id="manual__2")
    told = [
        (
            bonus.view()["without_message"],
            bonus.view().get("public_title"),
            bonus.view().get("public_message"),
            bonus.view()["private_comment"].partition("] ")[2],
        )
        for bonus in toloka.world.user_bonuses.values()
    ]
    assert told == [
        (False, {"EN": "Well done"}, {"EN": "Thank you"}, "March"),
        (False, {"EN": "Wow", "FR": "Bien"}, {"EN": "More"}, "March"),
        (False, {"EN": "Well done"}, {"EN": "Thank you"}, "Best"),
        (True, None, None, ""),
    ]


def test_equal_bonuses_for_one_person(toloka: EmulatorServer, rows: Rows) -> None:
    """Toloka would refuse them in one request if they had no tags."""
    pay([rows[7]] * 30)
    assert paid(toloka) == wanted([rows[7]] * 30)


def test_nothing_to_pay(toloka: EmulatorServer) -> None:
    assert pay([], max_total=0).result["total"] == 0
    assert sent(toloka) == 0


# Made of answers


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".parquet"])
def test_a_function_of_answers(toloka: EmulatorServer, tmp_path: Path, kind: str) -> None:
    pool_id = toloka.add_pool(6, overlap=2, open=True)
    toloka.clock.advance(7 * 24 * 3600)
    given = [each for each in toloka.world.assignments.values() if each.pool.id == pool_id]
    answers = [
        {"user_id": each.user_id, "assignment_id": each.id, "amount": str(number)}
        for number, each in enumerate(given, 1)
    ]
    source = FILES[kind](tmp_path / f"answers{kind}", answers)

    def bonus(answer: dict[str, Any]) -> Any:
        number = int(answer["amount"])
        if number % 3 == 0:
            return None
        return 0.25 if number % 3 == 1 else {"amount": "0.5", "private_comment": "two"}

    result = pay(answers=source, bonus=bonus, max_total="100").result
    assert result["paid"] == result["total"] == sum(1 for each in answers if int(each["amount"]) % 3)
    amounts = {bonus.assignment_id: (bonus.user_id, bonus.amount) for bonus in toloka.world.user_bonuses.values()}
    assert amounts == {
        each["assignment_id"]: (each["user_id"], Decimal("0.25") if int(each["amount"]) % 3 == 1 else Decimal("0.5"))
        for each in answers
        if int(each["amount"]) % 3
    }


def test_columns_of_tolokas_own_pages(toloka: EmulatorServer, tmp_path: Path) -> None:
    person = toloka.crowd.user_ids[0]
    source = as_table(tmp_path / "answers.tsv", [{"INPUT:image": "1.png", "ASSIGNMENT:worker_id": person}])
    pay(answers=source, bonus=lambda answer: "0.5" if answer["INPUT:image"] == "1.png" else None)
    assert paid(toloka) == Counter({(person, Decimal("0.5")): 1})


def test_a_function_that_makes_others_in_the_next_attempt(toloka: EmulatorServer, rows: Rows) -> None:
    pay(answers=rows, bonus=lambda row: row["amount"])
    with pytest.raises(AirflowFailException, match=r"A function that makes bonuses must make the same"):
        pay(None, 2, answers=rows, bonus=lambda row: "1")
    assert paid(toloka) == wanted(rows)


def test_a_function_that_fails_says_for_which_answer(toloka: EmulatorServer, rows: Rows) -> None:
    with pytest.raises(KeyError) as failed:
        pay(answers=[{"known": "0.5"}, {"user_id": "a"}], bonus=lambda row: None if row["known"] else "0.5")
    assert failed.value.__notes__ == ["The function bonus was called with answer 2"]
    assert toloka.journal.requests() == []


# What is wrong before anything is sent


def test_the_text_of_a_list_is_no_path(toloka: EmulatorServer, rows: Rows) -> None:
    with pytest.raises(AirflowFailException, match=r"^bonuses is the text .*, and no path\. .* \(`task\.output`\)"):
        pay(str(rows))
    assert toloka.journal.requests() == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": "0.004"}, r"item 2: amount: it is '0.004'; it must be a number from 0.005 to 100"),
        ({"amount": 101}, r"amount: it is 101; it must be a number from 0.005 to 100"),
        ({"amount": "0,25"}, r"amount: it is '0,25'; it must be a number from 0.005 to 100, such as 0\.25"),
        ({"amount": "0.0333"}, r"amount: it is '0.0333'; round it to 3 decimals"),
        ({"amount": 0.1 + 0.2}, r"round it to 3 decimals"),
        ({"amount": "much"}, r"amount: it is 'much'"),
        ({"amount": "1_0"}, r"amount: it is '1_0'"),
        ({"amount": "1,000.50"}, r"amount: it is '1,000.50'"),
        ({"amount": "\uff11"}, r"amount: it is '\uff11'"),
        ({"amount": "nan"}, r"amount: it is 'nan'"),
        ({"amount": True}, r"amount: it is True"),
        ({"amount": None}, r"item 2: it has no amount"),
        ({"user_id": None}, r"it has no user_id"),
        ({"user_id": "a/b"}, r"user_id: it is 'a/b', which is no id"),
        ({"user_id": ["a"]}, r"user_id: it is \['a'\]"),
        ({"assignment_id": "?"}, r"assignment_id: it is '\?'"),
        ({"ammount": 1}, r"there is no field 'ammount' \(did you mean amount\?\)"),
        ({"public_title": "Hi"}, r"it has no public_message; people get a title and a message, or neither"),
        ({"public_title": {"EN": " "}, "public_message": "x"}, r"public_title: \{'EN': ' '\} is no text"),
        ({"without_message": False}, r"it has no public_title"),
        (
            {"without_message": True, "public_title": "Hi", "public_message": "x"},
            r"without_message is true, and there is a public_title",
        ),
        ({"private_comment": 3}, r"private_comment: 3 is no text"),
    ],
)
def test_a_bonus_that_cannot_be_paid(toloka: EmulatorServer, rows: Rows, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        pay([rows[0], {**rows[1], **change}, rows[2]])
    assert toloka.journal.requests() == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("b.csv", "user_id;amount\nx;1\n", r"has semicolons and no comma"),
        ("b.csv", "user_id,amount,bonus\nx,1,2\n", r"there is no field 'bonus'"),
        ("b.csv", "user_id\nx\n", r"missing columns: amount"),
        ("b.csv", "user_id,amount,amount\nx,1,2\n", r"there twice: the column amount"),
        ("b.csv", "", r"is empty; its first line must be a header like user_id"),
        ("b.csv", "user_id,amount\nx\n", r"line 2: it has 1 cell, but the header has 2"),
        ("b.jsonl", '{"user_id": "x", "user_id": "y", "amount": 1}\n', r"line 1: .*user_id"),
        ("b.jsonl", "5\n", r"line 1: it is 5; a bonus is an object like"),
        ("b.json", '{"user_id": "x"}', r"it must be an array of bonuses"),
        ("b.xlsx", "", r"bonuses is '.*b.xlsx', whose format is not known"),
    ],
)
def test_a_file_that_cannot_be_read(
    toloka: EmulatorServer, tmp_path: Path, name: str, content: str, problem: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(AirflowFailException, match=problem):
        pay(str(path))
    assert toloka.journal.requests() == []


@pytest.mark.parametrize("limit", ["1", 1.0, Decimal(1)])
def test_more_than_the_limit(toloka: EmulatorServer, rows: Rows, limit: Any) -> None:
    with pytest.raises(
        AirflowFailException,
        match=r"as 250 bonuses are 32\.375 together, and max_total is 1\. Check the amounts, or raise",
    ):
        pay(rows, max_total=limit)
    assert toloka.journal.requests() == []


@pytest.mark.parametrize("limit", ["", "None", "much", "1_000", "1,000", -1, True])
def test_no_limit(toloka: EmulatorServer, rows: Rows, limit: Any) -> None:
    make = partial(PayBonusesOperator, task_id="pay", bonuses=rows)
    with pytest.raises(AirflowFailException, match=r"max_total is"):
        run_task(from_templates(make, max_total=limit))
    assert toloka.journal.requests() == []


def test_more_than_a_day_allows(toloka: EmulatorServer, rows: Rows) -> None:
    with pytest.raises(AirflowFailException, match=r"item 201: this is more than 200 bonuses.*daily_quota"):
        pay(rows, daily_quota=200)
    assert toloka.journal.requests() == []


def test_what_others_have_paid_today_counts(toloka: EmulatorServer, rows: Rows) -> None:
    pay(rows, run_id="manual__0")
    others = paid(toloka)
    day = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(
        AirflowException, match=rf"paid 250 in the last 24 hours.*300.*Try again after {day:%Y-%m}"
    ) as exc:
        pay(rows[:100], daily_quota=300)
    assert not isinstance(exc.value, AirflowFailException)
    assert paid(toloka) == others
    toloka.clock.advance(24 * 3600 + 60)
    assert pay(rows[:100], 2, daily_quota=300).result["paid"] == 100


def test_too_little_money(toloka: EmulatorServer, rows: Rows) -> None:
    toloka.set_balance(5)
    with pytest.raises(AirflowException, match=r"32\.375 are to be paid, and the account has 5\. Top it up") as failure:
        pay(rows)
    assert not isinstance(failure.value, AirflowFailException)
    assert sent(toloka) == 0
    toloka.set_balance(100)
    assert pay(rows, 2).result["paid"] == 250
    assert paid(toloka) == wanted(rows)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "bonuses or answers must be given"),
        ({"bonuses": [], "answers": []}, "bonuses or answers must be given"),
        ({"answers": []}, "must be given together"),
        ({"bonuses": [], "bonus": str}, "must be given together"),
        ({"answers": [], "bonus": "amount"}, "it must be a function"),
        ({"bonuses": iter([])}, "which can be read only once"),
        ({"bonuses": [], "daily_quota": 0}, "daily_quota is 0"),
    ],
)
def test_arguments(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PayBonusesOperator(task_id="pay", max_total=None, **arguments)


def test_the_limit_must_be_given() -> None:
    with pytest.raises((TypeError, AirflowException), match="max_total"):
        PayBonusesOperator(task_id="pay", bonuses=[])  # type: ignore[call-arg]


# What Toloka refuses


@both_ways
def test_refused_and_repaired(toloka: EmulatorServer, rows: Rows, tmp_path: Path, deferrable: bool) -> None:
    toloka.progressions.set(Progression(looks=2))
    source = tmp_path / "bonuses.jsonl"
    as_lines(source, [*rows[:120], {**rows[120], "user_id": "nobody"}, *rows[121:]])
    with pytest.raises(AirflowFailException) as failure:
        pay(str(source), deferrable=deferrable)
    text = str(failure.value)
    assert "Toloka refused 1 of 250 bonuses, and 150 are paid. 99 that are right were in one request with them" in text
    assert "line 121: user_id" in text
    [report] = [path for path in tmp_path.iterdir() if path != source]
    [line] = [json.loads(line) for line in report.read_text().splitlines()]
    assert {**line, "message": "", "code": ""} == {
        "line": 121,
        "user_id": "nobody",
        "amount": rows[120]["amount"],
        "field": "user_id",
        "code": "",
        "message": "",
    }
    assert str(report) in text
    as_lines(source, rows)
    result = pay(str(source), 2, deferrable=deferrable).result
    assert (result["paid"], result["already"], result["refused"]) == (250, 150, 0)
    assert paid(toloka) == wanted(rows)
    assert list(tmp_path.iterdir()) == [source], "the old report is gone"


def test_refused_and_skipped(toloka: EmulatorServer, rows: Rows, tmp_path: Path) -> None:
    bad = [{**row, "user_id": f"nobody-{number}"} for number, row in enumerate(rows[:2])]
    report = tmp_path / "refused.jsonl"
    result = pay([*bad, *rows[2:]], skip_invalid_items=True, refused_path=str(report)).result
    assert paid(toloka) == wanted(rows[2:])
    assert (result["total"], result["paid"], result["refused"]) == (250, 248, 2)
    assert Decimal(result["amount"]) == total(rows[2:])
    assert [json.loads(line)["line"] for line in report.read_text().splitlines()] == [1, 2]
    again = pay([*bad, *rows[2:]], 2, skip_invalid_items=True, refused_path=str(report)).result
    assert again == {**result, "already": 248}
    assert paid(toloka) == wanted(rows[2:])


def test_all_are_refused(toloka: EmulatorServer) -> None:
    with pytest.raises(AirflowFailException, match=r"Toloka refused 1 of 1 bonus, and 0 are paid"):
        pay([{"user_id": "nobody", "amount": 1}], skip_invalid_items=True)


def test_the_report_may_not_be_the_input(toloka: EmulatorServer, rows: Rows, tmp_path: Path) -> None:
    source = as_lines(tmp_path / "bonuses.jsonl", rows)
    with pytest.raises(AirflowFailException, match=r"refused_path is .*, as bonuses is; name another file"):
        pay(source, refused_path=source)
    assert toloka.journal.requests() == []


def test_money_that_is_gone_when_an_operation_runs(toloka: EmulatorServer, rows: Rows) -> None:
    """It fails without anything being wrong with a bonus, so the next attempt sends them again, under another id."""
    toloka.progressions.set(Progression(looks=3))

    def spend(waiting: Any) -> Any:
        toloka.set_balance(0)
        return asyncio.run(waiting)

    with pytest.raises(AirflowException, match="NOT_ENOUGH_BALANCE") as failure:
        pay(rows, deferrable=True, triggerer=spend)
    assert not isinstance(failure.value, AirflowFailException)
    assert not paid(toloka)
    toloka.set_balance(1000)
    result = pay(rows, 2).result
    assert (result["paid"], result["already"], result["refused"]) == (250, 0, 0)
    assert paid(toloka) == wanted(rows)
    assert sent(toloka) == 6


# What may go wrong on the way


@pytest.mark.parametrize(
    "fault",
    [
        {"lost_answer": True},
        {"half_body": True},
        {"drop": True},
        {"status": 503},
        {"html": 502},
        {"status": 429, "code": "TOO_MANY_REQUESTS", "retry_after": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [BONUSES, OPERATION, LOG])
def test_answers_that_are_lost(toloka: EmulatorServer, rows: Rows, fault: dict[str, Any], path: str) -> None:
    methods = ["GET", "POST"] if path == BONUSES else ["GET"]
    for method in methods:
        toloka.faults.add(method, path, skip=1 if method == "POST" else 0, times=1, **fault)
    assert pay(rows).result["paid"] == 250
    assert paid(toloka) == wanted(rows)


def test_a_spent_quota_is_left_to_the_next_attempt(toloka: EmulatorServer, rows: Rows) -> None:
    spent = {"status": 429, "code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}}
    toloka.faults.add("POST", BONUSES, skip=1, **spent)
    with pytest.raises(TolokaQuotaError) as failure:
        pay(rows)
    assert isinstance(failure.value, AirflowException)
    assert not isinstance(failure.value, AirflowFailException)
    assert paid(toloka) == wanted(rows[:100])
    result = pay(rows, 2).result
    assert (result["paid"], result["already"]) == (250, 100)
    assert paid(toloka) == wanted(rows)


class Killed(BaseException):
    """The task is gone while it waits."""


def kill(waiting: Any) -> Any:
    waiting.close()
    raise Killed


@both_ways
def test_what_still_runs_is_waited_for(toloka: EmulatorServer, rows: Rows, deferrable: bool) -> None:
    """Nothing is sent before it is known what it paid."""
    toloka.progressions.set(Progression(looks=6))
    with pytest.raises(Killed):
        pay(rows, deferrable=True, triggerer=kill)
    assert not paid(toloka)
    result = pay(rows, 2, deferrable=deferrable).result
    assert (result["paid"], result["already"]) == (250, 250)
    assert paid(toloka) == wanted(rows)
    assert sent(toloka) == 3


def forget_operations(toloka: EmulatorServer) -> None:
    """Let Toloka know nothing of operations that have ended, as it may after a time."""
    world = toloka.world
    with world.lock:
        world.operations.clear()
        world.operations_by_id.clear()


def test_what_was_paid_is_found_without_its_operations(toloka: EmulatorServer, rows: Rows) -> None:
    """By the tags of the bonuses, on whichever page of the list they are; no operation id protects them any more."""
    others = some(toloka, 400)
    pay(others, run_id="manual__0")
    toloka.faults.add("POST", BONUSES, skip=2, status=400, code="VALIDATION_ERROR")
    with pytest.raises(AirflowFailException):
        pay(rows)
    assert sum(paid(toloka).values()) == 600
    forget_operations(toloka)
    result = pay(rows, 2).result
    assert (result["paid"], result["already"]) == (250, 200)
    assert paid(toloka) == wanted(others + rows)


@pytest.mark.parametrize(
    ("run_id", "logical_date"),
    [
        ("manual__{:%Y-%m-%dT%H:%M:%S.%f+00:00}", None),
        ("manual__{:%Y-%m-%dT%H:%M:%S+00:00}_a1b2c3d4", None),
        ("payout of {:%Y-%m-%d}", None),
        ("payout", "{:%Y-%m-%dT%H:%M:%S+00:00}"),
    ],
)
def test_a_run_that_is_created_anew_under_its_id_long_after(
    toloka: EmulatorServer, rows: Rows, run_id: str, logical_date: str | None
) -> None:
    """Toloka has forgotten the operations, and the run is due later than the bonuses were paid."""
    then = datetime.now(UTC) - timedelta(days=60)
    facts = {
        "run_id": run_id.format(then),
        "logical_date": datetime.fromisoformat(logical_date.format(then)) if logical_date else None,
    }
    pay(rows, **facts)
    with toloka.world.lock:
        for bonus in toloka.world.user_bonuses.values():
            bonus.created -= 60 * 24 * 3600 * 1000
    forget_operations(toloka)
    assert pay(rows, **facts).result["already"] == 250
    assert paid(toloka) == wanted(rows)


def test_a_log_that_is_no_longer_kept(toloka: EmulatorServer, rows: Rows) -> None:
    pay(rows)
    toloka.faults.add("GET", LOG, probability=1, status=409, code="OPERATION_LOGS_ARCHIVED")
    result = pay(rows, 2).result
    assert (result["paid"], result["already"]) == (250, 250)
    assert paid(toloka) == wanted(rows)


def test_an_operation_that_counts_nothing(toloka: EmulatorServer, rows: Rows) -> None:
    """Its log lacks a bonus, and the list has not got it yet."""
    pay(rows)
    world = toloka.world
    with world.lock:
        for operation in world.operations.values():
            operation.details = {}
            operation.log = [step for step in operation.log or () if step["input"]["amount"] != 0.205]
        hidden, world.user_bonuses = world.user_bonuses, {}
    before = sent(toloka)
    with pytest.raises(AirflowException, match=r"item 201: whether it was paid is not known") as failure:
        pay(rows, 2)
    assert not isinstance(failure.value, AirflowFailException)
    assert sent(toloka) == before
    world.user_bonuses = hidden
    assert pay(rows, 3).result["already"] == 250
    assert sent(toloka) == before


def amount_of_somebody(row: dict[str, Any]) -> Any:
    return None if row["user_id"].startswith("nobody") else row["amount"]


def test_what_was_refused_is_left_out(toloka: EmulatorServer, rows: Rows, tmp_path: Path) -> None:
    """Those behind it get into another chunk."""
    rows[50] = {**rows[50], "user_id": "nobody"}
    with pytest.raises(AirflowFailException, match="refused 1 of 250"):
        pay(answers=rows, bonus=lambda row: row["amount"])
    result = pay(None, 2, answers=rows, bonus=amount_of_somebody).result
    assert (result["total"], result["paid"], result["already"]) == (249, 249, 150)
    assert paid(toloka) == wanted(rows[:50] + rows[51:])


def test_an_operation_of_a_chunk_that_there_is_no_more(toloka: EmulatorServer) -> None:
    """It is waited for, as it may pay what is in another chunk now."""
    rows = some(toloka, 450)
    for number in range(300):
        if number % 100 < 70:
            rows[number] = {**rows[number], "user_id": f"nobody-{number}"}
    toloka.progressions.set(Progression(looks=3))
    with pytest.raises(Killed):
        pay(answers=rows, bonus=lambda row: row["amount"], deferrable=True, triggerer=kill)
    result = pay(None, 2, answers=rows, bonus=amount_of_somebody).result
    assert (result["total"], result["paid"], result["already"]) == (240, 240, 150)
    toloka.progressions.set(Progression(seconds=0))
    pay(None, 3, answers=rows, bonus=amount_of_somebody)
    assert paid(toloka) == wanted([row for row in rows if not row["user_id"].startswith("nobody")])


def test_nothing_is_sent_before_all_that_was_paid_is_found(toloka: EmulatorServer, rows: Rows) -> None:
    """Neither log nor list has what an operation says it paid."""
    pay(rows)
    toloka.faults.add("GET", LOG, probability=1, status=409, code="OPERATION_LOGS_ARCHIVED")
    world = toloka.world
    with world.lock:
        hidden = dict(world.user_bonuses)
        world.user_bonuses.clear()
    before = sent(toloka)
    with pytest.raises(AirflowException, match=r"have paid 250 bonuses by their counts, and 0 are in their logs"):
        pay(rows, 2)
    assert sent(toloka) == before
    with world.lock:
        world.user_bonuses.update(hidden)
    assert pay(rows, 2).result["already"] == 250


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [rows[1], rows[0], *rows[2:]], r"item 1 was paid by a previous attempt of this task to "),
        (lambda rows: rows[1:], r"item 1 was paid by a previous attempt"),
        (lambda rows: rows[:-1], r"item 250 was paid by a previous attempt of this task which is no bonus now"),
        (lambda rows: rows[:90], r"was paid by a previous attempt of this task which is no bonus now"),
        (lambda rows: [{**rows[0], "amount": 9}, *rows[1:]], r"item 1 was paid .* with 0.005, and its amount is 9 now"),
        (lambda rows: [rows[0], *rows], r"item 2 was paid by a previous attempt"),
    ],
    ids=["order", "one less in front", "one less behind", "less", "amount", "one more in front"],
)
@pytest.mark.parametrize("forgotten", [False, True])
def test_an_input_that_has_changed(
    toloka: EmulatorServer, rows: Rows, change: Callable[[Rows], Rows], problem: str, forgotten: bool
) -> None:
    pay(rows)
    if forgotten:
        forget_operations(toloka)
    before = sent(toloka)
    with pytest.raises(AirflowFailException, match=problem):
        pay(change(rows), 2)
    assert sent(toloka) == before
    assert paid(toloka) == wanted(rows)


def test_others_are_paid_for_themselves(toloka: EmulatorServer, rows: Rows) -> None:
    """Another run, and another mapped task."""
    few = rows[:3]
    for who in ({}, {"run_id": "manual__2"}, {"map_index": 0}, {"map_index": 1}):
        assert pay(few, **who).result["already"] == 0
    assert paid(toloka) == wanted(few * 4)
