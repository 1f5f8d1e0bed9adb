"""How often labels are right of which a method says how sure it is: the expected calibration error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.label import crowds
from benchmarks.quality.fit import many_votes
from toloka_airflow.quality.methods import Aggregation, Votes, dawid_skene, dawid_skene_map, majority_vote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.quality.fit import Columns

BINS = 10
METHODS = (majority_vote, dawid_skene, dawid_skene_map)
SIZES = ((2_000, 3, 200), (20_000, 3, 2_000), (20_000, 3, 200), (20_000, 3, 30), (2_000, 5, 333))
"""Tasks, answers to each, and answers of each person. Overlap 3 with people of few answers is hardest."""


@dataclass(frozen=True)
class Bin:
    """Labels with numbers in a tenth from 0 to 1: how many, their mean number, and the share of right ones."""

    count: int
    said: float
    right: float


def bins(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> list[Bin]:
    """Return the bins that have labels."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    sums = np.bincount(places, scores, BINS), np.bincount(places, is_right, BINS)
    return [
        Bin(int(count), float(said / count), float(right / count))
        for count, said, right in zip(counts, *sums, strict=True)
        if count
    ]


def expected_error(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """Return by how much the share of right labels differs from what was said, in the mean over all labels."""
    return sum(each.count * abs(each.said - each.right) for each in bins(scores, is_right)) / len(scores)


@dataclass(frozen=True)
class Result:
    """
    What a method says of a crowd, for all seeds.

    :param size: Tasks, answers to each, and answers of each person.
    :param errors: The expected calibration error, for each seed.
    :param accuracies: The share of right labels, for each seed.
    :param bins: Of all seeds together.
    """

    crowd: str
    size: tuple[int, int, int]
    method: str
    errors: tuple[float, ...]
    accuracies: tuple[float, ...]
    bins: tuple[Bin, ...]


def measure(crowd: crowds.Crowd, size: tuple[int, int, int], seeds: tuple[int, ...]) -> Iterator[Result]:
    """Iterate over what each method says."""
    tasks, overlap, each = size
    drawn = [many_votes(tasks * overlap, crowd, seed=seed, overlap=overlap, answers_each=each) for seed in seeds]
    for method in METHODS:
        found = [_apply(method, *each) for each in drawn]
        scores, is_right = (np.concatenate(column) for column in zip(*found, strict=True))
        yield Result(
            crowd.name,
            size,
            method.__name__,
            tuple(expected_error(*each) for each in found),
            tuple(float(right.mean()) for _, right in found),
            tuple(bins(scores, is_right)),
        )


def _apply(
    method: Callable[..., Aggregation], crowd: crowds.Crowd, columns: Columns, truth: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    found = method(Votes(*columns, crowd.tasks, crowd.people, crowd.classes))
    return found.scores, found.labels == truth


def all_results(seeds: tuple[int, ...] = crowds.REPORTING_SEEDS) -> Iterator[Result]:
    """Iterate over all crowds in all sizes."""
    for crowd in crowds.CROWDS:
        for size in SIZES:
            yield from measure(crowd, size, seeds)
