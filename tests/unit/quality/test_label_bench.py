"""What `make bench-label` measures with, and that `label_until` saves what it is said to save."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.label import __main__ as bench
from benchmarks.label.crowds import (
    CROWDS,
    GOOD,
    MIXED,
    REPORTING_SEEDS,
    SPAMMERS,
    TUNING_SEEDS,
    answer,
    kinds,
    simulate,
)
from benchmarks.label.figures import Spread
from benchmarks.label.strategies import Dynamic, Fixed, LabelUntil, certainty, outcome
from toloka_airflow.emulator.resources.dynamic_overlap import TRUST, most_certain


def test_label_until_needs_65_percent_of_the_answers_of_overlap_5():
    gains = []
    for seed in REPORTING_SEEDS[:3]:
        answers = simulate(MIXED, seed)
        ours, fixed = outcome(LabelUntil(budget=3.25), answers), outcome(Fixed(5), answers)
        assert ours.answers <= 0.65 * fixed.answers
        gains.append(ours.accuracy - fixed.accuracy)
    assert np.median(gains) >= 0


def test_seeds_that_are_reported_are_not_those_of_tuning():
    assert not set(TUNING_SEEDS) & set(REPORTING_SEEDS)
    assert len(REPORTING_SEEDS) == 10


@pytest.mark.parametrize("crowd", CROWDS, ids=lambda crowd: crowd.name)
def test_crowds_are_as_described(crowd):
    answers = simulate(crowd, 1)
    right = (answers.labels == answers.truth[:, None]).mean(axis=0)
    own = kinds(crowd, 1) != 2
    assert np.abs(right - answers.accuracies)[own].max() < 0.05
    assert np.all(np.sort(answers.order, axis=1) == np.arange(crowd.people))
    honest = answers.accuracies[kinds(crowd, 1) == 0]
    assert crowd.low <= honest.min() < honest.max() <= crowd.high
    shares = {"mixed": [27, 3], "good": [30], "spammers": [21, 5, 4]}
    assert np.bincount(kinds(crowd, 1)).tolist() == shares[crowd.name]


def test_an_answer_depends_on_seed_person_and_task_alone():
    small, large = simulate(MIXED, 7), simulate(MIXED.sized(3_000), 7)
    assert np.array_equal(small.labels, large.labels[:2_000])
    assert np.array_equal(small.order, large.order[:2_000])
    assert answer(MIXED, 7, 4, 1_234, small.truth[1_234]) == small.labels[1_234, 4]
    assert not np.array_equal(small.labels, simulate(MIXED, 8).labels)
    # As it was when it was fixed.
    assert small.truth[:8].tolist() == [3, 2, 1, 3, 3, 2, 1, 1]
    assert small.labels[0, :8].tolist() == [3, 3, 1, 3, 0, 2, 3, 3]


def test_more_overlap_keeps_the_answers_that_are_there():
    answers = simulate(GOOD, 2)
    overlaps = np.arange(GOOD.tasks) % 4
    few, many = (set(zip(*(part.tolist() for part in answers.given(asked)), strict=True)) for asked in (overlaps, 5))
    assert few < many
    assert np.array_equal(np.bincount(answers.given(overlaps)[0], minlength=GOOD.tasks), overlaps)
    tasks, people, _ = answers.given(5)
    assert len(set(zip(tasks.tolist(), people.tolist(), strict=True))) == 5 * GOOD.tasks


def test_dynamic_overlap_is_as_certain_as_in_the_emulator():
    weights = np.full(9, np.log(TRUST / (1 - TRUST)))
    for labels in itertools.chain.from_iterable(itertools.product(range(3), repeat=count) for count in range(1, 6)):
        votes = np.array(labels, np.int32)
        tasks, people = np.zeros(len(labels), np.int32), np.arange(len(labels), dtype=np.int32)
        assert certainty(tasks, people, votes, weights, 1, 3)[0] == pytest.approx(most_certain(list(labels))[1])


def test_strategies_keep_to_their_limits():
    answers = simulate(SPAMMERS.sized(300), 3)
    asked, rounds = LabelUntil(budget=3).overlaps(answers)
    assert (asked.min(), asked.sum() <= 900, rounds <= 5) == (2, True, True)
    asked, _ = LabelUntil(first=1, max_overlap=3, target=1, sure_at=1).overlaps(answers)
    assert set(asked.tolist()) == {3}
    asked, _ = Dynamic(1, first=3, max_overlap=5).overlaps(answers)
    assert set(asked.tolist()) == {5}
    asked, _ = Dynamic(0, first=3).overlaps(answers)
    assert set(asked.tolist()) == {3}


def test_figures_become_a_table_a_verdict_and_a_picture():
    results = bench.measure([MIXED.sized(100)], REPORTING_SEEDS[:2])
    lines = list(bench.table(results, ["mixed"]))
    assert len(lines) == 2 + len(bench.ROWS)
    assert {line.count("|") for line in lines} == {6}
    assert "65%" in next(bench.verdict(results, ["mixed"]))
    picture = ElementTree.fromstring("\n".join(bench.picture(results, ["mixed"])))
    assert len(picture.findall("{*}polyline")) == 2 * len(bench.KINDS)


def test_a_spread_without_a_range_is_one_number():
    assert Spread.of([2, 2, 2]).text(".1f") == "2.0"
    assert Spread.of([3, 1, 2, 9]).text(".1f") == "2.5 (1.0 to 9.0)"
