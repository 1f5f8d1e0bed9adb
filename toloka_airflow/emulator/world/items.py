"""What people work on: tasks, the suites that they take them in, and the assignment of a suite to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from toloka_airflow.emulator.world.clock import format_dates
from toloka_airflow.emulator.world.entities import AssignmentStatus

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool


class Part(IntEnum):
    """What a single task is in a mixed suite: wanted for its answer, a test, or a lesson."""

    REAL = 0
    GOLDEN = 1
    HINT = 2


@dataclass(slots=True, eq=False)
class Shared:
    """What several people are to get; `taken` of the `overlap` have it, and None means people without end."""

    id: str
    pool: Pool
    body: Json
    created: int
    overlap: int | None
    taken: int = 0
    assignments: list[Assignment] = field(default_factory=list)

    @property
    def remaining(self) -> int | None:
        """Return how many more people it can be given to."""
        return None if self.overlap is None else self.overlap - self.taken

    def is_for(self, user_id: str) -> bool:
        """Say whether a person may get it: nobody gets anything twice."""
        if self.remaining == 0 or user_id in self.body.get("unavailable_for", ()):
            return False
        reserved = self.body.get("reserved_for")
        return (not reserved or user_id in reserved) and all(had.user_id != user_id for had in self.assignments)


@dataclass(slots=True, eq=False)
class Task(Shared):
    """A task; `suite` is the one that it was uploaded in, if any, and then the overlap is the suite's."""

    suite: Suite | None = None

    @property
    def is_real(self) -> bool:
        """Say whether the answer is wanted for its own sake, and not to know more of the person."""
        return self.pool.is_training or not self.body.get("known_solutions")

    @property
    def shelf(self) -> float:
        """Return which part of a mixed suite it can be."""
        if self.is_real:
            return Part.REAL
        return Part.HINT if "message_on_unknown_solution" in self.body else Part.GOLDEN

    @property
    def answers_each(self) -> int:
        """Return how many wanted answers one person gives with it."""
        return int(self.is_real and self.suite is None)

    def view(self) -> Json:
        """Return the task as the API shows it."""
        # The documentation shows the two lists even if nobody sent them.
        shown = {"id": self.id, "pool_id": self.pool.id, "reserved_for": [], "unavailable_for": [], **self.body}
        if self.suite is None:
            shown["infinite_overlap"] = self.overlap is None
            if self.overlap is not None:
                shown |= {"overlap": self.overlap, "remaining_overlap": self.remaining}
        return shown | format_dates(created=self.created)

    def view_in_suite(self) -> Json:
        """Return the task as its suite shows it."""
        return {"id": self.id, **self.body}


SUITE_DEFAULTS: Json = {"reserved_for": [], "unavailable_for": [], "issuing_order_override": 0}


@dataclass(slots=True, eq=False)
class Suite(Shared):
    """Tasks that one person gets together; a mixed one was put together for this person from single tasks."""

    tasks: Sequence[Task] = ()
    mixed: bool = False

    @property
    def shelf(self) -> float:
        """Return its place among the suites of the pool: the greater, the earlier it is given."""
        place: float = self.body.get("issuing_order_override", 0)
        return place

    @property
    def items(self) -> Sequence[Item]:
        """Return whose overlap it uses up."""
        return self.tasks if self.mixed else (self,)

    @property
    def answers_each(self) -> int:
        """Return how many wanted answers one person gives with it."""
        return 0 if self.mixed else sum(task.is_real for task in self.tasks)

    def view(self) -> Json:
        """Return the suite as the API shows it."""
        shown: Json = {
            "id": self.id,
            "pool_id": self.pool.id,
            "tasks": [task.view_in_suite() for task in self.tasks],
            **SUITE_DEFAULTS,
            **self.body,
            "infinite_overlap": self.overlap is None,
            "mixed": self.mixed,
            "automerged": False,
        }
        if self.overlap is not None:
            shown |= {"overlap": self.overlap, "remaining_overlap": self.remaining}
        return shown | format_dates(created=self.created)


Item: TypeAlias = Task | Suite


@dataclass(slots=True, eq=False)
class Assignment:
    """A suite that a person took; the price was agreed on at that moment."""

    id: str
    suite: Suite
    user_id: str
    created: int
    reward: float
    price: Decimal
    status: AssignmentStatus = AssignmentStatus.ACTIVE
    solutions: list[Json] | None = None
    public_comment: str | None = None
    bonus_ids: list[str] = field(default_factory=list)
    submitted: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    skipped: int | None = None
    expired: int | None = None

    @property
    def pool(self) -> Pool:
        """Return the pool."""
        return self.suite.pool

    @property
    def tasks(self) -> Sequence[Task]:
        """Return the tasks, in the order of the solutions."""
        return self.suite.tasks

    def view(self, owner: Json) -> Json:
        """Return the assignment as the API shows it."""
        shown: Json = {
            "id": self.id,
            "task_suite_id": self.suite.id,
            "pool_id": self.pool.id,
            "user_id": self.user_id,
            "status": self.status,
            "reward": self.reward,
            "tasks": [task.view() for task in self.tasks],
            "mixed": self.suite.mixed,
            "automerged": False,
            "owner": owner,
        }
        if self.solutions is not None:
            shown["solutions"] = [{"output_values": values} for values in self.solutions]
        if self.public_comment is not None:
            shown["public_comment"] = self.public_comment
        if self.bonus_ids:
            shown["bonus_ids"] = self.bonus_ids
        return shown | format_dates(
            created=self.created,
            submitted=self.submitted,
            accepted=self.accepted,
            rejected=self.rejected,
            skipped=self.skipped,
            expired=self.expired,
        )
