"""
Values of a project's fields, checked by functions that are made once per field.

100,000 tasks go through them, so that each is as plain as its field: no schema is interpreted per value. What a field
may say of its values is that of the reference (``task_spec``) and of the page "Creating specifications" of Template
Builder: ``pattern``, ``min_size``, ``max_size`` and the types with ``array_`` before them are only there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from toloka_airflow._internal.wording import counted
from toloka_airflow.checks.documents import number
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of, shown

WARNINGS = {
    "control-empty": "a known solution without values: every answer is right",
    "duplicate-task": "two tasks with the same input: people get, and are paid for, the same twice",
    "hint-without-solution": "a hint without a known solution is never shown",
    "infinite-overlap": "a task for everybody that has no known solution: it costs money until the pool is closed",
    "training-without-solution": "a task of a training without a known solution teaches nothing",
    "unknown-task-key": "a key of a task that this version does not know",
    "url-syntax": "white space in a URL",
}
"""Those of tasks, too, which are checked by a module that is imported only where there are some."""


class Wrong(NamedTuple):
    """What is wrong with a value: the rule, and the rest of a sentence that begins with its field."""

    rule: str
    message: str


Check = Callable[[Any], Wrong | None]

TYPES = ("boolean", "coordinates", "file", "float", "integer", "json", "string", "url")
_MEANS = {
    "boolean": "true or false",
    "coordinates": 'text such as "55.75,37.62"',
    "file": "text",
    "float": "a number",
    "integer": "an integer",
    "string": "text",
    "url": "text",
}
_COORDINATES = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*,\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*")


class ValuesCheck:
    """
    Check the values of a task or of an answer.

    :param specs: The fields, each with its type.
    :param partly: Whether required fields may be missing, as in known solutions.
    """

    def __init__(self, specs: Mapping[str, Mapping[str, Any]], *, partly: bool = False) -> None:
        self._checks = {name: value_check(spec) for name, spec in specs.items()}
        self._required = [] if partly else [name for name, spec in specs.items() if spec.get("required", True) is True]

    def wrong(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Wrong]]:
        """Iterate over the fields that are wrong."""
        checks = self._checks
        for name, value in values.items():
            check = checks.get(name)
            if check is None:
                near = nearest(name, checks.keys() - values.keys())
                yield name, Wrong("unknown-field", f"is no field of the project{did_you_mean(near)}")
            elif value is not None and (wrong := check(value)) is not None:
                yield name, wrong
        for name in self._required:
            if values.get(name) is None:
                yield (
                    name,
                    Wrong("required-field", "is missing; the project requires it, as it does not say required: false"),
                )


def value_check(spec: Mapping[str, Any]) -> Check:
    """Return what checks the values of a field; a type that is not known takes any."""
    kind = str(spec.get("type")).lower()
    if not kind.startswith("array_"):
        return _single_check(kind, spec)
    single, low, high = (
        _single_check(kind.removeprefix("array_"), spec),
        number(spec.get("min_size")),
        number(spec.get("max_size")),
    )

    def check(value: Any) -> Wrong | None:
        if not isinstance(value, list):
            return Wrong("field-type", f"is {shown(value)}; the project wants a list, as its type is {kind}")
        if (low is not None and len(value) < low) or (high is not None and len(value) > high):
            return Wrong("field-range", f"has {counted(len(value), 'item')}; the project wants {_between(low, high)}")
        return next((wrong for item in value if (wrong := single(item)) is not None), None)

    return check


def _single_check(kind: str, spec: Mapping[str, Any]) -> Check:
    is_type = _IS_TYPE.get(kind)
    if is_type is None:
        return _anything
    checks = [make(kind, spec) for make in (_allowed, _range, _length, _pattern)]
    more = [check for check in checks if check is not None]
    if kind == "coordinates":
        more.append(_check_coordinates)
    wanted = f"the project wants {_MEANS[kind]}, as its type is {kind}"
    if not more:
        return lambda value: None if is_type(value) else Wrong("field-type", f"is {shown(value)}; {wanted}")

    def check(value: Any) -> Wrong | None:
        if not is_type(value):
            return Wrong("field-type", f"is {shown(value)}; {wanted}")
        for one in more:
            if (wrong := one(value)) is not None:
                return wrong
        return None

    return check


def _anything(value: Any) -> Wrong | None:
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and value is not True and value is not False


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and value is not True and value is not False


def _is_boolean(value: Any) -> bool:
    return value is True or value is False


_IS_TYPE: dict[str, Callable[[Any], bool]] = {
    "boolean": _is_boolean,
    "coordinates": _is_text,
    "file": _is_text,
    "float": _is_number,
    "integer": _is_integer,
    "string": _is_text,
    "url": _is_text,
}


def _allowed(kind: str, spec: Mapping[str, Any]) -> Check | None:
    given = spec.get("allowed_values")
    if not isinstance(given, list) or not given:
        return None
    # Of values of another type none is ever equal, which is said of the project, not of each task.
    allowed = {value for value in given if _IS_TYPE[kind](value)}

    def check(value: Any) -> Wrong | None:
        if value in allowed or not allowed:
            return None
        near = nearest(value, [str(other) for other in allowed]) if isinstance(value, str) else None
        return Wrong(
            "allowed-value", f"is {shown(value)}; the project allows {one_of(map(shown, given))}{did_you_mean(near)}"
        )

    return check


def _range(kind: str, spec: Mapping[str, Any]) -> Check | None:
    low, high = number(spec.get("min_value")), number(spec.get("max_value"))
    if kind not in ("integer", "float") or (low is None and high is None):
        return None

    def check(value: Any) -> Wrong | None:
        if (low is None or value >= low) and (high is None or value <= high):
            return None
        return Wrong("field-range", f"is {shown(value)}; the project wants {_between(low, high)}")

    return check


def _length(kind: str, spec: Mapping[str, Any]) -> Check | None:
    low, high = number(spec.get("min_length")), number(spec.get("max_length"))
    if kind not in ("string", "url") or (low is None and high is None):
        return None

    def check(value: Any) -> Wrong | None:
        if (low is None or len(value) >= low) and (high is None or len(value) <= high):
            return None
        return Wrong("field-range", f"has {counted(len(value), 'character')}; the project wants {_between(low, high)}")

    return check


def _pattern(kind: str, spec: Mapping[str, Any]) -> Check | None:
    pattern = spec.get("pattern")
    if kind not in ("string", "url") or not isinstance(pattern, str):
        return None
    try:
        # Toloka's are Java's, where \d and \w are ASCII; what Python cannot read is left to Toloka.
        fullmatch = re.compile(pattern, re.ASCII).fullmatch
    except (re.error, RecursionError, OverflowError):
        return None

    def check(value: Any) -> Wrong | None:
        return None if fullmatch(value) else Wrong("field-pattern", f"is {shown(value)}; its pattern is {pattern}")

    return check


def _check_coordinates(value: Any) -> Wrong | None:
    match = _COORDINATES.fullmatch(value)
    if match and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180:
        return None
    return Wrong("field-type", f'is {shown(value)}; coordinates are "latitude,longitude" in degrees')


def _between(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"{low:g} to {high:g}"
