"""Votes in plain arrays, and what an aggregation makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 62


@dataclass(frozen=True, eq=False)
class Votes:
    """
    What people said about tasks, an entry for each vote; each person has at most one for each task.

    Tasks, people and labels are numbers from 0. Let them stand for ids and values in a sorted order: then nothing that
    is made of the votes depends on the order of rows in a file.

    :param tasks: For each vote, the number of its task.
    :param people: For each vote, the number of the person.
    :param labels: For each vote, the number of the label that the person gave.
    :param task_count: How many tasks there are, with or without votes.
    :param person_count: How many people there are.
    :param label_count: How many labels there are.
    """

    tasks: NDArray[np.int32]
    people: NDArray[np.int32]
    labels: NDArray[np.int32]
    task_count: int
    person_count: int
    label_count: int

    def __len__(self) -> int:
        return len(self.tasks)

    def __post_init__(self) -> None:
        if not len(self.tasks) == len(self.people) == len(self.labels):
            sizes = f"{len(self.tasks)} tasks, {len(self.people)} people, {len(self.labels)} labels"
            raise ValueError(f"votes: there are {sizes}; each vote has one of each")
        for name, numbers, count in (
            ("tasks", self.tasks, self.task_count),
            ("people", self.people, self.person_count),
            ("labels", self.labels, self.label_count),
        ):
            if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
                raise ValueError(f"votes: {name} has numbers from {numbers.min()} to {numbers.max()}, of {count}")

    def sorted(self) -> Votes:
        """
        Return the same votes by task, and those of a task by person.

        :raises ValueError: If a person has several for a task.
        """
        for_label = max(self.label_count - 1, 0).bit_length()
        for_person = max(self.person_count - 1, 0).bit_length()
        if self.task_count.bit_length() + for_person + for_label > _BITS:
            raise ValueError(f"votes: {self.task_count} tasks, {self.person_count} people: too many at a time")
        # A vote is one number, as numbers are sorted several times as fast as their places are found.
        keys = ((self.tasks.astype(np.int64) << for_person) + self.people << for_label) + self.labels
        is_sorted = bool(np.all(keys[1:] > keys[:-1]))
        if not is_sorted:
            keys.sort()
        pairs = keys >> for_label
        if bool(np.any(pairs[1:] == pairs[:-1])):
            raise ValueError("votes: a person has more than one for a task; keep one of them")
        if is_sorted:
            return self
        return Votes(
            (pairs >> for_person).astype(np.int32),
            (pairs & ((1 << for_person) - 1)).astype(np.int32),
            (keys & ((1 << for_label) - 1)).astype(np.int32),
            self.task_count,
            self.person_count,
            self.label_count,
        )

    def per_task(self) -> NDArray[np.int64]:
        """Return how many votes each task has."""
        return np.bincount(self.tasks, minlength=self.task_count)


@dataclass(frozen=True, eq=False)
class Aggregation:
    """
    What votes come to: a label for each task, and how much speaks for it.

    :param labels: For each task, the number of its label; -1 where nobody has voted.
    :param scores: For each task, the method's number for that label, from 0 to 1; nan where nobody has voted.
    :param is_confidence: Whether the scores are calibrated: of the tasks with 0.9, nine in ten are right. It depends on
        the votes, too: where none was compared with another, or with a known label, nothing is.
    :param probabilities: For each task and label, the method's number; zeros where nobody has voted. ``None`` if the
        method has none, or if the table would be too large.
    :param skills: For each person, the estimated share of right answers; nan if not known.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    is_confidence: bool
    probabilities: NDArray[np.float64] | None
    skills: NDArray[np.float64] | None
