"""Tasks to upload, read as a stream from files of JSON Lines, JSON, CSV, TSV and Parquet, and from lists."""

from __future__ import annotations

import codecs
import functools
import gzip
import json
import logging
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.lines import not_utf8
from toloka_airflow.storage.tables import DELIMITERS, TableError, check_delimiter, read_records
from toloka_airflow.transfer.upload.columns import Columns
from toloka_airflow.transfer.upload.json_arrays import JsonArray, JsonArrayError
from toloka_airflow.transfer.upload.strict_json import DuplicateKeyError, StrictDecoder
from toloka_airflow.transfer.upload.values import BadValuesError, read_integers, without_numpy
from toloka_airflow.transfer.upload.values import Specs as Specs

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

MAX_LINE = 4 * 1024 * 1024
MAX_PROBLEMS = 20
_BLOCK = 256 * 1024
_PARQUET_ROWS = 500
_WANTED = "name the file .jsonl, .ndjson, .json, .csv or .tsv, with .gz behind it if it is compressed, or .parquet"
_HOW = 'a task is an object like {"input_values": {"image": "..."}}'


class SourceError(ValueError):
    """Report tasks that cannot be read; says where, and what is wrong there."""


class Row(NamedTuple):
    """
    One task.

    :param number: Where it is in its source, counted from 1.
    :param task: The task as the API takes it.
    :param text: The JSON object that it was read from, if it was.
    """

    number: int
    task: dict[str, Any]
    text: bytes | None = None


class BadRow(NamedTuple):
    """What is wrong with a task that cannot be read, while those behind it can."""

    number: int
    problems: list[str]


Entries = Generator["Row | BadRow", None, None]


