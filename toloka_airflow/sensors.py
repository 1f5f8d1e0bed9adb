"""Waiting for operations and pools."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import CloseReason, Operation, Pool, Raw
from toloka_airflow.api.transport import checked_id
from toloka_airflow.hooks import MAY_PASS, TolokaHook
from toloka_airflow.links import TolokaLink, find_link, store_link
from toloka_airflow.triggers import (
    TIMED_OUT,
    OperationTrigger,
    PoolTrigger,
    SubjectT,
    WaitEvent,
    pool_failure,
    pool_has_stopped,
    safety_net,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from toloka_airflow.api.client import TolokaClient


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
        client = TolokaHook(self.toloka_conn_id).get_conn()
        subject = self._try_to_look(client.without_retries())
        if subject is not None:
            if not self._linked:
                self._store_link(context, client, subject)
                self._linked = True
            if self._is_done(subject):
                return PokeReturnValue(is_done=True, xcom_value=self._end(client, subject))
            self.log.info("Waiting for %s: it is %s", self._what, subject.status.value)
        if self.deferrable:
            # Raised from here, so that soft_fail and never_fail handle this first look like any other.
            self.defer(
                trigger=self._trigger(time.time() + self.timeout),
                method_name="execute_complete",
                timeout=safety_net(self.timeout),
            )
        return False

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
        return self._end(TolokaHook(self.toloka_conn_id).get_conn(), subject)

    def _try_to_look(self, client: TolokaClient) -> SubjectT | None:
        try:
            return self._look(client)
        except MAY_PASS as exc:
            self.log.warning("Could not look at %s, trying again: %s", self._what, exc)
            return None
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc

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
    def _end(self, client: TolokaClient, subject: SubjectT) -> Any:
        """Return the result, or raise why there is none."""

    @abstractmethod
    def _store_link(self, context: Context, client: TolokaClient, subject: SubjectT) -> None:
        """Make the link of this task lead to the right page."""

    @abstractmethod
    def _trigger(self, deadline: float) -> BaseTrigger:
        """Return what waits in the triggerer."""


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

    def _end(self, client: TolokaClient, subject: Operation) -> str:
        try:
            return client.ensure_success(subject).id
        except TolokaError as exc:
            raise AirflowFailException(str(exc)) from exc

    def _store_link(self, context: Context, client: TolokaClient, subject: Operation) -> None:
        find_link(context, client, dict(subject.parameters))

    def _trigger(self, deadline: float) -> BaseTrigger:
        return OperationTrigger(
            operation_id=checked_id("operation_id", self.operation_id),
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=deadline,
        )


class PoolSensor(_WaitSensor[Pool]):
    """
    Wait until a pool is closed for an expected reason, and return ``{"pool_id", "status", "close_reason"}``.

    It keeps waiting while the pool is OPEN or LOCKED, and fails at once if the pool is closed for another reason,
    was never open, is archived, or has a status that this version does not know.

    :param pool_id: The pool (templated).
    :param expected_reasons: Close reasons that count as success, such as ``("COMPLETED", "EXPIRED")``.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :param deferrable: Whether to wait in the triggerer instead of a worker.
    """

    template_fields: Sequence[str] = ("pool_id", "toloka_conn_id")

    def __init__(self, *, pool_id: str, expected_reasons: Iterable[str] = ("COMPLETED",), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_id = pool_id
        self.expected_reasons = _checked_reasons(expected_reasons)

    @property
    def _what(self) -> str:
        return f"pool {self.pool_id}"

    def _look(self, client: TolokaClient) -> Pool:
        return client.get_settled_pool(checked_id("pool_id", self.pool_id))

    def _read(self, raw: Raw) -> Pool:
        return Pool.from_api(raw)

    def _is_done(self, subject: Pool) -> bool:
        return pool_has_stopped(subject)

    def _end(self, client: TolokaClient, subject: Pool) -> dict[str, str]:
        if failure := pool_failure(subject, self.expected_reasons):
            raise AirflowFailException(failure)
        reason = subject.last_close_reason
        return {"pool_id": subject.id, "status": subject.status.value, "close_reason": reason.value if reason else ""}

    def _store_link(self, context: Context, client: TolokaClient, subject: Pool) -> None:
        store_link(context, client, subject)

    def _trigger(self, deadline: float) -> BaseTrigger:
        return PoolTrigger(
            pool_id=checked_id("pool_id", self.pool_id),
            toloka_conn_id=self.toloka_conn_id,
            poll_interval=self.poke_interval,
            deadline=deadline,
        )


def _checked_reasons(reasons: Iterable[str]) -> list[str]:
    """Return close reasons that this version knows, as plain strings."""
    checked = [CloseReason(reason) for reason in ([reasons] if isinstance(reasons, str) else reasons)]
    if not checked or not all(reason.is_known for reason in checked):
        known = ", ".join(reason.value for reason in CloseReason)
        raise ValueError(f"expected_reasons is {list(reasons)!r}; it must name at least one of {known}")
    return [reason.value for reason in checked]
