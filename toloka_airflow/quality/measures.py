"""
How good answers are: agreement, accuracy, entropy, time, who takes what for what, and all of it over time.

A figure that cannot be reckoned is `None`, with the reason. All but times and rejected answers are of votes, as
`AnswerTable.votes` has them: one of each person for each task, in a status that counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.quality.answer_values import plain_value, value_text
from toloka_airflow.quality.answers import COUNTED, STATUSES, AnswerTable, read_answers
from toloka_airflow.quality.by_person import by_person, share
from toloka_airflow.quality.label_rows import label_rows
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from numpy.typing import NDArray

    from toloka_airflow.quality.methods.votes import Votes

__all__ = ["measure_quality"]

Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]

MAX_VALUES = 50
"""How many values a confusion matrix may have; free text has as many as answers."""
MAX_PERIODS = 30
LEAST_AGREED = 20
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_PERIODS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
_OTHER_LABELS = "an answer counts as right if it is the label, and helped to make it, so this is a little too good"


class Figure(NamedTuple):
    """
    A figure.

    :param value: `None` if it cannot be reckoned.
    :param reason: Why it cannot.
    """

    value: float | None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {"value": self.value} if self.reason is None else {"value": None, "reason": self.reason}


def krippendorff_alpha(votes: Votes) -> Figure:
    """
    Return Krippendorff's alpha for nominal values: 1 if all agree, 0 if they agree as often as by chance.

    ``1 - observed / expected disagreement``, over tasks with two votes or more; others have no pairs, and do not count.
    After K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), C: nominal data, any number of observers,
    missing data. It equals the package ``krippendorff``. It can be below 0.

    It cannot be reckoned if no task has two votes, or if all these votes are the same: then nothing else is to be
    expected by chance, either.
    """
    counts, _, sizes = _pairable(votes)
    if not len(sizes):
        return Figure(None, "no task has two votes, so there is nothing to agree on")
    per_label, total, same = _coincidences(counts, sizes, votes.label_count)
    expected = total * total - math.fsum(per_label * per_label)
    if expected == 0:
        return Figure(None, "all votes are for one value, so agreement by chance is complete, too")
    return Figure(1 - (total - same) * (total - 1) / expected)


def observed_agreement(votes: Votes) -> Figure:
    """
    Return the share of the other votes on its task that a vote agrees with, over all votes of tasks with two or more.

    It is the observed agreement of Krippendorff's alpha, without a correction for chance: with two values, of which one
    is right for 95 % of the tasks, it is above 0.9 even if people choose at
    random in these shares.
    """
    counts, _, sizes = _pairable(votes)
    if not len(sizes):
        return Figure(None, "no task has two votes, so there is nothing to agree on")
    _, total, same = _coincidences(counts, sizes, votes.label_count)
    return Figure(same / total)


class _Counts(NamedTuple):
    """How many votes there are for a value of a task, where there are any."""

    tasks: NDArray[np.int64]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]


def _counts(votes: Votes) -> tuple[_Counts, NDArray[np.int64]]:
    """Return how often each task got each value, and where in that each vote is."""
    keys = votes.tasks.astype(np.int64) * max(votes.label_count, 1) + votes.labels
    unique, positions, numbers = np.unique(keys, return_inverse=True, return_counts=True)
    return _Counts(*np.divmod(unique, max(votes.label_count, 1)), numbers), positions


def _pairable(votes: Votes) -> tuple[_Counts, NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts of tasks with two votes or more, these tasks per count, and how many votes each has."""
    counts, _ = _counts(votes)
    sizes = np.bincount(votes.tasks, minlength=votes.task_count)[counts.tasks]
    kept = sizes >= 2
    return _Counts(*(column[kept] for column in counts)), counts.tasks[kept], sizes[kept]


def _coincidences(counts: _Counts, sizes: NDArray[np.int64], label_count: int) -> tuple[NDArray[Any], float, float]:
    """Return the votes per value, those in all, and the sum of the diagonal of the coincidence matrix."""
    per_label = np.bincount(counts.labels, counts.numbers, label_count)
    same = math.fsum(counts.numbers * (counts.numbers - 1) / (sizes - 1))
    return per_label, float(counts.numbers.sum()), same


