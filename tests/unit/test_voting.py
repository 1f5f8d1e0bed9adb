"""Majority votes: who is paid and who is not, by what the others answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import ScriptedServer, connect, pool, run_task
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.assignments import ReviewAssignmentsOperator
from toloka_airflow.voting import MajorityVote

NO_CAT = "Most people who saw these pictures say otherwise"
Answers = dict[str, dict[str, Any]]


def assignment(person: str, answers: dict[str, Any], status: str = "SUBMITTED") -> dict[str, Any]:
    """Return a person's assignment; tasks whose names begin with "golden" are control tasks."""
    golden = {"known_solutions": [{"output_values": {"label": "cat"}}]}
    return {
        "id": f"a-{person}",
        "pool_id": "21",
        "user_id": person,
        "status": status,
        "tasks": [{"id": task, "input_values": {}, **(golden if "golden" in task else {})} for task in answers],
        "solutions": [{"output_values": {"label": label, "sure": True}} for label in answers.values()],
    }


def vote(server: ScriptedServer, assignments: list[dict[str, Any]], **arguments: Any) -> Any:
    """Review by the majority; return the result of the task, and the decisions that were sent, by person."""
    server.default("GET", "/pools/21", pool())
    server.default("GET", "/assignments", {"items": assignments, "has_more": False})
    for each in assignments:
        server.default("PATCH", f"/assignments/{each['id']}", {**each, "status": "ACCEPTED"})
    decide = MajorityVote(**{"field": "label", "min_share": 0.7, "comment": NO_CAT, **arguments})
    result = run_task(ReviewAssignmentsOperator(task_id="review", pool_id="21", decide=decide)).result
    sent = {seen.path.rpartition("a-")[2]: seen.body for seen in server.seen if seen.method == "PATCH"}
    return result, {person: body["status"] for person, body in sent.items()}, sent


TEN = [f"t-{number}" for number in range(10)]


def tens(**right: int) -> Answers:
    """Return for each person the answers to ten tasks, of which so many are right."""
    return {
        person: {task: "cat" if i < number else person for i, task in enumerate(TEN)}
        for person, number in right.items()
    }


@pytest.mark.parametrize(
    ("answers", "decided"),
    [
        pytest.param(
            {"ann": {"t": "cat"}, "bob": {"t": "cat"}, "eve": {"t": "dog"}},
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "eve": "REJECTED"},
            id="two of three",
        ),
        pytest.param({"ann": {"t": "cat"}, "bob": {"t": "cat"}}, {}, id="too few"),
        pytest.param({name: {"t": "cat" if name < "c" else "dog"} for name in "abcd"}, {}, id="a tie"),
        pytest.param({name: {"t": label} for name, label in zip("abcde", "xxyzw", strict=True)}, {}, id="no majority"),
        pytest.param(
            tens(ann=10, bob=10, cid=10, dan=7, eve=6),
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "cid": "ACCEPTED", "dan": "ACCEPTED", "eve": "REJECTED"},
            id="a share of several tasks",
        ),
        pytest.param(
            # Nobody knows about three tasks; with them, dan could have seven right, and eve six.
            {
                name: {**some, "n-1": name, "n-2": name, "n-3": name}
                for name, some in {
                    "ann": dict.fromkeys("tuvwxyz", 1),
                    "bob": dict.fromkeys("tuvwxyz", 1),
                    "cid": dict.fromkeys("tuvwxyz", 1),
                    "dan": {**dict.fromkeys("tuvw", 1), **dict.fromkeys("xyz", 2)},
                    "eve": {**dict.fromkeys("tuv", 1), **dict.fromkeys("wxyz", 2)},
                }.items()
            },
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "cid": "ACCEPTED", "eve": "REJECTED"},
            id="tasks without a label count for nobody's rejection",
        ),
        pytest.param(
            {"ann": {"t": "cat"}, "bob": {"t": "cat"}, "cid": {"t": "cat"}, "eve": {"t": None}},
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "cid": "ACCEPTED"},
            id="who has not answered is left",
        ),
        pytest.param(
            {name: {"golden-1": "dog", "t": "cat"} for name in ("ann", "bob", "cid")} | {"eve": {"golden-1": "cat"}},
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "cid": "ACCEPTED"},
            id="control tasks are not counted",
        ),
        pytest.param(
            {"ann": {"t": {"a": 1, "b": [2]}}, "bob": {"t": {"b": [2], "a": 1}}, "eve": {"t": {"a": True, "b": [2]}}},
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "eve": "REJECTED"},
            id="values that are no text",
        ),
        pytest.param(
            {"ann": {"t": [3, {"a": 3}]}, "bob": {"t": [3, {"a": 3}]}, "eve": {"t": [3.0, {"a": 3.0}]}},
            {"ann": "ACCEPTED", "bob": "ACCEPTED", "eve": "ACCEPTED"},
            id="equal numbers",
        ),
    ],
)
def test_who_is_paid(server: ScriptedServer, connection: str, answers: Answers, decided: dict[str, str]) -> None:
    assignments = [assignment(person, given) for person, given in answers.items()]
    result, sent, _ = vote(server, assignments)
    assert sent == decided
    counted = list(decided.values())
    assert result["accepted"] == counted.count("ACCEPTED")
    assert result["rejected"] == counted.count("REJECTED")
    assert result["left"] == len(answers) - len(decided)


