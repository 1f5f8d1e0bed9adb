"""Open, close and archive pools and trainings."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from toloka_airflow._internal.arguments import parse_money, parse_optional_datetime, parse_seconds
from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.errors import TolokaConflictError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, OperationStatus, Project
from toloka_airflow.api.pool_actions import Blocked, PoolNotClosedError, send_if_free
from toloka_airflow.api.pool_rules import (
    PoolOpening,
    is_archived,
    is_open,
    was_opened_and_closed_after,
    why_not_closed,
    why_unknown,
    would_be_opened,
)
from toloka_airflow.checks.money import Fee
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.duplicates import Created, find_duplicates, is_stray
from toloka_airflow.operators.expiry import let_expire_in, warn_if_left_open
from toloka_airflow.operators.guards import ON_LOW_BALANCE, Money, let_expire, skip_if_late
from toloka_airflow.operators.previous_attempts import last_started_before
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.triggers.events import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.sdk import XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool, Training

__all__ = [
    "ArchivePoolOperator",
    "ArchiveTrainingOperator",
    "ClosePoolOperator",
    "CloseTrainingOperator",
    "OpenPoolOperator",
    "OpenTrainingOperator",
]

LIFECYCLE = ("OPEN", "CLOSE", "ARCHIVE")


@dataclass(frozen=True)
class FirstStep:
    """An operation of the task's own that must succeed before its call can be sent."""

    operation: Operation


