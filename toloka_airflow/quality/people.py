"""How good people's answers are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_values import plain_value, value_text
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

__all__ = ["accuracy_by_person"]

GOLDEN, OUTPUT = "GOLDEN:", "OUTPUT:"


def accuracy_by_person(
    answers: str | os.PathLike[str] | ObjectStoragePath | Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str] | ObjectStoragePath | None = None,
    *,
    fields: Sequence[str] | None = None,
    min_answers: int = 1,
) -> list[dict[str, Any]]:
    """
    Return how many of the control tasks each person has answered right.

    An answer is right if it has all values of one of the known solutions of its task; which values are equal is what
    `toloka_airflow.quality.answers` says: 3 and 3.0, and a list of texts in any order. Tasks without known solutions do
    not count. Each answer counts, also if a person has answered a task twice. What each *vote* is worth, by field and
    with an interval, is in `toloka_airflow.quality.by_person`.

    `toloka_airflow.operators.skills.SetUserSkillsOperator` and ``RestrictUsersOperator`` take the rows, or their file.
    The file of answers is read as a stream; memory is some 200 bytes for each person.

    :param answers: The path of a file that ``GetAssignmentsOperator`` wrote, or another file of such rows; or a list of
        them. Download all statuses that have answers, as rejected ones are answers, too.
    :param path: Where to write the rows, too: JSON Lines, there when it is complete.
    :param fields: The output fields that must be right; all that the known solutions name by default.
    :param min_answers: How many control tasks a person must have answered to be among the rows.
    :return: A row for each person, by ``user_id``: ``{"user_id", "right", "total", "accuracy"}``; the accuracy is
        ``right / total``, from 0 to 1. None if nobody has answered anything, as in a window to which nobody came.
    :raises ValueError: If an argument cannot be used, if none of the answers is one to a control task, or if none has
        one of the fields.
    """
    if isinstance(fields, str) or (fields is not None and not fields):
        raise ValueError(f"fields is {fields!r}; it must be a list of output fields")
    if isinstance(min_answers, bool) or not isinstance(min_answers, int) or min_answers < 1:
        raise ValueError(f"min_answers is {min_answers!r}; it must be a whole number of 1 or more")
    counts: dict[str, list[int]] = {}
    has_answers = False
    unknown = set(fields or ())
    for where, row in _rows(answers):
        has_answers = True
        checked = _is_right(where, row, fields, unknown)
        if checked is not None:
            person = row.get("user_id") or row.get("ASSIGNMENT:worker_id")
            if not person:
                raise ValueError(f"{where}: it has no user_id, so it is not known who answered")
            count = counts.setdefault(str(person), [0, 0])
            count[0] += checked
            count[1] += 1
    if has_answers and not counts:
        of_fields = f" with a known {' or '.join(fields)}" if fields else ""
        raise ValueError(f"answers: there is none to a control task{of_fields}, so nobody's accuracy is known")
    if has_answers and unknown:
        raise ValueError(f"fields: no control task has a known {' or '.join(sorted(unknown))}")
    people = [
        {"user_id": person, "right": right, "total": total, "accuracy": right / total}
        for person, (right, total) in sorted(counts.items())
        if total >= min_answers
    ]
    if path is not None:
        # What a killed call has left is removed, as its rows may have been others.
        file = RowFile(storage_path("path", path), key="accuracy", max_age=-1)
        file.append((compact_json(row).encode() for row in people), cursor="", counts={})
        file.finish()
    return people


def _rows(answers: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Here, as a DAG that is only parsed needs none of it.
    from toloka_airflow.transfer.row_sources import PlainRows, row_source

    source = row_source("answers", answers)
    expected = "an answer is an object with output_values"
    for number, row, _ in source.rows(PlainRows("ASSIGNMENT:worker_id", expected=expected)):
        yield source.where(number), row


def _is_right(where: str, row: Mapping[str, Any], fields: Sequence[str] | None, unknown: set[str]) -> bool | None:
    """
    Return whether an answer is right; ``None`` if that is not known.

    :param unknown: Fields of which no known value was found yet; those that are found are removed.
    """
    given, solutions = _values(where, row)
    unknown.difference_update(*solutions)
    known = [{name: solution[name] for name in fields or solution if name in solution} for solution in solutions]
    if not any(known):
        return None
    try:
        return any(
            all(
                value_text(plain_value(given.get(name))) == value_text(plain_value(value))
                for name, value in each.items()
            )
            for each in known
            if each
        )
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}") from None


def _values(where: str, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return what was answered, and the known solutions."""
    if "output_values" in row:
        return row["output_values"], [solution["output_values"] for solution in row.get("known_solutions") or ()]
    # A row of Toloka's own table.
    given = {name.removeprefix(OUTPUT): value for name, value in row.items() if name.startswith(OUTPUT)}
    known = {name.removeprefix(GOLDEN): value for name, value in row.items() if name.startswith(GOLDEN)}
    if not given and not known and "ASSIGNMENT:assignment_id" not in row:
        raise ValueError(f"{where}: it has no output_values, so it is no row of GetAssignmentsOperator")
    return given, [known]
