"""The table of the files that were downloaded: JSON Lines, CSV or Parquet, by the end of its name."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.row_files import GZIP_LEVEL
from toloka_airflow.storage.row_writers import RowWriter
from toloka_airflow.transfer.attachments.index import COLUMNS, StoredFile

if TYPE_CHECKING:
    from toloka_airflow.storage.replacing import StoragePath

_BATCH = 1000


class _LineRows(RowWriter):
    """Rows as JSON Lines."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def write_lines(self, lines: list[bytes]) -> None:
        self._file.write(b"".join(line + b"\n" for line in lines))


class _GzipRows(_LineRows):
    """Rows as compressed JSON Lines."""

    def __init__(self, file: IO[bytes]) -> None:
        self._compressed = gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0)
        super().__init__(self._compressed)

    def close(self) -> None:
        self._compressed.close()


class _CsvRows(RowWriter):
    """Rows as CSV; an empty cell is what is not known."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._text = io.TextIOWrapper(file, "utf-8", newline="")
        self._rows_of = csv.writer(self._text, lineterminator="\n")
        self._rows_of.writerow(COLUMNS)

    def write_lines(self, lines: list[bytes]) -> None:
        self._rows_of.writerows([json.loads(line)[name] for name in COLUMNS] for line in lines)

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class _ParquetRows(RowWriter):
    """Rows as Parquet."""

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow
        from pyarrow import parquet

        super().__init__()
        kinds = {str: pyarrow.string(), int: pyarrow.int64()}
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write_lines(self, lines: list[bytes]) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist([*map(json.loads, lines)], self._schema))

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        # The end of the writer's life would write a footer, which makes a file that looks complete.
        self._writer.is_open = False


_WRITERS: dict[str, Callable[[IO[bytes]], RowWriter]] = {
    ".jsonl": _LineRows,
    ".jsonl.gz": _GzipRows,
    ".csv": _CsvRows,
    ".parquet": _ParquetRows,
}


def check_manifest(path: StoragePath) -> None:
    """
    Find out before the download whether a manifest can be written.

    :raises ValueError: If its name is that of another format, or what writes it is not installed.
    """
    if _suffix(path) == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as exc:
            raise ValueError(
                f"manifest is {str(path)!r}, and Parquet needs pyarrow: install airflow-toloka[parquet], or name the "
                "file *.jsonl"
            ) from exc


def manifest_writer(path: StoragePath) -> Callable[[IO[bytes]], RowWriter]:
    """Return what writes rows, given as JSON Lines, to an open file."""
    return _WRITERS[_suffix(path)]


def write_rows(writer: RowWriter, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of a manifest."""
    with writer:
        for row in rows:
            writer.write(f"{compact_json(row)}\n".encode())


def read_stored(path: StoragePath) -> Iterator[StoredFile]:
    """
    Iterate over the files in the manifest of a previous download; over none, if there is no manifest.

    :raises ValueError: If it is not one, or damaged.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.fs.open(path.path, "rb"))
        except FileNotFoundError:
            return
        try:
            for row in _READERS[_suffix(path)](file):
                if row["path"]:
                    yield StoredFile(
                        row["attachment_id"], row["path"], int(row["size"]), row["media_type"] or None, row["sha256"]
                    )
        except (KeyError, TypeError, EOFError, OSError, csv.Error) as exc:
            raise ValueError(f"{path} is no manifest: {type(exc).__name__}: {exc}") from exc


def _json_rows(file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    return map(json.loads, io.BufferedReader(file))


def _suffix(path: StoragePath) -> str:
    name = path.path.lower()
    found = [suffix for suffix in _WRITERS if name.endswith(suffix)]
    if not found:
        raise ValueError(f"manifest is {str(path)!r}; it is JSON Lines, CSV or Parquet: name it {', '.join(f'*{suffix}' for suffix in _WRITERS)}")
    return found[0]
