from __future__ import annotations

import pytest

from toloka_airflow.emulator.world.clock import DAY, Clock, format_date, parse_date


class Watch:
    """A real time that only the test moves."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def clock(watch):
    return Clock(start="2030-01-01T00:00:00", speed=60, monotonic=watch)


def test_runs_at_its_speed(clock, watch):
    watch.seconds += 1
    assert clock.view() == {"now": "2030-01-01T00:01:00.000", "speed": 60, "frozen": False}


def test_change_of_speed_is_no_jump(clock, watch):
    watch.seconds += 1
    clock.set_speed(1)
    watch.seconds += 1
    assert format_date(clock.now()) == "2030-01-01T00:01:01.000"


def test_freeze_advance_and_run_on(clock, watch):
    clock.freeze()
    watch.seconds += 5
    clock.advance(0.5)
    assert format_date(clock.now()) == "2030-01-01T00:00:00.500"
    clock.unfreeze()
    watch.seconds += 1
    assert format_date(clock.now()) == "2030-01-01T00:01:00.500"


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), 2_000_000])
def test_impossible_speed(clock, speed):
    with pytest.raises(ValueError, match="speed"):
        clock.set_speed(speed)


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e12])
def test_impossible_advance(clock, seconds):
    with pytest.raises(ValueError, match="advance"):
        clock.advance(seconds)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000"),
        ("2030-09-01T13:00", "2030-09-01T13:00:00.000"),
        ("2022-12-01", "2022-12-01T00:00:00.000"),
        ("2022-12-01T10:00:00.5", "2022-12-01T10:00:00.500"),
        ("2022-12-01T10:00:00.923461", "2022-12-01T10:00:00.923"),
        ("2022-12-01T10:00:00+02:00", "2022-12-01T08:00:00.000"),
    ],
)
def test_dates_of_the_documentation(text, canonical):
    assert format_date(parse_date(text)) == canonical


def test_reset_goes_back_to_the_beginning(clock, watch):
    watch.seconds += 60
    clock.change(speed=2, frozen=True)
    clock.advance(3600)
    clock.reset()
    assert clock.view() == {"now": "2030-01-01T00:00:00.000", "speed": 60, "frozen": False}
    watch.seconds += 1
    assert format_date(clock.now()) == "2030-01-01T00:01:00.000"


def test_reset_goes_back_to_the_real_time(watch):
    clock = Clock(frozen=True, monotonic=watch)
    began = clock.now()
    clock.advance(7 * 86400)
    clock.reset()
    assert clock.view()["frozen"]
    assert began <= clock.now() < began + DAY
