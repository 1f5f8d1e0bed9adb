"""The judgement finds each kind of violation: a checker that cannot fail would be worthless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.chaos.disturbances import DISTURBANCES
from fleet.chaos.judgement import judge
from fleet.chaos.records import Attempt, Clock, Event, Thing
from tests.unit.fleet.chaos_records import LOST, Scenario, open_for


@pytest.fixture
def scenario():
    return Scenario()


@pytest.fixture
def verdict_of(tmp_path):
    return lambda scenario: judge(scenario.write(tmp_path), list(DISTURBANCES))


def test_what_went_well(scenario, verdict_of):
    verdict = verdict_of(scenario)
    assert (verdict.violations, verdict.shortfalls, verdict.unexplained) == ([], [], [])
    assert verdict.is_good
    [red] = verdict.explanations
    assert red.reasons == [
        f"review, attempt 6: its process was killed (killed worker.2 with all its processes): {LOST}"
    ]
    assert verdict.notes == ["of 2 pools and trainings of windows, the latest was closed 3 s after its end"]


VIOLATIONS = [
    (lambda s: s.events.append(Event(130, "opened", "pool", "11")), "pool 11 was opened 2 times"),
    (
        lambda s: s.events.append(Event(175, "opened", "pool", "11")),
        "was opened 75 s after the run had ended (success)",
    ),
    (
        lambda s: s.events.append(Event(90, "opened", "training", "22")),
        "training 22 of round_window window is still open",
    ),
    (lambda s: s.events.extend(open_for("pool", "99", 50, 51)), "pool 99 was opened for no run that is known"),
    (lambda s: s.change_run("green", began=50), "pool 11 of round_plain green was opened 20 s before the run began"),
    (
        lambda s: s.change_run("red", ended=40),
        "pool 31 of round_plain red was open for 20 s after the run had ended (failed)",
    ),
    (lambda s: s.change_run("window", ended=70), "training 22 of round_window window was open for 13 s after the run"),
    (
        lambda s: s.change_run("window", closes_at=-120),
        "pool 21 of round_window window was open for 201 s after the end of",
    ),
    (
        lambda s: s.change_run("red", doubled=("7 tasks are in pool 31 more than once",)),
        "round_plain red: 7 tasks are in pool 31 more than once",
    ),
    (lambda s: s.change_run("green", wrong=("499 tasks",)), "round_plain green is falsely green: 499 tasks"),
    (lambda s: s.change_run("green", state="running", ended=None), "round_plain green has not ended: it is running"),
    (lambda s: s.leaks.append("log/worker.1.log"), "a token stands in log/worker.1.log"),
]


@pytest.mark.parametrize(("spoil", "found"), VIOLATIONS)
def test_a_violation(scenario, verdict_of, spoil, found):
    spoil(scenario)
    verdict = verdict_of(scenario)
    assert any(found in violation for violation in verdict.violations), verdict.violations
    assert not verdict.is_good


def test_what_is_wrong_with_a_red_run_is_no_lie(scenario, verdict_of):
    scenario.change_run("red", wrong=("no answers.jsonl",))
    assert verdict_of(scenario).is_good


def test_a_stray_that_was_archived_is_noted(scenario, verdict_of):
    scenario.things["12"] = Thing("project", "12", "green", "ARCHIVED")
    verdict = verdict_of(scenario)
    assert verdict.is_good
    assert "round_plain green has 2 projects: 10 ARCHIVED, 12 ARCHIVED" in verdict.notes


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: s.disturbances.pop("worker"), f"review, attempt 6, which no disturbance accounts for: {LOST}"),
        (
            lambda s: s.change_run("red", attempts=(Attempt("review", 6, "failed", 70, 112, (LOST,), process=99),)),
            f"review, attempt 6, which no disturbance accounts for: {LOST}",
        ),
        (
            lambda s: s.change_run("red", attempts=(Attempt("review", 6, "failed", 70, 112, ("KeyError: 'x'",)),)),
            "review, attempt 6, which no disturbance accounts for: KeyError: 'x'",
        ),
        (
            lambda s: s.change_run("red", attempts=(Attempt("review", 6, "failed", 70, 112),)),
            "review, attempt 6, which no disturbance accounts for: nothing says why",
        ),
        (lambda s: s.change_run("red", attempts=()), "no task of it has failed by itself"),
    ],
)
def test_a_red_run_without_explanation(scenario, verdict_of, spoil, said):
    spoil(scenario)
    for kind, each in scenario.disturbances.items():
        if kind != "worker":
            scenario.disturbances[kind] = replace(each, began=118, ended=119)
    verdict = verdict_of(scenario)
    [each] = verdict.unexplained
    assert said in each.reasons[0]
    assert not verdict.is_good


def test_each_failed_attempt_of_a_failed_task_is_explained(scenario, verdict_of):
    """Not those of a task that succeeded in the end, nor what failed because another one had."""
    follows = "AirflowFailException: The window has no result: the task window.wait is upstream_failed"
    behind = "AirflowFailException: Pool 31 was not opened: not_after is 1, which is over by Toloka's clock"
    attempts = (
        Attempt("upload", 1, "failed", 11, 12, ("KeyError: 'x'",)),
        Attempt("upload", 2, "success", 13, 14),
        Attempt("open", 1, "failed", 60, 78, (LOST,), process=42),
        Attempt("open", 2, "failed", 80, 84, (behind,)),
        Attempt("result", 1, "failed", 85, 86, (follows,)),
        Attempt("review", 1, "upstream_failed", None, None),
    )
    scenario.change_run("red", attempts=attempts)
    assert [each.reasons for each in verdict_of(scenario).explanations] == [
        [
            f"open, attempt 1: its process was killed (killed worker.2 with all its processes): {LOST}",
            f"open, attempt 2: Toloka's clock was ahead (clock step was disturbed): {behind}",
        ]
    ]


@pytest.mark.parametrize(
    "error",
    [
        "TolokaApiError: POST /pools/31/open answered 404 DOES_NOT_EXIST",
        "TolokaNotSentError: Nothing more is sent to Toloka that changes it",
        "AssertionError: there are 502 of 500 tasks",
    ],
)
def test_faulty_calls_account_for_what_they_do_only(scenario, verdict_of, error):
    scenario.change_run("red", attempts=(Attempt("review", 6, "failed", 70, 112, (error,)),))
    [each] = verdict_of(scenario).unexplained
    assert each.reasons == [f"review, attempt 6, which no disturbance accounts for: {error}"]


def test_disturbances_that_ended_before_their_time(scenario, verdict_of):
    scenario.errors.append("Traceback: boom")
    verdict = verdict_of(scenario)
    assert verdict.shortfalls == ["the disturbances ended before their time: Traceback: boom"]
    assert not verdict.is_good


def test_what_was_not_tried(scenario, verdict_of):
    scenario.disturbances["full disk"] = replace(scenario.disturbances["full disk"], hit=False)
    del scenario.runs["green"], scenario.things["10"], scenario.things["11"]
    scenario.events = [event for event in scenario.events if event.id != "11"]
    verdict = verdict_of(scenario)
    assert verdict.shortfalls == ["2 rounds ended in 2 minutes, fewer than 3", "full disk: hit nobody"]
    assert not verdict.is_good


def test_a_skipped_window_is_noted(scenario, verdict_of):
    scenario.change_run("window", skipped=True)
    assert "1 windows were skipped, as it was too late to open them" in verdict_of(scenario).notes


def test_the_clock_of_a_toloka_that_is_stepped_forward_and_slowed_down():
    clock = Clock([(1000.0, 1000.0), (1100.0, 1100.0), (1100.2, 1130.2), (1160.2, 1160.2)])
    at = "1970-01-01T00:{}:{}".format
    assert clock.real(at(15, "00")) == 900
    assert clock.real(at(17, 30)) == 1050
    assert clock.real(at(18, 35)) == pytest.approx(1100.1, abs=0.1)  # 1115, which was jumped over
    assert clock.real(at(19, "05.200")) == pytest.approx(1130.2)
    assert clock.real(at(20, "00")) == pytest.approx(1200)
