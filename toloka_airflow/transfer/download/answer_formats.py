"""In which format a download of answers writes its file, by the name of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.storage.row_writers import RowWriter


_TABLES = (".csv", ".xls", ".xlsx", ".ods")


class AnswerFormat(Enum):
    """A format."""

    JSON_LINES = "JSON Lines"
    PARQUET = "Parquet"
    TSV = "TSV"


def answer_format(path: object, rows: str) -> AnswerFormat:
    """
    Return the format that a file is to have; any that is not known here is left to the writer of JSON Lines.

    :param path: The path of the file.
    :param rows: ``answers`` or ``assignments``.
    :raises ValueError: If the rows cannot be written in that format, or what writes it is not installed.
    """
    name = str(path).lower()
    if name.endswith(".parquet.gz"):
        raise ValueError(f"path is {str(path)!r}; Parquet is compressed inside: name the file *.parquet")
    if rows == "answers" and name.removesuffix(".gz").endswith(_TABLES):
        raise ValueError(
            f"path is {str(path)!r}; answers are JSON Lines, Parquet or TSV: name it *.jsonl, *.parquet or *.tsv"
        )
    found = AnswerFormat.JSON_LINES
    if name.endswith(".parquet"):
        found = AnswerFormat.PARQUET
    elif name.removesuffix(".gz").endswith(".tsv"):
        found = AnswerFormat.TSV
    if found is not AnswerFormat.JSON_LINES and rows != "answers":
        raise ValueError(
            f"path is {str(path)!r}, but with rows={rows!r} the rows are what the API answers, which has no columns: "
            "name the file *.jsonl or *.jsonl.gz"
        )
    if found is AnswerFormat.PARQUET:
        _ensure_pyarrow(path)
    return found


def _ensure_pyarrow(path: object) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as exc:
        raise ValueError(
            f"path is {str(path)!r}, and Parquet needs pyarrow: install airflow-toloka[parquet], or name the file "
            "*.jsonl"
        ) from exc


def answer_writer(
    chosen: AnswerFormat, path: object, client: TolokaClient, pool_id: str, task_spec: Mapping[str, Any], *, log: Any
) -> Callable[[IO[bytes]], RowWriter]:
    """
    Return what writes answers in a format other than JSON Lines to an open file.

    :param task_spec: What the project says of its tasks, of which the columns are made.
    :raises ValueError: If the format has no column for a field of the project.
    """
    specs = task_spec["input_spec"], task_spec["output_spec"]
    if chosen is AnswerFormat.PARQUET:
        from toloka_airflow.transfer.download.parquet_answers import ParquetAnswers, answer_columns

        return partial(ParquetAnswers, columns=answer_columns(*specs), log=log)
    from toloka_airflow.transfer.download.tsv_answers import TsvAnswers

    link = partial(client.assignment_web_url, pool_id)
    compressed = str(path).lower().endswith(".gz")
    return lambda file: TsvAnswers(file, *specs, link=link, compressed=compressed, log=log)
