"""
Values of output fields: which are equal, which are no answer, and what the texts of a TSV and of Parquet stand for.

What is equal is in `toloka_airflow.quality.answers`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from toloka_airflow.transfer.values import comparable, value_reader, without_numpy

_MAX_CACHED = 100_000
"""Spellings of values that are remembered for each field; of free text, there are as many as answers."""
NAN = "NaN"
_PLAIN_COMMA = re.compile(r"(?<!\\),")
_SPACED_COMMA = re.compile(r"(?<!\\)(,(?=\s|,|$)|(?<=\s),)|^,")
value_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode
"""Returns the text of a value in JSON; two values are equal if they have the same."""


class FieldValues:
    """The values of a field, as numbers in the order in which they came."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._codes: dict[str, int] = {}
        self._spellings: dict[bytes | str, int] = {}

    def code(self, value: Any) -> int:
        """Return the number of a value; -1 if it is no answer."""
        key = bytes(value) if type(value) is msgspec.Raw else value
        if type(key) is bytes or type(key) is str:
            code = self._spellings.get(key)
            if code is None:
                code = self._new(json.loads(key.decode()) if type(key) is bytes else key)
                if len(self._spellings) < _MAX_CACHED:
                    self._spellings[key] = code
            return code
        return self._new(value)

    def _new(self, value: Any) -> int:
        value = plain_value(value)
        if value is None:
            return -1
        text = value_text(value)
        code = self._codes.setdefault(text, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def sorted(self, convert: Any = None) -> tuple[tuple[Any, ...], list[int]]:
        """Return the values, sorted by their text, and where each number is among them, -1 for none; the last is."""
        converted = None if convert is None else convert(self.values)
        values = self.values if converted is None else converted
        texts = [None if value is None else value_text(value) for value in values]
        by_text = {text: value for text, value in zip(texts, values, strict=True) if text is not None}
        positions: dict[str | None, int] = {text: position for position, text in enumerate(sorted(by_text))}
        return tuple(by_text[text] for text in sorted(by_text)), [*(positions.get(text, -1) for text in texts), -1]


def plain_value(value: Any) -> Any:
    """
    Return the value that stands for all that are equal to it; `None` for what is no answer.

    :raises ValueError: For what JSON does not have.
    """
    if type(value) is str:
        return value if value.strip() else None
    if hasattr(value, "tolist"):
        value = without_numpy(value)
    if isinstance(value, Mapping):
        if all(item is True or item is False for item in value.values()):
            return {name: True for name in sorted(value) if value[name]}
        return comparable(value)
    if isinstance(value, list | tuple):
        items = [comparable(item) for item in value]
        if all(type(item) in (str, int, float) for item in items):
            return [item for _, item in sorted({value_text(item): item for item in items}.items())]
        return items
    if isinstance(value, float) and math.isnan(value):
        return None
    return comparable(value)


def typed_cells(values: list[Any]) -> list[Any] | None:
    """
    Return what the cells of a column of a TSV stand for; `None` if they are texts.

    Where the others are numbers, a cell ``NaN`` is none, which is how a download writes it, and is `None` among them.
    """
    some = [cell for cell in values if cell != NAN]
    if (parsed := _parsed(some)) is not None and (len(some) == len(values) or (some and all(map(_is_number, parsed)))):
        rest = iter(parsed)
        return [None if cell == NAN else next(rest) for cell in values]
    if not any(_PLAIN_COMMA.search(cell) for cell in values) or any(_SPACED_COMMA.search(cell) for cell in values):
        return None
    read = value_reader("array_string")
    try:
        lists = [read(cell) for cell in values]
    except ValueError:
        return None
    numbers = _parsed([item for items in lists for item in items])
    if numbers is not None:
        rest = iter(numbers)
        lists = [[next(rest) for _ in items] for items in lists]
    return [plain_value(items) for items in lists]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def json_texts(values: list[Any]) -> list[Any] | None:
    """Return what the texts of a column of Parquet stand for if they are JSON, with an object or a list among them."""
    if not any(type(value) is str and value[:1] in ("{", "[") for value in values):
        return None
    return _parsed(values)


def _parsed(values: list[Any]) -> list[Any] | None:
    """Return values of which all are texts of JSON; `None` if one is not."""
    try:
        parsed = [plain_value(json.loads(value)) for value in values if type(value) is str]
    except (ValueError, RecursionError):
        return None
    return parsed if len(parsed) == len(values) and None not in parsed else None
