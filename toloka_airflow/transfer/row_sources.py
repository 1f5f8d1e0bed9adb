"""
Rows of files and lists, read as a stream: JSON Lines, JSON, CSV, TSV, Parquet, and lists of other tasks.

What a row means is said by who reads it, with a `Meaning`.
"""

from __future__ import annotations

import codecs
import gzip
import json
import logging
import os
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.lines import not_utf8
from toloka_airflow.storage.paths import (
    NO_SUCH_FILE,
    LocalFile,
    is_path,
    local_file,
    refuse_rows_as_text,
    storage_path,
)
from toloka_airflow.storage.tables import DELIMITERS, TableError, check_delimiter, read_records, wrong_number_of_cells
from toloka_airflow.transfer.json_arrays import JsonArray, JsonArrayError
from toloka_airflow.transfer.strict_json import DuplicateKeyError, StrictDecoder
from toloka_airflow.transfer.values import BadValuesError, without_numpy

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_LINE = 4 * 1024 * 1024
MAX_PROBLEMS = 20
_PATHS: Final = "paths-and-files"
_BLOCK = 256 * 1024
_PARQUET_ROWS = 500
_WANTED = "name the file .jsonl, .ndjson, .json, .csv or .tsv, with .gz behind it if it is compressed, or .parquet"


class SourceError(ValueError):
    """Report rows that cannot be read; says where, and what is wrong there."""


class Row(NamedTuple):
    """
    One row.

    :param number: Where it is in its source, counted from 1.
    :param fields: What it means, such as a task as the API takes it.
    :param text: The JSON object that it was read from, if it was.
    """

    number: int
    fields: dict[str, Any]
    text: bytes | None = None


class BadRow(NamedTuple):
    """What is wrong with a row that cannot be read, while those behind it can."""

    number: int
    problems: list[str]


Entries = Generator["Row | BadRow", None, None]


class Columns(Protocol):
    """What the columns of a table mean."""

    def __len__(self) -> int: ...

    def row(self, cells: Iterable[Any]) -> dict[str, Any] | None:
        """Return what a row means, nothing if it is empty; raise `BadValuesError` if cells cannot be read."""


class Meaning(Protocol):
    """
    What the rows of a source mean.

    :param header: A column that a table has, as an example.
    """

    header: str

    def columns(self, names: list[str], *, nested: bool) -> Columns:
        """
        Return what the columns of a table mean; raise `ValueError` if they cannot be its columns.

        :param nested: Whether cells may hold objects.
        """

    def row(self, number: int, value: Any, text: bytes | None = None, *, has_floats: bool = True) -> Row | BadRow:
        """
        Return what a value means.

        :param text: The JSON object that it was read from, if it was.
        :param has_floats: Whether there may be numbers with a fraction in it.
        """


