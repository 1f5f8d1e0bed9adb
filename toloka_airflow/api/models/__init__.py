"""
What the API answers, as frozen dataclasses.

Every model keeps the answer it was made from in ``raw``, so that nothing the API says is lost. A field that is
absent is ``None``, and so is a date or an amount that cannot be read (Toloka's own pages show
``2015-22-12T14:18:35``). An answer of another shape is a `TolokaError`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Self

from toloka_airflow.api.errors import TolokaError

__all__ = [
    "Assignment",
    "AssignmentStatus",
    "CloseReason",
    "Operation",
    "OperationStatus",
    "Pool",
    "PoolStatus",
    "Project",
    "ProjectStatus",
    "Task",
    "Training",
]

Raw = Mapping[str, Any]

SET_BY_TOLOKA = ("id", "owner", "type", "status", "last_close_reason", "created", "last_started", "last_stopped")
"""What the API answers of a pool or training but does not take."""


class ApiEnum(StrEnum):
    """A value of the API; one that this version does not know is kept and says so in ``is_known``."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        unknown = str.__new__(cls, str(value))
        unknown._name_ = unknown._value_ = str(value)
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether this version of the package knows what the value means."""
        return self.value in type(self)._value2member_map_


class OperationStatus(ApiEnum):
    """State of an operation."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


class PoolStatus(ApiEnum):
    """State of a pool or a training; LOCKED means that an operation holds it."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    ARCHIVED = "ARCHIVED"
    LOCKED = "LOCKED"


class CloseReason(ApiEnum):
    """Why a pool was closed the last time."""

    MANUAL = "MANUAL"
    EXPIRED = "EXPIRED"
    COMPLETED = "COMPLETED"
    NOT_ENOUGH_BALANCE = "NOT_ENOUGH_BALANCE"
    ASSIGNMENTS_LIMIT_EXCEEDED = "ASSIGNMENTS_LIMIT_EXCEEDED"
    BLOCKED = "BLOCKED"
    FOR_UPDATE = "FOR_UPDATE"


class ProjectStatus(ApiEnum):
    """State of a project."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


class AssignmentStatus(ApiEnum):
    """State of one person's answer to a task suite."""

    ACTIVE = "ACTIVE"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    SKIPPED = "SKIPPED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Project:
    """What kind of task people get."""

    id: str
    status: ProjectStatus
    public_name: str | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a project as the API answers it."""
        return cls(
            id=read_id(raw),
            status=ProjectStatus(read_required(raw, "status")),
            public_name=raw.get("public_name"),
            created=read_date(raw.get("created")),
            raw=raw,
        )


@dataclass(frozen=True)
class Training:
    """An unpaid pool that qualifies people for main pools."""

    id: str
    project_id: str
    status: PoolStatus
    last_close_reason: CloseReason | None
    private_name: str | None
    created: datetime | None
    last_started: datetime | None
    last_stopped: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a pool or training as the API answers it."""
        pool_id, reason = read_id(raw), raw.get("last_close_reason")
        return cls(
            id=pool_id,
            project_id=read_id(raw, "project_id"),
            status=PoolStatus(read_required(raw, "status")),
            last_close_reason=None if reason is None else CloseReason(reason),
            private_name=raw.get("private_name"),
            created=read_date(raw.get("created")),
            last_started=read_date(raw.get("last_started")),
            last_stopped=read_date(raw.get("last_stopped")),
            raw=raw,
        )

    def summary(self) -> dict[str, Any]:
        """Return how it is, and if it was ever closed, why and when: what tasks return and events say."""
        reason, stopped = self.last_close_reason, self.last_stopped
        return {
            "pool_id": self.id,
            "status": self.status.value,
            "close_reason": reason.value if reason else None,
            "closed_at": stopped.isoformat() if stopped else None,
        }


@dataclass(frozen=True)
class Pool(Training):
    """Tasks that are handed out to paid people while it is open."""

    @property
    def training_id(self) -> str | None:
        """The training that people must have passed, if the pool requires one."""
        requirement = read_object(read_object(self.raw, "quality_control"), "training_requirement")
        training_id = requirement.get("training_pool_id")
        return None if training_id is None else str(training_id)

    @property
    def highest_reward(self) -> Decimal:
        """What an answer costs at the most, without Toloka's fee: with dynamic pricing it depends."""
        offers = [self.raw, *read_objects(read_object(self.raw, "dynamic_pricing_config"), "intervals")]
        return max(read_decimal(offer.get("reward_per_assignment")) or Decimal(0) for offer in offers)


