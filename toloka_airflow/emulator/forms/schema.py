"""Checks of request bodies, driven by tables of fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from toloka_airflow.emulator.world.clock import parse_date
from toloka_airflow.emulator.world.errors import Problems, invalid, problem


@dataclass(frozen=True)
class Field:
    """
    What the API wants of one field.

    `fields` describes an object, `each` the values of an object or array, and `also` returns what is wrong with a value
    in which all of this is right, by field path.
    """

    kind: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Field] | None = None
    each: Field | None = None
    ignored: bool = False
    also: Callable[[Any, str], Problems] | None = None


Form = Mapping[str, Field]

REQUIRED = problem("VALUE_REQUIRED", "Value must be present and not equal to null")
ABSENT = problem("ENTITY_DOES_NOT_EXIST", "Entity does not exist")
UNKNOWN = problem("VALUE_NOT_ALLOWED", "Unknown field name")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_id(value: object) -> bool:
    return isinstance(value, str) or _is_integer(value)


def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_date(value)
    except (ValueError, OverflowError):
        return False
    return True


KINDS: dict[str, tuple[Callable[[object], bool], str, str]] = {
    "any": (lambda value: True, "", ""),
    "string": (lambda value: isinstance(value, str), "STRING_EXPECTED", "Value must be a string"),
    "id": (_is_id, "STRING_EXPECTED", "Value must be a string"),
    "integer": (_is_integer, "INTEGER_EXPECTED", "Value must be an integer"),
    "number": (_is_number, "FLOAT_EXPECTED", "Value must be a number"),
    "boolean": (lambda value: isinstance(value, bool), "BOOLEAN_EXPECTED", "Value must be true or false"),
    "date": (_is_date, "INVALID_DATE_TIME_SYNTAX", "Value must be a date, YYYY-MM-DDThh:mm:ss[.sss]"),
    "object": (lambda value: isinstance(value, dict), "OBJECT_EXPECTED", "Value must be an object"),
    "array": (lambda value: isinstance(value, list), "ARRAY_EXPECTED", "Value must be an array"),
}


def checked(body: object, form: Form) -> dict[str, Any]:
    """Return the body without its empty and read-only fields, ids as strings; refuse it if it breaks the form."""
    clean, problems = examine(body, form)
    if problems:
        raise invalid(problems)
    return clean


def examine(body: object, form: Form, *, at: str = "") -> tuple[dict[str, Any], Problems]:
    """Return the cleaned body and what is wrong with it, by field path."""
    if not isinstance(body, dict):
        return {}, {at.rstrip(".") or "body": problem("OBJECT_EXPECTED", "Value must be an object")}
    clean: dict[str, Any] = {}
    problems: Problems = {f"{at}{name}": UNKNOWN for name in body if name not in form}
    for name, field in form.items():
        value = body.get(name)
        if value is None:
            if field.required:
                problems[f"{at}{name}"] = REQUIRED
        elif not field.ignored:
            clean[name] = _value(value, field, f"{at}{name}", problems)
    return clean, problems


def _value(value: Any, field: Field, path: str, problems: Problems) -> Any:
    right_kind, code, message = KINDS[field.kind]
    if not right_kind(value):
        problems[path] = problem(code, message)
        return value
    wrong = _outside(value, field)
    if wrong:
        problems[path] = wrong
        return value
    if field.kind == "id":
        return str(value)
    before = len(problems)
    clean = _nested(value, field, path, problems)
    if field.also is not None and len(problems) == before:
        problems.update(field.also(clean, path))
    return clean


def _outside(value: Any, field: Field) -> dict[str, Any] | None:
    if field.choices and value not in field.choices:
        return problem("UNKNOWN_ENUM_VALUE", f"Value must be one of {', '.join(field.choices)}")
    if field.kind == "string":
        return _outside_length(len(value), field)
    if field.kind not in ("integer", "number"):
        return None
    if field.minimum is not None and value < field.minimum:
        message = f"Value must be greater or equal to {field.minimum}"
        return problem("VALUE_LESS_THAN_MIN", message, [field.minimum])
    if field.maximum is not None and value > field.maximum:
        message = f"Value must be less or equal to {field.maximum}"
        return problem("VALUE_GREATER_THAN_MAX", message, [field.maximum])
    return None


def _outside_length(length: int, field: Field) -> dict[str, Any] | None:
    if field.min_length is not None and length < field.min_length:
        message = f"Value must have at least {field.min_length} characters"
        return problem("STRING_LENGTH_LESS_THAN_MIN", message, [field.min_length])
    if field.max_length is not None and length > field.max_length:
        message = f"Value must have at most {field.max_length} characters"
        return problem("STRING_LENGTH_GREATER_THAN_MAX", message, [field.max_length])
    return None


def _nested(value: Any, field: Field, path: str, problems: Problems) -> Any:
    if field.fields is not None:
        clean, inner = examine(value, field.fields, at=f"{path}.")
        problems.update(inner)
        return clean
    if field.each is None:
        return value
    if isinstance(value, list):
        return [_value(item, field.each, f"{path}.{i}", problems) for i, item in enumerate(value)]
    return {name: _value(item, field.each, f"{path}.{name}", problems) for name, item in value.items()}
