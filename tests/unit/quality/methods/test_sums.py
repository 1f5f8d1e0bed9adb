"""Sums over votes are those that one gets by going through the votes one after the other."""

from __future__ import annotations

import numpy as np

from tests.unit.quality.methods.votes import shuffled
from toloka_airflow.quality.methods import Votes
from toloka_airflow.quality.methods.sums import VoteSums

TASKS, PEOPLE, LABELS = 400, 12, 3


def uneven() -> Votes:
    """Return votes, in order: none to five on most tasks, and those of everybody on every hundredth, a control task."""
    random = np.random.default_rng(0)
    people = [
        np.arange(PEOPLE) if task % 100 == 7 else np.sort(random.permutation(PEOPLE)[: random.integers(6)])
        for task in range(TASKS)
    ]
    tasks = np.repeat(np.arange(TASKS, dtype=np.int32), [len(each) for each in people])
    labels = random.integers(LABELS, size=len(tasks), dtype=np.int32)
    return shuffled(Votes(tasks, np.concatenate(people).astype(np.int32), labels, TASKS, PEOPLE, LABELS)).sorted()


def test_by_task_and_by_pair() -> None:
    sums = VoteSums(uneven())
    assert 0 < sums.rest.start < len(sums.votes)  # so both ways of summing up are taken
    numbers = np.random.default_rng(1).random(len(sums.votes))
    of_tasks = np.random.default_rng(2).random(len(sums.voted))
    by_task, by_pair = dict.fromkeys(range(TASKS), 0.0), dict.fromkeys(range(PEOPLE * LABELS), 0.0)
    column = {int(task): number for task, number in zip(sums.voted, of_tasks, strict=True)}
    rows = zip(sums.votes.tasks.tolist(), sums.votes.people.tolist(), sums.votes.labels.tolist(), numbers, strict=True)
    for task, person, label, number in rows:
        by_task[task] += number
        by_pair[person * LABELS + label] += column[task]
    np.testing.assert_allclose(sums.by_task(numbers), [by_task[int(task)] for task in sums.voted])
    np.testing.assert_allclose(sums.by_pair(of_tasks), [by_pair[int(pair)] for pair in sums.pairs])


def test_the_votes_are_the_same_in_another_order() -> None:
    votes = uneven()
    sums = VoteSums(votes)
    again = sums.votes.sorted()
    for name in ("tasks", "people", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(votes, name))
    np.testing.assert_array_equal(sums.voted[sums.tasks], sums.votes.tasks)
    assert sorted(sums.voted) == sorted(set(votes.tasks.tolist()))


def test_shares() -> None:
    sums = VoteSums(uneven())
    votes = sums.votes
    for number, task in enumerate(sums.voted):
        labels = votes.labels[votes.tasks == task]
        np.testing.assert_allclose(sums.shares()[:, number], np.bincount(labels, minlength=LABELS) / len(labels))
