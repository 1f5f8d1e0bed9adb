"""Waiting for operations and pools."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from toloka_airflow.api.errors import REFUSALS, TolokaError
from toloka_airflow.api.models import CloseReason, Operation, OperationStatus, Pool, PoolStatus, Raw
from toloka_airflow.api.transport import checked_id
from toloka_airflow.arguments import dollars, moment_if_any, positive
from toloka_airflow.assets import check_outlets, report
from toloka_airflow.closing import PATIENCE, Closing, Round, close_after_kill, close_at_once, newer_attempt
from toloka_airflow.hooks import MAY_PASS, TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link, store_link
from toloka_airflow.looks import SubjectT
from toloka_airflow.progress import Progress, in_words, measure
from toloka_airflow.triggers import (
    FINISHED,
    SPENT,
    TIME_IS_UP,
    TIMED_OUT,
    OperationTrigger,
    PoolTrigger,
    WaitEvent,
    closing_facts,
    pool_failure,
    pool_has_stopped,
    safety_net,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow.api.client import TolokaClient

    Connect = Callable[[], TolokaClient]

TRIGGER_FAILED = "__fail__"
"""The method with which Airflow resumes a task whose trigger has failed, or was not done in time."""
STOPPED_BY = {FINISHED: "closed", TIME_IS_UP: "until", SPENT: "max_spend"}
SPENDING_INTERVAL = 60.0
REFUSAL_PAUSE = 0.5


class _WaitSensor(BaseSensorOperator, Generic[SubjectT]):
    """
    Wait for something on Toloka, in the worker or in the triggerer, with the same end.

    What it finds out about Toloka it raises as `AirflowSensorTimeout` or `AirflowFailException` only, the two that
    ``soft_fail`` and retries treat alike in all modes. Answers that may pass (no answer, 408, 429, 5xx) are
    tolerated until the timeout.
    """

    operator_extra_links = (TolokaLink(),)

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
        self._linked = False

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once; if it is not done, a deferrable sensor goes on in the triggerer."""
        asked_at = time.time()
        self._until()  # what is wrong with it is found before anything is sent
        client = TolokaHook(self.toloka_conn_id).get_conn()
        connected = lambda: client  # noqa: E731
        subject = self._try_to_look(client.without_retries())
        if subject is not None:
            if not self._linked:
                self._store_link(context, client, subject)
                self._linked = True
            if self._is_done(subject):
                return PokeReturnValue(is_done=True, xcom_value=self._end(context, connected, subject, FINISHED))
            if kind := self._why_enough(asked_at):
                return PokeReturnValue(is_done=True, xcom_value=self._end(context, connected, subject, kind))
            self.log.info("Waiting for %s: it is %s", self._what, subject.status.value)
        if self.deferrable:
            # Raised from here, so that soft_fail and never_fail handle this first look like any other.
            self.defer(
                trigger=self._trigger(subject, time.time() + self.timeout),
                method_name="execute_complete",
                timeout=safety_net(self._longest()),
            )
        return False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the triggerer, or instead of it: if nobody was there when the time was up, look here."""
        until = self._until()
        if next_method == TRIGGER_FAILED and until is not None and time.time() >= until:
            self.log.warning("The time is up, and no triggerer said so: %s", (next_kwargs or {}).get("error"))
            next_method, next_kwargs = "execute", {}
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """End as a look in the worker would have ended."""
        try:
            end = WaitEvent.read(event)
            if end.kind == TIMED_OUT:
                raise AirflowSensorTimeout(f"Timed out after {self.timeout:.0f} s: {end.message}")
            if end.subject is None:
                raise AirflowFailException(end.message)
            subject = self._read(end.subject)
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc
        # Most ends need no further request: neither to read the connection, nor to import what sends requests.
        return self._end(context, TolokaHook(self.toloka_conn_id).get_conn, subject, end.kind)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Look again when the time is up, though the next look would be later."""
        pause = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        left = (self._until() or 0.0) - time.time()
        return min(pause, left) if left > 0 else pause

    def _longest(self) -> float:
        """Return in how many seconds the triggerer must be done."""
        left = (self._until() or 0.0) - time.time()
        return min(self.timeout, left) if left > 0 else self.timeout

    def _until(self) -> float | None:
        """Return the Unix time at which what there is will do."""
        return None

    def _why_enough(self, asked_at: float) -> str | None:
        """Return the kind of event that ends the wait though the subject is not done; ``None`` to go on."""
        until = self._until()
        return TIME_IS_UP if until is not None and asked_at >= until else None

    def _try_to_look(self, client: TolokaClient) -> SubjectT | None:
        for refusals in range(1, REFUSALS + 1):
            try:
                return self._look(client)
            except MAY_PASS as exc:
                self.log.warning("Could not look at %s, trying again: %s", self._what, exc)
                return None
            except TolokaError as exc:
                if refusals == REFUSALS:
                    raise AirflowFailException(str(exc)) from exc
                self.log.warning("Asking for %s once more, as an answer like this should not come: %s", self._what, exc)
                time.sleep(REFUSAL_PAUSE)
        raise AssertionError("unreachable")

    @property
    @abstractmethod
    def _what(self) -> str:
        """What is waited for, in words."""

    @abstractmethod
    def _look(self, client: TolokaClient) -> SubjectT:
        """Ask Toloka."""

    @abstractmethod
    def _read(self, raw: Raw) -> SubjectT:
        """Return what the trigger saw."""

    @abstractmethod
    def _is_done(self, subject: SubjectT) -> bool:
        """Return whether waiting longer makes no sense."""

    @abstractmethod
    def _end(self, context: Context, connect: Connect, subject: SubjectT, kind: str) -> Any:
        """Return the result, or raise why there is none; the kind is that of a `WaitEvent` with a subject."""

    @abstractmethod
    def _store_link(self, context: Context, client: TolokaClient, subject: SubjectT) -> None:
        """Make the link of this task lead to the right page."""

    @abstractmethod
    def _trigger(self, subject: SubjectT | None, deadline: float) -> BaseTrigger:
        """Return what waits in the triggerer, after a first look that may have failed."""


