"""
What opening, closing and archiving have in common: bring something into a state, and wait until it is there.

`LifecycleOperator` sends a call until no other operation blocks it; `PoolOperator` and `TrainingOperator` say for what.
What is special about a state is in `OpenOperator`, `CloseOperator` and `ArchiveOperator`, each in a module of its own.
The operators that a DAG author uses are made of both, in `toloka_airflow.operators.lifecycle`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow.api.errors import TolokaConflictError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.triggers.events import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.sdk import XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool, Project, Training

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


class TrainingOperator(LifecycleOperator):
    """
    Bring a training into a state.

    :param training_id: The training (templated).
    """

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
