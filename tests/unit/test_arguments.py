"""What arguments say, however they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from toloka_airflow.arguments import moment, moment_if_any, moment_of, positive, whole

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", [NOON, "2030-01-31T12:00:00Z", "2030-01-31 14:00+02:00"])
@pytest.mark.parametrize("read", [moment, moment_if_any, moment_of])
def test_a_time(read: Any, value: object) -> None:
    assert read("until", value) == NOON


@pytest.mark.parametrize("value", ["noon", 5, "2030-01-31", "2030-01-31T12:00:00", datetime(2030, 1, 31), NOON.date()])
@pytest.mark.parametrize("read", [moment, moment_if_any, moment_of])
def test_what_is_no_time_with_a_zone(read: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^until is '.*'; it must be a time with a zone, such as 2030-"):
        read("until", value)


def test_nothing_is_no_time() -> None:
    assert moment("until", None) is None
    assert [moment_if_any("until", value) for value in (None, "", "None")] == [None] * 3
    for value in ("", "None"):
        with pytest.raises(ValueError, match="until is"):
            moment("until", value)


def test_text_of_the_api_has_a_zone_that_it_does_not_name() -> None:
    assert moment_of("will_expire", "2030-01-31T12:00:00", zone=UTC) == NOON
    assert moment_of("will_expire", "2030-01-31T14:00:00+02:00", zone=timezone(timedelta(hours=9))) == NOON
    with pytest.raises(ValueError, match="with a zone"):
        moment_of("will_expire", NOON.replace(tzinfo=None), zone=UTC)


@pytest.mark.parametrize("value", [0, -1, True, None, "x", "", float("inf"), float("nan"), [5]])
def test_what_is_no_number_of_seconds(value: object) -> None:
    with pytest.raises(ValueError, match=r"timeout is .*a positive number of seconds"):
        positive("timeout", value)


@pytest.mark.parametrize("value", [0, 11, True, 1.0, "1", None])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"in_flight is .*a whole number from 1 to 10"):
        whole("in_flight", value, 10)


def test_numbers() -> None:
    assert (positive("timeout", "1.5"), whole("in_flight", 10, 10)) == (1.5, 10)
