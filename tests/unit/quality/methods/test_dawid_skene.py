"""Dawid and Skene's method gives the labels of crowd-kit, and the one with priors means what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.label import crowds
from benchmarks.quality.calibration import expected_error
from benchmarks.quality.fit import many_votes
from benchmarks.quality.record import GUESSING
from tests.unit.quality.methods.votes import simulated, votes_of
from toloka_airflow.quality.methods import Votes, dawid_skene, dawid_skene_map, majority_vote

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORDED = json.loads((Path(__file__).parent / "crowd_kit_1.4.2.json").read_text())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['crowd']}, {case['overlap']}")
def test_the_labels_of_crowd_kit(case: dict[str, Any]) -> None:
    """All of them here; make bench-quality compares a million answers with the library itself."""
    [crowd] = [each for each in (*crowds.CROWDS, GUESSING) if each.name == case["crowd"]]
    found = dawid_skene(simulated(crowds.simulate(crowd.sized(case["tasks"]), case["seed"]), case["overlap"]))
    assert "".join(map(str, found.labels)) == case["labels"]
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[: len(case["probabilities"])], case["probabilities"], atol=1e-9)
    assert not found.is_confidence


def test_it_stops_after_some_iterations() -> None:
    votes = simulated(crowds.simulate(crowds.MIXED.sized(200), 1), 3)
    first, second = dawid_skene(votes, iterations=1), dawid_skene(votes, iterations=2)
    assert (first.scores != second.scores).any()
    # The first bound is more than any tolerance above none.
    assert (dawid_skene(votes, tolerance=1e9).scores == second.scores).all()


@pytest.mark.parametrize("each", [30, 200])
@pytest.mark.parametrize("crowd", [crowds.MIXED, crowds.GOOD], ids=lambda crowd: crowd.name)
def test_a_confidence_is_a_share_of_right_labels(crowd: crowds.Crowd, each: int) -> None:
    """Also if nothing is known of people but few answers, to tasks with two others."""
    crowd, columns, truth = many_votes(60_000, crowd, answers_each=each)
    votes = Votes(*columns, crowd.tasks, crowd.people, crowd.classes)
    found = dawid_skene_map(votes)
    assert found.is_confidence
    assert expected_error(found.scores, found.labels == truth) <= 0.03
    majority = majority_vote(votes)
    assert (found.labels == truth).mean() > (majority.labels == truth).mean() - 0.001
    assert expected_error(majority.scores, majority.labels == truth) > 0.06


def test_people_are_known_by_their_answers() -> None:
    answers = crowds.simulate(crowds.MIXED, crowds.REPORTING_SEEDS[0])
    found = dawid_skene_map(simulated(answers, 5))
    assert found.skills is not None
    assert np.abs(found.skills - answers.accuracies).max() < 0.1


def test_who_always_says_the_same_says_nothing() -> None:
    """The one vote of a spammer is no more than a guess by how frequent labels are, and is not called sure."""
    answers = crowds.simulate(replace(crowds.GOOD, tasks=600, classes=3), 5)
    tasks, people, labels = answers.given(3)
    spam = [(task, 30, 0) for task in range(700)]
    rows = [*zip(tasks.tolist(), people.tolist(), labels.tolist(), strict=True), *spam]
    by_task: list[list[tuple[int, int]]] = [[] for _ in range(700)]
    for task, person, label in rows:
        by_task[task].append((person, label))
    found = dawid_skene_map(votes_of(*by_task, people=31))
    assert (found.scores[600:] < 0.6).all()
    assert found.skills is not None
    assert found.skills[30] < 0.5 < found.skills[:30].min()


def test_known_labels_show_who_is_good() -> None:
    """Here most people are wrong in the same way; the votes alone would have it the other way round."""
    tasks = [[(person, 0 if person < 2 else 1) for person in range(5)]] * 30
    known = np.array([0] * 10 + [-1] * 20, np.int32)
    assert set(dawid_skene_map(votes_of(*tasks)).labels) == {1}
    found = dawid_skene_map(votes_of(*tasks), known)
    assert set(found.labels[10:]) == {0}


def test_a_control_task_has_the_label_of_its_votes() -> None:
    """So how many of them are right says how good the labels are."""
    answers = crowds.simulate(crowds.MIXED, crowds.REPORTING_SEEDS[1])
    votes = simulated(answers, 3)
    known = np.where(np.arange(2000) % 2, answers.truth, -1).astype(np.int32)
    is_right = dawid_skene_map(votes, known).labels == answers.truth
    assert 0.7 < is_right[known >= 0].mean() < 0.95
    assert abs(is_right[known >= 0].mean() - is_right[known < 0].mean()) < 0.04


def test_known_labels_of_tasks_without_votes_and_of_none() -> None:
    tasks = [[(0, 1), (1, 1)], [], [(0, 2)]]
    nothing_known = dawid_skene_map(votes_of(*tasks))
    found = dawid_skene_map(votes_of(*tasks), np.array([-1, 0, -1], np.int32))
    np.testing.assert_array_equal(found.scores, nothing_known.scores)
    assert found.labels.tolist() == [1, -1, 2]
    assert found.skills is not None
    assert np.isnan(found.skills).tolist() == [False, False, True, True, True]


def one_vote_each(crowd: crowds.Crowd, *, compared: float = 0.0) -> tuple[Votes, NDArray[np.int32], NDArray[np.bool_]]:
    """Return votes, three on a share of the tasks and one on each other; right labels; and which are compared."""
    crowd, (tasks, people, labels), truth = many_votes(6_000, crowd, answers_each=200)
    random = np.random.default_rng(0)
    is_compared = random.random(crowd.tasks) < compared
    kept = np.zeros((crowd.tasks, 3), np.bool_)
    kept[np.arange(crowd.tasks), random.integers(3, size=crowd.tasks)] = True
    kept[is_compared] = True
    rows = kept.reshape(-1)
    votes = Votes(tasks[rows], people[rows], labels[rows], crowd.tasks, crowd.people, crowd.classes)
    return votes, truth.astype(np.int32), is_compared


def test_no_confidence_where_nothing_was_compared() -> None:
    """All votes agree with themselves: of these labels 0.7 are right, and the votes cannot show it."""
    votes, truth, _ = one_vote_each(crowds.MIXED)
    for known in (None, np.full(votes.task_count, -1, np.int32)):
        found = dawid_skene_map(votes, known)
        assert not found.is_confidence
        np.testing.assert_array_equal(found.labels, votes.labels)
        assert found.skills is not None
        assert np.isnan(found.skills).all()
    assert (votes.labels == truth).mean() < 0.75


@pytest.mark.parametrize("crowd", [crowds.MIXED, crowds.GOOD], ids=lambda crowd: crowd.name)
def test_a_single_vote_is_as_sure_as_people_are_right_where_they_were_compared(crowd: crowds.Crowd) -> None:
    votes, truth, is_compared = one_vote_each(crowd, compared=0.3)
    found = dawid_skene_map(votes)
    assert found.is_confidence
    single = ~is_compared
    is_right = found.labels == truth
    assert abs(found.scores[single].mean() - is_right[single].mean()) < 0.03
    assert expected_error(found.scores, is_right) < 0.05


def test_control_tasks_show_how_sure_single_votes_are() -> None:
    votes, truth, _ = one_vote_each(crowds.MIXED)
    is_control = np.arange(votes.task_count) % 5 == 0
    found = dawid_skene_map(votes, np.where(is_control, truth, -1).astype(np.int32))
    assert found.is_confidence
    is_right = found.labels == truth
    assert abs(found.scores[~is_control].mean() - is_right[~is_control].mean()) < 0.03


def test_who_was_never_compared_is_taken_for_one_like_all() -> None:
    """One in five answers of the others is wrong, so what person 4 alone has answered is no surer than that."""
    is_wrong = np.random.default_rng(0).random((300, 4)) < 0.2
    together = [[(person, (task + int(is_wrong[task, person])) % 2) for person in range(4)] for task in range(300)]
    alone = [[(4, task % 2)] for task in range(400)]
    found = dawid_skene_map(votes_of(*together, *alone, labels=2))
    assert found.is_confidence
    assert found.skills is not None
    assert np.isnan(found.skills).tolist() == [False] * 4 + [True]
    assert 0.75 < found.scores[300:].min() <= found.scores[300:].max() < 0.85
