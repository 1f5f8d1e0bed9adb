"""
Answers in Parquet: one schema for the whole file, made of what the project says of its fields.

The columns are the keys of a row of JSON Lines, in their order: ``input_values`` and ``output_values`` are structs with
a field for each of the project's, and ``known_solutions`` is a list of structs. A field that is not there, or is null,
is null. What its column cannot hold as it is, such as a field that the project does not name, a text in a column of
integers or half of a character, is null there and in the column ``other_values``, so nothing is lost or cut.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import IO, Any, Optional

import msgspec
import pyarrow
from pyarrow import parquet

from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.row_writers import RowWriter

OTHER_VALUES = "other_values"
_ROW_GROUP_BYTES = 8 * 1024 * 1024
"""Of JSON. Readers like large row groups, but one of 16 MB takes 25 MB more of memory."""
_NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError)
_NOT_HELD = (pyarrow.ArrowException, OverflowError, UnicodeEncodeError)
_MOST_FRACTION_DIGITS = re.compile(r"\.[0-9]{7,}")


@dataclass(frozen=True)
class _Scalars:
    """
    A column of single values.

    :param type: The type of the column.
    :param decoded: The type by which msgspec decodes a value.
    :param fit: Returns a value that `json` decoded, and that is not null, as msgspec would have. It raises
        ``ValueError`` or ``OverflowError`` if the column cannot hold it as it is.
    """

    type: Any
    decoded: Any
    fit: Callable[[Any], Any]

    def array(self, values: list[Any]) -> Any:
        """Return a column of decoded values; raises one of ``_NOT_HELD`` if it cannot hold one as it is."""
        return pyarrow.array(values, self.type)


class _Times(_Scalars):
    """Toloka's dates; they are UTC and do not say so."""

    def array(self, values: list[Any]) -> Any:
        return pyarrow.array(values, pyarrow.string()).cast(pyarrow.timestamp("us")).cast(self.type)


class _Json(_Scalars):
    """Values of any shape, as JSON."""

    def array(self, values: list[Any]) -> Any:
        texts = [bytes(value) if isinstance(value, msgspec.Raw) else value for value in values]
        return pyarrow.array(texts, self.type)


class _Lists:
    """A column of lists."""

    def __init__(self, item: Column) -> None:
        self._item = item
        self.type: Any = item.type and pyarrow.list_(item.type)
        self.decoded = list[Optional[item.decoded]]  # type: ignore[name-defined]  # noqa: UP045  a type at run time

    def fit(self, value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"{value!r:.100} is no array")
        return [None if item is None else self._item.fit(item) for item in value]

    def array(self, values: list[Any]) -> Any:
        items: list[Any] = []
        offsets = [0]
        for value in values:
            items += value or ()
            offsets.append(len(items))
        mask = pyarrow.array([value is None for value in values], pyarrow.bool_())
        starts = pyarrow.array(offsets, pyarrow.int32())
        return pyarrow.ListArray.from_arrays(starts, self._item.array(items), type=self.type, mask=mask)


