"""Votes that are counted, and the errors of what is no vote."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.label import crowds
from tests.unit.quality.methods.votes import assert_same, shuffled, simulated, votes_of
from toloka_airflow.quality.methods import METHODS, Votes, majority_vote, weighted_vote


def test_the_label_with_the_most_votes() -> None:
    found = majority_vote(votes_of([(0, 1), (1, 1), (2, 0)], [(0, 2)], []))
    assert found.labels.tolist() == [1, 2, -1]
    np.testing.assert_allclose(found.scores, [2 / 3, 1, np.nan])
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, [[1 / 3, 2 / 3, 0], [0, 0, 1], [0, 0, 0]])
    assert not found.is_confidence
    assert found.skills is None


def test_labels_with_equally_many_votes_take_turns() -> None:
    """None of them is favoured, and only those that have the most votes are among them."""
    found = majority_vote(votes_of(*[[(0, 0), (1, 2), (2, 3), (3, 3), (4, 2)]] * 6000, labels=5))
    counts = np.bincount(found.labels, minlength=5)
    assert counts[[0, 1, 4]].tolist() == [0, 0, 0]
    assert abs(counts[2] - 3000) < 150
    np.testing.assert_allclose(found.scores, 0.4)


def test_turns_are_those_of_the_task() -> None:
    """Whether other people or other tasks have votes does not matter."""
    tie, other = [(0, 0), (1, 1)], [(3, 1), (4, 0)]
    first = majority_vote(votes_of(*[tie] * 50)).labels
    assert majority_vote(votes_of(*[other] * 50)).labels.tolist() == first.tolist()
    assert majority_vote(votes_of(*[[], tie] * 25)).labels[1::2].tolist() == first[1::2].tolist()


def test_many_labels_need_no_table() -> None:
    """As with free text, of which each is another."""
    count = 30_000
    tasks, labels = np.repeat(np.arange(count), 3), np.arange(3 * count) // 2
    votes = Votes(tasks, np.tile(np.arange(3), count), labels, count, 3, 2 * count)
    found = majority_vote(votes)
    assert found.probabilities is None
    # Of tasks with two like votes, these; the others have three different ones, or two of the first and a third.
    assert found.labels[:4].tolist() == [0, 2, 3, 5]
    assert_same(found, majority_vote(shuffled(votes)))


def test_who_is_right_on_control_tasks_weighs_more() -> None:
    controls = [[(0, 0), (1, 1), (2, 1), (3, 0)]] * 10
    votes = votes_of(*controls, [(0, 2), (1, 1), (2, 1)], [(4, 0)])
    found = weighted_vote(votes, np.array([0] * 10 + [-1, -1], np.int32))
    assert found.labels[10:].tolist() == [2, 0]
    assert found.skills is not None
    # Half of all answers are right, which counts as two answers more for each; the last has none of their own.
    np.testing.assert_allclose(found.skills, [11 / 12, 1 / 12, 1 / 12, 11 / 12, 1 / 2])
    np.testing.assert_allclose(found.scores[10], 11 / 13)
    assert not found.is_confidence


def test_weights_that_add_up_to_the_same_are_a_tie() -> None:
    """In whatever order they are added: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 for a computer."""
    found = majority_vote(votes_of(*[[(0, 0), (1, 1)]] * 40))
    votes = votes_of([(0, 0), (1, 0), (2, 0), (3, 0)], *[[(0, 0), (1, 1)]] * 40)
    weighted = weighted_vote(votes, np.array([0] + [-1] * 40, np.int32))
    assert 0 < found.labels.sum() < 40
    assert 0 < weighted.labels.sum() < 40


def test_weights_need_control_tasks() -> None:
    with pytest.raises(ValueError, match="none for a control task"):
        weighted_vote(votes_of([(0, 1)], []), np.array([-1, 1], np.int32))


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_votes_does_not_matter(name: str) -> None:
    votes = simulated(crowds.simulate(crowds.SPAMMERS.sized(300), 1), 4)
    known = (np.array([0] * 20 + [-1] * 280, np.int32),) if name == "weighted_vote" else ()
    first = METHODS[name](votes, *known)
    for seed in range(3):
        assert_same(METHODS[name](shuffled(votes, seed), *known), first)


@pytest.mark.parametrize("name", ["majority_vote", "dawid_skene", "dawid_skene_map"])
def test_tasks_without_votes(name: str) -> None:
    """They have no label, and change nothing for the others."""
    tasks = [[(0, 1), (1, 1), (2, 0)], [(0, 2), (3, 2)], [(1, 0), (2, 1), (3, 0)]]
    votes = votes_of([], *tasks[:2], [], tasks[2], [])
    found, others = METHODS[name](votes), METHODS[name](votes_of(*tasks))
    assert found.labels.tolist() == [-1, *others.labels[:2], -1, others.labels[2], -1]
    assert np.isnan(found.scores).tolist() == [True, False, False, True, False, True]
    np.testing.assert_allclose(found.scores[[1, 2, 4]], others.scores)
    nothing = METHODS[name](votes_of([], []))
    assert nothing.labels.tolist() == [-1, -1]
    assert np.isnan(nothing.scores).all()
    assert METHODS[name](Votes(*np.empty((3, 0), np.int32), 0, 0, 0)).labels.tolist() == []


@pytest.mark.parametrize("name", ["majority_vote", "dawid_skene", "dawid_skene_map"])
def test_a_single_label(name: str) -> None:
    found = METHODS[name](votes_of([(0, 0), (1, 0)], [(2, 0)], labels=1))
    assert found.labels.tolist() == [0, 0]
    assert found.scores.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["dawid_skene", "dawid_skene_map"])
def test_too_many_labels_for_confusion_matrices(name: str) -> None:
    count = 6000
    votes = Votes(np.arange(count), np.arange(count), np.arange(count), count, count, count)
    with pytest.raises(ValueError, match=r"6000 labels for 6000 tasks are too many.*majority_vote"):
        METHODS[name](votes)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0], [0], [3]), "labels has numbers from 3 to 3, of 3"),
        (([0], [0], [-1]), "labels has numbers from -1 to -1, of 3"),
        (([2], [0], [0]), "tasks has numbers from 2 to 2, of 2"),
        (([0], [9], [0]), "people has numbers from 9 to 9, of 4"),
        (([0, 1], [0, 1], [0]), "2 tasks, 2 people, 1 labels"),
    ],
)
def test_what_is_no_vote(columns: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Votes(*(np.array(column, np.int32) for column in columns), 2, 4, 3)


@pytest.mark.parametrize("name", ["majority_vote", "dawid_skene", "dawid_skene_map"])
def test_a_person_who_votes_twice(name: str) -> None:
    with pytest.raises(ValueError, match="more than one"):
        METHODS[name](votes_of([(0, 1), (1, 1), (0, 2)]))
