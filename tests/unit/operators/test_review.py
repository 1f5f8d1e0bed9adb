"""Reviews: every answer decided as wanted, however often the task is tried."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.support import TOKEN, ScriptedServer, connect, pool, run_task
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import Assignment
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.assignments import ReviewAssignmentsOperator
from toloka_airflow.voting import MajorityVote

YES = {"status": "ACCEPTED", "public_comment": "Thank you"}
NO = {"status": "REJECTED", "public_comment": "This is no cat"}


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as emulator:
        connect(monkeypatch, emulator.url)
        yield emulator


@pytest.fixture
def pool_id(toloka: EmulatorServer) -> str:
    """A pool with twelve answers that nobody has decided on."""
    return answered(toloka)


def answered(toloka: EmulatorServer, tasks: int = 6) -> str:
    pool_id = toloka.add_pool(tasks, overlap=2, open=True, auto_accept_solutions=False)
    toloka.clock.advance(3600)
    return pool_id


def answers(toloka: EmulatorServer, pool_id: str) -> list[Assignment]:
    return list(TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_assignments(pool_id=pool_id))


def statuses(toloka: EmulatorServer, pool_id: str) -> dict[str, str]:
    return {answer.id: answer.status.value for answer in answers(toloka, pool_id)}


def wanted(toloka: EmulatorServer, pool_id: str) -> dict[str, dict[str, str]]:
    """Return decisions, every third to reject."""
    ids = [answer.id for answer in answers(toloka, pool_id)]
    return {name: YES if number % 3 else NO for number, name in enumerate(ids)}


def review(pool_id: str, decisions: Any = None, **arguments: Any) -> dict[str, Any]:
    task = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decisions=decisions, **arguments)
    result: dict[str, Any] = run_task(task).result
    return result


def as_file(path: Path, decisions: dict[str, dict[str, str]]) -> str:
    lines = [json.dumps({"assignment_id": name, **decision}) for name, decision in decisions.items()]
    text = "\n".join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(text) if path.suffix.lower() == ".gz" else text)
    return str(path)


def counts(**more: int) -> dict[str, int]:
    return {"accepted": 0, "rejected": 0, "already": 0, "left": 0, **more}


@pytest.mark.parametrize("kind", ["function", "mapping", "list", ".jsonl", ".jsonl.gz", ".jsonl.GZ"])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_all_are_decided_and_only_once(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, kind: str, in_flight: int
) -> None:
    decisions = wanted(toloka, pool_id)
    arguments: dict[str, Any] = {"decisions": decisions}
    if kind == "function":
        arguments = {"decide": lambda answer: decisions[answer.id]}
    elif kind == "list":
        arguments = {"decisions": [{"assignment_id": name, **decision} for name, decision in decisions.items()]}
    elif kind != "mapping":
        arguments = {"decisions": as_file(tmp_path / f"decisions{kind}", decisions)}
    first = review(pool_id, in_flight=in_flight, **arguments)
    assert first == {"pool_id": pool_id, **counts(accepted=8, rejected=4)}
    again = review(pool_id, in_flight=in_flight, **arguments)
    assert again == {**first, "already": 12}
    assert statuses(toloka, pool_id) == {name: decision["status"] for name, decision in decisions.items()}
    comments = {answer.id: answer.raw["public_comment"] for answer in answers(toloka, pool_id)}
    assert comments == {name: decision["public_comment"] for name, decision in decisions.items()}
    assert len(toloka.journal.requests(method="PATCH")) == 12


def test_a_function_gets_what_was_answered_and_may_leave_it(toloka: EmulatorServer, pool_id: str) -> None:
    seen: list[Assignment] = []

    def decide(answer: Assignment) -> dict[str, str] | None:
        seen.append(answer)
        return None if len(seen) % 2 else YES

    assert review(pool_id, decide=decide) == {"pool_id": pool_id, **counts(accepted=6, left=6)}
    assert all(answer.solutions[0] for answer in seen)
    assert Counter(statuses(toloka, pool_id).values()) == {"ACCEPTED": 6, "SUBMITTED": 6}


def test_what_was_rejected_can_be_accepted(toloka: EmulatorServer, pool_id: str) -> None:
    ids = list(statuses(toloka, pool_id))
    review(pool_id, dict.fromkeys(ids, NO))
    assert review(pool_id, dict.fromkeys(ids, YES))["accepted"] == 12
    assert set(statuses(toloka, pool_id).values()) == {"ACCEPTED"}


@pytest.mark.parametrize("fault", [{"lost_answer": True}, {"status": 503}, {"drop": True}, {"half_body": True}])
def test_lost_answers_are_no_second_decision(toloka: EmulatorServer, pool_id: str, fault: dict[str, Any]) -> None:
    decisions = wanted(toloka, pool_id)
    toloka.faults.add("PATCH", "/api/v1/assignments/{id}", skip=3, **fault)
    assert review(pool_id, decisions) == {"pool_id": pool_id, **counts(accepted=8, rejected=4)}
    assert statuses(toloka, pool_id) == {name: decision["status"] for name, decision in decisions.items()}
    decided = [event for event in toloka.journal.events() if event["event"].endswith(("accepted", "rejected"))]
    assert len(decided) == 12


def test_what_is_decided_otherwise_fails_after_all_others_are_done(toloka: EmulatorServer, pool_id: str) -> None:
    decisions = wanted(toloka, pool_id)
    paid = next(iter(decisions))
    review(pool_id, {paid: YES})
    with pytest.raises(AirflowFailException) as failure:
        review(pool_id, {**decisions, paid: NO, "0015-unknown": YES})
    assert f"Assignment {paid} is ACCEPTED, so it cannot be REJECTED any more" in str(failure.value)
    assert "Assignment 0015-unknown does not exist" in str(failure.value)
    assert "(2 were not)" in str(failure.value)
    assert Counter(statuses(toloka, pool_id).values()) == {"ACCEPTED": 9, "REJECTED": 3}


def test_somebody_else_is_faster(toloka: EmulatorServer, pool_id: str) -> None:
    """The answer is listed as SUBMITTED, and accepted while the function looks at it."""

    def decide(answer: Assignment) -> dict[str, str]:
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        client.patch_assignment(answer.id, status="ACCEPTED", public_comment="ok")  # type: ignore[arg-type]
        return NO

    with pytest.raises(AirflowFailException, match="is ACCEPTED, so it cannot be REJECTED any more"):
        review(pool_id, decide=decide)


def test_answers_of_another_pool_are_left_alone(toloka: EmulatorServer, pool_id: str) -> None:
    other = answered(toloka)
    with pytest.raises(AirflowFailException, match=rf"belongs to pool {other}(.|\n)*and 2 more"):
        review(pool_id, dict.fromkeys(statuses(toloka, other), YES))
    assert set(statuses(toloka, other).values()) == {"SUBMITTED"}


def test_an_archived_pool(server: ScriptedServer, connection: str) -> None:
    server.default("GET", "/pools/21", pool("ARCHIVED"))
    with pytest.raises(AirflowFailException, match="Pool 21 is ARCHIVED, so its answers cannot be"):
        review("21", {"a-1": YES})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"public_comment": " "}, "public_comment is ' '; people read it"),
        ({"public_comment": "x" * 2049}, "text of up to 2048 characters"),
        ({"status": "REJECTED", "public_comment": None}, "public_comment is None"),
        ({"status": "accepted"}, "status is 'accepted'; it must be ACCEPTED or REJECTED"),
        ({"status": "SUBMITTED"}, "status is 'SUBMITTED'"),
        ({"comment": "x"}, "a decision has public_comment and status"),
    ],
)
@pytest.mark.parametrize("kind", ["function", "mapping", "file"])
def test_a_decision_that_is_none(
    toloka: EmulatorServer, pool_id: str, tmp_path: Path, kind: str, change: dict[str, Any], message: str
) -> None:
    decisions = wanted(toloka, pool_id)
    last = list(decisions)[-1]
    decisions[last] = {**YES, **change}
    arguments: dict[str, Any] = {"decisions": decisions}
    where = f"decisions: assignment {last}: "
    if kind == "function":
        arguments, where = {"decide": lambda answer: decisions[answer.id]}, f"decide: assignment {last}: "
    elif kind == "file":
        path = as_file(tmp_path / "decisions.jsonl", decisions)
        arguments, where = {"decisions": path}, f"decisions: {path}, line 12: "
    with pytest.raises(ValueError) as refusal:
        review(pool_id, **arguments)
    assert str(refusal.value).startswith(where)
    assert message in str(refusal.value)
    assert toloka.journal.requests(method="PATCH") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2: it is not JSON"),
        (b"[]", "line 2: it is no object with an assignment_id"),
        (b'{"assignment_id": "a/b", "status": "ACCEPTED", "public_comment": "x"}', "line 2: assignment_id is 'a/b'"),
        (
            b'{"assignment_id": "a-1", "status": "ACCEPTED", "public_comment": "x"}',
            "line 2: a-1 is decided twice, first in line 1",
        ),
        (
            b'{"assignment_id": "a-2", "status": "ACCEPTED", "public_comment": "x", "status": "REJECTED"}',
            "line 2: it is not JSON: of assignment_id, status, public_comment, status, one is there twice",
        ),
        (b"x" * 70_000, "line 2: it is longer than"),
    ],
)
def test_a_broken_line(server: ScriptedServer, connection: str, tmp_path: Path, line: bytes, message: str) -> None:
    path = Path(as_file(tmp_path / "decisions.jsonl", {"a-1": YES}))
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(ValueError, match=message):
        review("21", str(path))
    assert server.seen == []


@pytest.mark.parametrize("cut", [slice(-9), slice(15), slice(0, 0)])
def test_a_damaged_file(server: ScriptedServer, connection: str, tmp_path: Path, cut: slice) -> None:
    path = Path(as_file(tmp_path / "decisions.jsonl.gz", {"a-1": YES}))
    path.write_bytes(path.read_bytes()[cut] or b"no gzip")
    with pytest.raises(
        ValueError, match=r"decisions\.jsonl\.gz, line [12]: the compressed file breaks off or is damaged"
    ):
        review("21", str(path))


def as_table(*rows: str, header: str = "ASSIGNMENT:assignment_id\tACCEPT:verdict\tACCEPT:comment") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def test_a_table_that_nobody_filled_in(
    toloka: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It decides nothing, which is hardly what was meant."""
    ids = list(statuses(toloka, pool := answered(toloka)))
    path = tmp_path / "review.tsv"
    path.write_text(f"ASSIGNMENT:assignment_id\tACCEPT:verdict\tACCEPT:comment\n{ids[0]}\t\t\n")
    assert review(pool, str(path)) == {"pool_id": pool, **counts()}
    said = "".join(capsys.readouterr().out.splitlines())
    assert f"Pool {pool}: there was nothing to decide, so all assignments are left as they are" in said