class Fields:
    """
    Objects, with a column for each of their fields; ``type`` is ``None`` if there are none, as Parquet has no such.

    :raises ValueError: If a name is one that msgspec does not take.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self.attributes = {name: f"f{number}" for number, name in enumerate(columns)}
        self._held = [(name, column) for name, column in columns.items() if column.type is not None]
        self.schema = pyarrow.schema([pyarrow.field(name, column.type) for name, column in self._held])
        self.type: Any = pyarrow.struct(list(self.schema)) if self._held else None
        self.decoded: Any = msgspec.defstruct(
            "Object",
            [(self.attributes[name], Optional[column.decoded], None) for name, column in columns.items()],  # noqa: UP045
            rename={attribute: name for name, attribute in self.attributes.items()},
            forbid_unknown_fields=True,
            gc=False,
        )

    def fit(self, value: Any) -> Any:
        """Return a value that `json` decoded as msgspec would have; raises ``ValueError`` unless all of it fits."""
        fitting, others = self.split(value)
        if others is not None:
            raise ValueError(f"{others!r:.100} has no column")
        return fitting

    def split(self, value: Any) -> tuple[Any, Any]:
        """Return what of a value the columns can hold, and the others; either is ``None`` if there are none."""
        if not isinstance(value, dict):
            return None, value
        fitting, others = {}, {}
        for name, item in value.items():
            column, fits, other = self._columns.get(name), None, item
            if isinstance(column, Fields) and item is not None:
                fits, other = column.split(item)
            elif column is not None and item is not None:
                with suppress(ValueError, OverflowError):
                    fits, other = column.fit(item), None
            if fits is not None:
                fitting[self.attributes[name]] = fits
            if other is not None:
                others[name] = other
        return self.decoded(**fitting), others or None

    def columns(self, values: Sequence[Any]) -> list[Any]:
        """Return the columns of decoded values, none of which is null."""
        return [column.array([*map(attrgetter(self.attributes[name]), values)]) for name, column in self._held]

    def array(self, values: list[Any]) -> Any:
        """Return a column of structs."""
        missing = [value is None for value in values]
        mask = pyarrow.array(missing) if any(missing) else None
        if mask is not None:
            values = [self.decoded() if value is None else value for value in values]
        return pyarrow.StructArray.from_arrays(self.columns(values), fields=list(self.schema), mask=mask)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.100} is no text")
    value.encode()  # which raises for half of a character
    return value


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{value!r:.100} is no integer of 64 bits")
    return value


def _float(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{value!r:.100} is no number")
    number = float(value)
    if number != value or not math.isfinite(number):
        raise ValueError(f"{value!r:.100} has more digits than a float")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.100} is no boolean")
    return value


def _time(value: Any) -> str:
    if _MOST_FRACTION_DIGITS.search(_text(value)):
        raise ValueError(f"{value!r:.100} is more precise than a microsecond")
    moment = datetime.fromisoformat(value)
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat()


Column = _Scalars | _Lists | Fields

_TEXT = _Scalars(pyarrow.string(), str, _text)
_FLOAT = _Scalars(pyarrow.float64(), int | float, _float)  # An int that a float cannot hold is to be noticed.
_TIME = _Times(pyarrow.timestamp("us", "UTC"), str, _time)
_TYPES: dict[str, Column] = {
    "string": _TEXT,
    "url": _TEXT,
    "file": _TEXT,
    "coordinates": _TEXT,
    "integer": _Scalars(pyarrow.int64(), int, _integer),
    "float": _FLOAT,
    "boolean": _Scalars(pyarrow.bool_(), bool, _boolean),
    "json": _Json(pyarrow.string(), msgspec.Raw, compact_json),
}


def answer_columns(input_spec: Mapping[str, Any], output_spec: Mapping[str, Any]) -> Fields:
    """
    Return the columns for the answers of a project.

    :param input_spec: The project's input fields.
    :param output_spec: The project's output fields.
    :raises ValueError: If a field has a type for which no column is known, or a name that cannot be one.
    """
    outputs = _field_columns("output", output_spec)
    solution = Fields({"output_values": outputs, "correctness_weight": _FLOAT})
    return Fields(
        {
            "assignment_id": _TEXT,
            "task_suite_id": _TEXT,
            "pool_id": _TEXT,
            "user_id": _TEXT,
            "status": _TEXT,
            "assignment_reward": _FLOAT,
            "submitted": _TIME,
            "accepted": _TIME,
            "rejected": _TIME,
            "public_comment": _TEXT,
            "task_id": _TEXT,
            "input_values": _field_columns("input", input_spec),
            "output_values": outputs,
            "known_solutions": _Lists(solution),
            OTHER_VALUES: _TEXT,
        }
    )


def _field_columns(kind: str, spec: Mapping[str, Any]) -> Fields:
    columns: dict[str, Column] = {}
    for name, field in spec.items():
        type_name = str(field["type"]).lower()
        column = _TYPES.get(type_name.removeprefix("array_"))
        if column is None:
            raise ValueError(
                f"The {kind} field {name!r} of the project is of the type {field['type']!r}, for which no column of "
                "Parquet is known: name the file *.jsonl"
            )
        columns[name] = _Lists(column) if type_name.startswith("array_") else column
    try:
        return Fields(columns)
    except ValueError as exc:
        raise ValueError(f"A field of the project cannot be a column of Parquet: {exc}; name the file *.jsonl") from exc


class ParquetAnswers(RowWriter):
    """
    Write answers to a file, a row group at a time.

    :param file: The file, open for writing.
    :param columns: The columns.
    :param log: Where it is reported how many answers have values in ``other_values``.
    """

    def __init__(self, file: IO[bytes], columns: Fields, *, log: Any) -> None:
        super().__init__()
        self._columns, self._log = columns, log
        self._decode = msgspec.json.Decoder(columns.decoded).decode
        self._writer = parquet.ParquetWriter(file, columns.schema, compression="zstd")
        self._batches: list[Any] = []
        self._bytes = self._answers = self._answers_with_others = 0
        self._example = ""

    def write_lines(self, lines: list[bytes]) -> None:
        """Write some answers."""
        batch = self._batch(lines)
        self._count_others(batch)
        self._batches.append(batch)
        self._bytes += sum(map(len, lines))
        if self._bytes >= _ROW_GROUP_BYTES:
            self._put_row_group()

    def close(self) -> None:
        """Write the footer."""
        self._put_row_group()
        self._writer.close()
        if self._answers_with_others:
            self._log.warning(
                "%s of %s answers have values that the columns of the file cannot hold, which the project describes; "
                "they are in the column %s, as JSON. The first is %s",
                self._answers_with_others,
                self._answers,
                OTHER_VALUES,
                self._example,
            )

    def abandon(self) -> None:
        """Have the end of the writer's life write no footer, which would make a file that looks complete."""
        self._writer.is_open = False

    def _put_row_group(self) -> None:
        if self._batches:
            table = pyarrow.Table.from_batches(self._batches, self._columns.schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._batches, self._bytes = [], 0

    def _batch(self, lines: list[bytes]) -> Any:
        try:
            columns = self._columns.columns([self._row(line) for line in lines])
        except _NOT_HELD:
            columns = self._columns.columns([self._split_row(line) for line in lines])
        return pyarrow.RecordBatch.from_arrays(columns, schema=self._columns.schema)

    def _row(self, line: bytes) -> Any:
        try:
            return self._decode(line)
        except _NOT_DECODED:
            return self._split_row(line)

    def _split_row(self, line: bytes) -> Any:
        row, others = self._columns.split(json.loads(line))
        if others is not None:
            setattr(row, self._columns.attributes[OTHER_VALUES], compact_json(others))
        return row

    def _count_others(self, batch: Any) -> None:
        others = batch.column(OTHER_VALUES)
        self._answers += len(others)
        count = len(others) - others.null_count
        if count and not self._answers_with_others:
            row = batch.filter(others.is_valid()).slice(0, 1).to_pylist()[0]
            self._example = f"of assignment {row['assignment_id']}: {row[OTHER_VALUES]:.200}"
        self._answers_with_others += count
