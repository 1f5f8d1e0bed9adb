"""Labels as they come in files: what each row has, and whose number says how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toloka_airflow.transfer.row_sources import PlainRows, row_source

BY_TOLOKA = "toloka:"
"""What ``method`` begins with in the rows of `AggregateSolutionsOperator`."""


def label_rows(labels: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    """
    Iterate over labels, and where each is.

    :raises ValueError: If a row is none.
    """
    source = row_source("labels", labels)
    for number, row, _ in source.rows(PlainRows("task_id", expected="a label is an object with task_id")):
        if row.get("task_id") is None or not isinstance(row.get("output_values"), Mapping):
            raise ValueError(f"{source.where(number)}: it has no task_id and output_values, so it is no label")
        yield source.where(number), row


def method_of(row: Mapping[str, Any]) -> str | None:
    """Return which method made a label; `None` if the row does not say so, as those of other tools."""
    method = row.get("method")
    return method if isinstance(method, str) and method else None
