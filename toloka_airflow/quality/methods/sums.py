"""Sums over votes, by task and by person, a label at a time; all the time of Dawid-Skene is spent here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.methods.votes import Votes

MAX_TABLE = 32_000_000
"""Numbers in a table, 256 MB: how large tasks times labels, or people times labels times labels, may be."""


class VoteSums:
    """
    Votes, and what is summed up over them.

    Tables have a row for each label that could be right, and are summed up row by row: a row of all votes is the most
    that is in memory beside them.

    The votes are put into rounds: the first vote of each task, then the second of each that has one, and so on. Tasks
    with more votes come first, so the votes of a round are one slice, and their tasks are the first of a row; slices
    are added several times as fast as single numbers. Rounds of few votes, which the control tasks have that everybody
    answered, are no faster: the votes of all of them together are the rest.

    :param votes: In order; at least one.
    :raises ValueError: If there are too many labels for the tables.
    """

    def __init__(self, votes: Votes) -> None:
        starts = np.flatnonzero(np.r_[True, votes.tasks[1:] != votes.tasks[:-1]])
        given = np.diff(np.r_[starts, len(votes)])
        starts = starts[np.argsort(-given, kind="stable")]
        sizes = np.cumsum(np.bincount(given)[:0:-1])[::-1]  # how many tasks have one vote, two votes, ... at least
        by_round = np.concatenate([starts[:size] + number for number, size in enumerate(sizes)])
        self.votes = votes = replace(
            votes, tasks=votes.tasks[by_round], people=votes.people[by_round], labels=votes.labels[by_round]
        )
        self.voted = votes.tasks[: len(starts)]
        """The tasks that have votes; only they are in the tables."""
        self.tasks: NDArray[np.int64] = np.concatenate([np.arange(size) for size in sizes])
        pairs = votes.people.astype(np.int64) * votes.label_count + votes.labels
        present = np.zeros(votes.person_count * votes.label_count, bool)
        present[pairs] = True
        self.pairs = np.flatnonzero(present)
        """Each person and label that occur together, as one number."""
        if max(len(self.voted), len(self.pairs)) * votes.label_count > MAX_TABLE:
            raise ValueError(
                f"votes: {votes.label_count} labels for {len(self.voted)} tasks are too many for this method, which is "
                "for choices among a few; majority_vote and weighted_vote take any number"
            )
        self.pair = (np.cumsum(present, dtype=np.int64) - 1)[pairs]
        self.pair_people = self.pairs // votes.label_count
        self.pair_labels = self.pairs % votes.label_count
        ends = np.cumsum(sizes)
        many = sizes >= len(self.pairs)
        self.rounds = [slice(*bounds) for bounds in zip((ends - sizes)[many], ends[many], strict=True)]
        self.rest = slice(self.rounds[-1].stop if self.rounds else 0, len(votes))

    def by_task(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each task's numbers, of which there is one for each vote."""
        sums = np.zeros(len(self.voted))
        for votes in self.rounds:
            sums[: votes.stop - votes.start] += numbers[votes]
        np.add.at(sums, self.tasks[self.rest], numbers[self.rest])
        return sums

    def by_pair(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each pair the sum over its votes of the number of the vote's task."""
        sums = np.zeros(len(self.pairs))
        for votes in self.rounds:
            sums += np.bincount(self.pair[votes], numbers[: votes.stop - votes.start], len(sums))
        np.add.at(sums, self.pair[self.rest], numbers[self.tasks[self.rest]])
        return sums

    def by_person(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each person's numbers, of which there is one for each pair."""
        return np.asarray(np.bincount(self.pair_people, numbers, self.votes.person_count), np.float64)

    def right(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many answers of each person are right; a row has how often each pair occurs with a label."""
        is_right = np.arange(self.votes.label_count)[:, None] == self.pair_labels
        return self.by_person(np.where(is_right, counts, 0).sum(axis=0))

    def shares(self) -> NDArray[np.float64]:
        """Return for each label and task the share of the votes, with which the methods begin."""
        count = self.votes.label_count
        cells = self.votes.labels.astype(np.int64) * len(self.voted) + self.tasks
        shares = np.bincount(cells, minlength=count * len(self.voted)).reshape(count, -1).astype(np.float64)
        return np.asarray(shares / shares.sum(axis=0), np.float64)