class Cells:
    """
    The rows of a table by the names of its columns, without the cells that are empty.

    :param strip: Whether white space around names and texts does not matter.
    :raises ValueError: If a column is there twice.
    """

    def __init__(self, names: list[str], *, strip: bool = False) -> None:
        self._names = [name.strip() for name in names] if strip else names
        self._strip = strip
        if twice := sorted({name for name in self._names if self._names.count(name) > 1}):
            raise ValueError(f"there twice: the column {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self._names)

    def row(self, cells: Iterable[Any]) -> dict[str, Any] | None:
        """Return the cells that have a value; nothing if none has."""
        if self._strip:
            cells = (cell.strip() if isinstance(cell, str) else cell for cell in cells)
        fields = {name: cell for name, cell in zip(self._names, cells, strict=True) if cell is not None and cell != ""}
        return fields or None


class PlainRows:
    """
    Rows as they are: objects, or the cells of a table.

    :param header: A column that a table has, as an example.
    :param is_id: Whether a row may be the value of that column alone.
    :param expected: What a row is, to say so of one that is something else.
    """

    def __init__(self, header: str, *, is_id: bool = False, expected: str) -> None:
        self.header, self._is_id, self._expected = header, is_id, expected

    def columns(self, names: list[str], *, nested: bool) -> Cells:
        """Return what reads the rows of a table, whose columns may be any."""
        return Cells(names, strip=True)

    def row(self, number: int, value: Any, text: bytes | None = None, *, has_floats: bool = True) -> Row | BadRow:
        """Return the fields of a row."""
        if self._is_id and isinstance(value, str | int):
            return Row(number, {self.header: value})
        if not isinstance(value, dict):
            return BadRow(number, [f"it is {value!r:.100}; {self._expected}"])
        return Row(number, value, text)


class RowSource:
    """
    Read rows from a file or a list, as often as needed, never all of a file at once.

    :param argument: What gives the source; it says what rows are called, too.
    :param name: What the source is called in errors.
    """

    unit: str
    """What a number counts: ``line``, ``row`` or ``item``."""
    is_file = False

    def __init__(self, argument: str, name: str) -> None:
        self.argument, self.name = argument, name
        self._logged: set[str] = set()

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows, also over those that cannot be read, as far as there are others behind them."""
        raise NotImplementedError

    def rows(self, meaning: Meaning) -> Iterator[Row]:
        """
        Iterate over the rows.

        :raises SourceError: At the first that cannot be read; says what is wrong with the next ones, too.
        """
        with closing(self.entries(meaning)) as entries:
            for entry in entries:
                if isinstance(entry, BadRow):
                    raise self.bad_rows(entry, entries)
                yield entry

    def bad_rows(self, first: BadRow, others: Entries) -> SourceError:
        """Return the error that says what is wrong with a row, and with the next ones of which something is."""
        problems = list(first.problems)
        try:
            for entry in others:
                if len(problems) >= MAX_PROBLEMS:
                    break
                if isinstance(entry, BadRow):
                    problems += [f"{self.unit} {entry.number}: {problem}" for problem in entry.problems]
        except SourceError as exc:
            problems.append(str(exc))
        if len(problems) >= MAX_PROBLEMS:
            problems[MAX_PROBLEMS:] = [f"these are the first {MAX_PROBLEMS}, there may be more"]
        return self.error(first.number, "; ".join(problems))

    def log_once(self, level: int, text: str) -> None:
        """Log what every attempt says once, however often it reads the source."""
        if text not in self._logged:
            self._logged.add(text)
            log.log(level, "%s", text)

    def share_read(self) -> float | None:
        """Return about how much of the source has been read, from 0 to 1; ``None`` if that cannot be said."""
        return None

    def where(self, number: int | str) -> str:
        """Return where a row is, for people."""
        return f"{self.name}, {self.unit} {number}"

    def error(self, number: int | str, problem: str) -> SourceError:
        """Return the error for a row."""
        return SourceError(f"{self.where(number)}: {problem}")


def row_source(argument: str, value: Any) -> RowSource:
    """
    Return the source that an argument describes: a path, or an iterable of rows.

    :raises SourceError: If it is neither, or a file of an unknown format.
    """
    if is_path(value):
        return _file_source(argument, value)
    if isinstance(value, (Mapping, bytes)) or not isinstance(value, Iterable):
        raise SourceError(
            f"{argument} is {value!r:.200}; it must be a list of {argument}, or the path of a file with {argument}"
        )
    return ListSource(argument, value)


def _file_source(argument: str, path: str | os.PathLike[str] | ObjectStoragePath) -> RowSource:
    name = str(path)
    if not name.strip():
        raise SourceError(with_link(f"{argument} is {name!r}: a template or an upstream task gave no path", _PATHS))
    try:
        refuse_rows_as_text(argument, path)
    except ValueError as exc:
        raise SourceError(with_link(str(exc), _PATHS)) from None
    source = _source_class(argument, name)
    if (local := local_file(path)) is not None:
        return source(argument, local, name)
    try:
        opened = storage_path(argument, path)
    except ValueError as exc:
        raise SourceError(with_link(str(exc), _PATHS)) from exc
    return source(argument, opened, name)


def _source_class(argument: str, name: str) -> type[FileSource]:
    plain = name.lower().removesuffix(".gz")
    if plain.endswith((".jsonl", ".ndjson")):
        return JsonLinesSource
    if plain.endswith(".json"):
        return JsonSource
    if plain.endswith(tuple(DELIMITERS)):
        return CsvSource
    if name.lower().endswith(".parquet"):
        return ParquetSource
    raise SourceError(with_link(f"{argument} is {name!r:.200}, whose format is not known; {_WANTED}", _PATHS))


class ListSource(RowSource):
    """Rows that are in memory already."""

    unit = "item"

    def __init__(self, argument: str, rows: Iterable[Any]) -> None:
        super().__init__(argument, argument)
        self._rows = rows if isinstance(rows, (list, tuple)) else list(rows)
        self._read_count = 0

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows."""
        for number, value in enumerate(self._rows, 1):
            self._read_count = number
            try:
                entry = meaning.row(number, without_numpy(value))
            except RecursionError as exc:
                entry = BadRow(number, [f"it cannot be written as JSON: {exc}"])
            yield entry

    def share_read(self) -> float | None:
        """Return how much of the list has been read."""
        return self._read_count / len(self._rows) if self._rows else None


class FileSource(RowSource):
    """A file on any object storage."""

    unit = "line"
    is_file = True

    def __init__(self, argument: str, path: ObjectStoragePath | LocalFile, name: str) -> None:
        super().__init__(argument, name)
        self._path = path
        self._file: Any = None

    def share_read(self) -> float | None:
        """Return how much of the file has been read, as it is stored; ``None`` if the store does not say its size."""
        size = getattr(self._file, "size", None)
        if not size:
            return None
        return 1.0 if self._file.closed else float(self._file.tell() / size)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            # By the file system itself: it keeps the connection of the path in every version of Airflow.
            file = self._path.fs.open(self._path.path, "rb")
        except (FileNotFoundError, IsADirectoryError) as exc:
            what = "which is a folder; name one file" if self._is_folder() else NO_SUCH_FILE
            raise SourceError(with_link(f"{self.argument} is {self.name!r}, {what}", _PATHS)) from exc
        except ValueError as exc:
            text = f"{self.argument} is {self.name!r}, which cannot be opened: {exc}"
            raise SourceError(with_link(text, _PATHS)) from exc
        report_read(self._path)
        with file:
            self._file = file
            yield file

    def _is_folder(self) -> bool:
        return bool(self._path.fs.isdir(self._path.path))

    @contextmanager
    def _open_plain(self) -> Iterator[Any]:
        with self._open() as file:
            if not self.name.lower().endswith(".gz"):
                yield file
                return
            with gzip.open(file, "rb") as plain:
                yield plain

    def _lines(self) -> Generator[tuple[int, bytes], None, None]:
        """Iterate over the lines with their numbers, without line ends and never much more than one in memory."""
        number, start = 0, b""
        with self._open_plain() as file:
            while block := self._read(file, number + 1):
                if not number and not start:
                    block = block.removeprefix(codecs.BOM_UTF8)
                *lines, start = (start + block).split(b"\n")
                # Only the first can have begun in an earlier block.
                if len(lines[0] if lines else start) > MAX_LINE:
                    raise self.error(number + 1, f"it is longer than {MAX_LINE} bytes")
                for number, line in enumerate(lines, number + 1):  # noqa: B020  counts on
                    yield number, line
        if start:
            yield number + 1, start

    def _read(self, file: Any, number: int) -> bytes:
        try:
            return bytes(file.read(_BLOCK))
        except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
            raise self.error(number, f"the compressed file breaks off or is damaged: {exc}") from exc

    def _columns(self, meaning: Meaning, names: list[str], *, nested: bool = False) -> Columns:
        try:
            return meaning.columns(names, nested=nested)
        except ValueError as exc:
            raise SourceError(f"{self.name}: {exc}") from exc

    def _table_entry(
        self, meaning: Meaning, columns: Columns, number: int, cells: Iterable[Any]
    ) -> Iterator[Row | BadRow]:
        """Iterate over what a row means, if it is not empty."""
        try:
            fields = columns.row(cells)
        except BadValuesError as exc:
            yield BadRow(number, exc.problems)
        else:
            if fields is not None:
                yield meaning.row(number, fields)

    def _text(self, number: int, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as exc:
            raise self.error(number, _unreadable(exc)) from exc


class JsonLinesSource(FileSource):
    """One JSON object a line; empty lines are skipped."""

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows."""
        decoder = StrictDecoder()
        with closing(self._lines()) as lines:
            for number, line in lines:
                # What else Python takes for white space is none for JSON.
                text = line.strip(b" \t\r\n")
                if not text:
                    continue
                floats = decoder.floats
                try:
                    value = decoder.loads(text)
                except (ValueError, RecursionError) as exc:
                    yield BadRow(number, [_unreadable(exc)])
                    continue
                yield meaning.row(number, value, text, has_floats=decoder.floats != floats)


class JsonSource(FileSource):
    """A JSON array, read item by item."""

    unit = "item"

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows."""
        with self._open_plain() as file:
            array = JsonArray(lambda: self._read(file, array.number), MAX_LINE)
            try:
                while item := array.next_item():
                    yield meaning.row(array.number, item[0], item[1].encode())
            except JsonArrayError as exc:
                if array.number:
                    raise self.error(array.number, str(exc)) from exc
                raise SourceError(
                    f"{self.name}: {exc}; it must be an array of {self.argument}. "
                    "A file with an object a line is called .jsonl"
                ) from exc


class CsvSource(FileSource):
    """A header and rows."""

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows."""
        with closing(self._records()) as records:
            columns = None
            for number, cells in records:
                if columns is None:
                    self._check_delimiter(cells)
                    columns = self._columns(meaning, cells)
                elif all(map(_is_blank, cells)):
                    continue
                elif len(cells) == len(columns):
                    yield from self._table_entry(meaning, columns, number, cells)
                else:
                    yield BadRow(number, [wrong_number_of_cells(len(cells), len(columns), self._delimiter)])
        if columns is None:
            raise SourceError(f"{self.name} is empty; its first line must be a header like {meaning.header}")

    def _check_delimiter(self, header: list[str]) -> None:
        try:
            check_delimiter(header, self._delimiter)
        except ValueError as exc:
            raise SourceError(f"{self.name}: {exc}") from exc

    @property
    def _delimiter(self) -> str:
        return DELIMITERS[self.name.lower().removesuffix(".gz")[-4:]]

    def _records(self) -> Generator[tuple[int, list[str]], None, None]:
        """Iterate over the records with the line that each begins in."""
        with closing(self._lines()) as lines:
            texts = (f"{self._text(number, line)}\n" for number, line in lines)
            try:
                yield from read_records(texts, self._delimiter)
            except TableError as exc:
                raise self.error(exc.line, str(exc)) from exc


class ParquetSource(FileSource):
    """Columns whose cells may hold objects; needs pyarrow."""

    unit = "row"

    def entries(self, meaning: Meaning) -> Entries:
        """Iterate over the rows."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as exc:
            raise SourceError(
                f"{self.argument} is {self.name!r}, and Parquet needs pyarrow: install airflow-toloka[parquet]"
            ) from exc
        number = 0
        with self._open() as file:
            try:
                table = parquet.ParquetFile(file)
                columns = self._columns(meaning, table.schema_arrow.names, nested=True)
                for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                    for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                        number += 1
                        if all(map(_is_blank, cells)):
                            continue
                        yield from self._table_entry(meaning, columns, number, cells)
            except pyarrow.ArrowException as exc:
                raise self.error(number + 1, f"it cannot be read as Parquet: {exc}") from exc


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _unreadable(exc: Exception) -> str:
    """Return why a text cannot be read."""
    if isinstance(exc, UnicodeDecodeError):
        return not_utf8(exc)
    if isinstance(exc, DuplicateKeyError):
        return str(exc)
    if isinstance(exc, json.JSONDecodeError):
        return f"it is not JSON: {exc.msg} (column {exc.colno})"
    return f"it is not JSON: {exc}"
