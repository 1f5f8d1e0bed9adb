"""Waiting in the triggerer, and the one vocabulary in which triggers tell tasks how it ended."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import CloseReason, Operation, Pool, PoolStatus, Raw, read_date
from toloka_airflow.closing import Round, close_after_kill, newer_attempt
from toloka_airflow.hooks import MAY_PASS, client_from_connection
from toloka_airflow.progress import Progress

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

KINDS = FINISHED, TIME_IS_UP, SPENT, TIMED_OUT, REFUSED = "finished", "time_is_up", "spent", "timed_out", "refused"
WITH_SUBJECT = FINISHED, TIME_IS_UP, SPENT
OVERTIME = 30.0
"""Seconds between two looks, at the most, while a wait should be over and Toloka does not answer."""
CONNECTION_PATIENCE = 120.0
"""Seconds to go on asking for a connection: while a secrets backend is down, Airflow says that it is not defined."""
_FACTS = ("id", "project_id", "status", "last_close_reason", "last_started", "last_stopped")

SubjectT = TypeVar("SubjectT", Operation, Pool)


@dataclass(frozen=True)
class WaitEvent:
    """
    How a wait ended.

    :param kind: ``finished`` (the subject says how), ``time_is_up`` or ``spent`` (it goes on, but no longer is wanted),
        ``timed_out``, or ``refused``: Toloka gave an answer that will not change, such as 401 or 404.
    :param subject: The operation or pool as the API answered it, for the first three of them.
    :param message: Why there is no subject, otherwise.
    :param deadline: Unix time at which the wait would have been given up; what comes next shares it.
    """

    kind: str
    deadline: float
    subject: Raw | None = None
    message: str = ""

    @classmethod
    def read(cls, event: dict[str, Any] | None) -> WaitEvent:
        """
        Return the event that a deferred task resumed with.

        :raises TolokaError: If it is nothing that this version wrote.
        """
        if not isinstance(event, dict) or event.get("kind") not in KINDS:
            raise TolokaError(f"The task was resumed with an event that no Toloka trigger sends: {event!r}")
        try:
            end = cls(**event)
        except TypeError as exc:
            raise TolokaError(f"The task was resumed with an event of another version: {event!r}") from exc
        if end.kind in WITH_SUBJECT and not isinstance(end.subject, dict):
            raise TolokaError(f"The task was resumed with an event that names nothing: {event!r}")
        return end


class _WaitTrigger(BaseTrigger, Generic[SubjectT]):
    """
    Look at something on Toloka until it is done.

    Answers that may pass (no answer, 408, 429, 5xx) are tolerated until the deadline; others end the wait.

    :param toloka_conn_id: The connection; its id only, as arguments are stored in Airflow's database.
    :param poll_interval: Seconds between two looks.
    :param deadline: Unix time at which to give up. Airflow's own time-outs do not end a deferred task's wait well.
    """

    until: float | None = None
    """Unix time at which what there is will do."""

    def __init__(self, *, toloka_conn_id: str, poll_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.toloka_conn_id = toloka_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", self._arguments()

    def _arguments(self) -> dict[str, Any]:
        return {
            "toloka_conn_id": self.toloka_conn_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that says how the wait ended."""
        yield TriggerEvent(asdict(await self._wait()))

    async def _wait(self) -> WaitEvent:
        try:
            client = await self._client()
        except (AirflowNotFoundException, PermissionError, ValueError) as exc:
            return WaitEvent(REFUSED, self.deadline, message=str(exc))
        last_seen = "not seen"
        while True:
            pause, asked_at = self.poll_interval, time.time()
            try:
                subject = await asyncio.to_thread(self.look, client)
            except MAY_PASS as exc:
                last_seen = f"the last look failed: {exc}"
                pause = max(pause, exc.retry_after or 0.0)
                self.log.warning("Could not look at %s, trying again in %.1f s: %s", self.what, pause, exc)
            except (TolokaError, ValueError) as exc:
                return WaitEvent(REFUSED, self.deadline, message=str(exc))
            else:
                if self.is_done(subject):
                    return WaitEvent(FINISHED, self.deadline, subject=self.facts(subject))
                if kind := self.why_enough(asked_at):
                    return WaitEvent(kind, self.deadline, subject=self.facts(subject))
                if last_seen != (last_seen := subject.status.value):
                    self.log.info("Waiting for %s: %s", self.what, last_seen)
            left = self.deadline - time.time()
            if left <= 0:
                return WaitEvent(
                    TIMED_OUT, self.deadline, message=f"{self.what} was not done in time; last seen: {last_seen}"
                )
            await asyncio.sleep(min(pause, left, _left(self.until)))

    async def _client(self) -> TolokaClient:
        """Return a client for the connection, which may be out of reach for a while."""
        give_up = min(self.deadline, time.time() + CONNECTION_PATIENCE)
        while True:
            try:
                return await connect(self.toloka_conn_id)
            except AirflowNotFoundException as exc:
                left = give_up - time.time()
                if left <= 0:
                    raise
                self.log.warning("Could not read the connection, trying again: %s", exc)
            await asyncio.sleep(min(self.poll_interval, left))

    def why_enough(self, asked_at: float) -> str | None:
        """Return the kind of event that ends the wait though the subject is not done; ``None`` to go on."""
        return TIME_IS_UP if self.until is not None and asked_at >= self.until else None

    @property
    @abstractmethod
    def what(self) -> str:
        """What is waited for, in words."""

    @abstractmethod
    def look(self, client: TolokaClient) -> SubjectT:
        """Ask Toloka."""

    @abstractmethod
    def is_done(self, subject: SubjectT) -> bool:
        """Return whether waiting longer makes no sense."""

    @abstractmethod
    def facts(self, subject: SubjectT) -> dict[str, Any]:
        """Return what the task needs to know of it."""


