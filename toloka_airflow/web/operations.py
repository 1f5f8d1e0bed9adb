"""The operations of a pool with what their logs say: those that have ended are fetched once, as they do not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaApiError, TolokaError, shortened
from toloka_airflow.api.models import Operation, OperationStatus, Training
from toloka_airflow.web.errors import in_words
from toloka_airflow.web.kept import Kept

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_LOG_LINES = 50
MAX_KEPT = 1000
"""Operations that have ended, of all pools."""
_ENDED = OperationStatus.SUCCESS, OperationStatus.FAIL


@dataclass(frozen=True)
class LoggedOperation:
    """An operation, and the lines of its log; none where there is no log, or not yet."""

    operation: Operation
    log: Sequence[str] = ()


class Operations:
    """What one process knows of operations that have ended, with all connections."""

    def __init__(self) -> None:
        self._ended: Kept[LoggedOperation] = Kept(MAX_KEPT)

    def fetch(self, toloka: TolokaClient, pool: Training, operation_ids: Sequence[str]) -> list[LoggedOperation]:
        """
        Return those of some operations that are about a pool; a record may name any.

        :param pool: As the client has just fetched it: whoever may read a pool may read what was done with it.
        """
        found = (self._get(toloka, pool, id_) for id_ in operation_ids)
        return [each for each in found if each is not None and _is_about(each.operation, pool.id)]

    def _get(self, toloka: TolokaClient, pool: Training, operation_id: str) -> LoggedOperation | None:
        # A local Toloka that is started anew has the ids of the one before, but not its times.
        key = toloka.base_url, pool.id, pool.created, operation_id
        if (known := self._ended.find(key)) is not None:
            return known
        try:
            operation = toloka.get_operation(operation_id)
        except (TolokaApiError, ValueError):  # it is gone, or its id is none
            return None
        if operation.status not in _ENDED:
            return LoggedOperation(operation)
        if not operation.has_log or not _is_about(operation, pool.id):
            return self._keep(key, LoggedOperation(operation))
        try:
            steps = toloka.get_operation_log(operation.id)
        except TolokaError as exc:
            return LoggedOperation(operation, [f"The log could not be fetched: {in_words(exc)}"])
        return self._keep(key, LoggedOperation(operation, _lines(steps)))

    def _keep(self, key: tuple[Any, ...], ended: LoggedOperation) -> LoggedOperation:
        return self._ended.get(key, lambda: ended)


def _is_about(operation: Operation, pool_id: str) -> bool:
    return pool_id in {str(operation.parameters.get(name)) for name in ("pool_id", "training_id")}


def _lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [_line(step) for step in steps[:MAX_LOG_LINES]]
    return [*lines, f"and {len(steps) - MAX_LOG_LINES} more"] if len(steps) > MAX_LOG_LINES else lines


def _line(step: Mapping[str, Any]) -> str:
    """Return a step of a log as a line: what it was, whether it succeeded, and what it says."""
    kind, output = step.get("type") or "step", step.get("output")
    end = {True: "done", False: "failed"}.get(step.get("success"), "unknown")  # type: ignore[arg-type]
    return f"{kind}: {end}" + (f" ({shortened(output)})" if output else "")
