"""Times and amounts of money among the arguments of tasks; from templates they come as text."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from toloka_airflow.api.models import read_decimal


def moment(name: str, value: object) -> datetime | None:
    """
    Return a time that an argument gives; ``None`` for none.

    :raises ValueError: If it is no time with a zone, such as when a template rendered nothing.
    """
    if value is None:
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{name} is {value!r}; it must be a time like 2030-01-31T18:00:00+00:00") from None
    if time.tzinfo is None:
        raise ValueError(f"{name} is {value!s}, which has no time zone; write 2030-01-31T18:00:00+00:00")
    return time


def dollars(name: str, value: object) -> Decimal | None:
    """
    Return an amount of money that an argument gives; ``None`` for none.

    :raises ValueError: If it is no such amount.
    """
    amount = None if isinstance(value, bool) else read_decimal(value)
    if value is not None and (amount is None or not amount.is_finite() or amount < 0):
        raise ValueError(f"{name} is {value!r}; it must be an amount of US dollars such as 12.50")
    return amount
