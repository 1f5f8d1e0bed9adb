"""Ways to make one answer out of several: weighted majority and Dawid-Skene."""

from __future__ import annotations

import math
from collections import defaultdict
from operator import add
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_ITERATIONS = 50
TOLERANCE = 1e-4
# Added to each cell of a confusion matrix, so that no answer is ever impossible.
SMOOTHING = 0.01
# A person is taken to confuse labels like everybody else, as if that had been seen in this many answers per
# label: a few answers of their own would otherwise decide which label is right.
BELIEF = 5.0


class Vote(NamedTuple):
    """One person's answer to one task."""

    task: str
    person: str
    label: str


# One probability per label, in the order of the labels.
Posterior = list[float]
# By person and given label: the logarithm of how probable that answer is, for each true label.
Confusion = dict[str, list[list[float]]]
# The votes on one task: who, and which label by its number.
Group = list[tuple[str, int]]


def weighted_majority(votes: Iterable[Vote], weights: Mapping[str, float]) -> tuple[str, float]:
    """Return the label of greatest weight and its share of all weight; a person without weight counts 1."""
    sums: defaultdict[str, float] = defaultdict(float)
    for vote in votes:
        sums[vote.label] += weights.get(vote.person, 1.0)
    total = sum(sums.values())
    best = max(sums, key=lambda label: sums[label])
    # Nobody has any weight: then everybody has the same.
    return best, sums[best] / total if total else 1 / len(sums)


def votes_by_task(votes: Iterable[Vote]) -> dict[str, list[Vote]]:
    """Return the votes on each task."""
    by_task: defaultdict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_task[vote.task].append(vote)
    return by_task


def dawid_skene(votes: Sequence[Vote]) -> dict[str, tuple[str, float]]:
    """
    Return the most probable label of each task and its probability.

    Expectation maximisation after Dawid and Skene (1979): how each person confuses labels, and which label
    each task has, are estimated from one another in turn, beginning with the majority.
    """
    labels = sorted({vote.label for vote in votes})
    number = {label: i for i, label in enumerate(labels)}
    groups = {
        task: [(vote.person, number[vote.label]) for vote in group] for task, group in votes_by_task(votes).items()
    }
    posteriors = {task: _shares(group, len(labels)) for task, group in groups.items()}
    change = 1.0
    for _ in range(MAX_ITERATIONS):
        if not groups or change < TOLERANCE:
            break
        priors, confusion = _maximise(posteriors, groups, len(labels))
        updated = {task: _expect(group, priors, confusion) for task, group in groups.items()}
        change = max(
            abs(new - old) for task in groups for new, old in zip(updated[task], posteriors[task], strict=True)
        )
        posteriors = updated
    return {task: (labels[posterior.index(max(posterior))], max(posterior)) for task, posterior in posteriors.items()}


def _shares(group: Group, size: int) -> Posterior:
    shares = [0.0] * size
    for _, given in group:
        shares[given] += 1 / len(group)
    return shares


def _maximise(
    posteriors: Mapping[str, Posterior], groups: Mapping[str, Group], size: int
) -> tuple[Posterior, Confusion]:
    everybody = [[SMOOTHING] * size for _ in range(size)]
    people = {person for group in groups.values() for person, _ in group}
    counts = {person: [[0.0] * size for _ in range(size)] for person in people}
    for task, group in groups.items():
        for person, given in group:
            for matrix in (everybody, counts[person]):
                matrix[given] = list(map(add, matrix[given], posteriors[task]))
    usual = _scaled(everybody, BELIEF)
    priors = [math.log(sum(column) + SMOOTHING) for column in zip(*posteriors.values(), strict=True)]
    return priors, {person: _logarithms(_sum(matrix, usual)) for person, matrix in counts.items()}


def _scaled(counts: list[list[float]], total: float) -> list[list[float]]:
    """Return the same proportions with each column adding up to a total."""
    totals = [sum(column) for column in zip(*counts, strict=True)]
    return [[total * count / of for count, of in zip(row, totals, strict=True)] for row in counts]


def _sum(left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
    return [list(map(add, *rows)) for rows in zip(left, right, strict=True)]


def _logarithms(counts: list[list[float]]) -> list[list[float]]:
    return [[math.log(share) for share in row] for row in _scaled(counts, 1)]


def _expect(group: Group, priors: Posterior, confusion: Confusion) -> Posterior:
    # Logarithms: the product of many small probabilities would become zero.
    scores = priors
    for person, given in group:
        scores = list(map(add, scores, confusion[person][given]))
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]
