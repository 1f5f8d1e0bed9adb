"""How long a pool takes, by the pace of previous pools or by the time limit of a page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toloka_airflow.checks.duration import Duration, Pace, estimate_duration
from toloka_airflow.checks.money import Range

POOL = {"assignment_max_duration_seconds": 360}
ANSWERS = Range(100, 200)
SLOW = Pace("21", answers=50, seconds_per_answer=72.0, hours=10.0, people=7)
FAST = Pace("22", answers=400, seconds_per_answer=36.0, hours=4.0, people=31)
OPENED_TWICE = Pace("23", answers=400, seconds_per_answer=18.0, hours=None)


def made(*paces: Pace, pool: dict[str, Any] = POOL, answers: Range[int] = ANSWERS, **options: Any) -> Duration:
    duration = estimate_duration(answers, pool, paces, **options)
    assert duration is not None
    return duration


def test_by_previous_pools() -> None:
    duration = made(SLOW, FAST)
    assert duration.source == "previous_pools"
    assert duration.pools == ("21", "22")
    # From 100 answers of 36 s to 200 of 72 s; at 100 answers an hour, and at 5.
    assert duration.work_hours == Range(1.0, 4.0)
    assert duration.hours == Range(1.0, 40.0)
    assert duration.assumptions == (
        "A page takes as long as in pools 21 and 22, where people needed 36 to 72 s on average; its tasks are taken to "
        "be as many and as hard.",
        "As many people come as to pools 21 and 22, where there were 5 to 100 assignments an hour, by 7 to 31 people.",
    )


def test_of_a_pool_that_was_opened_twice_only_the_pace_is_known() -> None:
    duration = made(SLOW, OPENED_TWICE)
    assert duration.work_hours == Range(0.5, 4.0)
    assert duration.hours == Range(20.0, 40.0)
    duration = made(OPENED_TWICE, people=Range(5, 10))
    assert duration.work_hours == Range(0.5, 1.0)
    assert duration.hours == Range(0.05, 0.2)
    assert "It is taken for granted that 5 to 10 people work at a time" in duration.assumptions[1]


def test_by_the_time_limit() -> None:
    duration = made()
    assert (duration.source, duration.pools) == ("time_limit", ())
    # A tenth of the limit and a hundred people; the whole limit and ten of them.
    assert duration.work_hours == Range(1.0, 20.0)
    assert duration.hours == Range(0.01, 2.0)
    text = "\n".join(duration.assumptions)
    assert "between a tenth of assignment_max_duration_seconds and all of it, 36 to 360 s" in text
    assert "Nobody knows how many people will come." in text
    assert "Nobody knows" not in "\n".join(made(people=Range(3, 3)).assumptions)


def test_nobody_is_faster_than_a_page() -> None:
    assert made(answers=Range(1, 2), people=Range(50, 50)).hours == Range(0.01, 0.1)


def test_nothing_to_do_takes_no_time() -> None:
    for duration in (made(answers=Range(0, 0)), made(SLOW, answers=Range(0, 0))):
        assert (duration.work_hours, duration.hours) == (Range(0.0, 0.0), Range(0.0, 0.0))


def test_a_pool_without_answers_says_nothing() -> None:
    nothing = [Pace("21", answers=0, seconds_per_answer=0.0, hours=5.0), Pace("22", 5, 0.0, 1.0)]
    assert made(*nothing) == made()


@pytest.mark.parametrize("limit", [None, 0, "600", True])
def test_without_any_time_there_is_no_estimate(limit: Any) -> None:
    assert estimate_duration(ANSWERS, {"assignment_max_duration_seconds": limit}) is None


def test_as_json() -> None:
    duration = made(SLOW)
    assert json.loads(json.dumps(duration.as_json())) == {
        "work_hours": {"least": 2.0, "most": 4.0},
        "hours": {"least": 20.0, "most": 40.0},
        "source": "previous_pools",
        "pools": ["21"],
        "assumptions": list(duration.assumptions),
    }
