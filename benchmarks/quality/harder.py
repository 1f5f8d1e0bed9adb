"""How sure `dawid_skene_map` is of what the fixed crowds do not have: hard tasks, many classes, few tasks or votes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.label import crowds
from benchmarks.quality.calibration import expected_error
from benchmarks.quality.fit import many_votes
from toloka_airflow.quality.methods import Votes, dawid_skene_map

OVERLAP, ANSWERS_EACH = 3, 200


@dataclass(frozen=True)
class Case:
    """
    Tasks of a crowd that are not as it has them.

    :param hard: The share of tasks of which each answer is a guess with a probability of one half.
    :param compared: The share of tasks that have three votes; the others have one.
    """

    name: str
    crowd: crowds.Crowd = crowds.MIXED
    tasks: int = 2_000
    hard: float = 0.0
    compared: float = 1.0


CASES = (
    Case("as above"),
    Case("20 % of the tasks are hard: half of their answers are guesses", hard=0.2),
    Case("40 % of the tasks are hard", hard=0.4),
    Case("20 classes", crowd=replace(crowds.MIXED, classes=20)),
    Case("300 tasks", tasks=300),
    Case("100 tasks", tasks=100),
    Case("30 % of the tasks have three votes, the others one", compared=0.3),
    Case("5 % of the tasks have three votes, the others one", compared=0.05),
    Case("the spammers, 5 % of the tasks have three votes, the others one", crowd=crowds.SPAMMERS, compared=0.05),
)


def measure(case: Case, seed: int) -> tuple[float, float, float]:
    """Return the share of right labels, the calibration error, and how far the mean confidence is above the share."""
    crowd, (tasks, people, labels), truth = many_votes(
        case.tasks * OVERLAP, case.crowd, seed=seed, overlap=OVERLAP, answers_each=ANSWERS_EACH
    )
    random = np.random.default_rng(seed + 7)
    is_guess = (random.random(crowd.tasks) < case.hard)[tasks] & (random.random(len(tasks)) < 0.5)
    labels = np.where(is_guess, random.integers(crowd.classes, size=len(labels)), labels).astype(np.int32)
    first = random.permuted(np.tile([True, False, False], (crowd.tasks, 1)), axis=1).reshape(-1)
    is_given = (random.random(crowd.tasks) < case.compared)[tasks] | first
    columns = (tasks[is_given], people[is_given], labels[is_given])
    found = dawid_skene_map(Votes(*columns, crowd.tasks, crowd.people, crowd.classes))
    is_right = found.labels == truth
    right = float(is_right.mean())
    return right, expected_error(found.scores, is_right), float(found.scores.mean()) - right


def rows() -> Iterator[str]:
    """Yield the rows of the table: medians of the reporting seeds, and the greatest."""
    yield "| Mixed crowd, 2,000 tasks, but | Right labels | Calibration error | Too sure by |"
    yield "| --- | --- | --- | --- |"
    for case in CASES:
        right, errors, excess = zip(*(measure(case, seed) for seed in crowds.REPORTING_SEEDS), strict=True)
        columns = (f"{statistics.median(each):.3f} ({max(each):.3f})" for each in (errors, excess))
        yield f"| {case.name} | {statistics.median(right):.1%} | {' | '.join(columns)} |"
