"""Tasks to upload, read as a stream from JSON Lines, CSV and Parquet files and from lists."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.storage.lineage import report_read
from toloka_airflow.transfer.columns import Columns

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

MAX_LINE = 4 * 1024 * 1024
_BLOCK = 256 * 1024
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PARQUET_ROWS = 500
_WANTED = "name the file .jsonl, .ndjson, .csv or .tsv, with .gz behind it if it is compressed, or .parquet"

Specs = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What the project says of a task: the fields of its input, and those of its output."""


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


class TaskSource:
    """
    Read tasks from a file or a list, as often as needed, never all of a file at once.

    :param name: What the source is called in errors.
    :param unit: What a number counts: ``line``, ``row`` or ``item``.
    """

    name: str
    unit: str

    def rows(self, specs: Callable[[], Specs]) -> Iterator[Row]:
        """
        Iterate over the tasks.

        :param specs: Returns the project's specification; called if the format needs it.
        :raises SourceError: At the first task that cannot be read.
        """
        raise NotImplementedError

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
    if plain.endswith(tuple(_DELIMITERS)):
        return CsvSource
    if name.lower().endswith(".parquet"):
        return ParquetSource
    raise SourceError(f"tasks is {name!r:.200}, whose format is not known; {_WANTED}")


class ListSource(TaskSource):
    """Tasks that are in memory already, as the API takes them."""

    name, unit = "tasks", "item"

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._tasks = tasks if isinstance(tasks, (list, tuple)) else list(tasks)

    def rows(self, specs: Callable[[], Specs]) -> Iterator[Row]:
        """Iterate over the tasks."""
        for number, task in enumerate(self._tasks, 1):
            yield Row(number, self._checked(number, task))

    def _checked(self, number: int, task: Any) -> dict[str, Any]:
        return _checked_task(self, number, task)


class FileSource(TaskSource):
    """A file on any object storage."""

    unit = "line"

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = path
        self.name = str(path)

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

    def _text(self, number: int, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as exc:
            raise self.error(number, f"it is not UTF-8: byte {exc.start + 1} is {line[exc.start]:#04x}") from exc


class JsonLinesSource(FileSource):
    """One JSON object a line, as the API takes tasks; empty lines are skipped."""

    def rows(self, specs: Callable[[], Specs]) -> Iterator[Row]:
        """Iterate over the tasks."""
        with closing(self._lines()) as lines:
            for number, line in lines:
                # What else Python takes for white space is none for JSON.
                text = line.strip(b" \t\r\n")
                if text:
                    yield Row(number, _checked_task(self, number, self._loaded(number, text)), text)

    def _loaded(self, number: int, text: bytes) -> Any:
        try:
            line = self._text(number, text)
            # Not `decode`, which searches for white space around it with regular expressions and takes twice as long.
            task, end = _DECODER.raw_decode(line)
            if end != len(line):
                raise json.JSONDecodeError("Extra data", line, end)
            return task
        except json.JSONDecodeError as exc:
            raise self.error(number, f"it is not JSON: {exc.msg} (column {exc.colno})") from exc
        except SourceError:
            raise
        except (ValueError, RecursionError) as exc:
            raise self.error(number, f"it is not JSON: {exc}") from exc


class CsvSource(FileSource):
    """A header with ``INPUT:name``, ``GOLDEN:name`` and ``HINT:text``, and a task a row, as on Toloka's upload page."""

    def rows(self, specs: Callable[[], Specs]) -> Iterator[Row]:
        """Iterate over the tasks."""
        # The limit is there against a quote that is never closed; that of a line is enough.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
        with closing(self._records()) as records:
            columns = None
            for number, cells in records:
                if columns is None:
                    columns = _columns(self, cells, specs())
                    continue
                if len(cells) != len(columns):
                    raise self.error(number, f"it has {len(cells)} cells, but the header has {len(columns)}")
                yield Row(number, _task(self, columns, number, cells))
        if columns is None:
            raise SourceError(f"{self.name} is empty; its first line must be a header like INPUT:image")

    def _records(self) -> Generator[tuple[int, list[str]], None, None]:
        """Iterate over the records with the line that each begins in; quoted cells may span lines."""
        suffix = self.name.lower().removesuffix(".gz")[-4:]
        with closing(self._lines()) as lines:
            texts = (f"{self._text(number, line)}\n" for number, line in lines)
            reader = csv.reader(texts, delimiter=_DELIMITERS[suffix], strict=True)
            while True:
                number = reader.line_num + 1
                try:
                    cells = next(reader, None)
                except csv.Error as exc:
                    raise self.error(number, f"it is not {suffix[1:].upper()}: {exc}") from exc
                if cells is None:
                    return
                if cells:
                    yield number, cells


class ParquetSource(FileSource):
    """The columns of a CSV file, or columns named like the fields of a task, in a Parquet file; needs pyarrow."""

    unit = "row"

    def rows(self, specs: Callable[[], Specs]) -> Iterator[Row]:
        """Iterate over the tasks."""
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
                columns = _columns(self, table.schema_arrow.names, specs(), nested=True)
                for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                    for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                        number += 1
                        yield Row(number, _checked_task(self, number, _task(self, columns, number, cells)))
            except pyarrow.ArrowException as exc:
                raise self.error(number + 1, f"it cannot be read as Parquet: {exc}") from exc


def _columns(source: TaskSource, names: list[str], specs: Specs, *, nested: bool = False) -> Columns:
    try:
        return Columns(names, *specs, nested=nested)
    except ValueError as exc:
        raise SourceError(f"{source.name}: {exc}") from exc


def _task(source: TaskSource, columns: Columns, number: int, cells: Iterable[Any]) -> dict[str, Any]:
    try:
        return columns.task(cells)
    except ValueError as exc:
        raise source.error(number, str(exc)) from exc


def _checked_task(source: TaskSource, number: int, task: Any) -> dict[str, Any]:
    values = task.get("input_values") if isinstance(task, dict) else None
    if isinstance(values, dict):
        return task  # type: ignore[no-any-return]
    what = f"input_values is {values!r:.100}" if isinstance(task, dict) else f"it is {task!r:.100}"
    raise source.error(number, f'{what}; a task is an object like {{"input_values": {{"image": "..."}}}}')


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number that JSON has")


def _float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_float)
