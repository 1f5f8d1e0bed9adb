"""What the columns of a table mean for a task: Toloka's own names for them, and the types of the project's fields."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toloka_airflow.transfer.values import (
    BadValuesError,
    Reader,
    read_overlap,
    read_people,
    value_reader,
    without_nulls,
)

INPUT, GOLDEN, _TASK, _NOWHERE = "INPUT:", "GOLDEN:", "TASK:", ""
OTHERS = {"HINT:text": "message_on_unknown_solution", "TASK:overlap": "overlap"}
LEFT_OUT = ("TASK:id", "TASK:remaining_overlap", "HINT:default_language")
"""Columns of the file that Toloka hands out which say nothing of a new task."""

_READERS: dict[str, Reader] = {
    "HINT:text": value_reader("string"),
    "TASK:overlap": read_overlap,
    "reserved_for": read_people,
    "unavailable_for": read_people,
}
_NESTED_READERS: dict[str, Reader] = {
    "known_solutions": without_nulls,
    "message_on_unknown_solution": value_reader("string"),
    "overlap": read_overlap,
    "infinite_overlap": value_reader("boolean"),
    "baseline_solutions": without_nulls,
    "localization_config": without_nulls,
    "pool_id": without_nulls,
}


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
        self._inputs = {name: value_reader(spec["type"]) for name, spec in input_spec.items()}
        inputs = {f"{INPUT}{name}": reader for name, reader in self._inputs.items()}
        goldens = {f"{GOLDEN}{name}": value_reader(spec["type"]) for name, spec in output_spec.items()}
        self._readers = inputs | goldens | _READERS | (_NESTED_READERS if nested else {})
        if nested:
            self._readers["input_values"] = self._read_values
        self.left_out = [name for name in names if name in LEFT_OUT]
        if unknown := [name for name in names if name not in self._readers and name not in LEFT_OUT]:
            shown = ", ".join(f"{_visible(name)}{self._suggestion(name)}" for name in unknown)
            raise ValueError(f"unknown columns: {shown}; known are {', '.join(self._readers)}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"there twice: the column {', '.join(twice)}")
        if "input_values" in names and (both := [name for name in names if name.startswith(INPUT)]):
            raise ValueError(f"there twice: input values, in the columns input_values and {', '.join(both)}")
        required = [f"{INPUT}{name}" for name, spec in input_spec.items() if spec.get("required", True)]
        missing = [name for name in required if name not in names]
        if missing and "input_values" not in names:
            raise ValueError(f"missing columns: {', '.join(missing)}; the project requires them")
        self._columns = [(name, *_part(name), self._readers.get(name, without_nulls)) for name in names]

    def __len__(self) -> int:
        return len(self._columns)

    def _suggestion(self, name: str) -> str:
        known = {known.casefold(): known for known in self._readers}
        visible = "".join(filter(str.isprintable, name)).strip().casefold()
        # However short a name is beside its prefix, without it it is a near miss.
        with_prefix = [key for prefix in (INPUT, GOLDEN) if (key := f"{prefix}{visible}".casefold()) in known]
        close = [*with_prefix, *difflib.get_close_matches(visible, known, 1)]
        return f" (did you mean {known[close[0]]}?)" if close else ""

    def row(self, cells: Iterable[Any]) -> dict[str, Any] | None:
        """
        Return the task of a row; nothing if the row is empty.

        :raises BadValuesError: If cells cannot be read; names their columns.
        """
        parts: dict[str, dict[str, Any]] = {INPUT: {}, GOLDEN: {}, _TASK: {}, _NOWHERE: {}}
        problems: list[str] = []
        for (name, part, field, read), cell in zip(self._columns, cells, strict=True):
            if cell is None or cell == "" or (isinstance(cell, dict) and _is_null(cell)):
                continue
            try:
                parts[part][field] = read(cell)
            except BadValuesError as exc:
                problems += [f"column {name}.{problem}" for problem in exc.problems]
            except (ValueError, TypeError, RecursionError) as exc:
                problems.append(f"column {name}: {exc}")
        if problems:
            raise BadValuesError(problems)
        return _task(parts[INPUT], parts[GOLDEN], parts[_TASK]) if any(parts.values()) else None

    def _read_values(self, cell: Any) -> Any:
        """Return a struct of input values; which fields there are not, the API says."""
        if not isinstance(cell, dict):
            return cell
        values, problems = {}, []
        for name, value in cell.items():
            if value is not None:
                try:
                    values[name] = self._inputs.get(name, without_nulls)(value)
                except (ValueError, TypeError, RecursionError) as exc:
                    problems.append(f"{name}: {exc}")
        if problems:
            raise BadValuesError(problems)
        return values


def any_fields(names: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a specification that has the fields of these columns, with values as they are."""
    inputs, outputs = (
        {name.removeprefix(prefix): {"type": "unknown"} for name in names if name.startswith(prefix)}
        for prefix in (INPUT, GOLDEN)
    )
    return inputs, outputs


def _part(name: str) -> tuple[str, str]:
    """Return of which part of a task a column is, and the name of the field there."""
    for prefix in (INPUT, GOLDEN):
        if name.startswith(prefix):
            return prefix, name.removeprefix(prefix)
    return (_NOWHERE if name in LEFT_OUT else _TASK), OTHERS.get(name, name)


def _task(values: dict[str, Any], golden: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    task = {"input_values": values, **others}
    if task.get("overlap") == math.inf:
        del task["overlap"]
        task["infinite_overlap"] = True
    if golden:
        task["known_solutions"] = [{"output_values": golden, "correctness_weight": 1}]
        if "overlap" not in task:
            task.setdefault("infinite_overlap", True)
    return task


def _visible(name: str) -> str:
    return name if name and name.isprintable() and name == name.strip() else repr(name)


def _is_null(cell: Any) -> bool:
    """Say whether a cell has no value; a struct has none if all its fields have none."""
    return cell is None or (isinstance(cell, dict) and all(map(_is_null, cell.values())))