class LifecycleOperator(WaitingOperator):
    """
    Bring a pool or training into a state, and wait until it is there.

    Repeating it is harmless: what is in the wanted state already is not changed, and an operation that blocks the call
    is waited for first. So a retry after a lost answer or a crash picks up what the first attempt started.

    It returns the id of the operation that did it, or ``None`` if there was nothing to do. The id is in the XCom
    ``operation_id`` before the wait begins.

    :param wait_for_completion: Whether to wait until the operation has succeeded. If not, an `OperationSensor` can.

    Further arguments are those of `WaitingOperator`. The ``timeout`` is for operations that block the call, too.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (TolokaLink(),)
    id_name: ClassVar[str]
    operation_type: ClassVar[str]

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.wait_for_completion = wait_for_completion
        self._deadline = float("inf")

    def execute(self, context: Context) -> str | None:
        """Send the call and wait for its operation."""
        with task_errors(must_be_done=self.must_be_done):
            self._id()
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Resume after the triggerer waited for the operation of this task."""
        with task_errors(must_be_done=self.must_be_done):
            operation = awaited_operation(WaitEvent.read(event))
            if operation.status != OperationStatus.SUCCESS or self.must_be_done:
                client = TolokaHook(self.toloka_conn_id).get_conn()
                client.ensure_success(operation)
                self._ensure_it_stays(client)
            return operation.id

    def first_step_finished(self, context: Context, event: dict[str, Any] | None = None) -> str | None:
        """Resume after the triggerer waited for a first step of this task."""
        with task_errors(must_be_done=self.must_be_done):
            end = WaitEvent.read(event)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            client.ensure_success(awaited_operation(end))
            return self._act(context, client, end.deadline)

    def blocking_operation_finished(self, context: Context, event: dict[str, Any] | None = None) -> str | None:
        """Resume after the triggerer waited for an operation that blocked the call."""
        with task_errors(must_be_done=self.must_be_done):
            end = WaitEvent.read(event)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, end.deadline, self._adopted(awaited_operation(end)))

    holder_finished = blocking_operation_finished  # as tasks that older versions have deferred will call it

    def _act(self, context: Context, client: TolokaClient, deadline: float, adopted: str | None = None) -> str | None:
        """
        Send the call until no other operation blocks it, and wait for its operation.

        :param adopted: The operation of a previous attempt that did the work, if there is nothing left to do.
        """
        self._deadline = deadline
        while True:
            try:
                answer = send_if_free(partial(self._submit, context, client))
            except TolokaConflictError as exc:
                raise self._with_state(client, exc) from exc
            if answer is None:
                # The state is right, but an operation that is under way may be about to change it.
                operation = self._unfinished(client)
                if operation is None:
                    return self._nothing_to_do(context, client, adopted)
                adopted = self._adopted(self._wait(client, operation, deadline, self.blocking_operation_finished))
            elif isinstance(answer, Blocked):
                ids = {self.id_name: self._id()}
                resume = self.blocking_operation_finished
                adopted = self._adopted(self._wait_until_free(client, answer, deadline, resume, **ids))
            elif isinstance(answer, FirstStep):
                client.ensure_success(self._wait(client, answer.operation, deadline, self.first_step_finished))
            else:
                break
        self.log.info("%s: Toloka has begun operation %s (%s)", self._name, answer.id, answer.type)
        if answer.is_done or self.wait_for_completion:
            client.ensure_success(self._wait(client, answer, deadline, self.execute_complete))
            self._ensure_it_stays(client)
        return answer.id

    def _nothing_to_do(self, context: Context, client: TolokaClient, adopted: str | None) -> str | None:
        self._ensure_it_stays(client)
        self.log.info("%s needs nothing more", self._name)
        if adopted is not None:
            context["ti"].xcom_push(key="operation_id", value=adopted)
        return adopted

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        """Send the call, and store what leads to its effect: the operation first, should this task be killed."""
        object_id = self._id()
        ids = {self.id_name: object_id}
        try:
            answer = self._call(client, object_id)
        except TolokaError:
            # Not for a time-out or a kill, which must not wait for another answer.
            find_link(context, client, ids)
            raise
        if isinstance(answer, Operation):
            context["ti"].xcom_push(key="operation_id", value=answer.id)
        find_link(context, client, ids)
        return answer

    def _unfinished(self, client: TolokaClient) -> Operation | None:
        """Return an operation under way that changes the state of this pool or training."""
        noun = self.operation_type.partition(".")[0]
        types = [f"{noun}.{verb}" for verb in LIFECYCLE]
        operation = client.find_unfinished_operation(types=types, **{self.id_name: self._id()})
        if operation is not None:
            self.log.info(
                "%s may be changed by operation %s (%s): waiting for it", self._name, operation.id, operation.type
            )
        return operation

    def _adopted(self, operation: Operation | None) -> str | None:
        """Return the id of an operation that did what this task is to do, such as that of a previous attempt."""
        if operation is None or operation.type != self.operation_type or operation.status != OperationStatus.SUCCESS:
            return None
        return operation.id

    def _id(self) -> str:
        return checked_id(self.id_name, getattr(self, self.id_name))

    @property
    def _name(self) -> str:
        return f"{self.id_name.removesuffix('_id').capitalize()} {self._id()}"

    @abstractmethod
    def _call(self, client: TolokaClient, object_id: str) -> Operation | FirstStep | None:
        """Send the call, or a step that must come first; ``None`` means that nothing had to change."""

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        """Raise if the wanted state, which was there already or was brought about, is over or ends by itself."""

    def _blockers(self, client: TolokaClient) -> Iterable[Training]:
        """Return what must be archived before this can be."""
        return ()

    @abstractmethod
    def _subject(self, client: TolokaClient) -> Training | Project:
        """Fetch what is to be changed."""

    def _with_state(self, client: TolokaClient, refusal: TolokaConflictError) -> TolokaConflictError:
        """Return a refusal with what must be archived first, and the state of what was to be changed."""
        client, causes, topic = client.without_retries(), [], refusal.topic
        try:
            if pools := list(islice(self._blockers(client), 11)):
                named = ", ".join(f"{pool.id} ({pool.status.value})" for pool in pools[:10])
                causes.append(f"Not archived: {named}{', and more' if len(pools) > 10 else ''}")
            subject = self._subject(client)
            causes.append(f"{self._name} is {subject.status.value}")
            if is_archived(subject):
                topic = "archived"
                causes[-1] += ", for good: create another one"
        except TolokaError as exc:
            self.log.warning("Why Toloka refused %s could not be found out: %s", refusal.request, exc)
        return refusal.with_cause(". ".join(causes), topic)


