"""
How good answers are: agreement, accuracy, entropy, time, who takes what for what, and all of it over time.

A figure that cannot be reckoned is `None`, with the reason. All but times and rejected answers are of votes, as
`AnswerTable.votes` has them: one of each person for each task, in a status that counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.agreement import (
    Figure,
    agreement_over_time,
    krippendorff_alpha,
    observed_agreement,
    task_entropy,
    vote_agreement,
)
from toloka_airflow.quality.answer_table import COUNTED, STATUSES, AnswerTable
from toloka_airflow.quality.answers import read_answers
from toloka_airflow.quality.by_person import by_person, share
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.truth import Rows, Truth, confusion_matrix, known_truth, labels_truth

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from numpy.typing import NDArray

    from toloka_airflow.quality.methods.votes import Votes

__all__ = ["measure_quality"]

MAX_VALUES = 50
"""How many values a confusion matrix may have; free text has as many as answers."""
LEAST_AGREED = 20
_OTHER_LABELS = "an answer counts as right if it is the label, and helped to make it, so this is a little too good"


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
