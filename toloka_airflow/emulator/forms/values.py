"""Checks of task values against the specification in the project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.schema import KINDS, REQUIRED, UNKNOWN
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

KIND_OF_TYPE = {
    "string": "string",
    "url": "string",
    "file": "string",
    "coordinates": "string",
    "boolean": "boolean",
    "integer": "integer",
    "float": "number",
}

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_COORDINATES = re.compile(f"({_NUMBER}),({_NUMBER})")


def check_values(values: Json, spec: Json, *, at: str, partly: bool = False) -> Problems:
    """Return what is wrong with the values, by field path; `partly`: required fields may be missing."""
    problems: Problems = {f"{at}.{name}": UNKNOWN for name in values if name not in spec}
    for name, field in spec.items():
        value = values.get(name)
        if value is None:
            if field.get("required", True) and not partly:
                problems[f"{at}.{name}"] = REQUIRED
        else:
            wrong = _check(value, field)
            if wrong is not None:
                problems[f"{at}.{name}"] = wrong
    return problems


def _check(value: Any, field: Json) -> Json | None:
    kind = str(field["type"]).lower()
    if not kind.startswith("array_"):
        return _check_single(value, kind, field)
    if not isinstance(value, list):
        return problem("ARRAY_EXPECTED", "Value must be an array")
    wrongs = (_check_single(item, kind.removeprefix("array_"), field) for item in value)
    return next((wrong for wrong in wrongs if wrong is not None), None)


def _check_single(value: Any, kind: str, field: Json) -> Json | None:
    right_kind, code, message = KINDS[KIND_OF_TYPE.get(kind, "any")]
    if not right_kind(value):
        return problem(code, message)
    if kind == "coordinates" and not _are_coordinates(value):
        return problem("INVALID_COORDINATES_SYNTAX", "Value must be in valid coordinates format")
    allowed = field.get("allowed_values")
    if allowed and value not in allowed:
        return problem("VALUE_NOT_ALLOWED", f"Value must be one of {', '.join(map(str, allowed))}")
    if kind in ("integer", "float"):
        return _check_range(value, field, "VALUE", "_value")
    if kind in ("string", "url"):
        return _check_range(len(value), field, "STRING_LENGTH", "_length")
    return None


def _are_coordinates(value: str) -> bool:
    """Say whether a text is a latitude and a longitude, as in ``22.3341,32.32``."""
    match = _COORDINATES.fullmatch(value)
    return match is not None and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180


def _check_range(size: float, field: Json, code: str, suffix: str) -> Json | None:
    low, high = field.get(f"min{suffix}"), field.get(f"max{suffix}")
    if low is not None and size < low:
        return problem(f"{code}_LESS_THAN_MIN", f"Value must be greater or equal to {low}", [low])
    if high is not None and size > high:
        return problem(f"{code}_GREATER_THAN_MAX", f"Value must be less or equal to {high}", [high])
    return None
