"""What the columns of a table mean for a task: Toloka's own names for them, and the types of the project's fields."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

INPUT, GOLDEN = "INPUT:", "GOLDEN:"
OTHERS = {"HINT:text": "message_on_unknown_solution", "TASK:overlap": "overlap"}
TASK_FIELDS = (
    "input_values",
    "known_solutions",
    "message_on_unknown_solution",
    "overlap",
    "infinite_overlap",
    "baseline_solutions",
    "reserved_for",
    "unavailable_for",
    "localization_config",
    "pool_id",
)


class Columns:
    """
    Make tasks from the rows of a table.

    An empty cell is a field that the task does not have; whether it must, the API decides row by row. A row with golden
    answers and no overlap gets an infinite one: it is for everybody, and would run out with the overlap of the others.

    :param names: The header.
    :param input_spec: The project's input fields.
    :param output_spec: The project's output fields, to which golden answers belong.
    :param nested: Whether columns may be named like the fields of a task, too, and hold objects.
    :raises ValueError: If a column is unknown or there twice, or one is missing that every task needs.
    """

    def __init__(
        self,
        names: Sequence[str],
        input_spec: Mapping[str, Any],
        output_spec: Mapping[str, Any],
        *,
        nested: bool = False,
    ) -> None:
        self._names = names
        inputs = {f"{INPUT}{name}": spec for name, spec in input_spec.items()}
        goldens = {f"{GOLDEN}{name}": spec for name, spec in output_spec.items()}
        types = inputs | goldens | {"HINT:text": {"type": "string"}, "TASK:overlap": {"type": "integer"}}
        task_fields = TASK_FIELDS if nested else ()
        if unknown := [name for name in names if name not in types and name not in task_fields]:
            raise ValueError(f"unknown columns: {', '.join(unknown)}; known are {', '.join([*types, *task_fields])}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"there twice: the column {', '.join(twice)}")
        if "input_values" in names and (both := [name for name in names if name.startswith(INPUT)]):
            raise ValueError(f"there twice: input values, in the columns input_values and {', '.join(both)}")
        required = [name for name, spec in inputs.items() if spec.get("required", True)]
        missing = [name for name in required if name not in names]
        if missing and "input_values" not in names:
            raise ValueError(f"missing columns: {', '.join(missing)}; the project requires them")
        self._converters = [_converter(types[name]["type"]) if name in types else _without_nulls for name in names]

    def __len__(self) -> int:
        return len(self._names)

    def task(self, cells: Iterable[Any]) -> dict[str, Any]:
        """
        Return the task of a row.

        :raises ValueError: If a cell cannot be converted; names the column.
        """
        values: dict[str, Any] = {}
        golden: dict[str, Any] = {}
        task: dict[str, Any] = {"input_values": values}
        for name, convert, cell in zip(self._names, self._converters, cells, strict=True):
            if cell is None or cell == "":
                continue
            try:
                value = convert(cell)
            except (ValueError, TypeError, RecursionError) as exc:
                raise ValueError(f"column {name}: {exc}") from exc
            if name.startswith(INPUT):
                values[name.removeprefix(INPUT)] = value
            elif name.startswith(GOLDEN):
                golden[name.removeprefix(GOLDEN)] = value
            elif name == "input_values" and isinstance(value, dict):
                values.update(value)
            else:
                task[OTHERS.get(name, name)] = value
        if golden:
            task["known_solutions"] = [{"output_values": golden, "correctness_weight": 1}]
            if "overlap" not in task:
                task.setdefault("infinite_overlap", True)
        return task


def _converter(type_name: str) -> Callable[[Any], Any]:
    """Return what makes a value of a field's type; values that are no text are taken as they are."""
    kind = str(type_name).lower()
    if kind.startswith("array_"):
        single = _of_text(_SCALARS.get(kind.removeprefix("array_"), str))
        return _of_text(lambda text: [single(item) for item in _items(text)])
    if kind == "integer":
        return lambda cell: int(cell) if isinstance(cell, float) and cell.is_integer() else _of_text(_integer)(cell)
    return _of_text(_SCALARS.get(kind, str))


def _of_text(convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda cell: convert(cell) if isinstance(cell, str) else _without_nulls(cell)


def _items(text: str) -> list[Any]:
    r"""Read an array: JSON, or values with commas between them, where ``\,`` is a comma."""
    if text.lstrip().startswith("["):
        return list(_json(text))
    return [item.replace("\\,", ",") for item in re.split(r"(?<!\\),", text)]


def _boolean(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError(f"{text!r:.100} is neither true nor false")
    return text.strip().lower() == "true"


def _integer(text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", text):
        raise ValueError(f"{text!r:.100} is no integer")
    return int(text)


def _float(text: str) -> float:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r:.100} is no number")
    return number


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise ValueError(f"{text!r:.100} is not JSON: {exc}") from exc


def _without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null: a struct column has every field in every row."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


_SCALARS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "float": _float,
    "json": _json,
}
