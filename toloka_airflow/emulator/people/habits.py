"""What is unusual about how some people work: quality control is there to find them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Self

# Steps of this length spread evenly over a circle, however many there are.
GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class Habits:
    """Whether a person answers without care, too fast, or skips most suites."""

    careless: bool = False
    fast: bool = False
    skipping: bool = False

    @classmethod
    def draw(cls, seed: int, number: int, careless: float, fast: float, skipping: float) -> Self:
        """
        Return the habits of the person of a number.

        People sit evenly around a circle, and each habit begins at a third of it: a share of the people is that share
        also in a small crowd, and nobody has two habits while none is of more than a third of the people.
        """
        place = _begin(seed) + number * GOLDEN_RATIO
        return cls(*((place - third / 3) % 1 < share for third, share in enumerate((careless, fast, skipping))))


@cache
def _begin(seed: int) -> float:
    return Random(f"{seed}:habits").random()


NO_HABITS = Habits()
