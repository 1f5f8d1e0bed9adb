from __future__ import annotations

import pytest

from toloka_airflow._internal.trails import MAX_POINTS, Trail

BEGAN = 1_800_000_000.0


def trail(*points: tuple[float, ...]) -> Trail:
    found = Trail()
    for seconds, percent, answers, spent, committed in points:
        facts = {"percent": percent, "answers": answers, "spent": spent, "committed": committed}
        found.add(facts, BEGAN + seconds)
    return found


def test_one_measurement_has_no_rates() -> None:
    summary = trail((0, 10, 2, 0.1, 0.0)).summary()
    assert (summary["percent"], summary["answers"], summary["spent"]) == (10, 2, 0.1)
    assert [summary[name] for name in ("answers_per_hour", "cost_per_hour", "ends_at", "last_answer_at")] == [None] * 4


def test_rates_of_the_last_hour() -> None:
    summary = trail((0, 0, 0, 0, 0), (7200, 50, 100, 1.0, 0.0), (9000, 60, 120, 1.2, 0.1)).summary()
    assert summary["answers_per_hour"] == 40
    assert summary["cost_per_hour"] == pytest.approx(0.6)
    assert summary["ends_at"] == "2027-01-15T12:30:00+00:00", "two hours more, at 20 percent an hour"
    assert summary["last_answer_at"] == "2027-01-15T10:30:00+00:00"


def test_nothing_moves() -> None:
    summary = trail((0, 50, 5, 1, 0), (600, 50, 5, 1, 0)).summary()
    assert (summary["answers_per_hour"], summary["cost_per_hour"], summary["ends_at"]) == (0, 0, None)
    assert summary["last_answer_at"] is None


def test_what_is_not_known_gives_no_rate() -> None:
    found = Trail([[BEGAN, None, None, None, None], [BEGAN + 60, None, 3, None, 0.5]])
    assert all(found.summary()[name] is None for name in ("answers_per_hour", "cost_per_hour", "ends_at"))


def test_a_trail_is_bounded_and_keeps_its_ends() -> None:
    found = trail(*((60.0 * minute, 0, minute, 0, 0) for minute in range(10_000)))
    assert len(found.points) <= MAX_POINTS
    assert found.points[0][2] == 0
    assert found.points[-1][2] == 9_999
    times = [point[0] for point in found.points]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "value", [None, "x", {}, [[1]], [[None, 1, 1, 1, 1]], [["x", 1, 1, 1, 1]], [[True, 1, 1, 1, 1]]]
)
def test_an_xcom_of_others_is_no_trail(value: object) -> None:
    assert Trail.read(value).points == []


def test_it_continues_after_a_restart() -> None:
    before = trail((0, 1, 1, 0, 0))
    after = Trail.read(before.points)
    after.add({"percent": 2, "answers": 3, "spent": 0, "committed": 0}, BEGAN + 60)
    assert [point[2] for point in after.points] == [1, 3]
