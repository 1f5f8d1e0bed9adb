"""Open, close and archive pools and trainings."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowException

from toloka_airflow.api.errors import LOCKED, TolokaConflictError, TolokaError, TolokaTimeoutError
from toloka_airflow.api.models import Operation, OperationStatus, PoolStatus
from toloka_airflow.api.transport import checked_id
from toloka_airflow.arguments import dollars, moment, moment_if_any
from toloka_airflow.closing import why_not_closed
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.guards import ON_LOW_BALANCE, Money, is_for_somebody_else, let_expire, skip_if_late
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.triggers import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Training

LIFECYCLE = ("OPEN", "CLOSE", "ARCHIVE")


class LifecycleOperator(WaitingOperator):
    """
    Bring a pool or training into a state, and wait until it is there.

    Repeating it is harmless: what is in the wanted state already is left alone, and an operation that holds the
    pool is waited for first. So a retry after a lost answer or a crash picks up what the first attempt started.

    It returns the id of the operation that did it, or ``None`` if there was nothing to do. The id is in the XCom
    ``operation_id`` before the wait begins.

    :param wait_for_completion: Whether to wait until the operation has succeeded. If not, an `OperationSensor` can.

    Further arguments are those of `WaitingOperator`. The ``timeout`` is for operations that hold the pool or training,
    too.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (TolokaLink(),)
    id_name: ClassVar[str]
    operation_type: ClassVar[str]
    must_be_done: ClassVar[bool] = False
    """Whether Airflow is to try again even after an answer that should not change, such as 401 or 404."""

    def __init__(self, *, wait_for_completion: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion

    def execute(self, context: Context) -> str | None:
        """Send the call and wait for its operation."""
        self._id()
        with task_errors(must_be_done=self.must_be_done):
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer waited for the operation of this task."""
        with task_errors(must_be_done=self.must_be_done):
            operation = awaited_operation(WaitEvent.read(event))
            if operation.status != OperationStatus.SUCCESS:
                TolokaHook(self.toloka_conn_id).get_conn().ensure_success(operation)
            return operation.id

    def holder_finished(self, context: Context, event: dict[str, Any] | None = None) -> str | None:
        """Go on after the triggerer waited for an operation that held the pool."""
        with task_errors(must_be_done=self.must_be_done):
            end = WaitEvent.read(event)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, end.deadline, self._credit(awaited_operation(end)))

    def _act(self, context: Context, client: TolokaClient, deadline: float, credit: str | None = None) -> str | None:
        """
        Send the call until no other operation holds the pool, and wait for its operation.

        :param credit: The operation of an earlier attempt that did the work, if there is nothing left to do.
        """
        while True:
            try:
                operation = self._submit(context, client)
            except TolokaConflictError as exc:
                if exc.code != LOCKED:
                    raise self._explained(client, exc) from exc
                credit = self._wait_for_holder(client, deadline, exc)
                continue
            if operation is not None:
                break
            # The state is right, but an operation that is under way may be about to change it.
            holder = self._find_holder(client, *LIFECYCLE)
            if holder is None:
                return self._nothing_to_do(context, client, credit)
            credit = self._credit(self._wait(client, holder, deadline, self.holder_finished))
        self.log.info("%s: operation %s (%s)", self._what, operation.id, operation.type)
        if operation.is_done or self.wait_for_completion:
            return client.ensure_success(self._wait(client, operation, deadline, self.execute_complete)).id
        return operation.id

    def _nothing_to_do(self, context: Context, client: TolokaClient, credit: str | None) -> str | None:
        self._ensure_it_stays(client)
        self.log.info("%s is already in the wanted state", self._what)
        if credit is not None:
            context["ti"].xcom_push(key="operation_id", value=credit)
        return credit

    def _submit(self, context: Context, client: TolokaClient) -> Operation | None:
        """Send the call, and store what leads to its effect: the operation first, should this task be killed."""
        ids = {self.id_name: self._id()}
        try:
            operation = self._call(client, self._id())
        except TolokaError:
            # Not for a time-out or a kill, which must not wait for another answer.
            find_link(context, client, ids)
            raise
        if operation is not None:
            context["ti"].xcom_push(key="operation_id", value=operation.id)
        find_link(context, client, ids)
        return operation

    def _wait_for_holder(self, client: TolokaClient, deadline: float, refusal: TolokaError) -> str | None:
        """Wait for the operation that holds the pool; return its id if it did what this task wants."""
        if time.time() >= deadline:
            raise TolokaTimeoutError(f"{self._what} was still locked after {self.timeout:.0f} s: {refusal}")
        holder = self._find_holder(client)
        if holder is None:
            # It ended since the refusal, or it is of a type that does not say which pool it holds.
            time.sleep(min(self.poll_interval, max(0.0, deadline - time.time())))
            return None
        return self._credit(self._wait(client, holder, deadline, self.holder_finished))

    def _find_holder(self, client: TolokaClient, *verbs: str) -> Operation | None:
        """Return the unfinished operation of this pool or training, of some kinds or of any."""
        noun = self.operation_type.partition(".")[0]
        types = [f"{noun}.{verb}" for verb in verbs]
        holder = client.find_unfinished_operation(types=types, **{self.id_name: self._id()})
        if holder is not None:
            self.log.info("%s is held by operation %s (%s); waiting for it", self._what, holder.id, holder.type)
        return holder

    def _credit(self, operation: Operation) -> str | None:
        did_it = operation.type == self.operation_type and operation.status == OperationStatus.SUCCESS
        return operation.id if did_it else None

    def _id(self) -> str:
        return checked_id(self.id_name, getattr(self, self.id_name))

    @property
    def _what(self) -> str:
        return f"{self.id_name.removesuffix('_id').capitalize()} {self._id()}"

    @abstractmethod
    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        """Send the call; ``None`` means that nothing had to change."""

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        """Raise if the wanted state, which was there already, ends by itself."""

    def _in_the_way(self, client: TolokaClient) -> Iterable[Training]:
        """Return what must be archived before this can be."""
        return ()

    def _explained(self, client: TolokaClient, refusal: TolokaConflictError) -> TolokaError:
        """Return the refusal, with what is known of its cause."""
        try:
            pools = list(islice(self._in_the_way(client.without_retries()), 11))
        except TolokaError as exc:
            self.log.warning("The pools in the way could not be listed: %s", exc)
            return refusal
        if not pools:
            return refusal
        named = ", ".join(f"{pool.id} ({pool.status.value})" for pool in pools[:10])
        return TolokaError(f"{refusal} Not archived: {named}{', and more' if len(pools) > 10 else ''}")


class PoolOperator(LifecycleOperator):
    """
    Bring a pool into a state.

    :param pool_id: The pool (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "toloka_conn_id")
    id_name = "pool_id"

    def __init__(self, *, pool_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_id = pool_id


class _TrainingOperator(LifecycleOperator):
    template_fields: Sequence[str] = ("training_id", "toloka_conn_id")
    id_name = "training_id"

    def __init__(self, *, training_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.training_id = training_id


class OpenPoolOperator(PoolOperator):
    """
    Open a pool, so that people get its tasks and are paid for them.

    The guards, which are off by default, are looked at right before the pool is opened. They do not matter for a pool
    that is open already, such as after an attempt whose answer was lost.

    :param pool_id: The pool (templated).
    :param not_after: Never open the pool later than this, a time with a zone (templated). The task is skipped then.
    :param will_expire: When the pool expires should nobody close it before, a time with a zone (templated). The pool's
        own date, in its parameters, is replaced by it, and stays so.
    :param min_balance: US dollars that must be on the account (templated).
    :param check_budget: Whether there must be, besides, what the pool still may cost: the answers that are not paid
        yet, as Toloka estimates their number, times the highest reward, and the fee. It is a minimum for a pool with
        dynamic overlap. For infinite overlap there is no such number; then a warning is logged, and nothing checked.
    :param fee: What Toloka adds to a reward, as a share of it. It depends on the account; 0.3 was usual.
    :param on_low_balance: What to do without the money: ``fail``, so that Airflow tries again, or ``skip``.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "not_after", "will_expire", "min_balance", "toloka_conn_id")
    operation_type = "POOL.OPEN"

    def __init__(
        self,
        *,
        not_after: datetime | str | None = None,
        will_expire: datetime | str | None = None,
        min_balance: float | str | None = None,
        check_budget: bool = False,
        fee: float = 0.3,
        on_low_balance: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_low_balance not in ON_LOW_BALANCE:
            raise ValueError(f"on_low_balance is {on_low_balance!r}; it must be {' or '.join(ON_LOW_BALANCE)}")
        dollars("fee", fee)
        self.not_after = not_after
        self.will_expire = will_expire
        self.min_balance = min_balance
        self.check_budget = check_budget
        self.fee = fee
        self.on_low_balance = on_low_balance

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        not_after, will_expire = moment("not_after", self.not_after), moment("will_expire", self.will_expire)
        fee = dollars("fee", self.fee) or Decimal(0)
        skip = self.on_low_balance == "skip"
        money = Money(dollars("min_balance", self.min_balance), self.check_budget, fee, skip)
        if not_after or will_expire or money.least is not None or money.check_budget:
            pool = client.get_settled_pool(object_id)
            if pool.status == PoolStatus.CLOSED:
                skip_if_late(self._what, not_after)
                money.ensure(client, pool, self.log)
            if pool.status in (PoolStatus.CLOSED, PoolStatus.OPEN):
                let_expire(client, pool, will_expire, self.log)
        return client.open_pool(object_id)


class ClosePoolOperator(PoolOperator):
    """
    Close a pool, so that nobody gets its tasks any more; answers that people are working on still come in.

    It fails, to be tried again, for a pool that was closed for update and would reopen by itself, or is open again.

    :param pool_id: The pool (templated).
    :param opened_before: Leave the pool alone if it was opened at this time or later (templated). Somebody else needs
        it then, such as the next run of a DAG whose closing comes late. A time with a zone.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "opened_before", "toloka_conn_id")
    operation_type = "POOL.CLOSE"
    must_be_done = True

    def __init__(self, *, opened_before: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opened_before = opened_before
        self._is_left_alone = False

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        limit = _limit(self.opened_before)
        if limit is not None and is_for_somebody_else(pool := client.get_pool(object_id), limit):
            self.log.info("%s is left alone: it was opened at %s, for somebody else", self._what, pool.last_started)
            self._is_left_alone = True
            return None
        return client.close_pool(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        if not self._is_left_alone:
            _ensure_closed(self._what, client.get_pool(self._id()), _limit(self.opened_before))


class ArchivePoolOperator(PoolOperator):
    """
    Archive a closed pool; it can never be opened again, nor its answers reviewed.

    :param pool_id: The pool (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "POOL.ARCHIVE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_pool(object_id)


class OpenTrainingOperator(_TrainingOperator):
    """
    Open a training, so that people can qualify for its main pools.

    :param training_id: The training (templated).
    :param not_after: Never open the training later than this, a time with a zone (templated). The task is skipped
        then, unless the training is open already.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("training_id", "not_after", "toloka_conn_id")
    operation_type = "TRAINING.OPEN"

    def __init__(self, *, not_after: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.not_after = not_after

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        not_after = moment("not_after", self.not_after)
        if not_after is not None and client.get_training(object_id).status == PoolStatus.CLOSED:
            skip_if_late(self._what, not_after)
        return client.open_training(object_id)


class CloseTrainingOperator(_TrainingOperator):
    """
    Close a training, so that nobody gets its tasks any more.

    It fails, to be tried again, for a training that was closed for update and would reopen by itself, or is open again.

    :param training_id: The training (templated).
    :param opened_before: Leave the training alone if it was opened at this time or later (templated). Somebody else
        needs it then, such as the next run of a DAG whose closing comes late. A time with a zone.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("training_id", "opened_before", "toloka_conn_id")
    operation_type = "TRAINING.CLOSE"
    must_be_done = True

    def __init__(self, *, opened_before: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.opened_before = opened_before
        self._is_left_alone = False

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        limit = _limit(self.opened_before)
        if limit is not None and is_for_somebody_else(training := client.get_training(object_id), limit):
            self.log.info("%s is left alone: it was opened at %s, for somebody else", self._what, training.last_started)
            self._is_left_alone = True
            return None
        return client.close_training(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        if not self._is_left_alone:
            _ensure_closed(self._what, client.get_training(self._id()), _limit(self.opened_before))


class ArchiveTrainingOperator(_TrainingOperator):
    """
    Archive a closed training whose main pools are all archived.

    :param training_id: The training (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "TRAINING.ARCHIVE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_training(object_id)

    def _in_the_way(self, client: TolokaClient) -> Iterable[Training]:
        return client.pools_requiring(self._id())


def _limit(opened_before: datetime | str | None) -> datetime | None:
    # A template that found nothing is no reason to leave a pool open.
    return moment_if_any("opened_before", opened_before)


def _ensure_closed(what: str, pool: Training, opened_before: datetime | None) -> None:
    """Raise if a pool, of which Toloka said that there is nothing to close, is open or will be; to be tried again."""
    why = why_not_closed(pool)
    if why and not is_for_somebody_else(pool, opened_before):
        raise AirflowException(f"{what} was closed, but it is {why}. Try again to close it")