class TaskSource:
    """
    Read tasks from a file or a list, as often as needed, never all of a file at once.

    :param name: What the source is called in errors.
    """

    unit: str
    """What a number counts: ``line``, ``row`` or ``item``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._logged: set[str] = set()

    def rows(self, specs: Callable[[], Specs], is_training: Callable[[], bool] = lambda: False) -> Iterator[Row]:
        """
        Iterate over the tasks.

        :param specs: Returns the project's specification; called if the format needs it.
        :param is_training: Says whether the tasks are for a training, where those without an overlap have an infinite
            one; called if there are control tasks without.
        :raises SourceError: At the first task that cannot be read; says what is wrong with the next ones, too.
        """
        finite = by_default = 0
        with closing(self._entries(functools.cache(specs))) as entries:
            for entry in entries:
                if isinstance(entry, BadRow):
                    raise self._bad_rows(entry, entries)
                if "known_solutions" in entry.task and _is_control_with_end(entry.task):
                    finite += 1
                    by_default += "overlap" not in entry.task
                yield entry
        if by_default and is_training():
            finite -= by_default
        if finite:
            self._log_once(
                logging.WARNING,
                f"{self.name} has {finite} control tasks whose overlap is finite, their own or that of the pool's "
                'defaults: they run out with it. Give them "infinite_overlap": true, and they are for everybody',
            )

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        raise NotImplementedError

    def _bad_rows(self, first: BadRow, others: Entries) -> SourceError:
        """Return the error that says what is wrong with a task, and with the next ones of which something is."""
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

    def _json_entry(self, number: int, task: Any, text: bytes | None = None) -> Row | BadRow:
        """Return a task that is as the API takes it."""
        values = task.get("input_values") if isinstance(task, dict) else None
        if isinstance(values, dict):
            return Row(number, task, text)
        what = f"input_values is {values!r:.100}" if isinstance(task, dict) else f"it is {task!r:.100}"
        return BadRow(number, [f"{what}; {_HOW}"])

    def _with_integers(self, entry: Row | BadRow, specs: Callable[[], Specs]) -> Row | BadRow:
        """Return the same with integers where it had whole numbers with a fraction, such as 3.0, instead of them."""
        try:
            if isinstance(entry, BadRow) or not read_integers(entry.task, specs):
                return entry
        except BadValuesError as exc:
            return BadRow(entry.number, exc.problems)
        return Row(entry.number, entry.task)

    def _log_once(self, level: int, text: str) -> None:
        """Log what every attempt says once, however often it reads the source."""
        if text not in self._logged:
            self._logged.add(text)
            log.log(level, "%s", text)

    def share_read(self) -> float | None:
        """Return about how much of the source has been read, from 0 to 1; ``None`` if that cannot be said."""
        return None

    def where(self, number: int | str) -> str:
        """Return where a task is, for people."""
        return f"{self.name}, {self.unit} {number}"

    def error(self, number: int | str, problem: str) -> SourceError:
        """Return the error for a task."""
        return SourceError(f"{self.where(number)}: {problem}")


def task_source(tasks: Any) -> TaskSource:
    """
    Return the source that the argument ``tasks`` describes: a path, or an iterable of tasks.

    :raises SourceError: If it is neither, or a file of an unknown format.
    """
    from airflow.sdk import ObjectStoragePath

    if isinstance(tasks, (str, os.PathLike, ObjectStoragePath)):
        return _file_source(tasks)
    if isinstance(tasks, (Mapping, bytes)) or not isinstance(tasks, Iterable):
        raise SourceError(f"tasks is {tasks!r:.200}; it must be a list of tasks, or the path of a file with tasks")
    return ListSource(tasks)


def _file_source(path: str | os.PathLike[str] | ObjectStoragePath) -> TaskSource:
    from airflow.sdk import ObjectStoragePath

    name = str(path)
    if not name.strip():
        raise SourceError(f"tasks is {name!r}: a template or an upstream task gave no path")
    source = _source_class(name)
    try:
        return source(path if isinstance(path, ObjectStoragePath) else ObjectStoragePath(name))
    except ValueError as exc:
        raise SourceError(f"tasks is {name!r}, which cannot be opened: {exc}") from exc


def _source_class(name: str) -> type[FileSource]:
    plain = name.lower().removesuffix(".gz")
    if plain.endswith((".jsonl", ".ndjson")):
        return JsonLinesSource
    if plain.endswith(".json"):
        return JsonSource
    if plain.endswith(tuple(DELIMITERS)):
        return CsvSource
    if name.lower().endswith(".parquet"):
        return ParquetSource
    raise SourceError(f"tasks is {name!r:.200}, whose format is not known; {_WANTED}")


class ListSource(TaskSource):
    """Tasks that are in memory already, as the API takes them."""

    unit = "item"

    def __init__(self, tasks: Iterable[Any]) -> None:
        super().__init__("tasks")
        self._tasks = tasks if isinstance(tasks, (list, tuple)) else list(tasks)
        self._read_count = 0

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        for number, task in enumerate(self._tasks, 1):
            self._read_count = number
            try:
                entry = self._json_entry(number, without_numpy(task))
            except RecursionError as exc:
                entry = BadRow(number, [f"it cannot be written as JSON: {exc}"])
            yield self._with_integers(entry, specs)

    def share_read(self) -> float | None:
        """Return how much of the list has been read."""
        return self._read_count / len(self._tasks) if self._tasks else None


class FileSource(TaskSource):
    """A file on any object storage."""

    unit = "line"

    def __init__(self, path: ObjectStoragePath) -> None:
        super().__init__(str(path))
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
            what = "which is a folder; name one file" if self._is_folder() else "and there is no such file"
            raise SourceError(f"tasks is {self.name!r}, {what}") from exc
        except ValueError as exc:
            raise SourceError(f"tasks is {self.name!r}, which cannot be opened: {exc}") from exc
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

    def _read_header(self, names: list[str], specs: Specs, *, nested: bool = False) -> Columns:
        try:
            columns = Columns(names, *specs, nested=nested)
        except ValueError as exc:
            raise SourceError(f"{self.name}: {exc}") from exc
        if columns.left_out:
            left_out = ", ".join(columns.left_out)
            self._log_once(logging.INFO, f"{self.name}: the columns {left_out} are left out, as new tasks have none")
        return columns

    def _table_entry(
        self, columns: Columns, number: int, cells: Iterable[Any], specs: Callable[[], Specs]
    ) -> Iterator[Row | BadRow]:
        """Iterate over the task of a row, if it is not empty."""
        try:
            task = columns.task(cells)
        except BadValuesError as exc:
            yield BadRow(number, exc.problems)
        else:
            if task is not None:
                yield self._with_integers(self._json_entry(number, task), specs)

    def _text(self, number: int, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as exc:
            raise self.error(number, _unreadable(exc)) from exc


class JsonLinesSource(FileSource):
    """One JSON object a line, as the API takes tasks; empty lines are skipped."""

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        decoder = StrictDecoder()
        with closing(self._lines()) as lines:
            for number, line in lines:
                # What else Python takes for white space is none for JSON.
                text = line.strip(b" \t\r\n")
                if not text:
                    continue
                floats = decoder.floats
                try:
                    entry = self._json_entry(number, decoder.loads(text), text)
                except (ValueError, RecursionError) as exc:
                    entry = BadRow(number, [_unreadable(exc)])
                yield entry if decoder.floats == floats else self._with_integers(entry, specs)


class JsonSource(FileSource):
    """A JSON array of tasks as the API takes them, as on Toloka's upload page; read task by task."""

    unit = "item"

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        with self._open_plain() as file:
            array = JsonArray(lambda: self._read(file, array.number), MAX_LINE)
            try:
                while item := array.next_item():
                    yield self._with_integers(self._json_entry(array.number, item[0], item[1].encode()), specs)
            except JsonArrayError as exc:
                if array.number:
                    raise self.error(array.number, str(exc)) from exc
                raise SourceError(
                    f"{self.name}: {exc}; it must be an array of tasks. A file with a task a line is called .jsonl"
                ) from exc


