"""What people said of tasks, as arrays of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Votes:
    """
    Votes, at most one of each person for each task; the arrays have one entry per vote.

    :param tasks: Indices of tasks, below ``task_count``.
    :param people: Indices of people, below ``person_count``.
    :param labels: Indices of labels, below ``label_count``.
    :param task_count: How many tasks there are, also those without a vote.
    :param person_count: How many people there are, also those without a vote.
    :param label_count: How many labels there are, also those that nobody gave.
    """

    tasks: NDArray[np.int32]
    people: NDArray[np.int32]
    labels: NDArray[np.int32]
    task_count: int
    person_count: int
    label_count: int
