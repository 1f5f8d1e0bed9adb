"""Waiting in the triggerer, and the one vocabulary in which triggers tell tasks how it ended."""

from __future__ import annotations

import asyncio
import random
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import TriggerEvent

from toloka_airflow.api.errors import REFUSALS, TolokaError
from toloka_airflow.api.models import Operation, Pool, PoolStatus, Raw, read_date
from toloka_airflow.closing import TRIGGER_PATIENCE, Closing, Round, newer_attempt, to_the_end
from toloka_airflow.hooks import MAY_PASS
from toloka_airflow.looks import Looks, SubjectT
from toloka_airflow.progress import Progress
from toloka_airflow.streams import OperationLooks, PoolLooks, SharingTrigger, next_look, slow

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

KINDS = FINISHED, TIME_IS_UP, SPENT, TIMED_OUT, REFUSED = "finished", "time_is_up", "spent", "timed_out", "refused"
WITH_SUBJECT = FINISHED, TIME_IS_UP, SPENT
OVERTIME = 30.0
"""Seconds between two looks, at the most, while a wait should be over and Toloka does not answer."""
CONNECTION_PATIENCE = 120.0
"""Seconds to go on asking for a connection: while a secrets backend is down, Airflow says that it is not defined."""
STREAM_PATIENCE = 60.0
"""Seconds until a shared stream has begun; Airflow can be told to wait for more who want to share it."""
_FACTS = ("id", "project_id", "status", "last_close_reason", "last_started", "last_stopped")


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


