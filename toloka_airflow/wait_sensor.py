"""What the sensors have in common: they wait in the worker or in the triggerer, with the same end."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, PokeReturnValue

from toloka_airflow._internal.airflow_internals import TRIGGER_FAILED
from toloka_airflow._internal.brief_waits import BRIEF_POLL_INTERVAL, DEFER_BY_DEFAULT
from toloka_airflow._internal.task_outputs import BaseSensorOperator
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow.api.errors import FailureCount, TolokaError, TolokaTimeoutError
from toloka_airflow.hooks import TolokaHook, task_error, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink
from toloka_airflow.triggers.events import TIMED_OUT, Awaited, WaitEvent, without_awaited
from toloka_airflow.triggers.waits import SubjectT, no_triggerer, poll_timeout, safety_timeout

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Pool

    Connect = Callable[[], TolokaClient]

MAX_FAILURE_PAUSE = 0.5
"""Seconds between two requests after an answer that should not change, at the most."""
_IF_TIMED_OUT = "Raise timeout if it may take longer"


class WaitSensor(LineageMixin, BaseSensorOperator, Generic[SubjectT]):
    """
    Wait for something on Toloka, in the worker or in the triggerer, with the same end.

    What it finds out about Toloka it raises as `AirflowSensorTimeout` or `AirflowFailException` only, the two that
    ``soft_fail`` and retries treat alike in all modes. Transient errors (no answer, 408, 429, 5xx) are tolerated until
    the timeout.
    """

    operator_extra_links = (TolokaLink(),)
    subject_type: ClassVar[type[Operation] | type[Pool]]
    defer_after = 0.0
    """Seconds to wait in the worker before the task is deferred."""

    def __init__(
        self,
        *,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable and (self.exponential_backoff or self.max_wait is not None):
            raise argument_error(
                "exponential_backoff and max_wait are for polls in a worker: in the triggerer, waits with the same "
                "interval share one poll. Leave them out and choose poke_interval, or set deferrable=False"
            )
        self.toloka_conn_id = toloka_conn_id
        self.deferrable = deferrable
        self._begin()

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._wait: Any = None
        self._tracker: Any = None
        self._client: TolokaClient | None = None
        self._is_linked = False
        self._last_status: str | None = None

    def execute(self, context: Context) -> Any:
        """Wait from the beginning, even if this process has executed the task before."""
        self._begin()
        # Not in the first poll, as soft_fail would skip a task with an argument that cannot be used.
        with task_errors():
            self._prepare()
        try:
            return super().execute(context)
        except AirflowSensorTimeout as exc:
            status = f"{self._wait.name} is {self._last_status or 'not known to be done'}"
            text = f"{str(exc).rstrip('.')}; {status}. {_IF_TIMED_OUT}"
            raise AirflowSensorTimeout(with_link(text, "timed-out")) from exc

    def _prepare(self) -> None:
        """Read the arguments and the connection."""
        self._wait = self._described()
        self._check(self._wait)
        self._connected()

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once; a deferrable sensor that has to wait for long is deferred."""
        if self._wait is None:
            self._prepare()
        if self._tracker is None:
            # Only the mode poke has a next poll in this process, which can read what this one started to measure.
            self._tracker = self._wait.tracker(self.log, measures=not (self.deferrable or self.reschedule))
        requested_at = time.time()
        subject = self._fetch()
        if subject is not None:
            if not self._is_linked:
                self._store_link(context, self._connected(), subject)
                self._is_linked = True
            if kind := self._tracker.decide(subject, requested_at):
                result = self._end(context, self._connected, subject, kind, self._tracker.opened_at)
                return PokeReturnValue(is_done=True, xcom_value=result)
            # Not at each poll: a timeout of Airflow's that comes while the task writes to its log is lost, and the task
            # hangs (docs/failure-modes.md).
            if subject.status.value != self._last_status:
                self.log.info("Waiting for %s: it is %s", self._wait.name, subject.status.value)
            self._last_status = subject.status.value
        if self.deferrable and not self._is_brief():
            # Raised from here, so that soft_fail and never_fail handle this first poll like any other.
            wait = self._for_trigger(subject)
            self.defer(
                trigger=self._trigger(wait.arguments()),
                method_name="execute_complete",
                kwargs=Awaited(wait.subject_id, wait.deadline).kwargs(),
                timeout=safety_timeout(min(self.timeout, self._time_left() or self.timeout)),
            )
        return False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the triggerer, or instead of it: if no triggerer polled when the time was up, poll here."""
        next_kwargs, awaited = without_awaited(next_kwargs)
        if awaited is not None:
            self.log.warning("Resumed with the end of another wait; waiting on for %s", awaited.subject_id)
            next_method, next_kwargs = "execute", {}
        if next_method == TRIGGER_FAILED and self._until() is not None and not self._time_left():
            self.log.warning("The time is up, and no triggerer said so: %s", (next_kwargs or {}).get("error"))
            next_method, next_kwargs = "execute", {}
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as exc:
            if next_method != TRIGGER_FAILED:
                raise
            raise AirflowSensorTimeout(no_triggerer(exc)) from exc

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """End as a poll in the worker would have ended."""
        try:
            end = WaitEvent.read(event)
            if end.kind == TIMED_OUT:
                raise TolokaTimeoutError(f"Timed out after {self.timeout:.0f} s: {end.message}. {_IF_TIMED_OUT}")
            if end.subject is None:
                raise TolokaError(end.message)
            subject: Any = self.subject_type.from_api(end.subject)
        except TolokaTimeoutError as exc:
            raise task_error(exc, AirflowSensorTimeout) from exc
        except TolokaError as exc:
            raise task_error(exc, AirflowFailException) from exc
        # Most ends need no further request: neither to read the connection, nor to import what sends requests.
        return self._end(context, self._connected, subject, end.kind, end.opened_at)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Poll when the time is up, though the next poll would be later."""
        pause = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        if self.deferrable and self._is_brief():
            return min(pause, BRIEF_POLL_INTERVAL)
        return min(pause, self._time_left() or pause)

    def _is_brief(self) -> bool:
        """Return whether the wait began so short a time ago that it may end before it is worth deferring."""
        # Well before the timeout, which Airflow itself would raise here, whatever never_fail says.
        brief = 0.0 if self.reschedule else min(self.defer_after, self.timeout / 2)
        return time.monotonic() - self._began < brief

    def _time_left(self) -> float | None:
        """Return the seconds until what there is will do; ``None`` if that is over, or never."""
        until = self._until()
        left = 0.0 if until is None else until - time.time()
        return left if left > 0 else None

    def _connected(self) -> TolokaClient:
        """
        Return the client of this task; it reads the connection once, and again after an answer like 401.

        Not at every poll: if Airflow ends the task in the middle of such a request, its answer is taken for that to the
        next one, which is whether a newer attempt is under way.
        """
        if self._client is None:
            self._client = TolokaHook(self.toloka_conn_id).get_conn()
        return self._client

    def _until(self) -> float | None:
        """Return the Unix time with which the wait ends with what there is; ``None`` for none."""
        return None

    def _fetch(self) -> SubjectT | None:
        """Return what is waited for; ``None`` after a transient error."""
        failures = FailureCount()
        while True:
            try:
                subject: SubjectT = self._tracker.fetch(
                    self._connected().without_retries(timeout=poll_timeout(self._wait))
                )
            except TolokaError as exc:
                if exc.is_transient:
                    self.log.warning("Could not poll %s, trying again: %s", self._wait.name, exc)
                    return None
                if failures.is_final(exc):
                    raise task_error(exc, AirflowFailException) from exc
                self.log.warning("Polling %s again, as an answer like this should not come: %s", self._wait.name, exc)
                self._client = TolokaHook(self.toloka_conn_id).get_conn()  # the token may have been changed
                time.sleep(min(MAX_FAILURE_PAUSE, self.poke_interval))
            else:
                return subject

    def _check(self, wait: Any) -> None:
        """Raise if something is wrong with the task that only shows when it runs; nothing was sent yet."""

    def _for_trigger(self, subject: SubjectT | None) -> Any:
        """Return the wait as it continues in the triggerer, after a first poll that may have failed."""
        return self._wait

    @abstractmethod
    def _described(self) -> Any:
        """
        Return what is waited for.

        :raises ValueError: If an argument cannot be used.
        """

    @abstractmethod
    def _trigger(self, arguments: dict[str, Any]) -> BaseTrigger:
        """Return what waits in the triggerer; its module is imported here, and not when a DAG is parsed."""

    @abstractmethod
    def _end(self, context: Context, connect: Connect, subject: SubjectT, kind: str, opened_at: str | None) -> Any:
        """Return the result, or raise why there is none; kind and time are those of a `WaitEvent` with a subject."""

    @abstractmethod
    def _store_link(self, context: Context, client: TolokaClient, subject: SubjectT) -> None:
        """Make the link of this task lead to the right page."""