class CsvSource(FileSource):
    """A header with ``INPUT:name``, ``GOLDEN:name`` and ``HINT:text``, and a task a row, as on Toloka's upload page."""

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        with closing(self._records()) as records:
            columns = None
            for number, cells in records:
                if columns is None:
                    self._check_delimiter(cells)
                    columns = self._read_header(cells, specs())
                elif all(map(_is_blank, cells)):
                    continue
                elif len(cells) == len(columns):
                    yield from self._table_entry(columns, number, cells, specs)
                else:
                    yield BadRow(number, [f"it has {len(cells)} cells, but the header has {len(columns)}"])
        if columns is None:
            raise SourceError(f"{self.name} is empty; its first line must be a header like INPUT:image")

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
    """The columns of a CSV file, or columns named like the fields of a task, in a Parquet file; needs pyarrow."""

    unit = "row"

    def _entries(self, specs: Callable[[], Specs]) -> Entries:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as exc:
            raise SourceError(
                f"tasks is {self.name!r}, and Parquet needs pyarrow: install airflow-toloka[parquet]"
            ) from exc
        number = 0
        with self._open() as file:
            try:
                table = parquet.ParquetFile(file)
                columns = self._read_header(table.schema_arrow.names, specs(), nested=True)
                for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                    for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                        number += 1
                        if all(map(_is_blank, cells)):
                            continue
                        yield from self._table_entry(columns, number, cells, specs)
            except pyarrow.ArrowException as exc:
                raise self.error(number + 1, f"it cannot be read as Parquet: {exc}") from exc


def _is_control_with_end(task: Mapping[str, Any]) -> bool:
    """Say whether a task runs out though its answers are known; one with a hint is a lesson, and is to."""
    return bool(
        task["known_solutions"] and not task.get("infinite_overlap") and not task.get("message_on_unknown_solution")
    )


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
