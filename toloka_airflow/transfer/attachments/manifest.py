"""The table of the files that were downloaded: JSON Lines, CSV or Parquet, by the end of its name."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any

from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.lines import buffered
from toloka_airflow.storage.replacing import StoragePath, check_replaceable
from toloka_airflow.storage.row_files import GZIP_LEVEL, RowFile
from toloka_airflow.storage.row_writers import RowWriter
from toloka_airflow.transfer.attachments.index import COLUMNS, StoredFile

_BATCH = 1000


class _LineRows(RowWriter):
    """Rows as JSON Lines."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def write_lines(self, lines: list[bytes]) -> None:
        self._file.write(b"".join(line + b"\n" for line in lines))


class _GzipRows(RowWriter):
    """Rows as JSON Lines, compressed block by block."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.write_lines([])  # no bytes at all would be no file of gzip

    def write_lines(self, lines: list[bytes]) -> None:
        self._file.write(gzip.compress(b"".join(line + b"\n" for line in lines), GZIP_LEVEL, mtime=0))


class _CsvRows(RowWriter):
    """Rows as CSV; an empty cell is what is not known."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._write_cells([COLUMNS])

    def write_lines(self, lines: list[bytes]) -> None:
        rows = map(json.loads, lines)
        self._write_cells([row[name] for name in COLUMNS] for row in rows)

    def _write_cells(self, rows: Iterable[Iterable[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())


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

    :raises ValueError: If its name is that of another format, what writes it is not installed, or the store cannot put
        a file in its place as a whole.
    """
    check_replaceable(path, name="manifest")
    if _suffix(path) == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as exc:
            raise ValueError(
                f"manifest is {str(path)!r}, and Parquet needs pyarrow: install airflow-toloka[parquet], or name the "
                "file *.jsonl"
            ) from exc


def write_manifest(path: StoragePath, rows: Iterable[Mapping[str, Any]], *, key: str) -> None:
    """
    Write a manifest, which appears as a whole.

    :param key: Distinguishes what is written before it appears from that of other downloads.
    """
    file = RowFile(path, key=key, is_converted=True, name="manifest")
    file.discard()  # what a killed attempt has left
    lines = (compact_json(row).encode() for row in rows)
    while batch := list(islice(lines, _BATCH)):
        file.append(batch, cursor=batch[-1].decode(), counts={})
    file.finish(_WRITERS[_suffix(path)])


def read_stored(path: StoragePath) -> Iterator[StoredFile]:
    """
    Iterate over the files in the manifest of a previous download; over none, if there is no manifest.

    :raises ValueError: If it is no manifest, or damaged.
    """
    suffix = _suffix(path)
    try:
        file = path.fs.open(path.path, "rb", compression="gzip" if suffix.endswith(".gz") else None)
    except FileNotFoundError:
        return
    try:
        with file:
            for row in _READERS[suffix](file):
                if row["path"]:
                    size, media_type = int(row["size"]), row["media_type"] or None
                    yield StoredFile(row["attachment_id"], row["path"], size, media_type, row["sha256"])
    except (LookupError, TypeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as exc:
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc


def _read_json(file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    return map(json.loads, buffered(file))


def _read_csv(file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    return csv.DictReader(io.TextIOWrapper(buffered(file), "utf-8", newline=""))


def _read_parquet(file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    from pyarrow import parquet

    return (row for batch in parquet.ParquetFile(file).iter_batches(_BATCH) for row in batch.to_pylist())


_READERS: dict[str, Callable[[IO[bytes]], Iterator[Mapping[str, Any]]]] = {
    ".jsonl": _read_json,
    ".jsonl.gz": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def _suffix(path: StoragePath) -> str:
    suffix = next((suffix for suffix in _WRITERS if path.path.lower().endswith(suffix)), None)
    if suffix is None:
        names = ", ".join(f"*{suffix}" for suffix in _WRITERS)
        raise ValueError(f"manifest is {str(path)!r}; by its name it is JSON Lines, CSV or Parquet: {names}")
    return suffix
