"""Dawid and Skene's method with priors, each vote judged by what its person did elsewhere: the default."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toloka_airflow.quality.methods.dawid_skene import aggregation, normalise, without_votes
from toloka_airflow.quality.methods.sums import VoteSums
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.methods.dawid_skene import Table
    from toloka_airflow.quality.methods.votes import Aggregation, Votes

CONFUSION_ANSWERS = 60.0
"""As how many answers to tasks of a label the prior counts for what a person takes it for. Of 10, 30, 60, 120 and 300,
the largest with which no crowd of benchmarks/label/crowds.py lost right labels by it (seeds 3 and 4 of those for
tuning; 2,000 to 20,000 tasks, overlap 3, 30 to 2,000 answers of each person). From 30 on, all are calibrated."""
MOST_ALIKE, LEAST_ALIKE = 200.0, 1.0
"""As how many answers the accuracy of all people together counts for each of them, at most and at least."""


def dawid_skene_map(
    votes: Votes, known: NDArray[np.int32] | None = None, *, iterations: int = 100, tolerance: float = 1e-4
) -> Aggregation:
    """
    Return the most probable label of each task, with a probability that is a confidence.

    As in `dawid_skene`, each person has a confusion matrix, and it and the labels are found from each other. There are
    two differences, because of which 0.9 means that nine in ten are right.

    - Matrices have priors. A person's accuracy is drawn to that of all people; how much follows from how different they
      are. A row of the matrix is drawn to this accuracy and, for the rest, to what all people take the label for, as by
      `CONFUSION_ANSWERS` answers.
    - A vote is judged by what its person answered to all *other* tasks. Otherwise it speaks for itself: a label seems
      right as somebody gave it, and they seem good as it is right.

    This is the collapsed variational method (zero order; Asuncion et al. 2009) for the model of Kim and Ghahramani
    (2012), with priors that are estimated from the votes.

    Nothing shows whether a vote is right that can be compared with nothing: the only one on a task, whose label is not
    known either. So only votes that can be say how good people are and how frequent labels are; who has none of them is
    taken for one like all others. If there is none at all, nothing is known of anybody: the labels are the votes, with
    their share as the score, and `Aggregation.is_confidence` is false.

    A control task's known label shows how good the people are who answered it. Its own label and confidence are made of
    the votes like that of any other task, without what is known about it; so how many of them are right says how good
    the labels are.

    :param known: For each task, the number of its known label; -1 if it is no control task.
    :param iterations: After how many to stop.
    :param tolerance: Stop when the probabilities of a task change by less, in the mean.
    :return: With the skills of people some of whose votes were compared.
    :raises ValueError: If there are too many labels; see `VoteSums`.
    """
    if not len(votes):
        return without_votes(votes, is_confidence=True)
    sums = VoteSums(votes.sorted())
    found = sums.shares()
    compared = _compared(sums, known)
    if not compared.any():
        return aggregation(sums, found, is_confidence=False)
    for _ in range(max(iterations, 1)):
        believed = _with_known(sums, found, known)
        fit = _Fit.of(sums, believed, compared)
        before, found = found, fit.judge(sums, believed)
        if np.abs(found - before).sum() / 2 < tolerance * len(sums.voted):
            break
    result = aggregation(sums, found, is_confidence=True)
    skills = np.where(fit.given > 0, fit.accuracies(fit.right, fit.given), np.nan)
    return replace(result, skills=skills)


def _compared(sums: VoteSums, known: NDArray[np.int32] | None) -> NDArray[np.float64]:
    """Return 1 for each task that has several votes or a known label, and 0 for the others."""
    is_compared = np.bincount(sums.tasks) > 1
    if known is not None:
        is_compared |= known[sums.voted] >= 0
    return is_compared.astype(np.float64)


def _with_known(sums: VoteSums, found: Table, known: NDArray[np.int32] | None) -> Table:
    """Return the probabilities with certainty for the control tasks."""
    if known is None:
        return found
    labels = known[sums.voted]
    tasks = np.flatnonzero(labels >= 0)
    believed = found.copy()
    believed[:, tasks] = 0
    believed[labels[tasks], tasks] = 1
    return believed


@dataclass(frozen=True, eq=False)
class _Fit:
    """
    What is believed of the people; all counts are of compared votes.

    :param compared: For each task, 1 if its votes were compared, and 0 if not.
    :param right: For each person, how many answers are right.
    :param given: For each person, how many answers there are.
    :param mean: The accuracy of all people together.
    :param weight: As how many answers it counts for each of them.
    :param mistakes: For each label, what people take it for if they are wrong.
    :param counts: For each label, how often each pair of a person and a label occurs with it.
    """

    compared: NDArray[np.float64]
    right: NDArray[np.float64]
    given: NDArray[np.float64]
    mean: float
    weight: float
    mistakes: NDArray[np.float64]
    counts: Table

    @classmethod
    def of(cls, sums: VoteSums, believed: Table, compared: NDArray[np.float64]) -> _Fit:
        """Return what follows from the probabilities of the labels."""
        votes = sums.votes
        counts = np.stack([sums.by_pair(row * compared) for row in believed])
        right = sums.right(counts)
        given = np.asarray(np.bincount(votes.people, compared[sums.tasks], votes.person_count), np.float64)
        mean = float((right.sum() + 1) / (given.sum() + 2))
        mistakes = np.ones((votes.label_count, votes.label_count))
        for row, of_label in zip(mistakes, counts, strict=True):
            row += np.bincount(sums.pair_labels, of_label, votes.label_count)
        np.fill_diagonal(mistakes, 0)
        mistakes /= np.maximum(mistakes.sum(axis=1, keepdims=True), 1)
        return cls(compared, right, given, mean, _weight(right, given, mean), mistakes, counts)

    def accuracies(self, right: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return accuracies, drawn to that of all people together."""
        return np.asarray((right + self.weight * self.mean) / (given + self.weight), np.float64)

    def judge(self, sums: VoteSums, believed: Table) -> Table:
        """Return the probabilities of the labels, each vote judged by its person's other ones."""
        votes = sums.votes
        compared = self.compared[sums.tasks]
        own = believed[votes.labels, sums.tasks] * compared
        accuracy = self.accuracies(self.right[votes.people] - own, self.given[votes.people] - compared)
        logs = np.empty_like(believed)
        for label, row in enumerate(believed):
            frequency = row * self.compared
            own = frequency[sums.tasks]
            expected = (1 - accuracy) * self.mistakes[label][votes.labels]
            np.copyto(expected, accuracy, where=votes.labels == label)
            expected *= CONFUSION_ANSWERS
            expected += self.counts[label][sums.pair]
            expected -= own
            of_label = sums.by_person(self.counts[label])[votes.people]
            of_label += CONFUSION_ANSWERS
            of_label -= own
            expected /= of_label
            logs[label] = sums.by_task(np.log(expected, out=expected))
            logs[label] += np.log(frequency.sum() + 1 - frequency)
        normalise(logs)
        return logs


def _weight(right: NDArray[np.float64], given: NDArray[np.float64], mean: float) -> float:
    """Return as how many answers the common accuracy counts: fewer, the more people differ beyond chance."""
    people = given > 0
    variance = float(np.sum((right[people] - mean * given[people]) ** 2 / given[people])) / max(float(given.sum()), 1)
    by_chance = int(people.sum()) * mean * (1 - mean) / max(float(given.sum()), 1)
    beyond = max(variance - by_chance, 1e-9)
    return float(np.clip(mean * (1 - mean) / beyond - 1, LEAST_ALIKE, MOST_ALIKE))