class PoolOperator(LifecycleOperator):
    """
    Bring a pool into a state.

    :param pool_id: The pool (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "toloka_conn_id")
    id_name = "pool_id"

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.pool_id = as_rendered(pool_id)

    def _subject(self, client: TolokaClient) -> Pool:
        return client.get_pool(self._id())


class _TrainingOperator(LifecycleOperator):
    template_fields: Sequence[str] = ("training_id", "toloka_conn_id")
    id_name = "training_id"

    def __init__(
        self,
        *,
        training_id: str | XComArg,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.training_id = as_rendered(training_id)

    def _subject(self, client: TolokaClient) -> Training:
        return client.get_training(self._id())


class ArchiveOperator(LifecycleOperator):
    """
    Archive something, and before it what its task has created besides, which nobody uses.

    A task creates one thing, but two attempts of it may have run at once: see `toloka_airflow.operators.duplicates`.
    What is not certain to be left over, such as a copy that a person made, is only named in a warning.
    """

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        return self._archive_stray(context, client) or super()._submit(context, client)

    def _archive_stray(self, context: Context, client: TolokaClient) -> FirstStep | None:
        """Return the operation that archives the first of what is left over, be it that of a previous attempt."""
        own = self._fetch(client)
        noun = self.id_name.removesuffix("_id")
        for other in find_duplicates(context, own, partial(self._list, client, own)):
            operation = client.find_unfinished_operation(**{self.id_name: other.id})
            if operation is None and is_stray(own, other) and not self._may_be_needed(client, own, other):
                operation = self._archive(client, other.id)
            elif operation is None or operation.type != self.operation_type:
                self.log.warning(
                    "%s was created by the task that created %s %s, or is a copy. It is not archived, as it is not "
                    "certain that nobody needs it: archive it by hand if so",
                    *(f"{noun.capitalize()} {other.id}", noun, own.id),
                )
                continue
            if operation is not None:
                self.log.warning(
                    "Two attempts of the task that created %s %s ran at once: operation %s archives %s %s, too, which "
                    "nobody uses",
                    *(noun, own.id, operation.id, noun, other.id),
                )
                return FirstStep(operation)
        return None

    @abstractmethod
    def _fetch(self, client: TolokaClient) -> Created:
        """Return what is to be archived."""

    @abstractmethod
    def _list(self, client: TolokaClient, own: Created) -> Iterable[Created]:
        """Return what was created like it since."""

    @abstractmethod
    def _has_content(self, client: TolokaClient, other: Created) -> bool:
        """Return whether there is anything in it."""

    def _may_be_needed(self, client: TolokaClient, own: Created, other: Created) -> bool:
        return self._has_content(client, other) or self._is_copy(client, own, other)

    def _is_copy(self, client: TolokaClient, own: Created, other: Created) -> bool:
        """Return whether Toloka's own call may have copied it, together with the tag; it copies no projects."""
        if isinstance(own, Project):
            return False
        copying = client.list_operations(
            type=self.operation_type.replace("ARCHIVE", "CLONE"), submitted_gte=own.created
        )
        return any(operation.details.get(self.id_name) in (None, other.id) for operation in copying)

    @abstractmethod
    def _archive(self, client: TolokaClient, object_id: str) -> Operation | None:
        """Send the call that archives one of them."""


class OpenOperator(LifecycleOperator):
    """
    Open something, once however often the task is tried.

    What a previous attempt has opened, and what was closed since, by people who completed it or by whomever, is not
    opened again. Clear the task to have it opened again.
    """

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        before = self._last_started_before(context, client)
        if before is not None and self._was_opened_after(client, before):
            return None
        return super()._submit(context, client)

    def _last_started_before(self, context: Context, client: TolokaClient) -> datetime | None:
        """Return when it had last been opened before the first attempt of this task; ``None`` if this is that one."""
        return last_started_before(context, self.retries or 0, client, partial(self._fetch, client))

    def _was_opened_after(self, client: TolokaClient, before: datetime) -> bool:
        pool = self._fetch_settled(client)
        if not was_opened_and_closed_after(pool, before):
            return False
        self.log.warning(
            "%s is not opened again: since the first attempt of this task it was opened, at %s, and closed, at %s. "
            "Clear the task to have it opened again",
            *(self._name, pool.last_started, pool.last_stopped),
        )
        return True

    @abstractmethod
    def _fetch(self, client: TolokaClient) -> Training:
        """Return what is to be opened."""

    def _fetch_settled(self, client: TolokaClient) -> Training:
        """Return it as LOCKED while an operation that opens it is under way, where the API says so."""
        return self._fetch(client)


