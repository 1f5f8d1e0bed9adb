"""Tasks in the order in which they are handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_airflow.emulator.entities import Task


class Supply:
    """
    Give each person tasks that this person has not had and that still want answers.

    A person moves through the list once, so that a whole pool costs one pass per person and not one pass
    per answer. A task that comes back is added again at the end, where everybody will pass.
    """

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._exhausted = 0
        self._positions: dict[int, int] = {}

    def add(self, task: Task) -> None:
        """Put a task at the end."""
        self._tasks.append(task)

    def take(self, person: int, count: int) -> list[Task]:
        """Take up to `count` tasks for a person."""
        self._skip_exhausted()
        position = max(self._positions.get(person, 0), self._exhausted)
        taken: list[Task] = []
        while len(taken) < count and position < len(self._tasks):
            task = self._tasks[position]
            position += 1
            if task.remaining != 0 and person not in task.takers:
                task.takers.append(person)
                taken.append(task)
        self._positions[person] = position
        return taken

    def _skip_exhausted(self) -> None:
        while self._exhausted < len(self._tasks) and self._tasks[self._exhausted].remaining == 0:
            self._exhausted += 1
