"""Wait for operations and pools."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException, PokeReturnValue

from toloka_airflow._internal.arguments import parse_money, parse_rendered_datetime, parse_seconds
from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT, parse_defer_after
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.errors import TolokaError
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
from toloka_airflow.links import find_link, store_link
from toloka_airflow.triggers.close_on_kill import IN_WORKER, CloseOnKill, NewerAttempt, close_in_worker
from toloka_airflow.triggers.events import FINISHED, SPENT, TIME_IS_UP
from toloka_airflow.triggers.progress import had_answers, in_words, measure
from toloka_airflow.triggers.waits import OperationWait, PoolTracker, PoolWait
from toloka_airflow.wait_sensor import WaitSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow._internal.troubleshooting import Topic
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.wait_sensor import Connect

__all__ = ["OperationSensor", "PoolSensor"]

AnswerT = TypeVar("AnswerT")
STOPPED_BY = {FINISHED: "closed", TIME_IS_UP: "until", SPENT: "max_spend"}
SPENDING_INTERVAL = 60.0


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
        triggerer one operation measures two pools. In the mode ``reschedule`` only the end is measured. Without this
        and ``max_spend`` nothing is measured, and the page *Toloka* in Airflow's UI shows neither progress nor money.
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
        check_known(self, until=parse_rendered_datetime, max_spend=parse_money, spent_before=parse_money)

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
        until = parse_rendered_datetime("until", self.until)
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
