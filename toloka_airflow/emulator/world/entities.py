"""What the world consists of, and how each thing looks in an answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.world.clock import format_dates
from toloka_airflow.emulator.world.supply import Supply

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_airflow.emulator.world.items import Assignment, Item, Suite, Task

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
        dates = format_dates(created=self.created)
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
        shown |= format_dates(submitted=self.submitted, started=self.started, finished=self.finished)
        shown |= {"progress": self.progress(now), "parameters": self.parameters}
        if self.details is not None:
            shown["details"] = self.details
        return shown


@dataclass(slots=True)
class Lesson:
    """What one person did in a training: answers to tasks of known solution count, right or wrong."""

    suites: int = 0
    tasks: int = 0
    known: int = 0
    right: int = 0

    @property
    def skill(self) -> float:
        """Return the percentage of right answers."""
        return 100 * self.right / self.known if self.known else 100.0


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
    suites: list[Suite] = field(default_factory=list)
    single_tasks: Supply[Task] = field(default_factory=Supply)
    whole_suites: Supply[Suite] = field(default_factory=Supply)
    assignments: list[Assignment] = field(default_factory=list)
    # Counts of answers: wanted from and not yet handed out to people. What is of infinite overlap and control
    # tasks have no part in them.
    wanted: int = 0
    remaining: int = 0
    active: int = 0
    answers: int = 0
    answers_counted: int = 0
    # Not a set: the order of one differs from run to run.
    people: dict[str, None] = field(default_factory=dict)
    lessons: dict[str, Lesson] = field(default_factory=dict)
    # Who has answered, lost access since, and was acted on for it by a rule of quality control.
    revoked: dict[str, None] = field(default_factory=dict)
    # The assignments of each person; made from all of them.
    histories: dict[str, list[Assignment]] = field(default_factory=dict, init=False)
    # What quality control counts over long histories, by collector; made from all assignments, too.
    books: dict[Any, Any] = field(default_factory=dict, init=False)
    spent: Decimal = Decimal(0)
    completes_at: int | None = None

    def add(self, assignment: Assignment) -> None:
        """Keep what a person took."""
        self.assignments.append(assignment)
        self.histories.setdefault(assignment.user_id, []).append(assignment)

    def find_histories(self) -> None:
        """Find again by person what is kept in one list."""
        self.histories, self.books = {}, {}
        for assignment in self.assignments:
            self.histories.setdefault(assignment.user_id, []).append(assignment)

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
        return min(1.0, self.answers_counted / self.wanted) if self.wanted else 0.0

    @property
    def assignments_wanted(self) -> int:
        """Return about how many suites are still to be handed out; tasks of infinite overlap want none."""
        mixer = self.body.get("mixer_config", {"real_tasks_count": 1})
        per_suite = max(1, int(mixer["real_tasks_count"]))
        remaining = sorted(task.remaining or 0 for task in self.tasks if task.answers_each)
        wanted = sum(suite.remaining or 0 for suite in self.suites if not suite.mixed)
        for i, people in enumerate(remaining):
            # As many people as this task still wants, but not the ones before it, take the tasks from here on.
            wanted += (people - (remaining[i - 1] if i else 0)) * math.ceil((len(remaining) - i) / per_suite)
        return wanted

    def count(self, item: Item, sign: int) -> None:
        """Add the answers that an item asks for, or with -1 take them away."""
        if item.overlap is not None:
            self.wanted += sign * item.answers_each * item.overlap
            self.remaining += sign * item.answers_each * (item.overlap - item.taken)

    def view(self, owner: Json) -> Json:
        """Return the pool as the API shows it."""
        shown = {"id": self.id, **self.body, "owner": owner, "status": self.shown_status}
        if self.close_reason is not None:
            shown["last_close_reason"] = self.close_reason
        return shown | format_dates(
            created=self.created, last_started=self.last_started, last_stopped=self.last_stopped
        )


@dataclass(slots=True, eq=False)
class Subscription:
    """A webhook: one notification at a time is under way, other events wait for it to end."""

    id: str
    webhook_url: str
    event_type: str
    pool_id: str
    created: int
    secret_key: str | None = None
    waiting: list[Json] = field(default_factory=list)
    notification: Notification | None = None

    def view(self) -> Json:
        """Return the subscription as the API shows it; the secret is never told."""
        shown = {"webhook_url": self.webhook_url, "event_type": self.event_type, "pool_id": self.pool_id, "id": self.id}
        return shown | format_dates(created=self.created)


@dataclass(slots=True, eq=False)
class Notification:
    """Events that are sent together, until the receiver has taken them; between the attempts it is not under way."""

    events: list[Json]
    attempt: int = 1
    is_under_way: bool = True