class OpenPoolOperator(OpenOperator, PoolOperator):
    """
    Open a pool, so that people get its tasks and are paid for them.

    The guards, which are off by default, are checked right before the pool is opened. They do not matter for a pool
    that is open already, such as after an attempt whose answer was lost. Times are compared with the clocks of both the
    worker and Toloka; if they are over by Toloka's only, the task fails without a retry and names both.

    :param pool_id: The pool (templated).
    :param not_after: Never open the pool later than this, a time with a zone (templated). The task is skipped then.
    :param will_expire: When the pool expires should nobody close it before, a time with a zone (templated). The pool's
        own date, in its parameters, is replaced by it, and stays so.
    :param expires_in: A timedelta or seconds (templated) after which the pool expires, counted from when it is opened,
        should nobody close it before, such as a run that ``dagrun_timeout`` has ended without its teardowns. The pool's
        own date is only replaced if it is later, and counts again at the next opening with ``expires_in``; it is an
        error if it is over. See `toloka_airflow.operators.expiry`.
    :param min_balance: Money that must be on the account (templated).
    :param check_budget: Whether there must be, besides, what the pool still may cost: the answers that are not paid
        yet, as Toloka estimates their number, times the highest reward, and the fee, as `EstimateOperator` reckons.
        It is a minimum for a pool with dynamic overlap. For infinite overlap there is no such number; then a warning
        is logged, and nothing checked.
    :param fee: What Toloka adds to a reward, as a share of it. It depends on the account; 0.3 was usual. Of what is
        paid, it is at least 0.005 for an answer, unless the share is 0.
    :param on_low_balance: What to do without the money: ``fail``, so that Airflow tries again, or ``skip``.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = (
        "pool_id",
        "not_after",
        "will_expire",
        "expires_in",
        "min_balance",
        "toloka_conn_id",
    )
    operation_type = "POOL.OPEN"

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        not_after: datetime | str | XComArg | None = None,
        will_expire: datetime | str | XComArg | None = None,
        expires_in: timedelta | float | str | XComArg | None = None,
        min_balance: float | str | XComArg | None = None,
        check_budget: bool = False,
        fee: float = 0.3,
        on_low_balance: Literal["fail", "skip"] = "fail",
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_id=pool_id,
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        if on_low_balance not in ON_LOW_BALANCE:
            raise argument_error(f"on_low_balance is {on_low_balance!r}; it must be {' or '.join(ON_LOW_BALANCE)}")
        if will_expire is not None and expires_in is not None:
            raise argument_error("will_expire and expires_in say both when the pool expires; give only one of them")
        parse_money("fee", fee)
        self.not_after = as_rendered(not_after)
        self.will_expire = as_rendered(will_expire)
        self.expires_in = as_rendered(expires_in)
        self.min_balance = as_rendered(min_balance)
        self.check_budget = check_budget
        self.fee = fee
        self.on_low_balance = on_low_balance

    @property
    def name_of_not_after(self) -> str:
        """What messages call the last time to open the pool."""
        return "not_after"

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        answer = super()._submit(context, client)
        warn_if_left_open(context, client, self._id(), self.log)
        return answer

    def _fetch(self, client: TolokaClient) -> Pool:
        return client.get_pool(self._id())

    def _fetch_settled(self, client: TolokaClient) -> Pool:
        return client.get_settled_pool(self._id())

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        not_after = parse_optional_datetime("not_after", self.not_after)
        will_expire = parse_optional_datetime("will_expire", self.will_expire)
        expires_in = None if self.expires_in is None else parse_seconds("expires_in", self.expires_in)
        fee = Fee(parse_money("fee", self.fee) or Decimal(0))
        skip = self.on_low_balance == "skip"
        money = Money(parse_money("min_balance", self.min_balance), self.check_budget, fee, skip)
        if not_after or will_expire or expires_in or money.least is not None or money.check_budget:
            pool = client.get_settled_pool(object_id)
            if would_be_opened(pool):
                skip_if_late(self._name, self.name_of_not_after, not_after, client)
                money.ensure(client, pool, self.log)
            if would_be_opened(pool) or is_open(pool):
                if expires_in is None:
                    let_expire(client, pool, will_expire, self.log)
                else:
                    let_expire_in(client, pool, expires_in, self.log)
        return client.open_pool(object_id)


class ClosePoolOperator(PoolOperator):
    """
    Close a pool, so that nobody gets its tasks any more; answers that people are working on still come in.

    It fails, to be tried again, for a pool that was closed for update and would reopen by itself, or is open again.

    :param pool_id: The pool (templated).
    :param opened_before: Do not close the pool if it was opened at this time or later (templated): another run needs
        it then, such as the next one of a DAG whose teardown comes late. A time with a zone.
        Without it, the task fails if the pool is open again when it has been closed, and its next attempt closes it.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "opened_before", "toloka_conn_id")
    operation_type = "POOL.CLOSE"
    must_be_done = True

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        opened_before: datetime | str | XComArg | None = None,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_id=pool_id,
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.opened_before = as_rendered(opened_before)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        opening = _opening(self.opened_before)
        if opening.began_before is not None and opening.was_followed_by(pool := client.get_pool(object_id)):
            self.log.info("%s was not closed: another run opened it at %s", self._name, pool.last_started)
            return None
        return client.close_pool(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        _ensure_closed(self._name, client.get_pool(self._id()), _opening(self.opened_before))


class ArchivePoolOperator(ArchiveOperator, PoolOperator):
    """
    Archive a closed pool; it can never be opened again, nor its answers reviewed.

    If two attempts of the task that created it ran at once, what the other one has left empty is archived, too.

    :param pool_id: The pool (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "POOL.ARCHIVE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_pool(object_id)

    _archive = _call

    def _fetch(self, client: TolokaClient) -> Pool:
        return client.get_pool(self._id())

    def _list(self, client: TolokaClient, own: Created) -> Iterable[Pool]:
        return client.list_pools(project_id=own.raw["project_id"], created_gte=own.created)

    def _has_content(self, client: TolokaClient, other: Created) -> bool:
        return any(client.list_tasks(other.id))


class OpenTrainingOperator(OpenOperator, _TrainingOperator):
    """
    Open a training, so that people can qualify for its main pools.

    :param training_id: The training (templated).
    :param not_after: Never open the training later than this, a time with a zone (templated). The task is skipped
        then, unless the training is open already.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("training_id", "not_after", "toloka_conn_id")
    operation_type = "TRAINING.OPEN"

    def __init__(
        self,
        *,
        training_id: str | XComArg,
        not_after: datetime | str | XComArg | None = None,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            training_id=training_id,
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.not_after = as_rendered(not_after)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        not_after = parse_optional_datetime("not_after", self.not_after)
        if not_after is not None and would_be_opened(client.get_training(object_id)):
            skip_if_late(self._name, "not_after", not_after, client)
        return client.open_training(object_id)

    def _fetch(self, client: TolokaClient) -> Training:
        return client.get_training(self._id())


class CloseTrainingOperator(_TrainingOperator):
    """
    Close a training, so that nobody gets its tasks any more.

    It does not close a training while a main pool that requires it is open, because several pools may share one: then
    it is left to whoever closes the last of them. It fails, to be tried again, for a training that was closed for
    update and would reopen by itself, or is open again.

    :param training_id: The training (templated).
    :param opened_before: Do not close the training if it was opened at this time or later (templated): another run
        needs it then, such as the next one of a DAG whose teardown comes late. A time with a zone.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("training_id", "opened_before", "toloka_conn_id")
    operation_type = "TRAINING.CLOSE"
    must_be_done = True

    def __init__(
        self,
        *,
        training_id: str | XComArg,
        opened_before: datetime | str | XComArg | None = None,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            training_id=training_id,
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.opened_before = as_rendered(opened_before)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        training = client.get_training(object_id)
        if _opening(self.opened_before).was_followed_by(training):
            self.log.info("%s was not closed: another run opened it at %s", self._name, training.last_started)
            return None
        if pool := _open_pool_requiring(client, training):
            self.log.info(
                "%s was not closed: pool %s, which requires it, is %s", self._name, pool.id, pool.status.value
            )
            return None
        return client.close_training(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        training = client.get_training(self._id())
        try:
            _ensure_closed(self._name, training, _opening(self.opened_before))
        except PoolNotClosedError:
            if why_unknown(training) or not _open_pool_requiring(client, training):
                raise


class ArchiveTrainingOperator(ArchiveOperator, _TrainingOperator):
    """
    Archive a closed training whose main pools are all archived.

    If two attempts of the task that created it ran at once, what the other one has left empty is archived, too.

    :param training_id: The training (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "TRAINING.ARCHIVE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_training(object_id)

    _archive = _call

    def _fetch(self, client: TolokaClient) -> Training:
        return client.get_training(self._id())

    def _list(self, client: TolokaClient, own: Created) -> Iterable[Training]:
        return client.list_trainings(project_id=own.raw["project_id"], created_gte=own.created)

    def _has_content(self, client: TolokaClient, other: Created) -> bool:
        return any(client.list_tasks(other.id))

    def _blockers(self, client: TolokaClient) -> Iterable[Training]:
        return client.pools_requiring(self._id())


def _opening(opened_before: datetime | str | None) -> PoolOpening:
    """Return what is known of the opening that a task is to close."""
    # A template that found nothing is no reason to leave a pool open.
    limit = parse_optional_datetime("opened_before", opened_before, allow_empty=True)
    return PoolOpening(began_before=limit)


def _ensure_closed(name: str, pool: Training, opening: PoolOpening) -> None:
    """
    Raise if a pool, of which Toloka said that there is nothing to close, is open or will be; to be tried again.

    Also if it is in an unknown state, whoever opened it.
    """
    why = why_not_closed(pool)
    if why and (why_unknown(pool) or not opening.was_followed_by(pool)):
        raise PoolNotClosedError(f"{name} was closed, but it is {why}. Try again to close it")


def _open_pool_requiring(client: TolokaClient, training: Training) -> Pool | None:
    return client.find_open_pool_requiring(training.id) if why_not_closed(training) else None
