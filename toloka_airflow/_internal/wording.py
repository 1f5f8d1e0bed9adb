"""Numbers before nouns, in messages."""

from __future__ import annotations


def plural(number: object, one: str, several: str | None = None) -> str:
    """
    Return what goes with a number.

    :param one: The noun, with what must agree with it: "bonus is".
    :param several: The same for any other number: "bonuses are"; by default the first with an s.
    """
    return one if number == 1 else several or f"{one}s"


def counted(number: object, one: str, several: str | None = None) -> str:
    """Return a number with what it counts, as `plural` has it: "1 bonus is", "2 bonuses are"."""
    return f"{number} {plural(number, one, several)}"
