"""Which tasks get another answer, and when there are enough."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toloka_airflow.quality.answers import read_answers
from toloka_airflow.quality.doubts import NextRound, needs_two, next_overlaps, task_scores, this_round
from toloka_airflow.quality.methods import majority_vote

SHARES = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.floats(0, 1))
TASKS = st.dictionaries(
    st.text(max_size=3), st.tuples(st.one_of(SHARES, st.just(math.nan), st.none()), st.integers(0, 12))
)


def decide(scores: dict[str, float], overlap: int = 2, **options: object) -> NextRound:
    return next_overlaps(scores, dict.fromkeys(scores, overlap), **{"target": 1, **options})  # type: ignore[arg-type]


def test_doubtful_tasks_get_one_more_answer_the_least_sure_first():
    decided = decide({"a": 0.8, "b": 0.95, "c": 0.75, "d": 0.8})
    assert decided.more == {"c": 1, "a": 1, "d": 1}
    assert list(decided.more) == ["c", "a", "d"]
    assert decided.overlaps == {"c": 3, "a": 3, "d": 3}
    assert (decided.answers, decided.sure, decided.doubtful, decided.share) == (3, 1, 3, 0.25)
    assert decided.stopped_by is None


def test_a_score_that_is_the_limit_is_sure():
    assert decide({"a": 0.9, "b": 0.8999}, sure_at=0.9).more == {"b": 1}


def test_nothing_is_sure_that_one_person_alone_has_said():
    assert next_overlaps({"a": 1.0, "b": 1.0}, {"a": 1, "b": 2}, target=1).overlaps == {"a": 2}
    assert next_overlaps({"a": 1.0}, {"a": 1}, target=1, min_overlap=1).stopped_by == "target"
    # Also where another answer was rejected, so that it does not count.
    rejected = next_overlaps({"a": 1.0, "b": 1.0}, {"a": 3, "b": 3}, target=1, counted={"a": 1, "b": 2})
    assert rejected.overlaps == {"a": 4}
    assert next_overlaps({"a": 1.0}, {"a": 1}, target=1, max_overlap=1).stopped_by == "overlap"


def test_what_nobody_has_answered_comes_first():
    decided = next_overlaps({"a": 0.0, "b": math.nan}, {"a": 1, "b": 0, "c": 0}, budget=2, rounds_left=1)
    assert decided.overlaps == {"b": 1, "c": 1}


def test_nothing_is_sure_that_has_no_answer():
    assert decide({"a": math.nan}, sure_at=0).doubtful == 1


def test_scores_of_other_tasks_do_not_matter():
    assert next_overlaps({"a": 0.8, "control": 0.1}, {"a": 2}).overlaps == {"a": 3}


def test_a_task_that_one_answer_cannot_make_sure_gets_two():
    # 7 to 3 becomes 49 to 3, which is less than 19 to 1.
    assert decide({"a": 0.7, "b": 0.74}, sure_at=0.95).more == {"a": 2, "b": 1}
    assert decide({"a": 0.7}, sure_at=0.94).more == {"a": 1}
    assert decide({"a": 0.0, "b": math.nan}, sure_at=0.5).more == {"a": 2, "b": 2}


def test_no_score_but_none_is_beyond_one_answer():
    assert not needs_two(0.9999, 0.9999)
    assert needs_two(0.9999, 1)


def test_not_even_then_does_a_task_get_more_than_it_may():
    decided = next_overlaps(dict.fromkeys("abc", 0.4), {"a": 8, "b": 9, "c": 10}, max_overlap=10)
    assert decided.overlaps == {"a": 10, "b": 10}


def test_all_have_one_more_answer_before_any_gets_two():
    scores = {"a": 0.5, "b": 0.4, "c": 0.9}
    assert decide(scores, budget=2, rounds_left=1).more == {"b": 1, "a": 1}
    assert decide(scores, budget=3, rounds_left=1).more == {"b": 1, "a": 1, "c": 1}
    assert decide(scores, budget=4, rounds_left=1).more == {"b": 2, "a": 1, "c": 1}
    assert decide(scores, budget=9, rounds_left=1).more == {"b": 2, "a": 2, "c": 1}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"target": 0.5}, "target"),
        ({"target": 0.51}, None),
        ({"max_overlap": 2}, "overlap"),
        ({"max_overlap": 3}, None),
        ({"rounds_left": 0}, "rounds"),
        ({"budget": 0}, "budget"),
        ({"budget": 1}, None),
        ({"target": 0.5, "max_overlap": 2, "rounds_left": 0, "budget": 0}, "target"),
        ({"max_overlap": 2, "rounds_left": 0, "budget": 0}, "overlap"),
        ({"rounds_left": 0, "budget": 0}, "rounds"),
    ],
)
def test_there_is_no_further_round(options: dict[str, float], reason: str | None):
    decided = decide({"a": 0.99, "b": 0.5}, **options)
    assert decided.stopped_by == reason
    assert bool(decided.more) is (reason is None)


def test_without_tasks_there_is_nothing_to_do():
    decided = next_overlaps({}, {})
    assert (decided.stopped_by, decided.share) == ("target", 1)


def test_a_budget_is_for_all_rounds():
    spent, left = [], 1500
    for rounds_left in (5, 4, 3, 2, 1):
        spent.append(this_round(left, rounds_left))
        left -= spent[-1]
    assert spent == [500, 400, 300, 200, 100]
    assert this_round(1, 5) == 1


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_a_round_spends_no_more_than_there_is(budget: int, rounds_left: int):
    spent = this_round(budget, rounds_left)
    assert min(budget, 1) <= spent <= budget
    assert Fraction(2 * budget, rounds_left + 1) <= spent
    if rounds_left == 1:
        assert spent == budget


@given(TASKS, SHARES, SHARES, st.integers(1, 10), st.integers(0, 6), st.one_of(st.none(), st.integers(0, 20)))
@example({"a": (0.5, 12)}, 1.0, 0.9, 10, 5, None)
def test_it_keeps_to_its_limits(
    tasks: dict[str, tuple[float | None, int]],
    target: float,
    sure_at: float,
    max_overlap: int,
    rounds_left: int,
    budget: int | None,
):
    scores = {task: score for task, (score, _) in tasks.items() if score is not None}
    answers = {task: count for task, (_, count) in tasks.items()}
    options = {"target": target, "sure_at": sure_at, "max_overlap": max_overlap, "rounds_left": rounds_left}
    decided = next_overlaps(scores, answers, budget=budget, **options)  # type: ignore[arg-type]
    sure = {task for task, score in scores.items() if score >= sure_at and answers[task] >= 2}
    assert decided.sure == len(sure)
    for task, overlap in decided.overlaps.items():
        assert answers[task] < overlap == answers[task] + decided.more[task] <= min(max_overlap, answers[task] + 2)
        assert task not in sure
    assert budget is None or decided.answers <= budget
    assert decided.sure + decided.doubtful == len(tasks)
    assert bool(decided.more) is (decided.stopped_by is None)
    # Nobody who stays behind is less sure than somebody who is raised, unless they have all that they may.
    raised = [scores.get(task, math.nan) for task in decided.more]
    for task, count in answers.items():
        if decided.more and task not in decided.more and count < max_overlap and task not in sure:
            assert all(math.isnan(score) or score <= scores.get(task, -1) for score in raised)
    # The order of tasks does not matter.
    again = dict(reversed(list(answers.items())))
    assert next_overlaps(dict(reversed(list(scores.items()))), again, budget=budget, **options) == decided  # type: ignore[arg-type]


def test_a_task_is_as_sure_as_its_least_sure_field():
    def row(task: str, person: str, **extra: object) -> dict[str, object]:
        place = {"assignment_id": f"{task}{person}", "task_id": task, "user_id": person, "status": "ACCEPTED"}
        return {**place, **extra}

    answers = [
        row("a", "p", output_values={"x": 1, "y": 1}),
        row("a", "q", output_values={"x": 1, "y": 2}),
        row("b", "p", output_values={"x": 1, "y": 1}),
        row("c", "p", output_values={"x": 1}),
        row("control", "p", output_values={"x": 1, "y": 1}, known_solutions=[{"output_values": {"x": 1}}]),
    ]
    for fields in (["x", "y"], ["y", "x"]):
        table = read_answers(answers, fields=fields)
        scores = task_scores(table, ((name, majority_vote(table.votes(name))) for name in fields))
        assert scores == {"a": 0.5, "b": 1.0}


@pytest.mark.parametrize(
    "options",
    [
        {"target": 1.1},
        {"sure_at": -0.1},
        {"sure_at": math.nan},
        {"max_overlap": 0},
        {"rounds_left": -1},
        {"budget": -1},
    ],
)
def test_an_argument_outside_its_range_is_refused(options: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(options))):
        decide({"a": 0.5}, **options)