class OperationSensor(_WaitSensor[Operation]):
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

    def __init__(self, *, operation_id: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation_id = operation_id

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once, unless there is nothing to wait for."""
        if self.operation_id is None:
            self.log.info("No operation to wait for: the call before had nothing to do")
            return PokeReturnValue(is_done=True)
        return super().poke(context)

    @property
    def _what(self) -> str:
        return f"operation {self.operation_id}"

    def _look(self, client: TolokaClient) -> Operation:
        return client.get_operation(checked_id("operation_id", self.operation_id))

    def _read(self, raw: Raw) -> Operation:
        return Operation.from_api(raw)

    def _is_done(self, subject: Operation) -> bool:
        return subject.is_done

    def _end(self, context: Context, connect: Connect, subject: Operation, kind: str) -> str:
        if subject.status == OperationStatus.SUCCESS:
            return subject.id
        try:
            return connect().ensure_success(subject).id
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc

    def _store_link(self, context: Context, client: TolokaClient, subject: Operation) -> None:
        find_link(context, client, dict(subject.parameters))

    def _trigger(self, subject: Operation | None, deadline: float) -> BaseTrigger:
        return OperationTrigger(
            operation_id=checked_id("operation_id", self.operation_id),
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=deadline,
        )


class PoolSensor(_WaitSensor[Pool]):
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
    :param max_spend: US dollars with which to close the pool and succeed (templated), as Toloka tells them: rewards of
        accepted answers, without its fee. So it is passed by what is spent until the next measurement (every
        ``progress_interval``, or every minute), answers under way are paid as well, and answers that you review count
        when you have accepted them. Not for the mode ``reschedule``.
    :param spent_before: US dollars that were spent for the pool before, and do not count (templated).
    :param close_on_kill: Whether to close the pool when a person or ``execution_timeout`` ends the wait, but not
        when the task or the pool is already in a later attempt; see `toloka_airflow.closing`. Airflow before 3.3
        does not tell deferred tasks, and no Airflow tells a task in the mode ``reschedule`` between two looks.
    :param through_update: Whether to go on waiting while the pool is closed for update, after which Toloka opens it.
        With ``max_spend`` it always does.
    :param progress_interval: Seconds between two lines of progress in the log, which need an API operation each;
        in the mode ``reschedule`` only the end is measured.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    """

    template_fields: Sequence[str] = ("pool_id", "until", "max_spend", "spent_before", "toloka_conn_id")

    def __init__(
        self,
        *,
        pool_id: str,
        expected_reasons: Iterable[str] = ("COMPLETED",),
        until: datetime | str | None = None,
        max_spend: float | str | None = None,
        spent_before: float | str | None = None,
        close_on_kill: bool = False,
        through_update: bool = False,
        progress_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pool_id = pool_id
        self.expected_reasons = _checked_reasons(expected_reasons)
        if max_spend is not None and self.reschedule and not self.deferrable:
            raise ValueError(
                "max_spend needs the mode poke or a deferrable sensor: nothing is measured between two looks"
            )
        self.until = until
        self.max_spend = max_spend
        self.spent_before = spent_before
        self.close_on_kill = close_on_kill
        self.through_update = through_update
        self.progress_interval = None if progress_interval is None else positive("progress_interval", progress_interval)
        if max_spend is not None and progress_interval is None:
            self.progress_interval = SPENDING_INTERVAL
        self._watch: _Watch | None = None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once; if it is not done, a deferrable sensor goes on in the triggerer."""
        if self._watch is None:
            pool_id = checked_id("pool_id", self.pool_id)
            self._limit()  # what is wrong with it is found before anything is sent
            check_outlets(self.outlets, pool_id=pool_id, toloka_conn_id=self.toloka_conn_id)
            # Only this mode has a next look in this process, which can read what this look started.
            interval = None if self.deferrable or self.reschedule else self.progress_interval
            self._watch = _Watch(pool_id, context["ti"], interval, self.log)
        return super().poke(context)

    def on_kill(self) -> None:
        """Close the pool, if that is wanted and nobody else needs it."""
        if self.close_on_kill and self._watch is not None:
            self._watch.close()

    @property
    def _what(self) -> str:
        return f"pool {self.pool_id}"

    @property
    def _lasts_through_update(self) -> bool:
        # With max_spend, the wait must not end, nor fail, before the pool is closed for good.
        return self.through_update or self._limit() is not None

    def _until(self) -> float | None:
        until = moment_if_any("until", self.until)
        return None if until is None else until.timestamp()

    def _limit(self) -> float | None:
        """Return the US dollars, since the pool was created, with which the wait ends."""
        limit, before = dollars("max_spend", self.max_spend), dollars("spent_before", self.spent_before)
        return None if limit is None else float(limit + (before or 0))

    def _why_enough(self, asked_at: float) -> str | None:
        is_spent = self._watch is not None and self._watch.has_spent(self._limit())
        return SPENT if is_spent else super()._why_enough(asked_at)

    def _look(self, client: TolokaClient) -> Pool:
        pool = client.get_settled_pool(checked_id("pool_id", self.pool_id))
        if self._watch is not None:
            self._watch.look(client, pool)
        return pool

    def _read(self, raw: Raw) -> Pool:
        return Pool.from_api(raw)

    def _is_done(self, subject: Pool) -> bool:
        return pool_has_stopped(subject, through_update=self._lasts_through_update)

    def _end(self, context: Context, connect: Connect, subject: Pool, kind: str) -> dict[str, Any]:
        if kind == SPENT:
            self.log.info("So much was spent for %s that it is closed: %s USD", self._what, self._limit())
            # After a failure the next attempt closes the pool.
            with task_errors(must_be_done=True):
                subject = close_at_once(connect(), subject.id)
        result: dict[str, Any] = {**closing_facts(subject), "stopped_by": STOPPED_BY[kind]}
        if kind == TIME_IS_UP:
            # What the pool tells of a closing is of an earlier round.
            result |= {"close_reason": None, "closed_at": None}
            self.log.info("Not waiting any longer for %s, which is %s", self._what, subject.status.value)
        elif kind == FINISHED and (failure := pool_failure(subject, self.expected_reasons)):
            raise AirflowFailException(failure)
        if self.progress_interval is not None:
            result["progress"] = measure(connect().without_retries(), subject.id, self.log)
            if result["progress"]:
                self.log.info("Progress of %s: %s", self._what, in_words(result["progress"]))
        report(context, self.outlets, pool_id=subject.id, toloka_conn_id=self.toloka_conn_id, facts=result)
        return result

    def _store_link(self, context: Context, client: TolokaClient, subject: Pool) -> None:
        store_link(context, client, subject)

    def _trigger(self, subject: Pool | None, deadline: float) -> BaseTrigger:
        is_open = subject is not None and subject.status == PoolStatus.OPEN
        return PoolTrigger(
            pool_id=checked_id("pool_id", self.pool_id),
            until=self._until(),
            progress_interval=self.progress_interval,
            max_spend=self._limit(),
            close_on_kill=self.close_on_kill,
            through_update=self._lasts_through_update,
            last_started=subject.raw.get("last_started") if subject and is_open else None,
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=deadline,
        )


class _Watch:
    """What a sensor in a worker remembers from one look to the next."""

    def __init__(self, pool_id: str, ti: Any, progress_interval: float | None, log: Any) -> None:
        self._round = Round(pool_id)
        self._progress = Progress(pool_id, progress_interval, log)
        self._client: TolokaClient | None = None
        self._ti, self._log = ti, log

    def look(self, client: TolokaClient, pool: Pool) -> None:
        self._client = client
        self._round = self._round.seen(pool)
        if not pool_has_stopped(pool):
            self._progress.look(client)

    def has_spent(self, limit: float | None) -> bool:
        return self._progress.has_spent(limit)

    def close(self) -> None:
        """Close the pool; in a signal handler Airflow cannot be asked for the connection, hence the old client."""
        if self._client is not None:
            newer = partial(newer_attempt, self._ti, self._log, own={"running"})
            close_after_kill(self._client, Closing(self._round, newer=newer, log=self._log, patience=PATIENCE))


def _checked_reasons(reasons: Iterable[str]) -> list[str]:
    """Return close reasons that this version knows, as plain strings."""
    checked = [CloseReason(reason) for reason in ([reasons] if isinstance(reasons, str) else reasons)]
    if not checked or not all(reason.is_known for reason in checked):
        known = ", ".join(reason.value for reason in CloseReason)
        raise ValueError(f"expected_reasons is {list(reasons)!r}; it must name at least one of {known}")
    return [reason.value for reason in checked]
