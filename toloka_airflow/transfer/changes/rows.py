"""Rows with an id of a person or task, as people have them: a list, JSON Lines, or a table with a header."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, TypeVar

from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.ids import checked_id

RowT = TypeVar("RowT")

MAX_SHOWN = 20
"""What is wrong, at the most, that one error says."""


def check_repeatable(name: str, source: object) -> None:
    """
    Refuse what can be read only once.

    :raises ValueError: If it is that.
    """
    if hasattr(source, "__next__"):
        raise argument_error(f"{name} is {source!r:.100}, which can be read only once; give a list or a path")


def read_rows(
    name: str, source: Any, id_name: str, read: Callable[[Mapping[str, Any]], RowT], *, value_name: str | None = None
) -> dict[str, RowT]:
    """
    Return what a function makes of each row, by the row's id; all of them are checked before any is used.

    There may be plain ids instead of rows. Files are read as those of `toloka_airflow.transfer.row_sources`. It holds
    some 300 bytes for each row.

    :param name: The argument to name in an error.
    :param source: An iterable of rows or ids; a mapping from ids to rows; or the path of a file.
    :param id_name: The field with the id, such as ``user_id``.
    :param read: Gets the fields of a row, and raises `ValueError` with what is wrong with it.
    :param value_name: The field that a plain value in a mapping is.
    :raises ValueError: With up to `MAX_SHOWN` rows that are wrong, or with an id that is there twice.
    """
    rows: dict[str, RowT] = {}
    first: dict[str, str] = {}
    problems: list[str] = []
    for where, fields, problem in _located(name, source, id_name, value_name):
        try:
            if problem is not None:
                raise ValueError(problem)
            if id_name not in fields:
                raise ValueError(f"it has no {id_name}; {description(fields)}")
            row_id = checked_id(id_name, fields[id_name])
            if row_id in first:
                raise ValueError(f"{id_name} {row_id} is there twice, first in {first[row_id]}")
            first[row_id] = where
            rows[row_id] = read(fields)
        except ValueError as exc:
            problems.append(f"{where}: {exc}")
            if len(problems) > MAX_SHOWN:
                break
    raise_problems(name, source, problems)
    return rows


def raise_problems(name: str, source: Any, problems: list[str]) -> None:
    """
    Raise what is wrong with some rows, if there is anything; nothing was sent then.

    :raises ValueError: If so.
    """
    if not problems:
        return
    shown = "".join(f"\n  {problem}" for problem in problems[:MAX_SHOWN])
    more = "\n  and more" if len(problems) > MAX_SHOWN else ""
    of_file = f" of {source}" if isinstance(source, str | os.PathLike) else ""
    raise ValueError(f"{name}: nothing was sent, as these rows{of_file} cannot be used:{shown}{more}")


def _located(
    name: str, source: Any, id_name: str, value_name: str | None
) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Iterate over where each row is, its fields, and why it cannot be read, if so."""
    # Here, as a DAG that is only parsed needs none of it.
    from toloka_airflow.transfer.row_sources import BadRow, PlainRows, row_source

    if isinstance(source, Mapping):
        for key, value in source.items():
            plain = {} if value_name is None or isinstance(value, Mapping) else {value_name: value}
            yield f"{key!r:.100}", {**plain, **(value if isinstance(value, Mapping) else {}), id_name: key}, None
        return
    rows = row_source(name, source)
    meaning = PlainRows(id_name, is_id=True, expected=f'a row is an object like {{"{id_name}": "…"}}, or the id alone')
    with closing(rows.entries(meaning)) as entries:
        for entry in entries:
            where = f"{rows.unit} {entry.number}"
            if isinstance(entry, BadRow):
                yield where, {}, "; ".join(entry.problems)
            else:
                yield where, entry.fields, None


def description(fields: Mapping[str, Any]) -> str:
    """Return which fields a row has, for an error about one that is missing."""
    return f"its fields are {', '.join(map(str, fields)):.200}" if fields else "it is no object, or has no fields"
