"""The plain wait in the triggerer: poll by id, decide, deadline, sleep."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.api.errors import FailureCount, TolokaError
from toloka_airflow.triggers.events import REFUSED, TIMED_OUT, WaitEvent
from toloka_airflow.triggers.poller import LEAST_PAUSE, Poller
from toloka_airflow.triggers.waits import SubjectT, Tracker, Wait, poll_timeout

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

OVERDUE_POLL_INTERVAL = 30.0
"""Seconds between two polls, at the most, while a wait should be over and Toloka does not answer."""
MAX_RETRY_PAUSE = 600.0
"""Seconds that a wait does not poll because of Retry-After, at the most: it may be wrong, and its subject done."""
CONNECTION_MISSING_TIMEOUT = 120.0
"""Seconds to keep trying to read a connection: while a secrets backend is down, Airflow says that there is none."""


class WaitTrigger(BaseEventTrigger, Generic[SubjectT]):
    """
    Poll something on Toloka until it is done, and yield the one `WaitEvent` that says how the wait ended.

    Transient errors (no answer, 408, 429, 5xx) are tolerated until the deadline; others end the wait when they come
    several times in a row. Deadlines are wall-clock times, as another process continues with them after a restart;
    pauses are monotonic. Arguments are the fields of the `Wait`.
    """

    supports_triggerer_queue = True  # as every trigger of a task does, but not those that watch assets
    wait_type: ClassVar[type[Wait[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the arguments as what they are: the fields of the wait."""
        super().__init_subclass__(**kwargs)
        if "wait_type" in vars(cls):
            cls.__signature__ = inspect.signature(cls.wait_type)  # type: ignore[attr-defined]

    def __init__(self, **arguments: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wait: Any = self.wait_type.from_arguments(arguments)
        self.tracker: Tracker[SubjectT] = self.wait.tracker(self.log)
        self._failures = FailureCount()
        self._connection_missing_since: float | None = None
        self._not_before = 0.0
        self._last_known: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments to start over with; both are stored in Airflow's database."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.wait.arguments()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the event that says how the wait ended, polling by id."""
        poller = Poller.of(self.wait.toloka_conn_id)
        while not (event := await self._poll(partial(poller.fetch, self._fetch, self.wait.poll_interval))):
            await asyncio.sleep(self._pause())
        yield TriggerEvent(event.payload())

    def _fetch(self, client: TolokaClient) -> SubjectT:
        return self.tracker.fetch(client.without_retries(timeout=poll_timeout(self.wait)))

    async def _poll(self, fetch: Callable[[], Awaitable[SubjectT | None]]) -> WaitEvent | None:
        """Fetch, decide, and return how the wait ended; ``None`` to wait on, as if there is nothing new."""
        requested_at = time.time()
        try:
            subject = await fetch()
        except (AirflowNotFoundException, PermissionError, TimeoutError, TolokaError, ValueError) as exc:
            if self._is_final(exc):
                return self._ended(REFUSED, message=_with_link(exc))
            self._last_known = f"the last poll failed: {str(exc) or repr(exc)}"
            self.log.warning("Could not poll %s, trying again: %s", self.wait.name, str(exc) or repr(exc))
        else:
            self._failures.reset()
            self._connection_missing_since = None
            if subject is not None:
                if kind := self.tracker.decide(subject, requested_at):
                    facts, opened_at = self.wait.facts(subject), self.tracker.opened_at
                    return self._ended(kind, subject=facts, opened_at=opened_at)
                # The task has logged the first one; once more for ten thousand waits at once would take long.
                if self._last_known not in (None, subject.status.value):
                    self.log.info("Waiting for %s: it is %s", self.wait.name, subject.status.value)
                self._last_known = subject.status.value
        if time.time() < self.wait.deadline:
            return None
        message = f"{self.wait.name} was not done in time; last known: {self._last_known or 'nothing'}"
        return self._ended(TIMED_OUT, message=message)

    def _ended(self, kind: str, **more: Any) -> WaitEvent:
        return WaitEvent(kind, self.wait.deadline, subject_id=self.wait.subject_id, **more)

    def _pause(self) -> float:
        """Return the seconds until the next poll: earlier at the deadline, and when the wait may end by its time."""
        now = time.time()
        # A tenth less now and then, lest those that begin together, as after a restart, poll together for ever.
        pause = max(self.wait.poll_interval * random.uniform(LEAST_PAUSE, 1.0), self._not_before - time.monotonic())
        left = float("inf") if self.wait.until is None else self.wait.until - now
        return float(min(pause, self.wait.deadline - now, left if left > 0 else OVERDUE_POLL_INTERVAL))

    def _is_final(self, exc: Exception) -> bool:
        """Return whether an error ends the wait; remember what it says about the next poll."""
        if isinstance(exc, AirflowNotFoundException):
            now = time.monotonic()
            self._connection_missing_since = self._connection_missing_since or now
            give_up = self._connection_missing_since + CONNECTION_MISSING_TIMEOUT
            return now >= give_up or bool(time.time() >= self.wait.deadline)
        if isinstance(exc, TolokaError) and exc.is_transient:
            self._not_before = time.monotonic() + min(exc.retry_after or 0.0, MAX_RETRY_PAUSE)
        return not isinstance(exc, TimeoutError) and self._failures.is_final(exc)


def _with_link(exc: Exception) -> str:
    if isinstance(exc, TolokaError):
        return with_link(str(exc), exc.topic)
    return with_link(str(exc) or repr(exc), "connection-fields")
