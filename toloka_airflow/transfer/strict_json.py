"""JSON without what Python or msgspec let pass: NaN, infinity, numbers too large for a float, and keys there twice."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import msgspec


class DuplicateKeyError(ValueError):
    """Report an object that has a key twice: readers of JSON would take one value, and not all the same."""


class StrictDecoder:
    """
    Decode JSON values; not for several threads.

    Its methods raise

    - `UnicodeDecodeError` for what is not UTF-8,
    - `json.JSONDecodeError` for what is not JSON,
    - `DuplicateKeyError` for an object with a key twice,
    - another `ValueError` for a number that JSON does not have or a float cannot be,
    - `RecursionError` for too many layers.
    """

    def __init__(self) -> None:
        self.floats = 0
        """How many numbers with a fraction or an exponent were read so far."""
        self._fast = msgspec.json.Decoder(float_hook=self._float)
        self._slow = json.JSONDecoder(parse_constant=_no_number, parse_float=self._float, object_pairs_hook=_unique)

    def loads(self, text: bytes) -> Any:
        """Return the value of a text without white space around it."""
        try:
            value = self._fast.decode(text)
            # Of equal keys the last has won. There are none if no more colons follow quotes than there are keys, once
            # there is no white space between them.
            colons = msgspec.json.format(text, indent=-1).count(b'":')
            if colons == _count_first_keys(value) or colons == _count_keys(value):
                return value
        except (ValueError, RecursionError):
            # It is wrong, and the other decoder says how; or it is half a surrogate pair, which only this one refuses.
            pass
        return self._decode_all(text.decode())

    def decode_at(self, text: str, start: int) -> tuple[Any, int]:
        """Return the value that begins at a position, and where it ends."""
        return self._slow.raw_decode(text, start)

    def _decode_all(self, text: str) -> Any:
        # Not `decode`, which searches for white space around it with regular expressions and takes twice as long.
        value, end = self._slow.raw_decode(text)
        if end != len(text):
            raise json.JSONDecodeError("Extra data", text, end)
        return value

    def _float(self, text: str) -> float:
        self.floats += 1
        number = float(text)
        return number if isfinite(number) else _no_number(text)


def _count_first_keys(value: Any) -> int:
    """Return how many keys the first two layers have: most tasks have no more, and this takes a third of the time."""
    if type(value) is not dict:
        return 0
    count = len(value)
    for item in value.values():
        if type(item) is dict:
            count += len(item)
    return count


def _count_keys(value: Any) -> int:
    count = 0
    if type(value) is dict:
        count, value = len(value), value.values()
    elif type(value) is not list:
        return 0
    for item in value:
        if type(item) is dict or type(item) is list:
            count += _count_keys(item)
    return count


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        raise DuplicateKeyError(f"the key {twice!r:.100} is there twice in one object")
    return members


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number that JSON has")
