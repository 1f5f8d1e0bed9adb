"""Methods that count votes: each person's vote alike, or by how well they answer control tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.quality.methods.votes import Aggregation, Votes
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TABLE = 16_000_000
"""Numbers in a table of tasks and labels, 128 MB; votes for more labels, such as free text, are counted without one."""
PRIOR_ANSWERS = 2.0
"""As how many answers to control tasks what all people together do counts for each of them."""


def majority_vote(votes: Votes) -> Aggregation:
    """
    Return the label with the most votes of each task; its score is its share of them.

    Labels with equally many votes take turns: which it is follows from the number of the task, by a fixed function that
    favours no label. So it depends neither on the order of votes nor on who gave them, and it is the same each time.
    """
    votes = votes.sorted()
    return count_votes(votes, np.ones(len(votes)))


def weighted_vote(votes: Votes, known: NDArray[np.int32]) -> Aggregation:
    """
    Return the label with the most weight of each task, where votes weigh as their person's accuracy on control tasks.

    A person's accuracy is smoothed by that of all people together, which counts as two more answers; so nobody weighs
    nothing after one mistake, or everything after one right answer, and people without control tasks weigh as all
    together do. The score is the label's share of the weight. Ties as in `majority_vote`.

    :param known: For each task, the number of its known label; -1 if it is no control task.
    :raises ValueError: If there is no vote for a control task.
    """
    votes = votes.sorted()
    skills = accuracy_on_known(votes, known)
    counted = count_votes(votes, skills[votes.people])
    return Aggregation(counted.labels, counted.scores, False, counted.probabilities, skills)


def accuracy_on_known(votes: Votes, known: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the smoothed accuracy of each person on control tasks; see `weighted_vote`."""
    truth = known[votes.tasks]
    checked = truth >= 0
    if not np.any(checked):
        raise ValueError("votes: there is none for a control task, so nobody's accuracy is known")
    people = votes.people[checked]
    is_right = (truth == votes.labels)[checked]
    total = np.bincount(people, minlength=votes.person_count)
    right = np.bincount(people, weights=is_right, minlength=votes.person_count)
    # Below 1 even if all are right, and above 0 even if all are wrong.
    together = (is_right.sum() + 1.0) / (len(people) + 2.0)
    return np.asarray((right + PRIOR_ANSWERS * together) / (total + PRIOR_ANSWERS), np.float64)


def count_votes(votes: Votes, weights: NDArray[np.float64]) -> Aggregation:
    """
    Return the label with the most weight of each task.

    :param votes: In order.
    :param weights: For each vote; more than 0.
    """
    labels = np.full(votes.task_count, -1, np.int32)
    scores = np.full(votes.task_count, np.nan)
    pairs, sums = _sum_pairs(votes, weights)
    if len(pairs):
        tasks, given = np.divmod(pairs, votes.label_count)
        starts = np.flatnonzero(np.r_[True, tasks[1:] != tasks[:-1]])
        best, winners = pick(sums, given, starts, tasks[starts])
        labels[tasks[starts]] = winners
        scores[tasks[starts]] = best / np.add.reduceat(sums, starts)
    probabilities = None
    if votes.task_count * votes.label_count <= MAX_TABLE:
        probabilities = np.zeros((votes.task_count, votes.label_count))
        probabilities.reshape(-1)[pairs] = sums
        totals = probabilities.sum(axis=1, keepdims=True)
        np.divide(probabilities, totals, out=probabilities, where=totals > 0)
    return Aggregation(labels, scores, False, probabilities, None)


def pick(
    sums: NDArray[np.float64], labels: NDArray[np.int64], starts: NDArray[np.int64], tasks: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """
    Return the largest sum of each task, and its label; ties by turns.

    :param sums: What each label of each task has, the labels of a task one after another in order.
    :param labels: The label of each sum.
    :param starts: Where the sums of each task start.
    :param tasks: The number of each of these tasks.
    """
    sizes = np.diff(np.r_[starts, len(sums)])
    best = np.maximum.reduceat(sums, starts)
    # Sums of the same weights differ in their last bits by the order in which they were added.
    is_best = sums >= np.repeat(best * (1 - 1e-12), sizes)
    tied = np.add.reduceat(is_best.astype(np.int64), starts)
    turn = (_mixed(tasks) % tied.astype(np.uint64)).astype(np.int64)
    before = np.cumsum(is_best)
    first: NDArray[np.int64] = before[starts] - is_best[starts]
    rank = before - 1 - np.repeat(first, sizes)
    return best, labels[is_best & (rank == np.repeat(turn, sizes))]


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return numbers that seem to be drawn, the same for the same: the end of SplitMix64 (Steele et al. 2014)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sum_pairs(votes: Votes, weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each pair of a task and a label that has votes, as one number, in order; and its weight."""
    keys = votes.tasks.astype(np.int64) * votes.label_count + votes.labels
    if votes.task_count * votes.label_count <= MAX_TABLE:
        sums = np.bincount(keys, weights=weights)
        pairs = np.flatnonzero(sums)
        return pairs, np.asarray(sums[pairs], np.float64)
    permutation = np.argsort(keys, kind="stable")
    keys = keys[permutation]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return keys[starts], np.add.reduceat(weights[permutation], starts)
