"""Values of configurations: what they are in JSON, and whether they are known yet."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_ID = re.compile("[0-9]+", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)

KIND_WORDS = {
    "object": "an object with fields",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}
"""What the types of JSON Schema are called in a sentence."""


def is_object(value: Any) -> bool:
    """Return whether a value is an object of JSON."""
    return isinstance(value, Mapping)


def is_array(value: Any) -> bool:
    """Return whether a value is a list of JSON; tuples are sent as lists."""
    return isinstance(value, (list, tuple))


def is_number(value: Any) -> bool:
    """Return whether a value is a number of JSON, which has no NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """Return whether a value is written as a whole number, which 1.0 is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a project, pool, training or skill: digits, as text or as a number."""
    return _ID.fullmatch(value) is not None if isinstance(value, str) else is_integer(value) and value >= 0


def is_date(value: Any) -> bool:
    """
    Return whether a text is a date: ``YYYY-MM-DDThh:mm:ss[.sss]``, as the API has it in UTC, or a part of it.

    With a zone, it is one as well: the operators send it in UTC.
    """
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def number_of(value: Any) -> float | None:
    """Return the number of a value that may be text, as in the examples of filters; None if it is none."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if is_number(value) else None


def is_unknown_yet(value: Any) -> bool:
    """Return whether a value of a DAG comes when it runs: a template, or no JSON at all, such as an `XComArg`."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return not (value is None or isinstance(value, (bool, int, float)) or is_object(value) or is_array(value))


def items(value: Any) -> Iterator[tuple[int, Any]]:
    """Iterate over a list with its indexes; over nothing if it is none, which is said elsewhere."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        yield from enumerate(value)


def part(value: Any, *keys: str) -> Any:
    """Return what is at the keys of an object; None if it is not there, or not in an object."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
