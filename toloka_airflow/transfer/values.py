"""The values of a project's fields, read alike from the cells of every table, and the integers of tasks in JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from toloka_airflow.transfer.strict_json import StrictDecoder

Specs = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What the project says of a task: the fields of its input, and those of its output."""

Reader = Callable[[Any], Any]
"""Returns the value that a cell stands for; raises ValueError if it cannot be one of its type."""

_EXACT = 2**53
_ITEM = re.compile(r'\s*"((?:[^"]|"")*+)"\s*(,|\Z)|((?:\\,|[^,])*+)(,|\Z)')
_COMMA = re.compile(r"(?<!\\)((?:\\\\)*)\\,")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,30}(\.0*)?\s*")
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_COORDINATES = re.compile(rf"\s*({_NUMBER})\s*,\s*({_NUMBER})\s*")


class BadValuesError(ValueError):
    """Report values that cannot be of their types; `problems` has a text for each, with its column or field."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def value_reader(type_name: str) -> Reader:
    """
    Return what reads the cells of a field.

    Text is read as on Toloka's upload page. What is no text, in Parquet or in a list within a cell, must be of the
    type; a whole number may be an integer whatever its own type. Values of an unknown type are taken as they are.

    :param type_name: Of the field in the project's specification, such as ``array_integer``.
    """
    kind = str(type_name).lower()
    if kind == "array_json":
        return _read_json_array
    if not kind.startswith("array_"):
        return _SCALARS.get(kind, without_nulls)
    single = _SCALARS.get(kind.removeprefix("array_"), without_nulls)
    return lambda cell: [single(item) for item in _items(cell)]


def read_overlap(cell: Any) -> int | float:
    """Return an overlap; infinity for ``infinite``, as Toloka's own files have it."""
    return math.inf if isinstance(cell, str) and cell.strip().lower() == "infinite" else _read_integer(cell)


def read_people(cell: Any) -> list[str]:
    """Return the ids of people: with white space around it, an id would be nobody's."""
    ids = [_read_text(item).strip() for item in _items(cell)]
    if not all(ids):
        raise ValueError(f"{cell!r:.100} has an empty id")
    return ids


def read_integers(task: dict[str, Any], specs: Callable[[], Specs]) -> bool:
    """
    Make integers of whole numbers such as 3.0 where a task that was JSON must have them, and return whether there were.

    All other values have their types already, and what is wrong with them the API says.

    :param specs: Returns the project's specification; called if there is a number with a fraction.
    :raises BadValuesError: If one is not whole.
    """
    objects = [("input_values", 0, task["input_values"])]
    if "known_solutions" in task or "baseline_solutions" in task:
        objects += _output_values(task)
    found, problems = False, []
    if type(task.get("overlap")) is float:
        found = True
        try:
            task["overlap"] = _read_integer(task["overlap"])
        except ValueError as exc:
            problems.append(f"overlap: {exc}")
    for path, side, values in objects:
        # A loop that costs little, as every task of a file comes through it.
        for name, value in values.items():
            kind = type(value)
            if (kind is float or (kind is list and float in map(type, value))) and _is_integer(specs()[side], name):
                found = True
                try:
                    values[name] = value_reader(specs()[side][name]["type"])(value)
                except ValueError as exc:
                    problems.append(f"{path}.{name}: {exc}")
    if problems:
        raise BadValuesError(problems)
    return found


