"""
Where to divide the ids of a pool's answers, so that several stretches of them are read at a time.

An id is that of its pool, two hyphens, and 24 hexadecimal digits, of which the first are a time
(``00022cfa46--637cf4098ccdeb4a260737de``). So ids of one pool sort alike as text and as numbers, by whatever the API
compares them, and any number in between divides them: no id is needed that exists. Ids of another shape are not
divided.
"""

from __future__ import annotations

import re

_ID = re.compile("([0-9a-f]{10}--)([0-9a-f]{24})")


def is_divisible(name: str) -> bool:
    """Return whether an id has the shape that can be divided."""
    return _ID.fullmatch(name) is not None


def distance(first: str | None, last: str | None) -> int:
    """Return how far an id is behind another; 0 if it is not, or if they are not of one pool and divisible."""
    one, other = _ID.fullmatch(first or ""), _ID.fullmatch(last or "")
    if one is None or other is None or one[1] != other[1]:
        return 0
    return max(0, int(other[2], 16) - int(one[2], 16))


def divide(after: str, last: str, length: int) -> list[str]:
    """Return ids in between two, which divide what is between them into stretches of a length, the last one shorter."""
    start = int(after[-24:], 16)
    return [behind(after, number - start) for number in range(start + length, start + distance(after, last), length)]


def behind(name: str, length: int) -> str:
    """Return the id that is so far behind another, or the last one of its pool."""
    return f"{name[:-24]}{min(int(name[-24:], 16) + length, 16**24 - 1):024x}"
