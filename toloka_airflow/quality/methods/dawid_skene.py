"""Dawid and Skene's method: people's confusion matrices and the labels, each found from the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toloka_airflow.quality.methods.sums import VoteSums
from toloka_airflow.quality.methods.votes import Aggregation, Votes
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float64]
    """Rows of labels that could be right; columns of tasks, or of pairs of a person and a label that they gave."""

LEAST = 1e-10
"""What no probability is below, as in crowd-kit."""


def dawid_skene(votes: Votes, *, iterations: int = 100, tolerance: float = 1e-5) -> Aggregation:
    """
    Return the labels of Dawid and Skene (1979), found by expectation maximisation from the shares of the votes.

    They are those of crowd-kit's ``DawidSkene``: the same beginning, the same steps, the same bound that must grow by
    the tolerance for each vote. Of labels with the same probability it is the first. The probabilities are far too sure
    of themselves where there are few votes, so they are scores and no confidence: see `dawid_skene_map`.

    :param iterations: After how many to stop.
    :param tolerance: By how much the lower bound of the likelihood must grow per vote, for another iteration.
    :raises ValueError: If there are too many labels; see `VoteSums`.
    """
    if not len(votes):
        return without_votes(votes, is_confidence=False)
    sums = VoteSums(votes.sorted())
    found = sums.shares()
    priors, counts, errors = _maximised(sums, found)
    bound = -np.inf
    for _ in range(iterations):
        log_priors, logs = np.log(priors), np.log(errors)
        for row, log_prior, log in zip(found, log_priors, logs, strict=True):
            np.add(sums.by_task(log[sums.pair]), log_prior, out=row)
        likelihood = normalise(found)
        priors, counts, errors = _maximised(sums, found)
        # Of each label, the logarithm of its probability is what was summed up above, less the logarithm of the total.
        entropy = likelihood - np.sum(counts * logs) - found.sum(axis=1) @ log_priors
        # As in crowd-kit, how frequent a label is counts for each vote.
        expected = np.sum(counts * np.log(errors)) + counts.sum(axis=1) @ np.log(priors)
        before, bound = bound, float(expected + entropy) / len(votes)
        if bound - before < tolerance:
            break
    given = np.bincount(votes.people, minlength=votes.person_count)
    skills = np.full(votes.person_count, np.nan)
    np.divide(sums.right(counts), given, out=skills, where=given > 0)
    return replace(aggregation(sums, found, is_confidence=False), skills=skills)


def _maximised(sums: VoteSums, found: Table) -> tuple[NDArray[np.float64], Table, Table]:
    """Return for each label how frequent it is, how often each pair occurs with it, and the share of that."""
    counts = np.stack([sums.by_pair(row) for row in found])
    errors = counts.clip(LEAST)
    for row in errors:
        row /= sums.by_person(row)[sums.pair_people]
    return found.mean(axis=1).clip(LEAST), counts, errors


def normalise(logs: Table) -> float:
    """Make probabilities of logarithms, in place; those of a task are a column. Return the logarithm of all totals."""
    largest = logs.max(axis=0)
    logs -= largest
    np.exp(logs, out=logs)
    totals = logs.sum(axis=0)
    logs /= totals
    return float(largest.sum() + np.log(totals).sum())


def aggregation(sums: VoteSums, found: Table, *, is_confidence: bool) -> Aggregation:
    """Return what the probabilities of the labels come to, without skills; of equal ones, the first label."""
    result = without_votes(sums.votes, is_confidence=is_confidence)
    result.labels[sums.voted] = found.argmax(axis=0)
    result.scores[sums.voted] = found.max(axis=0)
    if result.probabilities is not None:
        result.probabilities[sums.voted] = found.T
    return result


def without_votes(votes: Votes, *, is_confidence: bool) -> Aggregation:
    """Return what there is before the votes are counted: nothing is known."""
    return Aggregation(
        labels=np.full(votes.task_count, -1, np.int32),
        scores=np.full(votes.task_count, np.nan),
        is_confidence=is_confidence,
        probabilities=np.zeros((votes.task_count, votes.label_count)),
        skills=np.full(votes.person_count, np.nan),
    )