@pytest.mark.parametrize("name", ["review.tsv", "review.TSV.gz", "review.csv"])
def test_the_table_that_tolokas_page_takes(toloka: EmulatorServer, tmp_path: Path, name: str) -> None:
    """As it is downloaded there, with a row for each task, and filled in by somebody with a spreadsheet."""
    ids = list(statuses(toloka, pool := answered(toloka)))
    header = '\ufeffINPUT:text\t"ASSIGNMENT:assignment_id"\tASSIGNMENT:status\tACCEPT:verdict\tACCEPT:comment'
    rows = [
        f"one\t{ids[0]}\tSUBMITTED\t-\t",
        f'"two\r\n""lines"""\t{ids[0]}\tSUBMITTED\t-\t"This is ""no"" cat,\r\nbut a dog"',
        f"three\t{ids[0]}\tSUBMITTED\t\t",
        "\t\t\t\t",
        "",
        f"four\t{ids[1]}\tSUBMITTED\t+\t",
        f"five\t{ids[1]}\tSUBMITTED\t+\t",
        f"six\t{ids[2]}\tSUBMITTED\t APPROVED \tThank you",
        f"seven\t{ids[3]}\tSUBMITTED\trejected\tNo",
        f"eight\t{ids[4]}\tSUBMITTED\t\t",
    ]
    text = "\r\n".join([header, *rows, ""])
    if "csv" in name:
        text = text.replace("\t", ",")
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert review(pool, str(path)) == {"pool_id": pool, **counts(accepted=2, rejected=2)}
    assert review(pool, str(path)) == {"pool_id": pool, **counts(accepted=2, rejected=2, already=4)}
    decided = {answer.id: (answer.status.value, answer.raw.get("public_comment")) for answer in answers(toloka, pool)}
    assert decided == {
        **dict.fromkeys(ids, ("SUBMITTED", None)),
        ids[0]: ("REJECTED", 'This is "no" cat,\r\nbut a dog'),
        ids[1]: ("ACCEPTED", None),
        ids[2]: ("ACCEPTED", "Thank you"),
        ids[3]: ("REJECTED", "No"),
    }
    assert len(toloka.journal.requests(method="PATCH")) == 4


