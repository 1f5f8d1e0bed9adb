"""Answers as crowd-kit takes them, for its methods that are not here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_table import COUNTED
from toloka_airflow.quality.answers import read_answers
from toloka_airflow.storage.json_text import compact_json

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

__all__ = ["crowd_kit_columns"]


def crowd_kit_columns(
    answers: str | os.PathLike[str] | ObjectStoragePath | Iterable[Mapping[str, Any]],
    *,
    field: str,
    statuses: Sequence[str] = COUNTED,
) -> dict[str, list[Any]]:
    """
    Return the three columns that crowd-kit takes: ``pandas.DataFrame(crowd_kit_columns(path, field="label"))``.

    There is a row for each vote, by the same rules as everywhere here: one for each person and task, none that was
    rejected or left empty. They are sorted by task and person, as some methods of crowd-kit depend on the order.

    :param answers: As for `toloka_airflow.quality.answers.read_answers`.
    :param field: The output field.
    :param statuses: The statuses of assignments whose answers count.
    :return: ``task``, ``worker`` and ``label``. Labels are the values, if all are texts; else the texts of their JSON,
        as crowd-kit sorts labels and keeps them in sets.
    :raises ValueError: As `read_answers` does.
    """
    table = read_answers(answers, fields=[field], statuses=statuses)
    votes, values = table.votes(field), table.field(field).values
    if not all(isinstance(value, str) for value in values):
        values = tuple(compact_json(value) for value in values)
    return {
        "task": [table.task_ids[task] for task in votes.tasks.tolist()],
        "worker": [table.person_ids[person] for person in votes.people.tolist()],
        "label": [values[label] for label in votes.labels.tolist()],
    }
