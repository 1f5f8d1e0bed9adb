"""Sums over votes, by task and by person, a label at a time; all the time of Dawid-Skene is spent here."""

from __future__ import annotations

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

    :param votes: In order; at least one.
    :raises ValueError: If there are too many labels for the tables.
    """

    def __init__(self, votes: Votes) -> None:
        self.votes = votes
        self.starts = np.flatnonzero(np.r_[True, votes.tasks[1:] != votes.tasks[:-1]])
        self.voted = votes.tasks[self.starts]
        """The tasks that have votes; only they are in the tables."""
        self.tasks = np.repeat(np.arange(len(self.voted)), np.diff(np.r_[self.starts, len(votes)]))
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

    def by_task(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each task's numbers, of which there is one for each vote."""
        return np.asarray(np.bincount(self.tasks, numbers, len(self.voted)), np.float64)

    def by_pair(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each pair's numbers, of which there is one for each vote."""
        return np.asarray(np.bincount(self.pair, numbers, len(self.pairs)), np.float64)

    def by_person(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each person's numbers, of which there is one for each pair."""
        return np.asarray(np.bincount(self.pair_people, numbers, self.votes.person_count), np.float64)

    def shares(self) -> NDArray[np.float64]:
        """Return for each label and task the share of the votes, with which the methods begin."""
        count = self.votes.label_count
        cells = self.votes.labels.astype(np.int64) * len(self.voted) + self.tasks
        shares = np.bincount(cells, minlength=count * len(self.voted)).reshape(count, -1).astype(np.float64)
        return np.asarray(shares / shares.sum(axis=0), np.float64)