class _WaitTrigger(SharingTrigger, Generic[SubjectT]):
    """
    Look at something on Toloka until it is done.

    On Airflow 3.3, triggers with equal keys share their looks; before that, and close to the end of a wait, each asks
    by id, by its own clock. Answers that may pass (no answer, 408, 429, 5xx) are tolerated until the deadline; others
    end the wait when they come three times in a row.

    :param toloka_conn_id: The connection; its id only, as arguments are stored in Airflow's database.
    :param poll_interval: Seconds between two looks.
    :param deadline: Unix time at which to give up. Airflow's own time-outs do not end a deferred task's wait well.
    """

    supports_triggerer_queue = True  # as every trigger of a task does, but not those that watch assets
    until: float | None = None
    """Unix time at which what there is will do."""

    def __init__(self, *, toloka_conn_id: str, poll_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.toloka_conn_id = toloka_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self._last_seen: str | None = None
        self._refusals = 0
        self._not_found_since: float | None = None
        self._not_before = 0.0
        self._look_again_at = next_look()

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

    async def filter_shared_stream(self, shared_stream: AsyncIterator[None]) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that says how the wait ended, looking when the lists have something to tell."""
        looks = self.shared_looks.of(self.toloka_conn_id, self.poll_interval)
        give_up, ends = time.monotonic() + STREAM_PATIENCE, looks.ends
        with looks.watch(self.subject_id) as watch:
            while self._shares_for() > 0:
                await watch.news(self.patience())
                if not looks.is_kept_up and (looks.ends > ends or time.monotonic() > give_up):
                    self.log.warning("Nobody looks at lists any more; looking at %s by id", self.what)
                    break
                if end := await self._look(looks):
                    yield TriggerEvent(asdict(end))
                    return
        async for event in self.run():
            yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that says how the wait ended, looking by id at every interval."""
        looks: Looks[SubjectT] = Looks.of(self.toloka_conn_id)
        while not (end := await self._look(looks)):
            now = time.time()
            # A tenth less now and then, lest those that begin together, as after a restart, ask together for ever.
            pause = max(self.poll_interval * random.uniform(0.9, 1.0), self._not_before - now)
            await asyncio.sleep(min(pause, self.deadline - now, _left(self.until)))
        yield TriggerEvent(asdict(end))

    def _shares_for(self) -> float:
        """Return for how many seconds the clock of others will do."""
        return min(self.deadline, self.until or self.deadline) - 2 * self.poll_interval - time.time()

    async def _look(self, looks: Looks[SubjectT]) -> WaitEvent | None:
        """Return how the wait ended, ``None`` if it goes on."""
        asked_at = time.time()
        if looks.is_shared and asked_at < self._not_before and not looks.names(self.subject_id):
            return None
        try:
            subject = await self._see(looks)
        except MAY_PASS as exc:
            self._not_before = time.time() + (exc.retry_after or 0.0)
            self._log_failure(exc)
        except (AirflowNotFoundException, PermissionError, TolokaError, ValueError) as exc:
            if self._is_final(exc):
                return WaitEvent(REFUSED, self.deadline, message=str(exc))
            self._log_failure(exc)
        except TimeoutError as exc:
            if looks.is_shared and self._shares_for() <= 0:  # the clock of others will not do any more
                return None
            self._log_failure(exc)
        else:
            self._refusals, self._not_found_since = 0, None
            if subject is not None and (end := self._judge(subject, asked_at)):
                return end
        if time.time() < self.deadline:
            return None
        message = f"{self.what} was not done in time; last seen: {self._last_seen or 'nothing'}"
        return WaitEvent(TIMED_OUT, self.deadline, message=message)

    async def _see(self, looks: Looks[SubjectT]) -> SubjectT | None:
        async with asyncio.timeout(self._shares_for() if looks.is_shared else None):
            if not self.wants_look() or (looks.is_shared and time.time() < self._not_before):
                return await looks.see(self.subject_id, self.look)
            self._look_again_at = next_look()
            return await looks.look(self.look)

    def _judge(self, subject: SubjectT, asked_at: float) -> WaitEvent | None:
        if self.is_done(subject):
            return WaitEvent(FINISHED, self.deadline, subject=self.facts(subject))
        if kind := self.why_enough(asked_at):
            return WaitEvent(kind, self.deadline, subject=self.facts(subject))
        # The task has told how it was at first; once more for ten thousand waits at once would take long.
        if self._last_seen not in (None, subject.status.value):
            self.log.info("Waiting for %s: %s", self.what, subject.status.value)
        self._last_seen = subject.status.value
        return None

    def _is_final(self, exc: Exception) -> bool:
        """Return whether an answer that should not change was given often enough to be believed."""
        if isinstance(exc, AirflowNotFoundException):
            now = time.time()
            self._not_found_since = self._not_found_since or now
            return now >= min(self.deadline, self._not_found_since + CONNECTION_PATIENCE)
        self._refusals += 1
        return self._refusals >= REFUSALS

    def _log_failure(self, exc: Exception) -> None:
        why = str(exc) or repr(exc)
        self._last_seen = f"the last look failed: {why}"
        self.log.warning("Could not look at %s, trying again: %s", self.what, why)

    def wants_look(self) -> bool:
        """Return whether to ask by id whatever the lists say."""
        return time.time() >= self._look_again_at

    def patience(self) -> float:
        """Return for how many seconds to wait for news from lists."""
        trust = max(self.poll_interval, self._look_again_at - time.time())
        return min(self._shares_for(), slow(self.poll_interval), trust)

    def why_enough(self, asked_at: float) -> str | None:
        """Return the kind of event that ends the wait though the subject is not done; ``None`` to go on."""
        return TIME_IS_UP if self.until is not None and asked_at >= self.until else None

    @property
    @abstractmethod
    def subject_id(self) -> str:
        """The id of what is waited for."""

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

    shared_looks = OperationLooks

    def __init__(self, *, operation_id: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.operation_id = operation_id

    def _arguments(self) -> dict[str, Any]:
        return {"operation_id": self.operation_id, **super()._arguments()}

    @property
    def subject_id(self) -> str:
        """The id of the operation."""
        return self.operation_id

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

    shared_looks = PoolLooks

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
    def subject_id(self) -> str:
        """The id of the pool."""
        return self.pool_id

    @property
    def what(self) -> str:
        """What is waited for, in words."""
        return f"pool {self.pool_id}"

    def look(self, client: TolokaClient) -> Pool:
        """Ask for the pool, and for its progress if it is time."""
        pool = client.get_settled_pool(self.pool_id)
        if not pool_has_stopped(pool):
            self._progress.look(client)
        return pool

    def is_done(self, subject: Pool) -> bool:
        """Return whether the pool has stopped, or is in a state that this version does not know."""
        self._round = self._round.seen(subject)
        return pool_has_stopped(subject, through_update=self.through_update)

    def wants_look(self) -> bool:
        """Return whether to ask for the pool itself, as when it is time for its progress."""
        # A list may be from before the opening that this wait is about; whose round it is must be known to close it.
        is_unknown = self.close_on_kill and self._round.last_started is None
        return is_unknown or self._progress.due_in() == 0 or super().wants_look()

    def patience(self) -> float:
        """Return for how many seconds to wait for news from lists, or until it is time for the progress."""
        return min(super().patience(), max(self.poll_interval, self._progress.due_in()))

    def why_enough(self, asked_at: float) -> str | None:
        """Return the kind of event with which the wait ends though the pool is open."""
        return SPENT if self._progress.has_spent(self.max_spend) else super().why_enough(asked_at)

    def facts(self, subject: Pool) -> dict[str, Any]:
        """Return the few fields of the pool that say how it stopped."""
        return {key: subject.raw[key] for key in _FACTS if key in subject.raw}

    async def on_kill(self) -> None:
        """Close the pool, if that is wanted and nobody else needs it; Airflow calls it for what a person does."""
        if self.close_on_kill:
            await to_the_end(self._close())

    async def _close(self) -> None:
        newer = partial(newer_attempt, self.task_instance, self.log)
        closing = Closing(self._round, newer=newer, log=self.log, patience=TRIGGER_PATIENCE)
        closings = _Closings.of(self.toloka_conn_id)
        pause: float | None = 0.0
        try:
            while pause is not None:
                await asyncio.sleep(pause)
                try:
                    pause = await closings.look(closing.go_on)
                except Exception as exc:  # whoever waited for this may have been cancelled
                    pause = closing.failed(exc)
        except asyncio.CancelledError:  # not the trigger alone: the triggerer stops
            self.log.error("The triggerer stopped before %s was closed; it may stay OPEN, close it by hand", self.what)
            raise


class _Closings(Looks[Pool]):
    """They must not wait in line behind looks that Toloka does not answer."""

    purpose = "closings"


def safety_net(seconds: float) -> timedelta:
    """Return the time-out to give to Airflow: later than the trigger's own deadline, should the trigger be lost."""
    return timedelta(seconds=seconds + 60)


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
    if through_update and pool.is_closed_for_update:
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