def test_the_comments(server: ScriptedServer, connection: str) -> None:
    three = [assignment(person, {"t": label}) for person, label in [("ann", 1), ("bob", 1), ("eve", 2)]]
    _, _, sent = vote(server, three, accept_comment="Thank you")
    assert sent["ann"] == {"status": "ACCEPTED", "public_comment": "Thank you"}
    assert sent["eve"] == {"status": "REJECTED", "public_comment": NO_CAT}


@pytest.mark.parametrize("status", ["ACCEPTED", "REJECTED"])
def test_what_is_decided_votes_too(server: ScriptedServer, connection: str, status: str) -> None:
    """Else a further attempt would decide by other labels than the first."""
    decided = [assignment(person, {"t": "cat"}, status) for person in ("ann", "bob")]
    result, sent, _ = vote(server, [*decided, assignment("eve", {"t": "dog"})])
    assert sent == {"eve": "REJECTED"}
    assert result["already"] == 2


@pytest.mark.parametrize(("state", "warned"), [(pool("OPEN", None), True), (pool(), False)])
def test_a_vote_that_is_not_over(
    server: ScriptedServer, connection: str, capsys: pytest.CaptureFixture[str], state: Any, warned: bool
) -> None:
    """Who is rejected by the first three answers of five may be right by all five."""
    server.answer("GET", "/pools/21", json=state)
    vote(server, [assignment("ann", {"t": "cat"})])
    assert ("Pool 21 is OPEN by now, so answers may still come" in capsys.readouterr().out) is warned


def test_a_person_has_one_vote(server: ScriptedServer, connection: str) -> None:
    again = {**assignment("ann", {"t": "cat"}), "id": "a-ann-again"}
    _, sent, _ = vote(server, [assignment("ann", {"t": "cat"}), again, assignment("eve", {"t": "dog"})])
    assert sent == {}


def test_a_field_that_nobody_answers(server: ScriptedServer, connection: str) -> None:
    """Rather than to leave all answers as they are, and Toloka to accept them some day."""
    with pytest.raises(ValueError, match=r"field is 'lable', and no answer .* has it; there are label, sure"):
        vote(server, [assignment("ann", {"t": "cat"})], field="lable")


def test_nobody_has_answered(server: ScriptedServer, connection: str) -> None:
    assert vote(server, [])[0] == {"pool_id": "21", "accepted": 0, "rejected": 0, "already": 0, "left": 0}


def test_answers_that_belong_to_no_task(server: ScriptedServer, connection: str) -> None:
    odd = {**assignment("ann", {"t": "cat"}), "solutions": []}
    with pytest.raises(Exception, match="Assignment a-ann has 1 task but 0 solutions"):
        vote(server, [odd])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"field": ""}, "field is ''"),
        ({"min_share": 0}, "min_share is 0; it must be a number above 0, up to 1"),
        ({"min_share": 70}, "min_share is 70"),
        ({"min_share": "0.7"}, "min_share is '0.7'"),
        ({"comment": " "}, "comment is ' '; people read it"),
        ({"accept_comment": ""}, "accept_comment is ''"),
        ({"min_answers": 1}, "min_answers is 1; it must be a whole number of 2 or more"),
    ],
)
def test_arguments_that_cannot_be_used(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MajorityVote(**{"field": "label", "min_share": 0.7, "comment": NO_CAT, **change})


def test_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most people of the emulator are right, so most are paid; a further attempt finds nothing to do."""
    with EmulatorServer(seed=1, frozen=True) as toloka:
        connect(monkeypatch, toloka.url)
        pool_id = toloka.add_pool(200, overlap=5, open=True, auto_accept_solutions=False)
        toloka.clock.advance(24 * 3600)
        decide = MajorityVote("label", min_share=0.5, comment=NO_CAT)
        task = ReviewAssignmentsOperator(task_id="review", pool_id=pool_id, decide=decide)
        first, again = run_task(task).result, run_task(task).result
    assert first["accepted"] + first["rejected"] + first["left"] == 200 * 5
    assert first["accepted"] > 4 * first["rejected"] > 0
    assert again == {**first, "already": first["accepted"] + first["rejected"]}
