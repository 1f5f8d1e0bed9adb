"""Wait for operations and pools."""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from toloka_airflow._internal.airflow_internals import TRIGGER_FAILED
from toloka_airflow._internal.arguments import parse_money, parse_optional_datetime, parse_seconds
from toloka_airflow.api.errors import FailureCount, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import CloseReason, Operation, OperationStatus, Pool
from toloka_airflow.api.pool_actions import close_and_wait
from toloka_airflow.api.pool_rules import is_open, why_not_successful
from toloka_airflow.assets import check_outlets, report
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link, store_link
from toloka_airflow.triggers import OperationTrigger, PoolTrigger
from toloka_airflow.triggers.close_on_kill import IN_WORKER, CloseOnKill, close_in_worker, newer_attempt
from toloka_airflow.triggers.events import FINISHED, SPENT, TIME_IS_UP, TIMED_OUT, WaitEvent
from toloka_airflow.triggers.progress import in_words, measure
from toloka_airflow.triggers.waiting import safety_timeout
from toloka_airflow.triggers.waits import OperationWait, PoolTracker, PoolWait, SubjectT

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow.api.client import TolokaClient

    Connect = Callable[[], TolokaClient]

STOPPED_BY = {FINISHED: "closed", TIME_IS_UP: "until", SPENT: "max_spend"}
SPENDING_INTERVAL = 60.0
MAX_FAILURE_PAUSE = 0.5
"""Seconds between two requests after an answer that should not change, at the most."""


