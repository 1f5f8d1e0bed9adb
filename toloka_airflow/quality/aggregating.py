"""From a file of answers to a file with one label for each task."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_table import COUNTED, AnswerTable
from toloka_airflow.quality.answers import read_answers
from toloka_airflow.quality.methods import DEFAULT_METHOD, METHODS, dawid_skene_map, weighted_vote
from toloka_airflow.quality.numeric import np
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.paths import refuse_same_file, storage_path
from toloka_airflow.storage.row_files import RowFile

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.quality.methods import Aggregation

__all__ = ["aggregate_answers"]

AT_ONCE = 1000
DIGITS = 6
"""Of confidences and scores; further ones differ by the processor."""


def aggregate_answers(
    answers: str | os.PathLike[str] | ObjectStoragePath | Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str] | ObjectStoragePath,
    *,
    fields: Sequence[str],
    method: str = DEFAULT_METHOD,
    statuses: Sequence[str] = COUNTED,
    only_real_tasks: bool = False,
) -> dict[str, Any]:
    """
    Make one label for each task of what several people answered, and write the labels to a file.

    The rows are those of `AggregateSolutionsOperator`: ``pool_id``, ``task_id``, ``output_values``, ``input_values``,
    ``is_control``, ``method``, and ``known_solutions`` if it is a control task; sorted by ``task_id``, whatever the
    order of the answers. A task is among them if it has a vote in one of the fields. ``pool_id`` is ``None`` from a
    TSV, which does not name the pool.

    Each field is aggregated by itself; ``output_values`` has those in which the task has a vote. ``confidence``, from 0
    to 1, is there if the method is ``dawid_skene_map``, and ``score`` with any other: only what is calibrated is called
    confidence. With ``dawid_skene_map`` it is ``score``, too, if in one of the fields no vote can be compared: no task
    has votes of two people, and no control task has any; then nothing shows how many are right. Of several fields it is
    the lowest, and ``confidences`` or ``scores`` has that of each.

    The known solutions of control tasks show ``dawid_skene_map`` and ``weighted_vote`` who answers well. The label of a
    control task is made of its votes all the same, so it may be wrong; compare it with ``known_solutions``.

    :param answers: The path of a file that ``GetAssignmentsOperator`` wrote, or a list of such rows; see
        `toloka_airflow.quality.answers.read_answers`, also for what counts as a vote.
    :param path: The file of JSON Lines to write, gzip if its name ends with ``.gz``. It is there when it is complete;
        one that is there is replaced.
    :param fields: The output fields to aggregate: choices, not free text.
    :param method: ``majority_vote``, ``weighted_vote``, ``dawid_skene`` or ``dawid_skene_map``.
    :param statuses: The statuses of assignments whose answers count.
    :param only_real_tasks: Whether to leave out control tasks, whose labels are known.
    :return: ``{"path", "method", "solutions", "votes", "without_votes"}``: how many rows were written, how many votes
        they are made of, and how many tasks have none; and with ``dawid_skene_map``, ``mean_confidence`` of the rows,
        which is the share of them to be expected to be right; ``None`` if there are none, or if they only have a score.
    :raises ValueError: If an argument cannot be used, at the first row that is no answer, or if the method cannot take
        the field: ``weighted_vote`` without answers to control tasks, Dawid-Skene with very many different values.
    """
    check_method(method)
    target = storage_path("path", path)
    refuse_same_file(target, answers=answers)
    # What a killed call has left is removed, as its answers may have been others.
    file = RowFile(target, key="aggregated", max_age=-1)
    table = read_answers(answers, fields=fields, statuses=statuses, inputs=True)
    found = {name: aggregate_field(table, name, method) for name in table.fields}
    is_confidence = all(each.is_confidence for each in found.values())
    total = 0.0
    rows = _rows(table, found, method, "confidence" if is_confidence else "score", only_real_tasks=only_real_tasks)
    try:
        while some := list(islice(rows, AT_ONCE)):
            total += sum(number for number, _ in some)
            lines = (compact_json(row, allow_nan=False).encode() for _, row in some)
            file.append(lines, cursor="", counts={"solutions": len(some)})
    except BaseException:
        file.discard()
        raise
    counts = {"solutions": 0, **file.finish()}
    has_label = np.any([each.labels >= 0 for each in found.values()], axis=0)
    result = {
        "path": str(path),
        "method": method,
        **counts,
        "votes": sum(len(table.vote_rows(name)) for name in table.fields),
        "without_votes": int((~has_label).sum()),
    }
    if method == dawid_skene_map.__name__:
        is_known = is_confidence and counts["solutions"]
        result["mean_confidence"] = round(total / counts["solutions"], DIGITS) if is_known else None
    return result


def check_method(method: Any) -> None:
    """
    Check the name of a method.

    :raises ValueError: If it is none.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")


def aggregate_field(table: AnswerTable, field: str, method: str = DEFAULT_METHOD) -> Aggregation:
    """
    Return what the votes on a field come to.

    :param table: With the field.
    :param method: Its name.
    :raises ValueError: If the field was not read, or the method cannot take it; the message names the field.
    """
    check_method(method)
    votes, known = table.votes(field), table.field(field).known
    try:
        if method == dawid_skene_map.__name__:
            return dawid_skene_map(votes, known)
        if method == weighted_vote.__name__:
            return weighted_vote(votes, known)
        return METHODS[method](votes)
    except ValueError as exc:
        raise ValueError(f"fields: {field!r} cannot be aggregated by {method}: {exc}") from exc


def _rows(
    table: AnswerTable, found: Mapping[str, Aggregation], method: str, noun: str, *, only_real_tasks: bool
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Iterate over the rows, each with its lowest number."""
    values = {name: table.field(name).values for name in found}
    # Lists of their numbers would be several times as large as the columns.
    labels = {name: each.labels for name, each in found.items()}
    numbers = {name: each.scores for name, each in found.items()}
    inputs = table.inputs or ()
    for task, task_id in enumerate(table.task_ids):
        is_control, pool = bool(table.is_control[task]), int(table.pools[task])
        if only_real_tasks and is_control:
            continue
        of_fields = {name: round(float(numbers[name][task]), DIGITS) for name in found if labels[name][task] >= 0}
        if not of_fields:
            continue
        lowest = min(of_fields.values())
        row: dict[str, Any] = {
            "pool_id": table.pool_ids[pool] if pool >= 0 else None,
            "task_id": task_id,
            noun: lowest,
            "method": method,
            "output_values": {name: values[name][labels[name][task]] for name in of_fields},
            "input_values": json.loads(inputs[task]),
            "is_control": is_control,
        }
        if len(found) > 1:
            row[f"{noun}s"] = of_fields
        if is_control:
            row["known_solutions"] = json.loads(table.known_solutions[task])
        yield lowest, row
