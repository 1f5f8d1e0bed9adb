"""
The crowds that labels are measured with. They were fixed before anything was tuned, and stay as they are.

Nobody's answer depends on when it is given or on what else is asked: what a person answers to a task comes from the
seed, the person and the task alone, and so does the order in which people come to a task. Two strategies with the same
seed ask the same people, and one that asks for a fourth answer gets it from the fourth of them. A person answers a task
once at most. All people are equally likely to come to a task.

Parameters are tuned with ``TUNING_SEEDS`` only, and figures are reported with ``REPORTING_SEEDS`` only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TUNING_SEEDS = tuple(range(20))
REPORTING_SEEDS = tuple(range(1000, 1010))

# What a random number is for; one purpose does not know of another.
_ORDER, _ANSWER, _WRONG, _ACCURACY, _SPAM, _TRUTH, _RANK, _LIKE = range(1, 9)
# Digits that are taken for each other.
LOOK_ALIKE = (6, 7, 3, 8, 9, 6, 5, 1, 3, 4)


@dataclass(frozen=True)
class Crowd:
    """
    People and tasks, as they are for every seed.

    :param low: The accuracy of people with an accuracy of their own is uniform from this one ...
    :param high: ... to this one: the share of tasks that they answer right, whatever the task. A wrong answer is any of
        the other classes, each as likely.
    :param at_chance: The share of people who answer anything, each class as likely.
    :param always_same: The share of people who give one answer, their own, to all tasks.
    :param look_alike: The share of wrong answers that are the class which ``LOOK_ALIKE`` has for the right one.
    :param truth: The right class of each task; drawn by the seed, each class as likely, if there is none.
    """

    name: str
    low: float
    high: float
    at_chance: float = 0.0
    always_same: float = 0.0
    people: int = 30
    tasks: int = 2_000
    classes: int = 4
    look_alike: float = 0.0
    truth: tuple[int, ...] | None = None

    def sized(self, tasks: int) -> Crowd:
        """Return the same people with another number of tasks."""
        return replace(self, tasks=tasks)


MIXED = Crowd("mixed", 0.55, 0.95, at_chance=0.1)
GOOD = Crowd("good", 0.85, 0.97)
# Half of the spammers press any button, the others always the same one.
SPAMMERS = Crowd("spammers", 0.55, 0.95, at_chance=1 / 6, always_same=2 / 15)
CROWDS = (MIXED, GOOD, SPAMMERS)


def digits() -> Crowd:
    """Return the mixed people, and the 1,797 digits that scikit-learn ships: hard ones are taken for their likes."""
    from sklearn.datasets import load_digits

    truth = tuple(int(label) for label in load_digits().target)
    return replace(MIXED, name="digits", tasks=len(truth), classes=10, look_alike=0.5, truth=truth)


@dataclass(frozen=True, eq=False)
class Answers:
    """
    All answers that the people of a crowd would give with a seed.

    :param truth: Per task: its class.
    :param accuracies: Per person: the share of right answers to be expected.
    :param order: Tasks x people: the person who comes to the task as the first, the second, ...
    :param labels: Tasks x people: the class that the person answers.
    """

    crowd: Crowd
    seed: int
    truth: NDArray[np.int32]
    accuracies: NDArray[np.float64]
    order: NDArray[np.int32]
    labels: NDArray[np.int32]

    def given(self, overlaps: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """
        Return the task, the person and the class of each answer, by task and then in the order of coming.

        :param overlaps: How many people are asked about each task, or about all of them.
        """
        asked = np.broadcast_to(np.asarray(overlaps), (self.crowd.tasks,))
        tasks, turns = np.nonzero(np.arange(self.crowd.people) < asked[:, None])
        people = self.order[tasks, turns]
        return tasks.astype(np.int32), people, self.labels[tasks, people]

    def accuracy(self, labels: NDArray[np.int32]) -> float:
        """Return the share of tasks whose label is right."""
        return float(np.mean(labels == self.truth))


def simulate(crowd: Crowd, seed: int) -> Answers:
    """Return all answers of a crowd; the same ones for the same seed, wherever it runs."""
    people, tasks = np.arange(crowd.people), np.arange(crowd.tasks)
    pairs = tasks[:, None], people[None, :]
    truth = true_classes(crowd, seed)
    return Answers(
        crowd,
        seed,
        truth,
        accuracies(crowd, seed),
        np.argsort(_uniform(seed, _ORDER, *pairs), axis=1, kind="stable").astype(np.int32),
        answer(crowd, seed, people[None, :], tasks[:, None], truth[:, None]),
    )


def true_classes(crowd: Crowd, seed: int) -> NDArray[np.int32]:
    """Return the class of each task."""
    if crowd.truth is not None:
        return np.resize(np.array(crowd.truth, np.int32), crowd.tasks)
    return (_uniform(seed, _TRUTH, np.arange(crowd.tasks), 0) * crowd.classes).astype(np.int32)


def kinds(crowd: Crowd, seed: int) -> NDArray[np.int32]:
    """Return who is what: 0 has an accuracy, 1 answers anything, 2 always the same. Who it is, the seed says."""
    ranks = np.argsort(_uniform(seed, _RANK, np.arange(crowd.people), 0), kind="stable")
    anything, same = round(crowd.people * crowd.at_chance), round(crowd.people * crowd.always_same)
    result = np.zeros(crowd.people, np.int32)
    result[ranks[:anything]] = 1
    result[ranks[anything : anything + same]] = 2
    return result


def accuracies(crowd: Crowd, seed: int) -> NDArray[np.float64]:
    """Return how often each person is right; spammers are as often as there are classes."""
    own = crowd.low + (crowd.high - crowd.low) * _uniform(seed, _ACCURACY, np.arange(crowd.people), 0)
    return np.where(kinds(crowd, seed) == 0, own, 1 / crowd.classes)


def answer(crowd: Crowd, seed: int, person: ArrayLike, task: ArrayLike, truth: ArrayLike) -> NDArray[np.int32]:
    """
    Return what a person answers to a task; arrays are combined as numpy does.

    :param truth: The class of the task.
    """
    person, truth = np.asarray(person), np.asarray(truth)
    right = _uniform(seed, _ANSWER, task, person) < accuracies(crowd, seed)[person]
    # Any of the others: as many steps further, around.
    other = (truth + 1 + (_uniform(seed, _WRONG, task, person) * (crowd.classes - 1)).astype(np.int32)) % crowd.classes
    if crowd.look_alike:
        alike = _uniform(seed, _LIKE, task, person) < crowd.look_alike
        # Who answers anything takes nothing for anything.
        other = np.where(alike & (kinds(crowd, seed)[person] == 0), np.array(LOOK_ALIKE)[truth], other)
    same = (_uniform(seed, _SPAM, person, 0) * crowd.classes).astype(np.int32)
    return np.where(kinds(crowd, seed)[person] == 2, same, np.where(right, truth, other)).astype(np.int32)


def _uniform(seed: int, purpose: int, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return numbers from 0 to below 1 that depend on the arguments alone (SplitMix64, once for each of them)."""
    state = np.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for part in (seed, purpose, first, second):
            state = _mixed(state ^ np.asarray(part).astype(np.uint64))
    return np.asarray(state >> np.uint64(11), np.float64) * 2.0**-53


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
