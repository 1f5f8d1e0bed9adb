"""How problems are worded: the value as it is written, and the nearest name that is known."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

MAX_SHOWN = 60
MAX_NAMES = 12
NULL = "{} is null, which is as if it was not there; give it a value, or take it away"
"""What is said of null where a value need not be there."""

_SIGNS = {">": "GT", ">=": "GTE", "<": "LT", "<=": "LTE", "=": "EQ", "==": "EQ", "!=": "NE", "<>": "NE"}
_CUTOFF = 0.8
_SHORT, _LONG = 3, 8


def shown(value: Any) -> str:
    """Return a value as JSON has it, shortened; what JSON does not have, by its type."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def one_of(names: Iterable[Any]) -> str:
    """Return the values that are possible, shortened if there are many."""
    every = [str(name).lower() if isinstance(name, bool) else str(name) for name in names]
    return (
        ", ".join(every)
        if len(every) <= MAX_NAMES
        else f"{', '.join(every[:MAX_NAMES])} and {len(every) - MAX_NAMES} more"
    )


def did_you_mean(near: str | None) -> str:
    """Return the question that ends a sentence."""
    return f"; did you mean {near!r}?" if near else ""


def nearest(name: Any, known: Collection[str]) -> str | None:
    """
    Return the known name that a misspelt one stands for, or None if it is near to none.

    Near is what differs by its case and its separators only, by a letter or two in a long word and by one in a short
    one, two letters that changed places counting as one; what lacks a part of a long name, or has one too many; and the
    sign of an operator that is a word.
    """
    if not isinstance(name, str):
        return None
    if _SIGNS.get(name) in known:
        return _SIGNS[name]
    plain = {_plain(other): other for other in known}
    wanted = _plain(name)
    if wanted in plain:
        return plain[wanted]
    letters = sorted(wanted)
    by_distance = sorted((_distance(wanted, other), sorted(other) != letters, other) for other in plain)
    if by_distance and by_distance[0][0] <= max(1, min(len(wanted), len(by_distance[0][2])) // 4):
        return plain[by_distance[0][2]]
    close = [other for other in plain if _is_part(wanted, other)] or get_close_matches(wanted, plain, 1, _CUTOFF)
    return plain[close[0]] if len(close) == 1 else None


def _is_part(name: str, other: str) -> bool:
    """Return whether a name is the beginning, or a long end, of a word that is not twice as long."""
    if 2 * len(name) < len(other):
        return False
    return (len(name) >= _SHORT and other.startswith(name)) or (len(name) >= _LONG and other.endswith(name))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _distance(one: str, other: str) -> int:
    """Return how many letters were added, left out, replaced, or changed places with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            steps = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if above and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                steps = min(steps, above[j - 2] + 1)
            row.append(steps)
    return row[-1]