def task_entropy(votes: Votes) -> NDArray[np.float64]:
    """
    Return for each task how much its votes differ, in bits; nan where there are none.

    Shannon's entropy of the shares of the values among its votes (A Mathematical Theory of Communication, 1948): 0 if
    all are the same, 1 if two values have half of them each, at most the logarithm of the number of votes.
    """
    counts, _ = _counts(votes)
    sizes = np.bincount(votes.tasks, minlength=votes.task_count)
    shares = counts.numbers / sizes[counts.tasks]
    entropy = np.bincount(counts.tasks, -shares * np.log2(shares), votes.task_count)
    return np.where(sizes > 0, np.abs(entropy), np.nan)


def vote_agreement(votes: Votes) -> NDArray[np.float64]:
    """Return for each vote the share of the other votes on its task that are the same; nan if there are no others."""
    counts, positions = _counts(votes)
    others = np.bincount(votes.tasks, minlength=votes.task_count)[votes.tasks] - 1
    same = counts.numbers[positions] - 1
    agreement: NDArray[np.float64] = np.divide(same, others, out=np.full(len(others), np.nan), where=others > 0)
    return agreement


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


def agreement_over_time(table: AnswerTable, field: str) -> dict[str, Any]:
    """
    Return how much the votes of each period agree with the others on their tasks, whenever those were given.

    The mean over all votes is the observed agreement. Periods are the shortest of a minute, 5, 15, an hour, 4, a day, a
    week and 30 days of which there are at most 30; they begin in UTC. Votes whose time is unknown do not count.
    """
    rows = table.vote_rows(field)
    agreement = vote_agreement(table.votes(field))
    times = table.submitted[rows]
    kept = np.isfinite(agreement) & np.isfinite(times)
    if not kept.any():
        return {"period": None, "periods": [], "reason": "no vote with a time has another one on its task"}
    times, agreement = times[kept], agreement[kept]
    first, last = float(times.min()), float(times.max())
    length = next((each for each in _PERIODS if last // each - first // each < MAX_PERIODS), None)
    length = length or _DAY * math.ceil((last - first) / _DAY / (MAX_PERIODS - 1))
    periods = (times // length).astype(np.int64)
    numbers, positions, counts = np.unique(periods, return_inverse=True, return_counts=True)
    means = np.bincount(positions, agreement) / counts
    return {
        "period": length,
        "periods": [
            {"start": _iso(int(number) * length), "votes": int(count), "agreement": float(mean)}
            for number, count, mean in zip(numbers, counts, means, strict=True)
        ],
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def spread(values: NDArray[Any]) -> dict[str, Any]:
    """Return the median of some numbers, the middle half and the extremes; of nothing, `None` with a reason."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return {"median": None, "p25": None, "p75": None, "min": None, "max": None, "count": 0, "reason": "no values"}
    low, p25, median, p75, high = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"median": median, "p25": p25, "p75": p75, "min": low, "max": high, "count": len(finite)}


def measure_quality(
    answers: Rows | ObjectStoragePath | AnswerTable,
    *,
    fields: Sequence[str],
    labels: Rows | ObjectStoragePath | None = None,
    statuses: Sequence[str] = COUNTED,
) -> dict[str, Any]:
    """
    Return how good answers are, as values of JSON without nan.

    Of all answers: how many there are of what, which share of the assignments was rejected, and seconds per answer. Per
    field: votes, `krippendorff_alpha`, `observed_agreement`, `task_entropy`, `agreement_over_time`, accuracy and
    `confusion_matrix` against known solutions and against labels, each person's figures, and the tasks whose votes
    differ most. A figure that cannot be reckoned is null, beside a ``reason``.

    :param answers: As `read_answers` takes them, or what it returned.
    :param fields: The output fields.
    :param labels: Labels to hold the answers against, too, such as those of the aggregation: a file, or a list.
    :param statuses: The statuses that count; not used if ``answers`` was read before.
    :raises ValueError: If something cannot be read.
    """
    table = answers if isinstance(answers, AnswerTable) else read_answers(answers, fields=fields, statuses=statuses)
    if labels is not None and not isinstance(labels, str | os.PathLike | Sequence) and not hasattr(labels, "open"):
        labels = list(labels)  # read once for each field
    return {
        "answers": len(table),
        "counted": int(table.is_counted.sum()),
        "tasks": len(table.task_ids),
        "control_tasks": int(table.is_control.sum()),
        "people": len(table.person_ids),
        "assignments": len(table.assignment_ids),
        "rejected": rejected_share(table),
        "seconds_per_answer": _seconds(table.seconds[table.is_counted]),
        "fields": {name: _measure_field(table, name, labels) for name in dict.fromkeys(fields)},
    }


def rejected_share(table: AnswerTable) -> dict[str, Any]:
    """Return the share of rejected assignments among those that were submitted, whatever became of them."""
    statuses = np.zeros(len(table.assignment_ids), np.int8)
    statuses[table.assignments] = table.statuses
    numbers = {status: int((statuses == STATUSES.index(status)).sum()) for status in (*COUNTED, "REJECTED")}
    total = sum(numbers.values())
    figure = Figure(numbers["REJECTED"] / total) if total else Figure(None, "no assignment was submitted")
    return {**figure.as_json(), "rejected": numbers["REJECTED"], "total": total}


def _seconds(seconds: NDArray[np.float64]) -> dict[str, Any]:
    found = spread(seconds)
    if "reason" in found:
        found["reason"] = (
            "when pages were begun is not in the file; it is in a .tsv, and in .jsonl with rows='assignments'"
            if len(seconds)
            else "there are no answers that count"
        )
    return found


def _measure_field(table: AnswerTable, name: str, labels: Any) -> dict[str, Any]:
    votes, read = table.votes(name), table.field(name)
    per_task = np.bincount(votes.tasks, minlength=votes.task_count)
    entropy = task_entropy(votes)
    result = {
        "values": len(read.values),
        "unanswered": int((table.is_counted & (read.labels < 0)).sum()),
        "votes": len(votes.tasks),
        "tasks": int((per_task > 0).sum()),
        "tasks_with_several_votes": int((per_task > 1).sum()),
        "people": len(np.unique(votes.people)),
        "votes_per_task": spread(per_task[~table.is_control & (per_task > 0)]),
        "alpha": krippendorff_alpha(votes).as_json(),
        "observed_agreement": observed_agreement(votes).as_json(),
        "entropy": spread(entropy),
        "agreement_over_time": agreement_over_time(table, name),
        "least_agreed": _least_agreed(table, entropy, per_task),
    }
    truths = {"known": known_truth(table, name)}
    if labels is not None:
        truths["labels"] = labels_truth(table, name, labels)
    accuracy = {kind: truth.is_right(votes) for kind, truth in truths.items()}
    result["accuracy"] = {kind: _accuracy(right, kind) for kind, right in accuracy.items()}
    result["confusion"] = {kind: _confusion(votes, truth) for kind, truth in truths.items()}
    result["by_person"] = by_person(table, name, votes, accuracy, vote_agreement(votes))
    return result


def _least_agreed(table: AnswerTable, entropy: NDArray[Any], per_task: NDArray[Any]) -> list[dict[str, Any]]:
    doubtful = np.flatnonzero(np.nan_to_num(entropy) > 0)
    doubtful = doubtful[np.argsort(-entropy[doubtful], kind="stable")[:LEAST_AGREED]]
    return [
        {"task_id": table.task_ids[task], "entropy": float(entropy[task]), "votes": int(per_task[task])}
        for task in doubtful.tolist()
    ]


def _accuracy(right: NDArray[np.int8], kind: str) -> dict[str, Any]:
    total, good = int((right >= 0).sum()), int((right == 1).sum())
    reason = (
        "no vote is on a control task with a known value" if kind == "known" else "no vote is on a task with a label"
    )
    return {**share(good, total, reason), **({"note": _OTHER_LABELS} if kind == "labels" else {})}


def _confusion(votes: Votes, truth: Truth) -> dict[str, Any]:
    if len(truth.values) > MAX_VALUES:
        return {"values": None, "counts": None, "reason": f"there are {len(truth.values)} values; {MAX_VALUES} at most"}
    counts = confusion_matrix(votes, truth)
    if not counts.sum():
        return {"values": None, "counts": None, "reason": "it is not known of any vote what would be right"}
    return {"values": list(truth.values), "counts": counts.tolist()}
