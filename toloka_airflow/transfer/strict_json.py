"""JSON without what Python or msgspec let pass: NaN, infinity, numbers too large for a float, and keys twice."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import msgspec


class DuplicateKeyError(ValueError):
    """Report an object that has a key twice: readers of JSON would take one value, and not all the same."""


def loads(text: bytes) -> Any:
    """
    Return the value of a JSON text in UTF-8, without white space around it.

    :raises UnicodeDecodeError: If it is not UTF-8.
    :raises json.JSONDecodeError: If it is not JSON.
    :raises DuplicateKeyError: If an object has a key twice.
    :raises ValueError: If a number is none that can be sent.
    :raises RecursionError: If it is nested too deeply.
    """
    try:
        value = _FAST.decode(text)
    except (ValueError, RecursionError):
        # It is wrong, and the other decoder says how; or it is half a surrogate pair, which only this one refuses.
        return _decoded(text.decode())
    # Of equal keys the last has won. There are none if no more colons follow quotes than there are keys; it counts only
    # if no colon can follow a quote with white space between them.
    if text.count(b'":') == _count_keys(value) and not any(space in text for space in _SPACES):
        return value
    return _decoded(text.decode())


def decode_at(text: str, start: int) -> tuple[Any, int]:
    """Return the value that begins at a position, and where it ends; raises the errors of `loads`."""
    return _STRICT.raw_decode(text, start)


def _decoded(text: str) -> Any:
    # Not `decode`, which searches for white space around it with regular expressions and takes twice as long.
    value, end = _STRICT.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


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


def _float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


_SPACES = b" :", b"\t", b"\r", b"\n"
_FAST = msgspec.json.Decoder()
_STRICT = json.JSONDecoder(parse_constant=_no_number, parse_float=_float, object_pairs_hook=_unique)
