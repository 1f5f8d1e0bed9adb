"""The least sure tasks, and how the part on them shows one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow.quality.answer_files import AnswerSource
from toloka_airflow.quality.answer_table import STATUSES, AnswerTable
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report.parts import answers_in_words
from toloka_airflow.quality.report.values import MOST_TEXT, Images, Shown, plain_text

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import Figures
    from toloka_airflow.quality.report.labels import Labels

MOST_WHO = 8
MOST_INPUTS, MOST_VALUES = 12, 10
MOST_LETTERS = 1500
"""Of the inputs of a task together, beside images; what comes then is cut off sooner."""
FEWEST_LETTERS = 40
MOST_OF_ANSWER = 120


@dataclass(frozen=True)
class Vote:
    """One of the values that a task was given."""

    value: Any
    people: tuple[str, ...]
    is_label: bool
    is_known: bool


@dataclass(frozen=True)
class Doubt:
    """
    A task whose label is among the least sure.

    :param sureness: The confidence or score of its label.
    :param inputs: Its input values, if they are known.
    :param votes: For each field, what was answered, the most frequent value first.
    """

    task_id: str
    sureness: float
    inputs: Mapping[str, Any] | None
    votes: Mapping[str, Sequence[Vote]]


def least_sure(answers: Any, table: AnswerTable, labels: Labels, names: Sequence[str], most: int) -> list[Doubt]:
    """Describe the least sure tasks; what nobody answered is not among them, as there is nothing to show."""
    with_label = np.flatnonzero(labels.has_label & np.isfinite(labels.sureness))
    least = with_label[np.argsort(labels.sureness[with_label], kind="stable")][:most].tolist()
    inputs = _read_inputs(answers, {table.task_ids[task] for task in least})
    first, last = (np.searchsorted(table.tasks, least, side) for side in ("left", "right"))
    return [
        Doubt(
            task_id=table.task_ids[task],
            sureness=float(labels.sureness[task]),
            inputs=inputs.get(table.task_ids[task]),
            votes={name: _votes_of(table, labels, name, task, range(a, b)) for name in names},
        )
        for task, a, b in zip(least, first.tolist(), last.tolist(), strict=True)
    ]


def _votes_of(table: AnswerTable, labels: Labels, name: str, task: int, rows: range) -> list[Vote]:
    """Return what was answered to a task, also what does not count, and its label if nobody gave that."""
    each = table.fields[name]
    people: dict[int, list[str]] = {}
    for row in rows:
        if each.labels[row] >= 0:
            status = STATUSES[table.statuses[row]]
            note = "" if status in table.counted else f" ({status.lower()})"
            people.setdefault(int(each.labels[row]), []).append(table.person_ids[table.people[row]] + note)
    known = {int(each.known[task]), *each.alternatives.get(task, ())}
    label = int(labels.codes[name][task])
    if label >= 0:
        people.setdefault(label, [])
    ordered = sorted(people.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Vote(labels.values[name][i], tuple(who), i == label, i in known) for i, who in ordered]


def _read_inputs(answers: Any, task_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return the input values of some tasks, reading the answers as far as needed."""
    found: dict[str, Mapping[str, Any]] = {}
    if not task_ids:
        return found
    for _, answer in AnswerSource(answers):
        task_id = str(answer.task_id)
        if task_id in task_ids and task_id not in found:
            found[task_id] = _plain_inputs(answer.input_values)
            if len(found) == len(task_ids):
                break
    return found


def _plain_inputs(values: Any) -> Mapping[str, Any]:
    # What is not there is an empty text.
    try:
        read = json.loads(bytes(values) or b"null") if isinstance(values, msgspec.Raw) else values
        if isinstance(read, str):  # of Parquet
            read = json.loads(read)
    except RecursionError:
        read = None
    return read if isinstance(read, Mapping) else {}


def doubts_in_words(figures: Figures) -> str:
    """Return what the least sure tasks are."""
    shown = len(figures.doubts)
    words = (
        f"These {shown} labels have the lowest {figures.number}"
        if shown > 1
        else f"This label has the lowest {figures.number}"
    )
    return words + ". Inputs and answers are shown as they came; images at an address are not fetched."


def doubt_view(doubt: Doubt, number: str, images: Images) -> dict[str, Any]:
    """
    Return what the template shows of a task.

    :param number: What the number of a label is called.
    """
    return {
        "task_id": plain_text(doubt.task_id, 100),
        "sureness": f"{number} {doubt.sureness:.3f}",
        "inputs": _inputs(doubt.inputs or {}, images),
        "more_inputs": max(0, len(_given(doubt.inputs or {})) - MOST_INPUTS),
        "groups": [
            {
                "caption": f"{plain_text(name, 60)}: {answers_in_words(sum(len(vote.people) for vote in votes))}",
                "votes": [
                    {
                        "value": images.shown("answer", vote.value, may_link=False, most=MOST_OF_ANSWER),
                        "number": f"{len(vote.people):,}",
                        "people": [plain_text(person, 40) for person in vote.people[:MOST_WHO]],
                        "more_people": max(0, len(vote.people) - MOST_WHO),
                        "is_label": vote.is_label,
                        "is_known": vote.is_known,
                    }
                    for vote in votes[:MOST_VALUES]
                ],
                "more": max(0, len(votes) - MOST_VALUES),
            }
            for name, votes in doubt.votes.items()
            if votes
        ],
    }


def _given(inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in inputs.items() if value is not None and value != ""]


def _inputs(inputs: Mapping[str, Any], images: Images) -> list[Shown]:
    left, shown = MOST_LETTERS, []
    for name, value in _given(inputs)[:MOST_INPUTS]:
        most = max(FEWEST_LETTERS, min(MOST_TEXT, left))
        shown.append(images.shown(plain_text(name, 60), value, may_link=True, most=most))
        left -= len(shown[-1].text)
    return shown
