"""What arguments say, however they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from toloka_airflow._internal.arguments import (
    parse_datetime,
    parse_int,
    parse_money,
    parse_optional_datetime,
    parse_seconds,
)

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", [NOON, "2030-01-31T12:00:00Z", "2030-01-31 14:00+02:00"])
@pytest.mark.parametrize("read", [parse_datetime, parse_optional_datetime])
def test_a_time(read: Any, value: object) -> None:
    assert read("until", value) == NOON


@pytest.mark.parametrize("value", ["noon", 5, "2030-01-31", "2030-01-31T12:00:00", datetime(2030, 1, 31), NOON.date()])
@pytest.mark.parametrize("read", [parse_datetime, parse_optional_datetime])
def test_what_is_no_time_with_a_zone(read: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^until is '.*'; it must be a time with a zone, such as 2030-"):
        read("until", value)


def test_nothing_is_no_time() -> None:
    assert parse_optional_datetime("until", None) is None
    assert [parse_optional_datetime("until", value, allow_empty=True) for value in (None, "", "None")] == [None] * 3
    for value in ("", "None"):
        with pytest.raises(ValueError, match="until is"):
            parse_optional_datetime("until", value)


def test_text_of_the_api_has_a_zone_that_it_does_not_name() -> None:
    assert parse_datetime("will_expire", "2030-01-31T12:00:00", zone=UTC) == NOON
    assert parse_datetime("will_expire", "2030-01-31T14:00:00+02:00", zone=timezone(timedelta(hours=9))) == NOON
    with pytest.raises(ValueError, match="with a zone"):
        parse_datetime("will_expire", NOON.replace(tzinfo=None), zone=UTC)


@pytest.mark.parametrize("value", [0, -1, True, None, "x", "", float("inf"), float("nan"), [5]])
def test_what_is_no_number_of_seconds(value: object) -> None:
    with pytest.raises(ValueError, match=r"timeout is .*a positive number of seconds"):
        parse_seconds("timeout", value)


@pytest.mark.parametrize("value", [0, 11, True, 1.0, "1", None])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"in_flight is .*a whole number from 1 to 10"):
        parse_int("in_flight", value, maximum=10)


def test_numbers() -> None:
    assert (parse_seconds("timeout", "1.5"), parse_int("in_flight", 10, maximum=10)) == (1.5, 10)
    assert parse_seconds("timeout", timedelta(minutes=2)) == 120


@pytest.mark.parametrize("value", ["12.50", 12.5, Decimal("12.5")])
def test_money(value: object) -> None:
    assert parse_money("max_spend", value) == Decimal("12.5")


def test_no_money() -> None:
    assert parse_money("max_spend", None) is None
    assert parse_money("max_spend", 0) == 0


@pytest.mark.parametrize("value", [-1, True, "", "None", "a lot", "inf", "nan", [5]])
def test_what_is_no_amount_of_money(value: object) -> None:
    with pytest.raises(ValueError, match=r"max_spend is .*; it must be an amount of money such as 12.50"):
        parse_money("max_spend", value)
