"""What came out over all seeds: median and range."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """A figure over all seeds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return median and range."""
        some = sorted(values)
        return cls(statistics.median(some), some[0], some[-1])

    def text(self, form: str) -> str:
        """Return it for readers, its numbers in a format; only the median if there is no range."""
        median, low, high = (format(value, form) for value in (self.median, self.low, self.high))
        return median if low == high else f"{median} ({low} to {high})"
