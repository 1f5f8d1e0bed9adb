"""Which disturbance comes when: each kind once before any comes again, in an order that the seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHORTEST, LONGEST = 20.0, 40.0
"""Seconds from one disturbance to the next."""


@dataclass(frozen=True)
class Step:
    """The next disturbance: `choice`, from 0 to 1, decides on the target, `pause` is how many seconds come before."""

    kind: str
    pause: float
    choice: float


def steps(kinds: Sequence[str], seed: int) -> Iterator[Step]:
    """Yield disturbances without end; the same seed gives the same ones."""
    rng = random.Random(seed)
    while True:
        for kind in rng.sample(kinds, len(kinds)):
            yield Step(kind, rng.uniform(SHORTEST, LONGEST), rng.random())


def minutes_for_all(kinds: Sequence[str]) -> float:
    """Return how long it takes at most until each kind came."""
    return len(kinds) * LONGEST / 60