@dataclass(frozen=True)
class Task:
    """One question in a pool; ``remaining_overlap`` answers are still wanted."""

    id: str
    pool_id: str
    input_values: Raw
    overlap: int | None
    remaining_overlap: int | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a task as the API answers it."""
        return cls(
            id=read_id(raw),
            pool_id=read_id(raw, "pool_id"),
            input_values=read_object(raw, "input_values"),
            overlap=raw.get("overlap"),
            remaining_overlap=raw.get("remaining_overlap"),
            raw=raw,
        )


@dataclass(frozen=True)
class Operation:
    """
    A job at Toloka that a call started; only ``status`` says whether it is done.

    The API's pages show PENDING operations with ``finished`` set, so no other field is used.
    """

    id: str
    type: str
    status: OperationStatus
    progress: int | None
    submitted: datetime | None
    started: datetime | None
    finished: datetime | None
    parameters: Raw
    details: Raw
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read an operation as the API answers it."""
        return cls(
            id=read_id(raw),
            type=str(read_required(raw, "type")),
            status=OperationStatus(read_required(raw, "status")),
            progress=raw.get("progress"),
            submitted=read_date(raw.get("submitted")),
            started=read_date(raw.get("started")),
            finished=read_date(raw.get("finished")),
            parameters=read_object(raw, "parameters"),
            details=read_object(raw, "details"),
            raw=raw,
        )

    @property
    def is_done(self) -> bool:
        """Whether waiting longer makes no sense: SUCCESS, FAIL, or a status this version does not know."""
        return self.status not in (OperationStatus.PENDING, OperationStatus.RUNNING)

    @property
    def has_log(self) -> bool:
        """Whether the API keeps a log for this type (``GET /operations/{id}/log``)."""
        return self.type.endswith(".BATCH_CREATE")


@dataclass(frozen=True)
class Assignment:
    """One person's answers to a task suite; ``reward`` is in the currency of the account."""

    id: str
    pool_id: str
    task_suite_id: str | None
    user_id: str | None
    status: AssignmentStatus
    reward: Decimal | None
    tasks: list[Task]
    solutions: list[Raw]
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read an assignment as the API answers it; ``solutions[i]`` answers ``tasks[i]``."""
        return cls(
            id=read_id(raw),
            pool_id=read_id(raw, "pool_id"),
            task_suite_id=raw.get("task_suite_id"),
            user_id=raw.get("user_id"),
            status=AssignmentStatus(read_required(raw, "status")),
            reward=read_decimal(raw.get("reward")),
            tasks=[Task.from_api({"pool_id": raw["pool_id"], **task}) for task in read_objects(raw, "tasks")],
            solutions=[read_object(solution, "output_values") for solution in read_objects(raw, "solutions")],
            raw=raw,
        )


def read_date(text: object) -> datetime | None:
    """Read a date of the API (UTC, mostly without a zone); ``None`` for what is no date."""
    if not isinstance(text, str):
        return None
    try:
        date = datetime.fromisoformat(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_decimal(number: object) -> Decimal | None:
    """Read an amount of money without the noise of binary fractions; ``None`` for what is no finite number."""
    text = str(number)
    try:
        # Python's numbers may have underscores and digits of other scripts; no file of numbers means these.
        amount = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def read_metrics(operation: Operation, subject_id: str | None = None) -> dict[str, float | None]:
    """
    Return what an operation of analytics measured, by the name of the metric.

    ``None`` stands for what is no finite number, such as the estimate for a pool of infinite overlap; what the answer
    does not hold in the documented shape is left out.

    :param subject_id: What was measured, if the operation measured several pools; ``None`` if it was one.
    """
    values = operation.details.get("value")
    metrics: dict[str, float | None] = {}
    for value in values if isinstance(values, list) else ():
        request = value.get("request") if isinstance(value, Mapping) else None
        request = request if isinstance(request, Mapping) else {}
        name = request.get("name")
        if isinstance(name, str) and (subject_id is None or str(request.get("subject_id")) == subject_id):
            metrics[name] = _metric(value.get("result"))
    return metrics


def _metric(result: object) -> float | None:
    """Return the number in the result of a metric; some are numbers, others objects with a number in them."""
    if isinstance(result, Mapping):
        result = None if result.get("infinite") else result.get("value")
    if isinstance(result, bool) or not isinstance(result, int | float):
        return None
    try:
        return result if math.isfinite(result) else None
    except OverflowError:  # an integer that no float can hold
        return None


def read_required(raw: Raw, key: str) -> Any:
    """
    Return a value that an answer must have.

    :raises TolokaError: If it has none.
    """
    if not isinstance(raw, Mapping) or raw.get(key) is None:
        raise TolokaError(f"The API's answer has no {key!r}: it is {shape(raw)}")
    return raw[key]


def shape(value: Any) -> str:
    """Return the shape of an unexpected answer; not its values, in which a wrong server may echo the token."""
    if isinstance(value, Mapping):
        return f"an object with the keys {', '.join(value) or '(none)'}"
    return f"a {type(value).__name__}"


def read_object(raw: Raw, key: str) -> Raw:
    """
    Return an object in an answer; an empty one if there is none.

    :raises TolokaError: If it is something else.
    """
    value = raw.get(key) or {}
    if not isinstance(value, Mapping):
        raise TolokaError(f"{key!r} in the API's answer is {shape(value)}, not an object")
    return value


def read_objects(raw: Raw, key: str) -> list[Raw]:
    """
    Return a list of objects in an answer; an empty one if there is none.

    :raises TolokaError: If it is something else.
    """
    values = raw.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise TolokaError(f"{key!r} in the API's answer is not a list of objects")
    return values


def read_id(raw: Raw, key: str = "id") -> str:
    """
    Return an id in an answer, as text.

    :raises TolokaError: If there is none.
    """
    return str(read_required(raw, key))
