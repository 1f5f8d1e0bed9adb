"""Times, numbers and amounts of money among the arguments of tasks; from templates they come as text."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.models import read_decimal


def parse_datetime(name: str, value: object, *, zone: tzinfo | None = None) -> datetime:
    """
    Return a time that an argument gives.

    :param zone: The zone of text that names none, where the API has such text.
    :raises ValueError: If it is no time with a zone.
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if time.tzinfo is None and isinstance(value, str):
            time = time.replace(tzinfo=zone)
    except ValueError:
        time = datetime.min
    if time.tzinfo is None:
        raise argument_error(
            f"{name} is {str(value)!r}; it must be a time with a zone, such as 2030-01-31T18:00:00+00:00"
        )
    return time


def parse_optional_datetime(name: str, value: object, *, allow_empty: bool = False) -> datetime | None:
    """
    Return a time that an argument gives; ``None`` for none.

    :param allow_empty: Whether to return ``None``, too, if a template rendered nothing.
    :raises ValueError: If it is no time with a zone.
    """
    if value is None or (allow_empty and value in ("", "None")):
        return None
    return parse_datetime(name, value)


def parse_rendered_datetime(name: str, value: object) -> datetime | None:
    """Return a time that an argument gives; ``None`` for none, and if a template rendered nothing."""
    return parse_optional_datetime(name, value, allow_empty=True)


def parse_seconds(name: str, value: object, *, allow_zero: bool = False) -> float:
    """
    Return a positive number of seconds.

    :param value: The number, or a `timedelta`.
    :param allow_zero: Whether 0 will do.
    :raises ValueError: If it is anything else.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        number = -1.0 if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not (0 < number < float("inf") or (allow_zero and number == 0)):
        wanted = "0 or a positive number" if allow_zero else "a positive number"
        raise argument_error(f"{name} is {given!r}; it must be {wanted} of seconds")
    return number


def parse_span(name: str, value: object) -> timedelta:
    """
    Return how long something lasts; at most a hundred years, so that a date can be reckoned with it.

    :raises ValueError: If it is no positive number of seconds and no such `timedelta`, or more.
    """
    seconds = parse_seconds(name, value)
    if seconds > 100 * 366 * 24 * 3600:
        raise argument_error(f"{name} is {value!s}, which is more than a hundred years")
    return timedelta(seconds=seconds)


def parse_int(name: str, value: object, *, maximum: int) -> int:
    """
    Return a whole number from 1 to a maximum.

    :raises ValueError: If it is anything else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise argument_error(f"{name} is {value!r}; it must be a whole number from 1 to {maximum}")
    return value


def parse_money(name: str, value: object) -> Decimal | None:
    """
    Return an amount of money that an argument gives; ``None`` for none.

    :raises ValueError: If it is no such amount.
    """
    amount = None if isinstance(value, bool) else read_decimal(value)
    if value is not None and (amount is None or amount < 0):
        raise argument_error(f"{name} is {value!r}; it must be an amount of money such as 12.50")
    return amount


def parse_fee(name: str, value: object) -> Decimal:
    """
    Return what Toloka takes besides a reward: a share of it, or an amount.

    :raises ValueError: If it is no such number. Nothing is none, either: it would be no fee, and limits exceeded by it.
    """
    fee = parse_money(name, value)
    if fee is None:
        raise argument_error(f"{name} is None; it must be a number such as 0.3, or 0 for an account that pays no fee")
    return fee


def parse_share(name: str, value: object) -> float:
    """
    Return a number from 0 to 1.

    :raises ValueError: If it is anything else.
    """
    number = None if isinstance(value, bool) else read_decimal(value)
    if number is None or not 0 <= number <= 1:
        raise argument_error(f"{name} is {value!r:.100}; it must be a number from 0 to 1, such as 0.6 for 60 %")
    return float(number)
