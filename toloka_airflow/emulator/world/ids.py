"""Ids of the shapes that the API uses, all from one seeded generator."""

from __future__ import annotations

import re
import uuid
from random import Random

from toloka_airflow.emulator.world.clock import SECOND

# Longer ones are nonsense, and Python refuses to read very long ones.
DIGITS = re.compile("[0-9]{1,18}")
Key = tuple[int, int, str]


def id_key(value: str) -> Key:
    """Return what ids are compared by: digits as numbers, all others as text."""
    return (0, int(value), "") if value.isascii() and value.isdigit() else (1, 0, value)


class Ids:
    """Hand out ids; the same seed gives the same ids in the same order."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}:ids")
        # Request ids have a stream of their own: polling more often must not change other ids.
        self._requests = Random(f"{seed}:requests")
        # So have webhooks: who subscribes must not change other ids either.
        self._events = Random(f"{seed}:events")
        self._number = self._random.randrange(100_000, 900_000)
        self._claimed: str | None = None
        self._mark = self._random.randrange(16**6)
        self._count = 0

    def number(self) -> str:
        """Return the id that was claimed, or one of digits that is greater than all before."""
        if self._claimed is not None:
            number, self._claimed = self._claimed, None
            self._number = max(self._number, int(number))
            return number
        self._number += self._random.randint(1, 9)
        return str(self._number)

    def claim(self, number: str) -> None:
        """Hand this number out next."""
        self._claimed = number

    def uuid(self) -> str:
        """Return the id of an operation."""
        return _uuid(self._random)

    def request(self) -> str:
        """Return the id of an HTTP request."""
        return _uuid(self._requests)

    def event(self) -> str:
        """Return the id of a subscription or of an event that is sent to it."""
        return _uuid(self._events)

    def hex(self) -> str:
        """Return an id of 32 hex digits, as people have them."""
        return f"{self._random.getrandbits(128):032x}"

    def message(self, now: int) -> str:
        """Return the id of a message thread; they sort in the order of creation."""
        self._count += 1
        return f"{now // SECOND:08x}{self._mark:06x}{self._count:010x}"

    def in_pool(self, pool_id: str, now: int) -> str:
        """Return the id of something in a pool; they sort in the order of creation."""
        self._count += 1
        return f"{int(pool_id):010x}--{now // SECOND:08x}{self._mark:06x}{self._count:010x}"


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