def without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null: a struct column has every field in every row."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def without_numpy(value: Any) -> Any:
    """Return a value with plain numbers and lists for those of numpy and pandas, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_numpy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_numpy(item) for item in value]
    # Of dates it would make counts of nanoseconds; they stay what JSON does not know.
    is_date = getattr(getattr(value, "dtype", None), "kind", None) in ("M", "m")
    return without_numpy(value.tolist()) if hasattr(value, "tolist") and not is_date else value


def comparable(value: Any) -> Any:
    """
    Return the value that stands for all that are equal to it: whole numbers as integers, keys in order.

    3.0 is what some apps send for the 3 of others. From 2**53 on, a number of that kind is no longer exact, and stays.

    :raises ValueError: For what JSON does not have.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"it has {value!r}, which JSON does not have")
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if isinstance(value, Mapping):
        return {name: comparable(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    converted = without_numpy(value)
    if type(converted) is kind:
        raise ValueError(f"it has {value!r:.100}, which JSON does not have")
    return comparable(converted)


def _output_values(task: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for key in ("known_solutions", "baseline_solutions"):
        solutions = task.get(key)
        for number, solution in enumerate(solutions if isinstance(solutions, list) else ()):
            values = solution.get("output_values") if isinstance(solution, dict) else None
            if isinstance(values, dict):
                yield f"{key}.{number}.output_values", 1, values


def _is_integer(spec: Mapping[str, Any], name: str) -> bool:
    return name in spec and str(spec[name]["type"]).lower() in ("integer", "array_integer")


# Arrays


def _items(cell: Any) -> list[Any]:
    r"""Return the items of an array: a list, one in JSON, or texts with commas between them; quoted, or with ``\,``."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        cell = _parse_json(cell)
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str):
        raise ValueError(f"{cell!r:.100} is no list")
    if '"' not in cell and "\\" not in cell:
        return cell.split(",")
    items, start, comma = [], 0, ","
    while comma:
        # The second alternative takes anything.
        match = cast("re.Match[str]", _ITEM.match(cell, start))
        quoted, end_of_quoted, plain, end_of_plain = match.groups()
        if quoted is None and plain.lstrip().startswith('"'):
            raise ValueError(f'{plain!r:.100} begins with a quote, but not as "..." with \'""\' for a quote within')
        items.append(plain.replace("\\,", ",") if quoted is None else quoted.replace('""', '"'))
        start, comma = match.end(), end_of_plain if quoted is None else end_of_quoted
    return items


def _read_json_array(cell: Any) -> list[Any]:
    """Read a list, one in JSON, or JSON values with commas between them."""
    if not isinstance(cell, str):
        return [_read_json(item) for item in _items(cell)]
    try:
        value = _parse_json(cell)
    except json.JSONDecodeError:
        value = _parse_json(f"[{cell}]")
    return value if isinstance(value, list) else [value]


# Single values


def _read_text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise ValueError(f"{cell!r:.100} is no text")
    return cell


def _read_boolean(cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    text = cell.strip().lower() if isinstance(cell, str) else ""
    if text not in ("true", "false"):
        raise ValueError(f"{cell!r:.100} is neither true nor false")
    return text == "true"


def _read_integer(cell: Any) -> int:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and _INTEGER.fullmatch(cell):
        return int(cell.partition(".")[0])
    if not isinstance(cell, (float, Decimal)) or not math.isfinite(cell) or cell != int(cell):
        raise ValueError(f"{cell!r:.100} is no integer")
    if isinstance(cell, float) and abs(cell) > _EXACT:
        raise ValueError(f"{cell!r} is too large to be exact as a number with a fraction; write it as an integer")
    return int(cell)


def _read_float(cell: Any) -> float:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    try:
        is_number = isinstance(cell, (float, Decimal)) or (isinstance(cell, str) and "_" not in cell)
        number = float(cell) if is_number else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{cell!r:.100} is no number")
    return number


def _read_coordinates(cell: Any) -> str:
    match = _COORDINATES.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        raise ValueError(
            f'{cell!r:.100} are no coordinates; write latitude,longitude, each pair of a list in quotes: "55.7,37.6"'
        )
    return ",".join(match.groups())


def _read_json(cell: Any) -> Any:
    return _parse_json(cell) if isinstance(cell, str) else without_nulls(cell)


def _parse_json(text: str) -> Any:
    r"""Read JSON in a cell, where ``\,`` is a comma: Toloka's files may have it within objects, JSON itself never."""
    stripped = _COMMA.sub(r"\1,", text).strip()
    try:
        value, end = StrictDecoder().decode_at(stripped, 0)
        if end != len(stripped):
            raise json.JSONDecodeError("Extra data", stripped, end)
    except json.JSONDecodeError as exc:
        raise json.JSONDecodeError(f"{text!r:.100} is not JSON: {exc.msg}", stripped, exc.pos) from exc
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{text!r:.100} is not JSON: {exc}") from exc
    return value


_SCALARS: dict[str, Reader] = {
    "boolean": _read_boolean,
    "coordinates": _read_coordinates,
    "file": _read_text,
    "float": _read_float,
    "integer": _read_integer,
    "json": _read_json,
    "string": _read_text,
    "url": _read_text,
}
