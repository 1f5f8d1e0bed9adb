"""Files of objects with fields: JSON Lines, or a table whose first line has the names of the fields."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.lines import not_utf8, read_lines
from toloka_airflow.storage.tables import DELIMITERS, MAX_BYTES, TableError, check_delimiter, read_records

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_OTHER_FORMATS = (".parquet", ".xlsx", ".xls", ".ods", ".json", ".zip")


def read_objects(name: str, path: ObjectStoragePath) -> Iterator[tuple[int, Any]]:
    """
    Iterate over the rows of a file with the numbers of their lines, from 1; never much more than one is in memory.

    A table (``.csv``, ``.tsv``) has the names of the fields in its first line; its values are text, and an empty cell
    is no value. Every other file is JSON Lines, whose rows may be anything that JSON has. Both may be gzip (``.gz``).

    :param name: The argument to name in an error.
    :raises ValueError: If there is no such file, or at the first line that cannot be read.
    """
    plain = path.path.lower().removesuffix(".gz")
    if plain.endswith(_OTHER_FORMATS):
        raise ValueError(f"{name} is {str(path)!r}; it must be JSON Lines (.jsonl), or a table (.csv, .tsv)")
    delimiter = DELIMITERS.get(plain[-4:])
    return _json_lines(name, path) if delimiter is None else _table(name, path, delimiter)


def _json_lines(name: str, path: ObjectStoragePath) -> Iterator[tuple[int, Any]]:
    for number, line in read_lines(name, path, max_bytes=MAX_BYTES):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as exc:
                raise ValueError(f"{name}: {path}, line {number}: it is not JSON: {exc}") from None


def _table(name: str, path: ObjectStoragePath, delimiter: str) -> Iterator[tuple[int, Any]]:
    header: list[str] = []
    try:
        for number, record in read_records(_texts(name, path), delimiter):
            cells = [cell.strip() for cell in record]
            if not header:
                header = _checked_header(number, cells, delimiter)
            elif any(cells):
                if len(cells) != len(header):
                    raise TableError(number, f"it has {len(cells)} cells, but the header has {len(header)}")
                yield number, {key: cell for key, cell in zip(header, cells, strict=True) if cell}
    except TableError as exc:
        raise ValueError(f"{name}: {path}, line {exc.line}: {exc}") from None


def _checked_header(number: int, names: list[str], delimiter: str) -> list[str]:
    try:
        check_delimiter(names, delimiter)
    except ValueError as exc:
        raise TableError(number, str(exc)) from None
    if len(set(names)) < len(names):
        raise TableError(number, f"of the columns {', '.join(names):.200}, one is there twice")
    return names


def _texts(name: str, path: ObjectStoragePath) -> Iterator[str]:
    for number, line in read_lines(name, path, max_bytes=MAX_BYTES):
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as exc:
            raise ValueError(f"{name}: {path}, line {number}: {not_utf8(exc)}") from None