class OperationTrigger(_WaitTrigger[Operation]):
    """
    Wait until an operation is done.

    :param operation_id: The operation.
    """

    def __init__(self, *, operation_id: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.operation_id = operation_id

    def _arguments(self) -> dict[str, Any]:
        return {"operation_id": self.operation_id, **super()._arguments()}

    @property
    def what(self) -> str:
        """What is waited for, in words."""
        return f"operation {self.operation_id}"

    def look(self, client: TolokaClient) -> Operation:
        """Ask for the operation."""
        return client.get_operation(self.operation_id)

    def is_done(self, subject: Operation) -> bool:
        """Return whether the operation ended."""
        return subject.is_done

    def facts(self, subject: Operation) -> dict[str, Any]:
        """Return the operation as the API answered it; it is small."""
        return dict(subject.raw)


class PoolTrigger(_WaitTrigger[Pool]):
    """
    Wait until a pool is closed.

    :param pool_id: The pool.
    :param until: Unix time at which the wait ends with what there is.
    :param progress_interval: Seconds between two lines of progress in the log; ``None`` for none.
    :param max_spend: US dollars with which the wait ends, once the progress says that they are spent.
    :param close_on_kill: Whether to close the pool if a person ends the wait (mark failed, mark success, delete the
        run); Airflow before 3.3 does not tell triggers. See `toloka_airflow.closing` for when it is left alone.
    :param through_update: Whether to go on waiting while the pool is closed for update.
    :param last_started: When the pool was opened, as the API says it, if that was seen before.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        until: float | None = None,
        progress_interval: float | None = None,
        max_spend: float | None = None,
        close_on_kill: bool = False,
        through_update: bool = False,
        last_started: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.pool_id = pool_id
        self.until = until
        self.progress_interval = progress_interval
        self.max_spend = max_spend
        self.close_on_kill = close_on_kill
        self.through_update = through_update
        self.last_started = last_started
        self._round = Round(pool_id, read_date(last_started))
        self._progress = Progress(pool_id, progress_interval, self.log)

    def _arguments(self) -> dict[str, Any]:
        return {
            "pool_id": self.pool_id,
            "until": self.until,
            "progress_interval": self.progress_interval,
            "max_spend": self.max_spend,
            "close_on_kill": self.close_on_kill,
            "through_update": self.through_update,
            "last_started": self.last_started,
            **super()._arguments(),
        }

    @property
    def what(self) -> str:
        """What is waited for, in words."""
        return f"pool {self.pool_id}"

    def look(self, client: TolokaClient) -> Pool:
        """Ask for the pool, and for its progress if it is time."""
        pool = client.get_settled_pool(self.pool_id)
        self._round = self._round.seen(pool)
        if not pool_has_stopped(pool):
            self._progress.look(client)
        return pool

    def is_done(self, subject: Pool) -> bool:
        """Return whether the pool has stopped, or is in a state that this version does not know."""
        return pool_has_stopped(subject, through_update=self.through_update)

    def why_enough(self, asked_at: float) -> str | None:
        """Return the kind of event with which the wait ends though the pool is open."""
        return SPENT if self._progress.has_spent(self.max_spend) else super().why_enough(asked_at)

    def facts(self, subject: Pool) -> dict[str, Any]:
        """Return the few fields of the pool that say how it stopped."""
        return {key: subject.raw[key] for key in _FACTS if key in subject.raw}

    async def on_kill(self) -> None:
        """Close the pool, if that is wanted and nobody else needs it; Airflow calls it for what a person does."""
        if not self.close_on_kill:
            return
        client = await connect(self.toloka_conn_id)
        newer = partial(newer_attempt, self.task_instance, self.log)
        await asyncio.to_thread(close_after_kill, client, self._round, newer=newer, log=self.log)


def safety_net(seconds: float) -> timedelta:
    """Return the time-out to give to Airflow: later than the trigger's own deadline, should the trigger be lost."""
    return timedelta(seconds=seconds + 60)


async def connect(toloka_conn_id: str) -> TolokaClient:
    """Return an impatient client for a connection, without blocking the event loop."""
    connection = await get_async_connection(toloka_conn_id)
    return (await asyncio.to_thread(client_from_connection, connection)).without_retries()


def _left(until: float | None) -> float:
    """Return the seconds until the look at a time; if it was not answered, others follow soon."""
    left = float("inf") if until is None else until - time.time()
    return left if left > 0 else OVERTIME


def closing_facts(pool: Pool) -> dict[str, Any]:
    """Return how a pool is, and if it stopped, why and when; this is what tasks return and events tell."""
    reason, stopped = pool.last_close_reason, pool.last_stopped
    return {
        "pool_id": pool.id,
        "status": pool.status.value,
        "close_reason": reason.value if reason else None,
        "closed_at": stopped.isoformat() if stopped else None,
    }


def pool_has_stopped(pool: Pool, *, through_update: bool = False) -> bool:
    """
    Return whether waiting longer makes no sense; an unknown status is for the task to refuse.

    :param through_update: Whether a pool that is closed for update goes on: Toloka reopens it by itself.
    """
    if through_update and pool.status == PoolStatus.CLOSED and pool.last_close_reason == CloseReason.FOR_UPDATE:
        return False
    return pool.status not in (PoolStatus.OPEN, PoolStatus.LOCKED)


def pool_failure(pool: Pool, expected_reasons: Sequence[str]) -> str | None:
    """Return why a pool that stopped is no success; ``None`` if it is one."""
    reason = pool.last_close_reason
    if pool.status == PoolStatus.CLOSED and reason is None:
        return f"Pool {pool.id} is CLOSED and was never open; open it first"
    if pool.status == PoolStatus.CLOSED and reason is not None:
        if reason in expected_reasons:
            return None
        return f"Pool {pool.id} was closed for {reason.value}, expected was {' or '.join(expected_reasons)}"
    if pool.status.is_known:
        return f"Pool {pool.id} is {pool.status.value}, so it will not be completed any more"
    return f"Pool {pool.id} has the status {pool.status.value!r}, which this version of toloka_airflow does not know"
