"""Open, close and archive pools and trainings."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, conf

from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaTimeoutError
from toloka_airflow.api.models import CloseReason, Operation, OperationStatus
from toloka_airflow.api.transport import checked_id
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.triggers import TIMED_OUT, OperationTrigger, WaitEvent, safety_net

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Training

LOCKED = "POOL_LOCKED_BY_ANOTHER_OPERATION"
LIFECYCLE = ("OPEN", "CLOSE", "ARCHIVE")


class LifecycleOperator(BaseOperator):
    """
    Bring a pool or training into a state, and wait until it is there.

    Repeating it is harmless: what is in the wanted state already is left alone, and an operation that holds the
    pool is waited for first. So a retry after a lost answer or a crash picks up what the first attempt started.

    It returns the id of the operation that did it, or ``None`` if there was nothing to do. The id is in the XCom
    ``operation_id`` before the wait begins.

    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param wait_for_completion: Whether to wait until the operation has succeeded. If not, an `OperationSensor` can.
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    :param poll_interval: Seconds between two looks.
    :param timeout: Seconds to wait in all, for operations that hold the pool or training and for the own one.
    """

    operator_extra_links = (TolokaLink(),)
    id_name: ClassVar[str]
    operation_type: ClassVar[str]

    def __init__(
        self,
        *,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 5.0,
        timeout: float = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toloka_conn_id = toloka_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = _positive("poll_interval", poll_interval)
        self.timeout = _positive("timeout", timeout)

    def execute(self, context: Context) -> str | None:
        """Send the call and wait for its operation."""
        self._id()
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer waited for the operation of this task."""
        with task_errors():
            operation = _operation(WaitEvent.read(event))
            return TolokaHook(self.toloka_conn_id).get_conn().ensure_success(operation).id

    def holder_finished(self, context: Context, event: dict[str, Any] | None = None) -> str | None:
        """Go on after the triggerer waited for an operation that held the pool."""
        with task_errors():
            end = WaitEvent.read(event)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, end.deadline, self._credit(_operation(end)))

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

    def _wait(
        self, client: TolokaClient, operation: Operation, deadline: float, go_on: Callable[..., Any]
    ) -> Operation:
        """Wait in the worker and return, or in the triggerer and resume with another method."""
        if operation.is_done:
            return operation
        left = max(0.0, deadline - time.time())
        if not self.deferrable:
            return client.wait_operation(operation, timeout=left, poll_interval=self.poll_interval)
        self.defer(
            trigger=OperationTrigger(
                operation_id=operation.id,
                toloka_conn_id=self.toloka_conn_id,
                poll_interval=self.poll_interval,
                deadline=deadline,
            ),
            method_name=go_on.__name__,
            timeout=safety_net(left),
        )

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

    def _explained(self, client: TolokaClient, refusal: TolokaConflictError) -> TolokaError:
        """Return the refusal, with what is known of its cause."""
        return refusal


class _PoolOperator(LifecycleOperator):
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


class OpenPoolOperator(_PoolOperator):
    """
    Open a pool, so that people get its tasks and are paid for them.

    :param pool_id: The pool (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "POOL.OPEN"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.open_pool(object_id)


class ClosePoolOperator(_PoolOperator):
    """
    Close a pool, so that nobody gets its tasks any more; answers that people are working on still come in.

    It fails for a pool that was closed for update and would reopen by itself.

    :param pool_id: The pool (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "POOL.CLOSE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.close_pool(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        _refuse_closed_for_update(self._what, client.get_pool(self._id()))


class ArchivePoolOperator(_PoolOperator):
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

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "TRAINING.OPEN"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.open_training(object_id)


class CloseTrainingOperator(_TrainingOperator):
    """
    Close a training, so that nobody gets its tasks any more.

    It fails for a training that was closed for update and would reopen by itself.

    :param training_id: The training (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "TRAINING.CLOSE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.close_training(object_id)

    def _ensure_it_stays(self, client: TolokaClient) -> None:
        _refuse_closed_for_update(self._what, client.get_training(self._id()))


class ArchiveTrainingOperator(_TrainingOperator):
    """
    Archive a closed training whose main pools are all archived.

    :param training_id: The training (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    operation_type = "TRAINING.ARCHIVE"

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_training(object_id)

    def _explained(self, client: TolokaClient, refusal: TolokaConflictError) -> TolokaError:
        """Name the main pools that are not archived."""
        try:
            pools = list(islice(client.without_retries().pools_requiring(self._id()), 11))
        except TolokaError as exc:
            self.log.warning("The main pools of the training could not be listed: %s", exc)
            return refusal
        if not pools:
            return refusal
        named = ", ".join(f"{pool.id} ({pool.status.value})" for pool in pools[:10])
        return TolokaError(f"{refusal} Not archived: {named}{', and more' if len(pools) > 10 else ''}")


def _operation(end: WaitEvent) -> Operation:
    """Return the operation that a wait ended with."""
    if end.kind == TIMED_OUT:
        raise TolokaTimeoutError(end.message)
    if end.subject is None:
        raise TolokaError(end.message)
    return Operation.from_api(end.subject)


def _refuse_closed_for_update(what: str, pool: Training) -> None:
    if pool.last_close_reason == CloseReason.FOR_UPDATE:
        raise AirflowException(
            f"{what} is closed for update only: Toloka reopens it by itself within 15 minutes, and it "
            "cannot be closed before. Try again then, or open it now and close it"
        )


def _positive(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} is {value!r}; it must be a positive number of seconds")
    return number
