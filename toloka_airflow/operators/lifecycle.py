"""
Open, close and archive pools and trainings.

How a state is brought about is in `toloka_airflow.operators.lifecycle_base`. The arguments that all of these take stand
in each signature, so that editors, `inspect` and the reference show them; a test holds their defaults together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from toloka_airflow._internal.arguments import (
    parse_fee,
    parse_money,
    parse_optional_datetime,
    parse_rendered_datetime,
    parse_seconds,
)
from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.pool_actions import PoolNotClosedError
from toloka_airflow.api.pool_rules import is_open, why_not_closed, why_unknown, would_be_opened
from toloka_airflow.checks.money import Fee
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.operators.archive_operator import ArchiveOperator
from toloka_airflow.operators.close_operator import CloseOperator
from toloka_airflow.operators.expiry import let_expire_in, warn_if_left_open
from toloka_airflow.operators.guards import ON_LOW_BALANCE, Money, let_expire, skip_if_late
from toloka_airflow.operators.lifecycle_base import FirstStep, PoolOperator, TrainingOperator
from toloka_airflow.operators.open_operator import OpenOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Pool, Training
    from toloka_airflow.operators.archive_operator import Created

__all__ = [
    "ArchivePoolOperator",
    "ArchiveTrainingOperator",
    "ClosePoolOperator",
    "CloseTrainingOperator",
    "OpenPoolOperator",
    "OpenTrainingOperator",
]


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
        parse_fee("fee", fee)
        self.not_after = as_rendered(not_after)
        self.will_expire = as_rendered(will_expire)
        self.expires_in = as_rendered(expires_in)
        self.min_balance = as_rendered(min_balance)
        self.check_budget = check_budget
        self.fee = fee
        self.on_low_balance = on_low_balance
        check_known(
            self,
            not_after=parse_optional_datetime,
            will_expire=parse_optional_datetime,
            expires_in=parse_seconds,
            min_balance=parse_money,
        )

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
        fee = Fee(parse_fee("fee", self.fee))
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


class ClosePoolOperator(CloseOperator, PoolOperator):
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
        check_known(self, opened_before=parse_rendered_datetime)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        # Without a limit, the pool need not be fetched.
        if self._opening.began_before is not None and self._is_of_another_run(client.get_pool(object_id)):
            return None
        return client.close_pool(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        self._ensure_closed(client.get_pool(self._id()))


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


class OpenTrainingOperator(OpenOperator, TrainingOperator):
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
        check_known(self, not_after=parse_optional_datetime)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        not_after = parse_optional_datetime("not_after", self.not_after)
        if not_after is not None and would_be_opened(client.get_training(object_id)):
            skip_if_late(self._name, "not_after", not_after, client)
        return client.open_training(object_id)

    def _fetch(self, client: TolokaClient) -> Training:
        return client.get_training(self._id())


class CloseTrainingOperator(CloseOperator, TrainingOperator):
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
        check_known(self, opened_before=parse_rendered_datetime)

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        training = client.get_training(object_id)
        if self._is_of_another_run(training):
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
            self._ensure_closed(training)
        except PoolNotClosedError:
            if why_unknown(training) or not _open_pool_requiring(client, training):
                raise


class ArchiveTrainingOperator(ArchiveOperator, TrainingOperator):
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


def _open_pool_requiring(client: TolokaClient, training: Training) -> Pool | None:
    return client.find_open_pool_requiring(training.id) if why_not_closed(training) else None
