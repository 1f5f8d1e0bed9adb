"""Votes for the tests of methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.label.crowds import Answers
from toloka_airflow.quality.methods import Aggregation, Votes


def votes_of(*tasks: Sequence[tuple[int, int]], people: int = 5, labels: int = 3) -> Votes:
    """Return votes; those of a task are pairs of a person and a label."""
    rows = [(task, person, label) for task, given in enumerate(tasks) for person, label in given]
    columns = np.array(rows, np.int32).reshape(-1, 3).T
    return Votes(*columns, len(tasks), people, labels)


def simulated(answers: Answers, overlap: int) -> Votes:
    crowd = answers.crowd
    return Votes(*answers.given(overlap), crowd.tasks, crowd.people, crowd.classes)


def shuffled(votes: Votes, seed: int = 0) -> Votes:
    order = np.random.default_rng(seed).permutation(len(votes))
    columns = votes.tasks[order], votes.people[order], votes.labels[order]
    return Votes(*columns, votes.task_count, votes.person_count, votes.label_count)


def assert_same(first: Aggregation, second: Aggregation) -> None:
    """Both are the same to the last bit."""
    for name in ("labels", "scores", "probabilities", "skills"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
