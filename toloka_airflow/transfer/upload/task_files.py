"""Tasks to upload, read as a stream from files of JSON Lines, JSON, CSV, TSV and Parquet, and from lists."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.transfer.row_sources import MAX_LINE as MAX_LINE
from toloka_airflow.transfer.row_sources import BadRow, Entries, Row, RowSource, row_source
from toloka_airflow.transfer.row_sources import SourceError as SourceError
from toloka_airflow.transfer.upload.columns import Columns, any_fields
from toloka_airflow.transfer.values import BadValuesError, read_integers
from toloka_airflow.transfer.values import Specs as Specs

_HOW = 'a task is an object like {"input_values": {"image": "..."}}'


class TaskSource:
    """
    Read tasks from a file or a list, as often as needed, never all of a file at once.

    Text has a task an object, as the API takes it; tables have the columns of Toloka's upload page, and Parquet may
    have columns named like the fields of a task.

    :param source: Where they are.
    """

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self.name, self.unit, self.is_file = source.name, source.unit, source.is_file
        self.share_read, self.where, self.error = source.share_read, source.where, source.error

    def entries(self, specs: Callable[[], Specs] | None) -> Entries:
        """
        Iterate over the tasks, also over those that cannot be read, as far as there are others behind them.

        :param specs: As of `rows`; without, tables may have any fields, and their values stay text.
        :raises SourceError: If the rest cannot be read.
        """
        return self._source.entries(_TaskRows(self._source, specs and functools.cache(specs)))

    def rows(self, specs: Callable[[], Specs], is_training: Callable[[], bool] = lambda: False) -> Iterator[Row]:
        """
        Iterate over the tasks.

        :param specs: Returns the project's specification; called if the format needs it.
        :param is_training: Says whether the tasks are for a training, where those without an overlap have an infinite
            one; called if there are control tasks without.
        :raises SourceError: At the first task that cannot be read; says what is wrong with the next ones, too.
        """
        finite = by_default = 0
        for row in self._source.rows(_TaskRows(self._source, functools.cache(specs))):
            if "known_solutions" in row.fields and _is_control_with_end(row.fields):
                finite += 1
                by_default += "overlap" not in row.fields
            yield row
        if by_default and is_training():
            finite -= by_default
        if finite:
            self._source.log_once(
                logging.WARNING,
                f"{self.name} has {counted(finite, 'control task')} whose overlap is finite, their own or that of "
                "the pool's "
                'defaults: they run out with it. Give them "infinite_overlap": true, and they are for everybody',
            )


class _TaskRows:
    """What the rows of a source mean as tasks."""

    header = "INPUT:image"

    def __init__(self, source: RowSource, specs: Callable[[], Specs] | None) -> None:
        self._source, self._specs = source, specs

    def columns(self, names: list[str], *, nested: bool) -> Columns:
        columns = Columns(names, *(self._specs() if self._specs else any_fields(names)), nested=nested)
        if columns.left_out:
            self._source.log_once(
                logging.INFO,
                f"{self._source.name}: the columns {', '.join(columns.left_out)} are left out, as new tasks have none",
            )
        return columns

    def row(self, number: int, value: Any, text: bytes | None = None, *, has_floats: bool = True) -> Row | BadRow:
        """Return a task, with integers where it had whole numbers with a fraction, such as 3.0, instead of them."""
        values = value.get("input_values") if isinstance(value, dict) else None
        if not isinstance(values, dict):
            what = f"input_values is {values!r:.100}" if isinstance(value, dict) else f"it is {value!r:.100}"
            return BadRow(number, [f"{what}; {_HOW}"])
        try:
            is_changed = has_floats and read_integers(value, self._specs or (lambda: ({}, {})))
        except BadValuesError as exc:
            return BadRow(number, exc.problems)
        return Row(number, value, None if is_changed else text)


def task_source(tasks: Any) -> TaskSource:
    """
    Return the source that the argument ``tasks`` describes: a path, or an iterable of tasks.

    :raises SourceError: If it is neither, or a file of an unknown format.
    """
    return TaskSource(row_source("tasks", tasks))


def _is_control_with_end(task: Mapping[str, Any]) -> bool:
    """Say whether a task runs out though its answers are known; one with a hint is a lesson, and is to."""
    return bool(
        task["known_solutions"] and not task.get("infinite_overlap") and not task.get("message_on_unknown_solution")
    )