class WaitSensor(BaseSensorOperator, Generic[SubjectT]):
    """
    Wait for something on Toloka, in the worker or in the triggerer, with the same end.

    What it finds out about Toloka it raises as `AirflowSensorTimeout` or `AirflowFailException` only, the two that
    ``soft_fail`` and retries treat alike in all modes. Transient errors (no answer, 408, 429, 5xx) are tolerated until
    the timeout.
    """

    operator_extra_links = (TolokaLink(),)
    trigger_type: ClassVar[Callable[..., BaseTrigger]]
    subject_type: ClassVar[type[Operation] | type[Pool]]

    def __init__(
        self,
        *,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toloka_conn_id = toloka_conn_id
        self.deferrable = deferrable
        self._begin()

    def _begin(self) -> None:
        self._wait: Any = None
        self._tracker: Any = None
        self._client: TolokaClient | None = None
        self._is_linked = False
        self._last_status: str | None = None

    def execute(self, context: Context) -> Any:
        """Wait from the beginning, even if this process has executed the task before."""
        self._begin()
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once; a deferrable sensor that has to wait is deferred."""
        if self._tracker is None:
            self._wait = self._described()
            self._check(self._wait)
            # Only the mode poke has a next poll in this process, which can read what this one started to measure.
            self._tracker = self._wait.tracker(self.log, measures=not (self.deferrable or self.reschedule))
        requested_at = time.time()
        subject = self._fetch()
        if subject is not None:
            if not self._is_linked:
                self._store_link(context, self._connected(), subject)
                self._is_linked = True
            if kind := self._tracker.decide(subject, requested_at):
                return PokeReturnValue(is_done=True, xcom_value=self._end(context, self._connected, subject, kind))
            # Not at each poll: a timeout of Airflow's that comes while the task writes to its log is lost, and the task
            # hangs (docs/failure-modes.md).
            if subject.status.value != self._last_status:
                self.log.info("Waiting for %s: it is %s", self._wait.name, subject.status.value)
            self._last_status = subject.status.value
        if self.deferrable:
            # Raised from here, so that soft_fail and never_fail handle this first poll like any other.
            self.defer(
                trigger=self.trigger_type(**self._for_trigger(subject).arguments()),
                method_name="execute_complete",
                timeout=safety_timeout(min(self.timeout, self._time_left() or self.timeout)),
            )
        return False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the triggerer, or instead of it: if no triggerer polled when the time was up, poll here."""
        if next_method == TRIGGER_FAILED and self._until() is not None and not self._time_left():
            self.log.warning("The time is up, and no triggerer said so: %s", (next_kwargs or {}).get("error"))
            next_method, next_kwargs = "execute", {}
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """End as a poll in the worker would have ended."""
        try:
            end = WaitEvent.read(event)
            if end.kind == TIMED_OUT:
                raise AirflowSensorTimeout(f"Timed out after {self.timeout:.0f} s: {end.message}")
            if end.subject is None:
                raise AirflowFailException(end.message)
            subject: Any = self.subject_type.from_api(end.subject)
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc
        # Most ends need no further request: neither to read the connection, nor to import what sends requests.
        return self._end(context, self._connected, subject, end.kind)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Poll when the time is up, though the next poll would be later."""
        pause = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return min(pause, self._time_left() or pause)

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
                subject: SubjectT = self._tracker.fetch(self._connected().without_retries())
            except TolokaError as exc:
                if exc.is_transient:
                    self.log.warning("Could not poll %s, trying again: %s", self._wait.name, exc)
                    return None
                if failures.is_final(exc):
                    raise AirflowFailException(str(exc)) from exc
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
    def _end(self, context: Context, connect: Connect, subject: SubjectT, kind: str) -> Any:
        """Return the result, or raise why there is none; the kind is that of a `WaitEvent` with a subject."""

    @abstractmethod
    def _store_link(self, context: Context, client: TolokaClient, subject: SubjectT) -> None:
        """Make the link of this task lead to the right page."""


class OperationSensor(WaitSensor[Operation]):
    """
    Wait until an operation has succeeded, and return its id.

    It fails at once if the operation fails, with the first errors of its log where its type has one, or if its
    status is one that this version does not know.

    :param operation_id: The operation (templated). ``None``, which operators return when there was nothing to do,
        succeeds at once. So does the missing output of an operator that failed: leave the sensor its trigger rule.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    """

    template_fields: Sequence[str] = ("operation_id", "toloka_conn_id")
    trigger_type = OperationTrigger
    subject_type = Operation

    def __init__(self, *, operation_id: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation_id = operation_id

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once, unless there is nothing to wait for."""
        if self.operation_id is None:
            self.log.info("No operation to wait for: the call before had nothing to do")
            return PokeReturnValue(is_done=True)
        return super().poke(context)

    def _described(self) -> OperationWait:
        return OperationWait(
            operation_id=checked_id("operation_id", self.operation_id),
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=time.time() + self.timeout,
        )

    def _end(self, context: Context, connect: Connect, subject: Operation, kind: str) -> str:
        if subject.status == OperationStatus.SUCCESS:
            return subject.id
        try:
            return connect().ensure_success(subject).id
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc

    def _store_link(self, context: Context, client: TolokaClient, subject: Operation) -> None:
        find_link(context, client, dict(subject.parameters))


class PoolSensor(WaitSensor[Pool]):
    """
    Wait until a pool is closed for an expected reason, or until a time.

    It keeps waiting while the pool is OPEN or LOCKED, and fails at once if the pool is closed for another reason,
    was never open, is archived, or has a status that this version does not know.

    It returns ``{"pool_id", "status", "close_reason", "closed_at", "stopped_by"}``. ``stopped_by`` is ``closed``;
    ``max_spend`` if that was spent, and then the sensor has closed the pool; or ``until`` if the time was up first, and
    then the pool is still OPEN or LOCKED, and ``close_reason`` and ``closed_at`` are ``None``. With
    ``progress_interval`` there is also ``progress``: ``{"percent", "answers", "spent"}`` at the end, or ``None`` if it
    did not become known. Assets among the outlets get the same facts as the extra of their event; an `AssetAlias`
    stands for the asset of the pool (see `toloka_airflow.assets`).

    :param pool_id: The pool (templated).
    :param expected_reasons: Close reasons that count as success, such as ``("COMPLETED", "EXPIRED")``.
    :param until: When to stop waiting and succeed with what there is (templated); a time with a zone, or
        nothing. ``timeout``, in contrast, is a failure. Neither closes the pool.
    :param max_spend: US dollars with which to close the pool and succeed (templated), as Toloka counts them: rewards of
        accepted answers, without its fee. So it is passed by what is spent until the next measurement (every
        ``progress_interval``, or every minute), answers under way are paid as well, and answers that you review count
        when you have accepted them. Not for the mode ``reschedule``.
    :param spent_before: US dollars that were spent for the pool before, and do not count (templated).
    :param close_on_kill: Whether to close the pool when a person or ``execution_timeout`` ends the wait, but not
        when another attempt or run needs the pool by then; see `toloka_airflow.triggers.close_on_kill`. Airflow before
        3.3 does not notify deferred tasks, and no Airflow one in the mode ``reschedule`` between two polls.
    :param ignore_close_for_update: Whether to wait on while the pool is closed for update, after which Toloka opens it.
        With ``max_spend`` it always does.
    :param progress_interval: Seconds between two lines of progress in the log, which need an API operation each;
        in the mode ``reschedule`` only the end is measured.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    """

    template_fields: Sequence[str] = ("pool_id", "until", "max_spend", "spent_before", "toloka_conn_id")
    trigger_type = PoolTrigger
    subject_type = Pool
    close_limits = IN_WORKER

    def __init__(
        self,
        *,
        pool_id: str,
        expected_reasons: Iterable[str] = ("COMPLETED",),
        until: datetime | str | None = None,
        max_spend: float | str | None = None,
        spent_before: float | str | None = None,
        close_on_kill: bool = False,
        ignore_close_for_update: bool = False,
        progress_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pool_id = pool_id
        self.expected_reasons = _checked_reasons(expected_reasons)
        if max_spend is not None and self.reschedule and not self.deferrable:
            raise ValueError(
                "max_spend needs the mode poke or a deferrable sensor: nothing is measured between two polls"
            )
        self.until = until
        self.max_spend = max_spend
        self.spent_before = spent_before
        self.close_on_kill = close_on_kill
        self.ignore_close_for_update = ignore_close_for_update
        self.progress_interval = (
            None if progress_interval is None else parse_seconds("progress_interval", progress_interval)
        )
        if max_spend is not None and progress_interval is None:
            self.progress_interval = SPENDING_INTERVAL
        self._ti: Any = None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Poll once; a deferrable sensor that has to wait is deferred."""
        self._ti = context["ti"]
        return super().poke(context)

    def on_kill(self) -> None:
        """Close the pool, if that is wanted and no other attempt or run needs it."""
        # A signal handler cannot ask Airflow for the connection; without it, nothing was polled yet. Without a tracker,
        # the wait has ended in the triggerer, and its end is not yet to close the pool.
        if not self.close_on_kill or self._client is None or self._tracker is None:
            return
        tracker: PoolTracker = self._tracker
        limits = self.close_limits
        newer = partial(newer_attempt, self._ti, self.log, timeout=limits.state_timeout, own={"running"})
        close = CloseOnKill(self._wait.pool_id, tracker.opening, newer_attempt=newer, limits=limits, log=self.log)
        close_in_worker(self._client, close)

    def _described(self) -> PoolWait:
        limit, before = parse_money("max_spend", self.max_spend), parse_money("spent_before", self.spent_before)
        return PoolWait(
            pool_id=checked_id("pool_id", self.pool_id),
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=time.time() + self.timeout,
            until=self._until(),
            progress_interval=self.progress_interval,
            max_spend=None if limit is None else float(limit + (before or 0)),
            close_on_kill=self.close_on_kill,
            # With max_spend, the wait must not end, nor fail, before the pool is closed for good.
            ignore_close_for_update=self.ignore_close_for_update or limit is not None,
        )

    def _check(self, wait: PoolWait) -> None:
        check_outlets(self.outlets, pool_id=wait.pool_id, toloka_conn_id=self.toloka_conn_id)

    def _until(self) -> float | None:
        until = parse_optional_datetime("until", self.until, allow_empty=True)
        return None if until is None else until.timestamp()

    def _for_trigger(self, subject: Pool | None) -> PoolWait:
        wait: PoolWait = self._wait
        if subject is None or not is_open(subject):
            return wait
        return dataclasses.replace(wait, last_started=subject.raw.get("last_started"))

    def _end(self, context: Context, connect: Connect, subject: Pool, kind: str) -> dict[str, Any]:
        name = f"pool {subject.id}"
        if kind == SPENT:
            self.log.info("Closing %s, as max_spend (%s USD) is spent", name, self.max_spend)
            self._remember_opening(context, subject)
            # After a failure the next attempt closes the pool.
            with task_errors(must_be_done=True):
                subject = close_and_wait(connect(), subject.id)
        result: dict[str, Any] = {**subject.summary(), "stopped_by": STOPPED_BY[kind]}
        if kind == TIME_IS_UP:
            # What the pool says of a close is of an opening before.
            result |= {"close_reason": None, "closed_at": None}
            self.log.info("Not waiting any longer for %s, which is %s", name, subject.status.value)
        elif kind == FINISHED and (failure := why_not_successful(subject, self.expected_reasons)):
            raise AirflowFailException(failure)
        if self.progress_interval is not None:
            result["progress"] = measure(connect().without_retries(), subject.id, self.log)
            if result["progress"]:
                self.log.info("Progress of %s: %s", name, in_words(result["progress"]))
        report(context, self.outlets, pool_id=subject.id, toloka_conn_id=self.toloka_conn_id, facts=result)
        return result

    def _remember_opening(self, context: Context, subject: Pool) -> None:
        """Let `on_kill` know, also after a wait in the triggerer, which opening of the pool is to be closed."""
        self._ti = context["ti"]
        if self._tracker is None:
            self._wait = PoolWait(
                pool_id=subject.id, toloka_conn_id=self.toloka_conn_id, poll_interval=self.poke_interval, deadline=0.0
            )
            self._tracker = self._wait.tracker(self.log, measures=False)
        self._tracker.opening = self._tracker.opening.updated(subject)

    def _store_link(self, context: Context, client: TolokaClient, subject: Pool) -> None:
        store_link(context, client, subject)


def _checked_reasons(reasons: Iterable[str]) -> list[str]:
    """Return close reasons that this version knows, as plain strings."""
    checked = [CloseReason(reason) for reason in ([reasons] if isinstance(reasons, str) else reasons)]
    if not checked or not all(reason.is_known for reason in checked):
        known = ", ".join(reason.value for reason in CloseReason)
        raise ValueError(f"expected_reasons is {list(reasons)!r}; it must name at least one of {known}")
    return [reason.value for reason in checked]
