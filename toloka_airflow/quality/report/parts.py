"""What the parts of a page are made of: pairs of charts, tables, facts; and how numbers are worded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from toloka_airflow._internal.wording import plural

if TYPE_CHECKING:
    from markupsafe import Markup

FULL, HALF, NARROW = 998, 487, 330
"""Pixels for which charts are drawn: alone in a row, two in a row, and on a phone."""
STATUSES = {
    "ACCEPTED": ("accepted", "accepted"),
    "SUBMITTED": ("submitted, not decided yet", "submitted"),
    "REJECTED": ("rejected", "rejected"),
}
OTHER_STATUS = ("in another status", "other-status")


@dataclass(frozen=True)
class Pair:
    """A chart for a wide page and for a narrow one."""

    wide: Markup
    narrow: Markup

    @classmethod
    def of(cls, draw: Callable[[int], Markup], wide: int = HALF) -> Pair:
        """Return what a function draws for two widths."""
        return cls(draw(wide), draw(NARROW))


@dataclass(frozen=True)
class Table:
    """What a chart shows, in words; the first cell of a row is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Fact:
    """A name and what it is."""

    name: str
    text: str


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    kind: str


def keys(entries: Iterable[tuple[str, str]]) -> list[Key]:
    """Return the entries of a legend, from names and kinds; each once."""
    return [Key(name, kind) for name, kind in dict.fromkeys(entries)]


def count(number: int, one: str, several: str) -> str:
    """Return a number with what it counts."""
    return f"{number:,} {plural(number, one, several)}"


def answers_in_words(number: int) -> str:
    """Return how many answers there are."""
    return count(number, "answer", "answers")


def time_in_words(seconds: float) -> str:
    """Return a moment, given in seconds since 1970, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def amount(currency: str, value: float, digits: int = 2) -> str:
    """Return an amount of money."""
    return f"{currency}{value:,.{digits}f}"


def small_amount(currency: str, value: float) -> str:
    """Return an amount with as many digits as say something."""
    digits = 2 if value >= 1 or value == 0 else min(6, 2 - math.floor(math.log10(abs(value))))
    while digits > 2 and f"{value:.{digits}f}".endswith("0"):
        digits -= 1
    return amount(currency, value, digits)
