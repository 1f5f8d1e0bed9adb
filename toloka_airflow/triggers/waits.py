"""
What is waited for, and when the wait is over.

A wait is described once, from the arguments of a sensor or operator: by a frozen `OperationWait` or `PoolWait`. Sensor
and trigger both get it, and its fields are the arguments of the trigger, which Airflow stores. A tracker is what one
process learns from one poll to the next; whether the task polls or the triggerer, it decides in the same function.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.api.models import Operation, Pool, read_date
from toloka_airflow.api.pool_rules import PoolOpening, has_stopped
from toloka_airflow.api.settings import MIN_POLL_TIMEOUT
from toloka_airflow.triggers.events import FINISHED, SPENT, TIME_IS_UP
from toloka_airflow.triggers.progress import Progress, cost

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

log = logging.getLogger(__name__)

SubjectT = TypeVar("SubjectT", Operation, Pool)
_RENAMED = {"through_update": "ignore_close_for_update"}
"""Arguments of triggers as they were stored by older versions."""
_POOL_FACTS = ("id", "project_id", "status", "last_close_reason", "last_started", "last_stopped")


class Tracker(Protocol[SubjectT]):
    """What one process learns of an operation or pool from one poll to the next."""

    def fetch(self, client: TolokaClient) -> SubjectT:
        """Request it from Toloka."""

    def decide(self, subject: SubjectT, requested_at: float) -> str | None:
        """Return the kind of `WaitEvent` with which the wait ends; ``None`` if it does not end yet."""

    @property
    def opened_at(self) -> str | None:
        """When the opening of the pool began that the wait is about, if that is known; ``None`` for an operation."""

    def trusts_lists(self) -> bool:
        """Return whether what a list says of it is enough by now."""

    def measures_in(self) -> float:
        """Return in how many seconds it has to be polled to measure its progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait(Generic[SubjectT]):
    """
    Describe a wait for something on Toloka.

    :param toloka_conn_id: The connection; its id only, as Airflow stores the arguments of triggers.
    :param poll_interval: Seconds between two polls.
    :param deadline: Unix time at which to give up.
    """

    toloka_conn_id: str
    poll_interval: float
    deadline: float

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """
        Return the wait that stored arguments describe, also those of older and newer versions.

        What this version does not know is left out, with a warning: the version that stored it may be gone.
        """
        known: dict[str, Any] = {}
        names = {field.name for field in fields(cls)}
        for name, value in arguments.items():
            name = _RENAMED.get(name, name)
            if name in names:
                known[name] = value.total_seconds() if isinstance(value, timedelta) else value
            else:
                log.warning("This version of toloka_airflow does not know the trigger argument %s; it is ignored", name)
        return cls(**known)

    def arguments(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationWait(Wait[Operation]):
    """
    Wait until an operation is done.

    :param operation_id: The operation.
    """

    operation_id: str
    until: ClassVar[float | None] = None
    opened_at: ClassVar[str | None] = None

    @property
    def subject_id(self) -> str:
        """The id of the operation."""
        return self.operation_id

    @property
    def name(self) -> str:
        """What is waited for, in words."""
        return f"operation {self.operation_id}"

    def tracker(self, log: Any, *, measures: bool = True) -> OperationWait:
        """Return what polls the operation: itself, as there is nothing to remember."""
        return self

    def fetch(self, client: TolokaClient) -> Operation:
        """Request the operation."""
        return client.get_operation(self.operation_id)

    def decide(self, operation: Operation, requested_at: float) -> str | None:
        """Return the kind of event with which the wait ends; ``None`` if it does not end yet."""
        return FINISHED if operation.is_done else None

    def trusts_lists(self) -> bool:
        """Return ``True``: a list says all there is to know."""
        return True

    def measures_in(self) -> float:
        """Return infinity: an operation has no progress worth measuring."""
        return float("inf")

    @staticmethod
    def facts(operation: Operation) -> dict[str, Any]:
        """Return the operation as the API answered it; it is small."""
        return dict(operation.raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolWait(Wait[Pool]):
    """
    Wait until a pool stops, for a time, or until a sum is spent.

    :param pool_id: The pool.
    :param until: Unix time at which the wait ends with what there is.
    :param progress_interval: Seconds between two lines of progress in the log; ``None`` for none.
    :param max_spend: Money with which the wait ends, once the progress says that it is spent or committed.
    :param close_on_kill: Whether to close the pool if a person ends the wait (mark failed, mark success, delete the
        run); see `toloka_airflow.triggers.close_on_kill` for when it is not closed.
    :param training_id: The training to close after the pool then.
    :param ignore_close_for_update: Whether to wait on while the pool is closed for update.
    :param last_started: When the pool was opened, as the API says it, if that is known already.
    """

    pool_id: str
    until: float | None = None
    progress_interval: float | None = None
    max_spend: float | None = None
    close_on_kill: bool = False
    ignore_close_for_update: bool = False
    last_started: str | None = None
    training_id: str | None = None

    @property
    def subject_id(self) -> str:
        """The id of the pool."""
        return self.pool_id

    @property
    def name(self) -> str:
        """What is waited for, in words."""
        return f"pool {self.pool_id}"

    def decide(self, pool: Pool, *, requested_at: float, cost: float | None) -> str | None:
        """
        Return the kind of event with which the wait ends; ``None`` if it does not end yet.

        :param requested_at: Unix time of the poll.
        :param cost: Money that is known to be spent or committed for it.
        """
        if has_stopped(pool, ignore_close_for_update=self.ignore_close_for_update):
            return FINISHED
        if self.max_spend is not None and cost is not None and cost >= self.max_spend:
            return SPENT
        if self.until is not None and requested_at >= self.until:
            return TIME_IS_UP
        return None

    def tracker(self, log: Any, *, measures: bool = True) -> PoolTracker:
        """Return what polls the pool, and whether it measures the progress, too."""
        return PoolTracker(self, log, measures=measures)

    @staticmethod
    def facts(pool: Pool) -> dict[str, Any]:
        """Return the few fields of the pool that say how it stopped."""
        return {key: pool.raw[key] for key in _POOL_FACTS if key in pool.raw}


def poll_timeout(wait: OperationWait | PoolWait) -> float:
    """Return the seconds that a poll may take: until the wait may end, when another one decides."""
    now = time.time()
    left = [end - now for end in (wait.until, wait.deadline) if end is not None and end > now]
    return max(MIN_POLL_TIMEOUT, min(left, default=0.0))


class PoolTracker:
    """Poll a pool, its progress beside it, and remember which of its openings the wait is about."""

    def __init__(self, wait: PoolWait, log: Any, *, measures: bool) -> None:
        self._wait = wait
        self.opening = PoolOpening(started=read_date(wait.last_started))
        self.progress = Progress(wait.pool_id, wait.progress_interval if measures else None, log)

    def fetch(self, client: TolokaClient) -> Pool:
        """Request the pool, and its progress if it is time."""
        pool = client.get_settled_pool(self._wait.pool_id)
        self.opening = self.opening.updated(pool)  # before anything else is requested, should this task be killed
        if not has_stopped(pool):
            self.progress.poll(client, pool)
        return pool

    def decide(self, pool: Pool, requested_at: float) -> str | None:
        """Return the kind of event with which the wait ends; ``None`` if it does not end yet."""
        self.opening = self.opening.updated(pool)
        return self._wait.decide(pool, requested_at=requested_at, cost=cost(self.progress.facts))

    @property
    def opened_at(self) -> str | None:
        """When the opening of the pool began that the wait is about, if that is known."""
        return None if self.opening.started is None else self.opening.started.isoformat()

    def trusts_lists(self) -> bool:
        """Return whether the opening is known, of which a list may be too old to know, or does not matter."""
        is_to_be_closed = self._wait.close_on_kill or self._wait.max_spend is not None
        return self.opening.started is not None or not is_to_be_closed

    def measures_in(self) -> float:
        """Return in how many seconds it is time to start or read a measurement."""
        return self.progress.due_in()


def no_triggerer(exc: Exception) -> str:
    """Return why a task is over that Airflow resumed after its `safety_timeout`, and not the trigger."""
    return with_link(
        f"No triggerer ended the wait of this task in time ({exc}): start `airflow triggerer`, or more of them; "
        "`airflow-toloka doctor` says what is missing",
        "no-triggerer",
    )


def safety_timeout(seconds: float) -> timedelta:
    """Return the time-out to give to Airflow: later than the trigger's own deadline, should the trigger be lost."""
    return timedelta(seconds=seconds + 60)
