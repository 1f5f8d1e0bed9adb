"""How much the votes on tasks agree, in figures; one that cannot be reckoned is `None`, with the reason."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.methods.votes import Votes

MAX_PERIODS = 30
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_PERIODS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)


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
