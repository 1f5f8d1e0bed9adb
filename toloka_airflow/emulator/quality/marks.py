"""
Which answers to single tasks are right, noted as they come in.

A person's whole history counts where no `history_size` is set, so it is not read anew at each answer.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Protocol

from toloka_airflow.emulator.world.entities import AssignmentStatus
from toloka_airflow.emulator.world.items import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.world import World

# Sorted, these are in the order in which a person took the tasks, also over several pools.
Position = tuple[int, str, int]
# Whether the task is a control task, and whether the answer is right.
Mark = tuple[bool, bool]
COUNTS_AS_A_VOTE = (AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED)


class Marks:
    """The marks of one person in one pool."""

    def __init__(self) -> None:
        self._marks: dict[Position, Mark] = {}
        self._positions: list[Position] = []
        self.counts: Counter[Mark] = Counter()

    def put(self, position: Position, mark: Mark | None) -> None:
        """Give an answer a mark; None if it has none any more."""
        had = self._marks.get(position)
        if had == mark:
            return
        if had is None:
            insort(self._positions, position)
        else:
            self.counts[had] -= 1
        if mark is None:
            del self._marks[position]
            self._positions.pop(bisect_left(self._positions, position))
        else:
            self._marks[position] = mark
            self.counts[mark] += 1

    def recent(self, size: int) -> list[tuple[Position, Mark]]:
        """Return the last marks, the oldest first."""
        return [(position, self._marks[position]) for position in self._positions[-size:]]


class Book(Protocol):
    """The marks of everybody in one pool."""

    of: defaultdict[str, Marks]

    def note(self, assignment: Assignment) -> None:
        """Note what became of an assignment; doing it again changes nothing."""


class GoldenSet:
    """Answers to control and training tasks are right if they are a known solution."""

    def __init__(self) -> None:
        self.of: defaultdict[str, Marks] = defaultdict(Marks)

    def note(self, assignment: Assignment) -> None:
        """Mark the answers."""
        for i, (task, values) in enumerate(zip(assignment.tasks, assignment.solutions or (), strict=False)):
            if not task.is_real:
                mark = (task.shelf == Part.GOLDEN, _is_known(task, values))
                self.of[assignment.user_id].put((assignment.created, assignment.id, i), mark)


def _is_known(task: Task, values: Json) -> bool:
    return any(values.items() >= solution["output_values"].items() for solution in task.body["known_solutions"])


class MajorityVote:
    """
    Answers are right if they are what the majority says, and have no mark while there is no majority.

    :param fields: The required fields of the output: only these are compared.
    :param threshold: How many people with the same answer are a majority.
    """

    def __init__(self, fields: Sequence[str], threshold: int) -> None:
        self.of: defaultdict[str, Marks] = defaultdict(Marks)
        self._fields = fields
        self._threshold = threshold
        # By task: who says what, and in which place among the person's answers.
        self._votes: defaultdict[str, dict[str, tuple[Position, str]]] = defaultdict(dict)

    def note(self, assignment: Assignment) -> None:
        """Count the answers as votes, or no more, and mark those of everybody who answered the same tasks."""
        counts = bool(self._fields) and assignment.status in COUNTS_AS_A_VOTE
        for i, (task, values) in enumerate(zip(assignment.tasks, assignment.solutions or (), strict=False)):
            if not task.is_real:
                continue
            position = (assignment.created, assignment.id, i)
            vote = (position, self._label(values)) if counts else None
            votes = self._votes[task.id]
            if votes.get(assignment.user_id) == vote:
                continue
            if vote is None:
                del votes[assignment.user_id]
                self.of[assignment.user_id].put(position, None)
            else:
                votes[assignment.user_id] = vote
            self._mark(votes)

    def _label(self, values: Json) -> str:
        return json.dumps([values.get(name) for name in self._fields], sort_keys=True)

    def _mark(self, votes: dict[str, tuple[Position, str]]) -> None:
        labels = Counter(label for _, label in votes.values())
        (best, count), (_, second) = [*labels.most_common(2), ("", 0), ("", 0)][:2]
        has_majority = count >= self._threshold and count > second
        for user_id, (position, label) in votes.items():
            self.of[user_id].put(position, (False, label == best) if has_majority else None)


def count(world: World, config: Json, pools: Sequence[Pool], user_id: str) -> Counter[Mark]:
    """Count a person's marks over some pools, the last `history_size` of them if there is such a parameter."""
    marks = [_book(world, config, pool).of[user_id] for pool in pools]
    size = config.get("parameters", {}).get("history_size")
    if size is None:
        return sum((had.counts for had in marks), Counter())
    recent = sorted(one for had in marks for one in had.recent(size))
    return Counter(mark for _, mark in recent[-size:])


def _book(world: World, config: Json, pool: Pool) -> Book:
    key = (config["type"], config.get("parameters", {}).get("answer_threshold"))
    book = pool.books.get(key)
    if book is None:
        book = pool.books[key] = _new_book(world, config, pool)
        for assignment in pool.assignments:
            book.note(assignment)
    return book


def _new_book(world: World, config: Json, pool: Pool) -> Book:
    if config["type"] == "GOLDEN_SET":
        return GoldenSet()
    spec: Json = world.projects[pool.body["project_id"]].body["task_spec"]["output_spec"]
    required = [name for name, field in spec.items() if field.get("required", True)]
    return MajorityVote(required, config["parameters"]["answer_threshold"])
