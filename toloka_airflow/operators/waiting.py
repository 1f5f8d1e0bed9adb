"""Wait for operations of Toloka, in a worker or in the triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException

from toloka_airflow._internal.airflow_internals import TRIGGER_FAILED
from toloka_airflow._internal.arguments import parse_seconds
from toloka_airflow._internal.brief_waits import BRIEF_POLL_INTERVAL, DEFER_BY_DEFAULT, parse_defer_after
from toloka_airflow._internal.task_outputs import BaseOperator
from toloka_airflow.api.errors import TolokaError, TolokaTimeoutError
from toloka_airflow.api.models import Operation
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.triggers.events import FINISHED, TIMED_OUT, Awaited, WaitEvent, without_awaited
from toloka_airflow.triggers.waits import no_triggerer, safety_timeout

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.pool_actions import Blocked


class WaitingOperator(LineageMixin, BaseOperator):
    """
    Start operations at Toloka and wait for them.

    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    :param defer_after: How long to wait in the worker before that, in seconds. Most operations take seconds, and a task
        that resumes while Airflow still handles its deferral may lose an attempt. 0 defers at once; the default is the
        option ``defer_after`` in the section ``[toloka]`` of the Airflow configuration, 5 seconds.
    :param poll_interval: Seconds, or a timedelta, between two polls.
    :param timeout: Seconds, or a timedelta, to wait in all.
    """

    must_be_done: ClassVar[bool] = False
    """Whether Airflow is to try again even after an answer that should not change, such as 401 or 404."""

    def __init__(
        self,
        *,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toloka_conn_id = toloka_conn_id
        self.deferrable = deferrable
        self.defer_after = parse_defer_after(defer_after)
        self.poll_interval = parse_seconds("poll_interval", poll_interval)
        self.timeout = parse_seconds("timeout", timeout)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the triggerer, with the end of the own wait."""
        next_kwargs, awaited = without_awaited(next_kwargs)
        if awaited is not None:
            self.log.warning("Resumed with the end of another wait; waiting on for operation %s", awaited.subject_id)
            with task_errors(must_be_done=self.must_be_done):
                client = TolokaHook(self.toloka_conn_id).get_conn()
                operation = client.get_operation(awaited.subject_id)
                operation = self._wait(client, operation, awaited.deadline, getattr(self, next_method))
            next_kwargs = {"event": WaitEvent(FINISHED, awaited.deadline, subject=operation.raw).payload()}
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as exc:
            # By its text, as Airflow 3.1 has this exception under another name than 3.3.
            if next_method != TRIGGER_FAILED or "timeout" not in str(exc).lower():
                raise
            raise type(exc)(no_triggerer(exc)) from exc

    def _wait(
        self, client: TolokaClient, operation: Operation, deadline: float, resume: Callable[..., Any]
    ) -> Operation:
        """
        Wait in the worker and return the operation, or in the triggerer and resume with another method.

        What is done soon is returned even so.

        :param deadline: Unix time at which to give up.
        :param resume: A method of the operator; it reads the event that it gets with `awaited_operation`.
        """
        if operation.is_done:
            return operation
        left = max(0.0, deadline - time.time())
        if not self.deferrable:
            return client.wait_operation(operation, timeout=left, poll_interval=self.poll_interval)
        if self.defer_after:
            soon, interval = min(left, self.defer_after), min(self.poll_interval, BRIEF_POLL_INTERVAL)
            with suppress(TolokaTimeoutError):
                return client.wait_operation(operation, timeout=soon, poll_interval=interval)
            left = max(0.0, deadline - time.time())
        from toloka_airflow.triggers import OperationTrigger

        self.defer(
            trigger=OperationTrigger(
                operation_id=operation.id,
                toloka_conn_id=self.toloka_conn_id,
                poll_interval=self.poll_interval,
                deadline=deadline,
            ),
            method_name=resume.__name__,
            kwargs=Awaited(operation.id, deadline).kwargs(),
            timeout=safety_timeout(left),
        )

    def _wait_until_free(
        self, client: TolokaClient, blocked: Blocked, deadline: float, resume: Callable[..., Any], **ids: str
    ) -> Operation | None:
        """
        Wait, as `_wait` does, for the operation that blocks a call, and return it.

        If it has ended since, or does not say which pool it is for, wait for an interval and return ``None``.

        :param ids: What the call is for, such as ``pool_id="21"``.
        :raises TolokaTimeoutError: If it is too late to send the call again.
        """
        [(noun, number)] = ids.items()
        name = f"{noun.removesuffix('_id').capitalize()} {number}"
        if time.time() >= deadline:
            raise TolokaTimeoutError(f"{name} was still locked after {self.timeout:.0f} s: {blocked.refusal}")
        operation = client.find_unfinished_operation(**ids)
        if operation is None:
            time.sleep(min(self.poll_interval, max(0.0, deadline - time.time())))
            return None
        self.log.info("%s is locked by operation %s (%s)", name, operation.id, operation.type)
        return self._wait(client, operation, deadline, resume)


def awaited_operation(end: WaitEvent) -> Operation:
    """
    Return the operation that a wait in the triggerer ended with.

    :raises TolokaTimeoutError: If it was not done in time.
    :raises TolokaError: If Toloka refused to answer.
    """
    if end.kind == TIMED_OUT:
        raise TolokaTimeoutError(end.message)
    if end.subject is None:
        raise TolokaError(end.message)
    return Operation.from_api(end.subject)


def remaining_deadline(event: dict[str, Any] | None) -> float:
    """
    Return when all must be done, in Unix time, after a wait in the triggerer that ended well.

    :raises TolokaError: If it did not end well; as `awaited_operation`.
    """
    end = WaitEvent.read(event)
    awaited_operation(end)
    return end.deadline
