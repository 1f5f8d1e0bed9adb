"""What is right for tasks, by known solutions or by labels, and what was answered instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_values import plain_value, value_text
from toloka_airflow.quality.label_rows import label_rows
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.methods.votes import Votes

Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Truth:
    """
    What is right for tasks.

    :param values: What the indices are of: the values of the field, then others that only labels have.
    :param labels: Per task: an index into ``values``; -1 if it is not known.
    :param alternatives: The indices that are right, where several are, by the index of the task.
    """

    values: tuple[Any, ...]
    labels: NDArray[np.int32]
    alternatives: Mapping[int, tuple[int, ...]]

    def is_right(self, votes: Votes) -> NDArray[np.int8]:
        """Return for each vote 1 if it is right, 0 if it is wrong, and -1 if that is not known."""
        right = self.labels[votes.tasks]
        answers = np.where(right < 0, -1, right == votes.labels).astype(np.int8)
        for row in np.flatnonzero(np.isin(votes.tasks, list(self.alternatives))):
            answers[row] = int(votes.labels[row]) in self.alternatives[int(votes.tasks[row])]
        return answers


def known_truth(table: AnswerTable, field: str) -> Truth:
    """Return what the known solutions of control tasks say."""
    read = table.field(field)
    return Truth(read.values, read.known, read.alternatives)


def labels_truth(table: AnswerTable, field: str, labels: Rows | ObjectStoragePath) -> Truth:
    """
    Return what labels say of the tasks that are no control tasks, of which more is known.

    :param labels: The path of a file of labels, or a list of them: objects with ``task_id`` and ``output_values``.
    :raises ValueError: If a row is no label, a task has two different ones, or no row has the field.
    """
    values = list(table.field(field).values)
    codes = {value_text(value): code for code, value in enumerate(values)}
    positions = {task: position for position, task in enumerate(table.task_ids)}
    found = np.full(len(table.task_ids), -1, np.int32)
    names: set[str] = set()
    rows = 0
    for where, row in label_rows(labels):
        rows += 1
        names.update(row["output_values"])
        value = plain_value(row["output_values"].get(field))
        position = positions.get(str(row["task_id"]))
        if value is None or position is None or table.is_control[position]:
            continue
        code = codes.setdefault(value_text(value), len(values))
        if code == len(values):
            values.append(value)
        if found[position] not in (-1, code):
            raise ValueError(f"{where}: task {row['task_id']} has another label in the field {field!r} before")
        found[position] = code
    if rows and field not in names:
        raise ValueError(f"labels: none has the field {field!r}; there are {', '.join(sorted(names)):.500}")
    return Truth(tuple(values), found, {})


def confusion_matrix(votes: Votes, truth: Truth) -> NDArray[np.int64]:
    """
    Return how often a value was answered (columns) where another, or the same, is right (rows).

    Tasks for which several values are right do not count, as it is not known which of them a wrong answer was for.
    """
    size = len(truth.values)
    right = truth.labels[votes.tasks]
    kept = right >= 0
    pairs = right[kept].astype(np.int64) * size + votes.labels[kept]
    return np.bincount(pairs, minlength=size * size).reshape(size, size)
