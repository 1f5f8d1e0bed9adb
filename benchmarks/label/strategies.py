"""
How many answers each task gets: ways to spend money, which all end in the same aggregation.

A strategy takes the answers of a crowd and returns how many of them each task gets. It reads no truth, and no answer
that it has not paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from benchmarks.label.crowds import simulate
from toloka_airflow.emulator.resources.dynamic_overlap import TRUST
from toloka_airflow.quality.doubts import MAX_OVERLAP, MAX_ROUNDS, SURE_AT, TARGET, next_overlaps
from toloka_airflow.quality.methods import dawid_skene_map
from toloka_airflow.quality.methods.votes import Aggregation, Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.label.crowds import Answers, Crowd

    Overlaps = NDArray[np.int64]


class Strategy(Protocol):
    """A way to spend money."""

    def overlaps(self, answers: Answers) -> tuple[Overlaps, int]:
        """Return how many answers each task gets, and after how many rounds behind the first answers."""


@dataclass(frozen=True)
class Fixed:
    """The same for each task."""

    overlap: int

    def overlaps(self, answers: Answers) -> tuple[Overlaps, int]:
        """Return the overlap of each task."""
        return np.full(answers.crowd.tasks, self.overlap), 0


@dataclass(frozen=True)
class Dynamic:
    """
    Toloka's dynamic overlap: after each answer, a task that is not certain enough is given to one more person.

    How Toloka reckons the confidence is not documented but for the skill that weighs answers. Our emulator's formula is
    taken: the probability of the label, if everybody is right as often as their skill says, and a wrong answer is any.

    :param min_confidence: From which on a task is certain enough.
    :param first: How many answers each task gets.
    :param max_overlap: How many it gets at the most.
    :param skills_known: Whether the skill of each person is their accuracy itself, which nobody knows so well; else all
        have the one that the emulator takes for granted.
    """

    min_confidence: float
    first: int = 2
    max_overlap: int = MAX_OVERLAP
    skills_known: bool = False

    def overlaps(self, answers: Answers) -> tuple[Overlaps, int]:
        """Return how many answers each task gets; each decides for itself, so all can be reckoned at once."""
        crowd = answers.crowd
        asked = np.full(crowd.tasks, self.first)
        weights = np.full(crowd.people, np.log(TRUST / (1 - TRUST)))
        if self.skills_known:
            right = answers.accuracies.clip(0.01, 0.99)
            weights = np.log(right * (crowd.classes - 1) / (1 - right))
        doubtful = np.ones(crowd.tasks, bool)
        for overlap in range(self.first, self.max_overlap):
            confidences = certainty(*answers.given(asked), weights, crowd.tasks, crowd.classes)
            doubtful &= confidences < self.min_confidence
            asked[doubtful] = overlap + 1
        return asked, self.max_overlap - self.first


def certainty(
    tasks: NDArray[np.int32],
    people: NDArray[np.int32],
    labels: NDArray[np.int32],
    weights: NDArray[np.float64],
    task_count: int,
    label_count: int,
) -> NDArray[np.float64]:
    """Return how certain each task is, as `toloka_airflow.emulator.resources.dynamic_overlap` reckons it."""
    cells = tasks.astype(np.int64) * label_count + labels
    size = task_count * label_count
    sums = np.bincount(cells, weights[people], size).reshape(task_count, label_count)
    chosen = np.bincount(cells, minlength=size).reshape(task_count, label_count) > 0
    best = np.argmax(np.where(chosen, sums, -np.inf), axis=1)
    top = sums[np.arange(task_count), best]
    others = np.where(chosen, np.exp(sums - top[:, None]), 0)
    others[np.arange(task_count), best] = 0
    # A label that everybody chose is still weighed against one that nobody chose.
    return np.asarray(1 / (1 + np.where(chosen.sum(axis=1) > 1, others.sum(axis=1), np.exp(-top))), np.float64)


@dataclass(frozen=True)
class LabelUntil:
    """
    `label_until`: rounds, in which the doubtful tasks get one more answer each.

    :param budget: How many answers there may be in all, for each task; ``None`` if money does not matter.
    """

    budget: float | None = None
    first: int = 2
    target: float = TARGET
    sure_at: float = SURE_AT
    max_rounds: int = MAX_ROUNDS
    max_overlap: int = MAX_OVERLAP

    def overlaps(self, answers: Answers) -> tuple[Overlaps, int]:
        """Return how many answers each task gets, by the aggregations of all rounds."""
        count = answers.crowd.tasks
        ids = [f"{number:06}" for number in range(count)]
        asked = np.full(count, self.first)
        for done in range(self.max_rounds):
            scores = aggregate(answers, asked).scores
            decided = next_overlaps(
                dict(zip(ids, scores.tolist(), strict=True)),
                dict(zip(ids, asked.tolist(), strict=True)),
                target=self.target,
                sure_at=self.sure_at,
                max_overlap=self.max_overlap,
                rounds_left=self.max_rounds - done,
                budget=None if self.budget is None else max(0, int(self.budget * count) - int(asked.sum())),
            )
            if decided.stopped_by:
                return asked, done
            for task, overlap in decided.overlaps.items():
                asked[int(task)] = overlap
        return asked, self.max_rounds


def aggregate(answers: Answers, asked: Overlaps) -> Aggregation:
    """Aggregate the answers that were paid for."""
    crowd = answers.crowd
    return dawid_skene_map(Votes(*answers.given(asked), crowd.tasks, crowd.people, crowd.classes))


@dataclass(frozen=True)
class Outcome:
    """
    What one strategy came to with one seed.

    :param answers: Paid for, by task.
    :param accuracy: The share of labels that are right.
    :param sure: The share of labels with a confidence of `SURE_AT` or more.
    :param right_if_sure: The share of these that are right; nan if there is none.
    """

    answers: float
    accuracy: float
    sure: float
    right_if_sure: float
    rounds: int


def outcome(strategy: Strategy, answers: Answers) -> Outcome:
    """Return what a strategy comes to."""
    asked, rounds = strategy.overlaps(answers)
    labelled = aggregate(answers, asked)
    is_right, is_sure = labelled.labels == answers.truth, labelled.scores >= SURE_AT
    return Outcome(
        float(asked.mean()),
        float(is_right.mean()),
        float(is_sure.mean()),
        float(is_right[is_sure].mean()) if is_sure.any() else float("nan"),
        rounds,
    )


def outcomes(crowd: Crowd, seed: int, strategies: Sequence[Strategy]) -> list[Outcome]:
    """Return what each strategy comes to with the same answers."""
    answers = simulate(crowd, seed)
    return [outcome(strategy, answers) for strategy in strategies]
