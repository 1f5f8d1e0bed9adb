"""Wait for operations and pools."""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    PokeReturnValue,
)

from toloka_airflow._internal.airflow_internals import TRIGGER_FAILED
from toloka_airflow._internal.arguments import parse_money, parse_optional_datetime, parse_seconds
from toloka_airflow._internal.brief_waits import BRIEF_POLL_INTERVAL, DEFER_BY_DEFAULT, parse_defer_after
from toloka_airflow._internal.task_outputs import BaseSensorOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow.api.errors import FailureCount, TolokaError, TolokaTimeoutError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import CloseReason, Operation, OperationStatus, Pool, read_date
from toloka_airflow.api.pool_actions import close_and_wait
from toloka_airflow.api.pool_rules import (
    PoolOpening,
    is_archived,
    is_open,
    was_completed,
    why_not_closed,
    why_not_successful,
)
from toloka_airflow.assets import check_outlets, report
from toloka_airflow.hooks import TolokaHook, task_error, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link, store_link
from toloka_airflow.triggers.close_on_kill import IN_WORKER, CloseOnKill, NewerAttempt, close_in_worker
from toloka_airflow.triggers.events import (
    FINISHED,
    SPENT,
    TIME_IS_UP,
    TIMED_OUT,
    Awaited,
    WaitEvent,
    without_awaited,
)
from toloka_airflow.triggers.progress import had_answers, in_words, measure
from toloka_airflow.triggers.waits import (
    OperationWait,
    PoolTracker,
    PoolWait,
    SubjectT,
    no_triggerer,
    poll_timeout,
    safety_timeout,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow._internal.troubleshooting import Topic
    from toloka_airflow.api.client import TolokaClient

    Connect = Callable[[], TolokaClient]

__all__ = ["OperationSensor", "PoolSensor"]

AnswerT = TypeVar("AnswerT")
STOPPED_BY = {FINISHED: "closed", TIME_IS_UP: "until", SPENT: "max_spend"}
SPENDING_INTERVAL = 60.0
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


class OperationSensor(WaitSensor[Operation]):
    """
    Wait until an operation has succeeded, and return its id.

    It fails at once if the operation fails, with the first errors of its log where its type has one, or if its
    status is one that this version does not know.

    :param operation_id: The operation (templated). ``None``, which operators return when there was nothing to do,
        succeeds at once. So does the missing output of an operator that failed: leave the sensor its trigger rule.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param deferrable: Whether to wait in the triggerer instead of a worker. It then polls every ``poke_interval``, so
        ``exponential_backoff`` and ``max_wait`` are refused.
    :param defer_after: How long to wait in the worker before that, in seconds; as for operators, see `WaitingOperator`.
    """

    template_fields: Sequence[str] = ("operation_id", "toloka_conn_id")
    subject_type = Operation

    def __init__(
        self,
        *,
        operation_id: str | XComArg | None,
        defer_after: float | timedelta | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, deferrable=deferrable, **kwargs)
        self.operation_id = as_rendered(operation_id)
        self.defer_after = parse_defer_after(defer_after)

    def _prepare(self) -> None:
        if self.operation_id is not None:
            super()._prepare()

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

    def _trigger(self, arguments: dict[str, Any]) -> BaseTrigger:
        from toloka_airflow.triggers import OperationTrigger

        return OperationTrigger(**arguments)

    def _end(self, context: Context, connect: Connect, subject: Operation, kind: str, opened_at: str | None) -> str:
        if subject.status == OperationStatus.SUCCESS:
            return subject.id
        try:
            return connect().ensure_success(subject).id
        except TolokaError as exc:
            raise task_error(exc, AirflowFailException) from exc

    def _store_link(self, context: Context, client: TolokaClient, subject: Operation) -> None:
        find_link(context, client, dict(subject.parameters))


class PoolSensor(WaitSensor[Pool]):
    """
    Wait until a pool is closed for an expected reason, or until a time.

    It keeps waiting while the pool is OPEN or LOCKED, and fails at once if the pool is closed for another reason,
    was never open, is archived, or has a status that this version does not know.

    It returns ``{"pool_id", "status", "close_reason", "closed_at", "stopped_by", "has_answers"}``. ``stopped_by`` is
    ``closed``; ``max_spend`` if that was spent, and then the sensor has closed the pool, unless another run had opened
    it again since; or ``until`` if the time was up first. If the pool is still OPEN or LOCKED, ``close_reason`` and
    ``closed_at`` are ``None``. ``has_answers`` is ``False`` if nobody answered since the pool was opened, which is
    logged as a warning, too; ``None`` if that did not become known. With ``progress_interval`` there is also
    ``progress``: ``{"percent", "assignments", "spent", "committed"}`` at the end (``answers`` is an older name of
    ``assignments``), or ``None`` if it did not become known.
    Assets among the outlets get the same facts as the extra of their event; an `AssetAlias` stands for the asset of the
    pool (see `toloka_airflow.assets`).

    ``spent`` are the rewards of accepted assignments, as Toloka counts them (``spent_budget``). ``committed`` are
    those of what was submitted and neither accepted nor rejected yet: their number times the highest reward of the
    pool, as with dynamic pricing an answer may cost less. Neither contains Toloka's fee.

    :param pool_id: The pool (templated).
    :param expected_reasons: Close reasons that count as success, such as ``("COMPLETED", "EXPIRED")``.
    :param until: When to stop waiting and succeed with what there is (templated); a time with a zone, or
        nothing. ``timeout``, in contrast, is a failure. Neither closes the pool.
    :param max_spend: Money with which to close the pool and succeed (templated): the sum of ``spent`` and
        ``committed``. So it is passed by what comes until the next measurement (every ``progress_interval``, or every
        minute), and answers under way are paid as well. What you reject does not count any more. Not for the mode
        ``reschedule``.
    :param spent_before: Money that was spent or committed for the pool before, and do not count (templated).
    :param close_on_kill: Whether to close the pool when a person, ``execution_timeout`` or ``dagrun_timeout`` ends the
        wait, but not when another attempt or run needs the pool by then; see `toloka_airflow.triggers.close_on_kill`.
        Airflow before 3.3 does not notify deferred tasks, and no Airflow one in the mode ``reschedule`` between two
        polls.
    :param training_id: With ``close_on_kill``, a training to close after the pool (templated), unless another main pool
        that requires it is open.
    :param ignore_close_for_update: Whether to wait on while the pool is closed for update, after which Toloka opens it.
        With ``max_spend`` it always does.
    :param progress_interval: Seconds between two lines of progress in the log, which need an API operation each; in the
        triggerer one operation measures two pools. In the mode ``reschedule`` only the end is measured.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param deferrable: Whether to wait in the triggerer instead of a worker. It then polls every ``poke_interval``, so
        ``exponential_backoff`` and ``max_wait`` are refused.
    """

    template_fields: Sequence[str] = ("pool_id", "until", "max_spend", "spent_before", "training_id", "toloka_conn_id")
    subject_type = Pool
    close_limits = IN_WORKER

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        expected_reasons: Iterable[str] = ("COMPLETED",),
        until: datetime | str | XComArg | None = None,
        max_spend: float | str | XComArg | None = None,
        spent_before: float | str | XComArg | None = None,
        close_on_kill: bool = False,
        training_id: str | XComArg | None = None,
        ignore_close_for_update: bool = False,
        progress_interval: float | timedelta | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, deferrable=deferrable, **{"multiple_outputs": True, **kwargs})
        self.pool_id = as_rendered(pool_id)
        self.expected_reasons = _checked_reasons(expected_reasons)
        if max_spend is not None and self.reschedule and not self.deferrable:
            raise argument_error(
                "max_spend needs the mode poke or a deferrable sensor: nothing is measured between two polls"
            )
        if training_id is not None and not close_on_kill:
            raise argument_error(f"training_id is {training_id!r}, which does nothing without close_on_kill=True")
        self.until = as_rendered(until)
        self.max_spend = as_rendered(max_spend)
        self.spent_before = as_rendered(spent_before)
        self.close_on_kill = close_on_kill
        self.training_id = as_rendered(training_id)
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
        """Close the pool, and its training, if that is wanted and nobody else needs them."""
        # A signal handler cannot ask Airflow for the connection; without it, nothing was polled yet. Without a tracker,
        # the wait has ended in the triggerer, and its end is not yet to close the pool.
        if not self.close_on_kill or self._client is None or self._tracker is None:
            return
        tracker: PoolTracker = self._tracker
        limits = self.close_limits
        newer = NewerAttempt(self._ti, self.log, timeout=limits.state_timeout, own={"running"})
        close = CloseOnKill(
            self._wait.pool_id,
            tracker.opening,
            training_id=self._wait.training_id,
            newer_attempt=newer,
            limits=limits,
            log=self.log,
        )
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
            training_id=self._checked_training(),
            # With max_spend, the wait must not end, nor fail, before the pool is closed for good.
            ignore_close_for_update=self.ignore_close_for_update or limit is not None,
        )

    def _checked_training(self) -> str | None:
        return None if self.training_id is None else checked_id("training_id", self.training_id)

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

    def _trigger(self, arguments: dict[str, Any]) -> BaseTrigger:
        from toloka_airflow.triggers import PoolTrigger

        return PoolTrigger(**arguments)

    def _end(
        self, context: Context, connect: Connect, subject: Pool, kind: str, opened_at: str | None
    ) -> dict[str, Any]:
        name = f"pool {subject.id}"
        started = read_date(opened_at) or subject.last_started
        if kind == SPENT:
            subject = self._close(context, connect, subject, started)
        result: dict[str, Any] = {**subject.summary(), "stopped_by": STOPPED_BY[kind]}
        if kind == FINISHED and (failure := why_not_successful(subject, self.expected_reasons)):
            topic: Topic = "archived" if is_archived(subject) else "pool-stopped-otherwise"
            raise task_error(TolokaError(failure, topic=topic), AirflowFailException)
        if kind != FINISHED and why_not_closed(subject):
            # What the pool says of a close is of an opening before.
            result |= {"close_reason": None, "closed_at": None}
            self.log.info("Not waiting any longer for %s, which is %s", name, subject.status.value)
        result["has_answers"] = (kind == FINISHED and was_completed(subject)) or self._if_connected(
            connect, lambda client: had_answers(client, subject.id, started, self.log)
        )
        if self.progress_interval is not None:
            result["progress"] = self._if_connected(connect, lambda client: measure(client, subject.id, self.log))
            if result["progress"]:
                self.log.info("Progress of %s: %s", name, in_words(result["progress"]))
        report(context, self.outlets, pool_id=subject.id, toloka_conn_id=self.toloka_conn_id, facts=result)
        self._lineage_facts = result
        return result

    def _if_connected(self, connect: Connect, find: Callable[[TolokaClient], AnswerT | None]) -> AnswerT | None:
        """Return what a request finds out about a wait that has ended; ``None`` if the connection cannot be read."""
        try:
            client = connect().without_retries()
        except Exception as exc:  # whatever it is, it does not change how the wait has ended
            self.log.warning("Whether anybody answered, and how far the pool is, is not known: %s", exc)
            return None
        return find(client)

    def _close(self, context: Context, connect: Connect, subject: Pool, started: datetime | None) -> Pool:
        """Close the pool, unless another run has opened it again since; return it as it is then."""
        opening = self._remember_opening(context, subject, started)
        self.log.info("Closing pool %s, as max_spend (%s) is spent", subject.id, self.max_spend)
        # After a failure the next attempt closes the pool.
        with task_errors(must_be_done=True):
            pool = close_and_wait(connect(), subject.id, opening)
        if opening.was_followed_by(pool):
            self.log.warning(
                "Pool %s was not closed: it was opened again by another run, at %s", pool.id, pool.last_started
            )
        return pool

    def _remember_opening(self, context: Context, subject: Pool, started: datetime | None) -> PoolOpening:
        """Let `on_kill` know, also after a wait in the triggerer, which opening of the pool is to be closed."""
        self._ti = context["ti"]
        if self._tracker is None:
            self._wait = PoolWait(
                pool_id=subject.id,
                training_id=self._checked_training(),
                toloka_conn_id=self.toloka_conn_id,
                poll_interval=self.poke_interval,
                deadline=0.0,
            )
            self._tracker = self._wait.tracker(self.log, measures=False)
            self._tracker.opening = PoolOpening(started=started)
        opening: PoolOpening = self._tracker.opening
        return opening

    def _store_link(self, context: Context, client: TolokaClient, subject: Pool) -> None:
        store_link(context, client, subject)


def _checked_reasons(reasons: Iterable[str]) -> list[str]:
    """Return close reasons that this version knows, as plain strings."""
    checked = [CloseReason(reason) for reason in ([reasons] if isinstance(reasons, str) else reasons)]
    if not checked or not all(reason.is_known for reason in checked):
        known = ", ".join(reason.value for reason in CloseReason)
        raise argument_error(f"expected_reasons is {list(reasons)!r}; it must name at least one of {known}")
    return [reason.value for reason in checked]
