"""What the world consists of, and how each thing looks in an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.clock import format_date
from toloka_airflow.emulator.supply import Supply

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


class ProjectStatus(StrEnum):
    """Status of a project."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


class PoolStatus(StrEnum):
    """Status of a pool or a training; LOCKED is only shown, while an operation changes the pool."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    ARCHIVED = "ARCHIVED"
    LOCKED = "LOCKED"


class OperationStatus(StrEnum):
    """Status of an operation."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"

    @property
    def is_final(self) -> bool:
        """Say whether the operation is over."""
        return self in (OperationStatus.SUCCESS, OperationStatus.FAIL)


class AssignmentStatus(StrEnum):
    """Status of an assignment."""

    ACTIVE = "ACTIVE"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    SKIPPED = "SKIPPED"
    EXPIRED = "EXPIRED"


def _dates(**moments: int | None) -> Json:
    return {name: format_date(moment) for name, moment in moments.items() if moment is not None}


@dataclass(slots=True)
class Project:
    """A project; `body` is what the client sent."""

    id: str
    body: Json
    created: int
    owner_id: str
    status: ProjectStatus = ProjectStatus.ACTIVE

    def view(self) -> Json:
        """Return the project as the API shows it."""
        owner = {"id": self.owner_id, "myself": True}
        dates = _dates(created=self.created)
        return {"id": self.id, **self.body, "owner": owner, "status": self.status, **dates}


@dataclass(slots=True)
class Operation:
    """Something that takes time. `effect` does the work when the operation ends."""

    id: str
    type: str
    parameters: Json
    submitted: int
    effect: Callable[..., None]
    targets: tuple[Pool, ...] = ()
    status: OperationStatus = OperationStatus.PENDING
    started: int | None = None
    finished: int | None = None
    due: int | None = None
    looks: int = 0
    looks_wanted: int | None = None
    fail: Json | None = None
    details: Json | None = None
    details_if_failed: Json | None = None
    log: list[Json] | None = None
    results: list[Json] | None = None

    @property
    def changes_pool(self) -> bool:
        """Say whether the pool counts as LOCKED while this runs."""
        return self.type.endswith((".OPEN", ".CLOSE", ".ARCHIVE"))

    def progress(self, now: int) -> int:
        """Return the percentage done."""
        if self.status.is_final:
            return 100
        if self.looks_wanted is not None:
            return min(99, 100 * self.looks // self.looks_wanted)
        if self.due is None or self.started is None or now <= self.submitted:
            return 0
        return min(99, 100 * (now - self.submitted) // (self.due - self.submitted))

    def view(self, now: int) -> Json:
        """Return the operation as the API shows it."""
        shown: Json = {"id": self.id, "type": self.type, "status": self.status}
        shown |= _dates(submitted=self.submitted, started=self.started, finished=self.finished)
        shown |= {"progress": self.progress(now), "parameters": self.parameters}
        if self.details is not None:
            shown["details"] = self.details
        return shown


@dataclass(slots=True, eq=False)
class Pool:
    """A pool or a training; `body` is what the client sent."""

    id: str
    is_training: bool
    body: Json
    created: int
    price: Decimal = Decimal(0)
    status: PoolStatus = PoolStatus.CLOSED
    close_reason: str | None = None
    last_started: int | None = None
    last_stopped: int | None = None
    last_rejected: int | None = None
    unfinished: list[Operation] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    real: Supply = field(default_factory=Supply)
    golden: Supply = field(default_factory=Supply)
    hints: Supply = field(default_factory=Supply)
    assignments: list[Assignment] = field(default_factory=list)
    # Counts of answers: wanted from and not yet handed out to people. Tasks of infinite overlap and control
    # tasks have no part in them.
    wanted: int = 0
    remaining: int = 0
    active: int = 0
    answers: int = 0
    answers_counted: int = 0
    people: set[str] = field(default_factory=set)
    spent: Decimal = Decimal(0)
    completes_at: int | None = None

    @property
    def kind(self) -> str:
        """Return the first half of the types of its operations."""
        return "TRAINING" if self.is_training else "POOL"

    @property
    def shown_status(self) -> PoolStatus:
        """Return the status that the API shows."""
        return PoolStatus.LOCKED if self.is_locked else self.status

    @property
    def is_locked(self) -> bool:
        """Say whether an operation is changing the pool."""
        return any(operation.changes_pool for operation in self.unfinished)

    @property
    def hands_out(self) -> bool:
        """Say whether people can take tasks."""
        return self.status is PoolStatus.OPEN and not self.is_locked

    @property
    def is_complete(self) -> bool:
        """Say whether every answer that was wanted is there; tasks of infinite overlap want none."""
        return self.wanted > 0 and self.remaining == 0 and self.active == 0

    @property
    def completion(self) -> float:
        """Return the share of the wanted answers that is there."""
        return self.answers_counted / self.wanted if self.wanted else 0.0

    def supply(self, task: Task) -> Supply:
        """Return where a task of this pool is handed out from."""
        if task.is_real:
            return self.real
        return self.hints if "message_on_unknown_solution" in task.body else self.golden

    def view(self, owner: Json) -> Json:
        """Return the pool as the API shows it."""
        shown = {"id": self.id, **self.body, "owner": owner, "status": self.shown_status}
        if self.close_reason is not None:
            shown["last_close_reason"] = self.close_reason
        return shown | _dates(created=self.created, last_started=self.last_started, last_stopped=self.last_stopped)


@dataclass(slots=True, eq=False)
class Task:
    """A task; `remaining` counts the people it can still be given to, None means without end."""

    id: str
    pool: Pool
    body: Json
    created: int
    overlap: int | None
    remaining: int | None
    is_real: bool
    takers: list[int] = field(default_factory=list)

    def view(self) -> Json:
        """Return the task as the API shows it."""
        shown = {"id": self.id, **self.body, "infinite_overlap": self.overlap is None}
        if self.overlap is not None:
            shown |= {"overlap": self.overlap, "remaining_overlap": self.remaining}
        return shown | _dates(created=self.created)


@dataclass(slots=True, eq=False)
class Assignment:
    """A suite of tasks that a person took."""

    id: str
    suite_id: str
    pool: Pool
    user_id: str
    tasks: list[Task]
    created: int
    reward: float
    price: Decimal
    status: AssignmentStatus = AssignmentStatus.ACTIVE
    solutions: list[Json] | None = None
    public_comment: str | None = None
    submitted: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    skipped: int | None = None
    expired: int | None = None

    def view(self, owner: Json) -> Json:
        """Return the assignment as the API shows it."""
        shown: Json = {
            "id": self.id,
            "task_suite_id": self.suite_id,
            "pool_id": self.pool.id,
            "user_id": self.user_id,
            "status": self.status,
            "reward": self.reward,
            "tasks": [task.view() for task in self.tasks],
            "mixed": True,
            "automerged": False,
            "owner": owner,
        }
        if self.solutions is not None:
            shown["solutions"] = [{"output_values": values} for values in self.solutions]
        if self.public_comment is not None:
            shown["public_comment"] = self.public_comment
        return shown | _dates(
            created=self.created,
            submitted=self.submitted,
            accepted=self.accepted,
            rejected=self.rejected,
            skipped=self.skipped,
            expired=self.expired,
        )