def test_an_acceptance_may_do_without_a_comment(toloka: EmulatorServer, pool_id: str) -> None:
    assert review(pool_id, decide=lambda answer: {"status": "ACCEPTED"})["accepted"] == 12
    assert {answer.raw.get("public_comment") for answer in answers(toloka, pool_id)} == {None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            as_table("a-1\t+\t", "a-2\t+\t", "a-1\t-\tNo cat"),
            "line 4: a-1 is REJECTED here, but ACCEPTED in line 2; all of an assignment",
        ),
        (as_table("a-1\t-\tNo cat", "a-1\t-\tNo dog"), "line 3: a-1 has another ACCEPT:comment in line 2"),
        (as_table("a-0\t+\t", "a-1\t-\t"), "line 3: assignment a-1 is rejected without an ACCEPT:comment; people"),
        (as_table("a-1\t-\t" + "x" * 2049), "line 2: assignment a-1: public_comment is 'xx"),
        (as_table("a-1\tyes\t"), "line 2: ACCEPT:verdict is 'yes'; it must be +, ACCEPTED, APPROVED, -, REJECTED or"),
        (as_table("a-1\t\u2013\tNo cat"), r"line 2: ACCEPT:verdict is '\u2013'; it must be +"),
        (as_table("a-1\t\tNo cat"), "line 2: it has an ACCEPT:comment but no ACCEPT:verdict"),
        (as_table("\t+\t"), "line 2: ASSIGNMENT:assignment_id is ''"),
        (as_table("a/1\t+\t"), "line 2: ASSIGNMENT:assignment_id is 'a/1'"),
        (as_table("a-1\t+"), "line 2: it has 2 cells, but the header has 3"),
        (as_table('a-1\t-\t"No cat'), "line 2: it is not TSV: unexpected end of data"),
        (
            # Else a-1 would be rejected by the verdict of a-3.
            as_table(
                'a-1\t"Yes\t+\t',
                "a-2\tno\t+\t",
                'a-3\tno"\t-\tNo cat',
                header="ASSIGNMENT:assignment_id\tOUTPUT:why\tACCEPT:verdict\tACCEPT:comment",
            ),
            "line 2: by its quotes it is one row up to line 4, but each of these lines has as many cells as a row",
        ),
        (as_table(header="assignment_id\tACCEPT:verdict"), "line 1: there is no column ASSIGNMENT:assignment_id; the "),
        (as_table(header="ASSIGNMENT:assignment_id\tverdict"), "no column ACCEPT:verdict; the header is 'ASSIGNMENT:"),
        (
            as_table(header="ASSIGNMENT:assignment_id\tACCEPT:verdict\tACCEPT:comments"),
            "line 1: there is a column 'ACCEPT:comments'; those of a review are",
        ),
        (
            as_table(header="ASSIGNMENT:assignment_id\tACCEPT:verdict\tACCEPT:verdict"),
            "line 1: the column ACCEPT:verdict is there 2 times",
        ),
        (as_table().decode().encode("utf-16"), "line 1: it is not UTF-8: byte 1 is 0xff. Save the file as UTF-8"),
        (
            as_table().decode().replace("\t", ",").encode(),
            "line 1: the header 'ASSIGNMENT:assignment_id,ACCEPT:verdict",
        ),
        (as_table().decode().replace("\t", ";").encode(), "has semicolons and no tab: the cells of .csv have commas"),
        (b"", "is empty; its first line must have the columns"),
    ],
)
def test_a_table_that_cannot_be_meant(
    server: ScriptedServer, connection: str, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "review.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError) as refusal:
        review("21", str(path))
    assert f"decisions: {path}" in str(refusal.value)
    assert message in str(refusal.value)
    assert server.seen == []


def test_a_function_that_goes_on_counts_what_was_decided_before(toloka: EmulatorServer, pool_id: str) -> None:
    toloka.faults.add("PATCH", "/api/v1/assignments/{id}", skip=5, status=403)
    with pytest.raises(AirflowFailException):
        review(pool_id, decide=lambda answer: YES, in_flight=1)
    again = review(pool_id, decide=lambda answer: YES)
    assert again["accepted"] == 12
    assert 0 < again["already"] < 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "decisions or decide must be given"),
        ({"decisions": {}, "decide": lambda answer: None}, "and not both"),
        ({"decisions": MajorityVote("label", min_share=1, comment="No")}, "decisions is .*: give it as decide"),
        ({"decide": MajorityVote}, "decide is <class .*; it must be a function, or one like MajorityVote"),
        ({"decide": "majority"}, "decide is 'majority'; it must be a function"),
        ({"decisions": {"a b": YES}}, "an assignment's id is 'a b', which is no id"),
        (
            {"decisions": "/nowhere/decisions.jsonl"},
            "decisions is '/nowhere/decisions.jsonl', and there is no such file",
        ),
        ({"decisions": 5}, "decisions is 5; it must be the path of a file"),
        ({"decisions": [YES]}, "decisions: number 1: it is no object with an assignment_id"),
        ({"decisions": ["a-1"]}, "decisions: number 1: it is no object"),
        (
            {"decisions": [{"assignment_id": "a-1", **YES}] * 2},
            "decisions: number 2: a-1 is decided twice, first in number 1",
        ),
        ({"decisions": {5: YES, "5": NO}}, "decisions: assignment 5 is decided twice"),
        ({"decisions": "None"}, "decisions is 'None': a template or an upstream task gave no path"),
        ({"decisions": {"a-1": YES}, "in_flight": 0}, "in_flight is 0"),
        ({"decisions": {"a-1": YES}, "in_flight": True}, "in_flight is True"),
    ],
)
def test_arguments_that_cannot_be_used(server: ScriptedServer, connection: str, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        review("21", **arguments)
    assert server.seen == []
