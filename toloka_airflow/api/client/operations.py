"""Calls about operations, the jobs at Toloka that other calls start."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from toloka_airflow.api.client.calls import Calls, ItemT, object_path, query_of, query_text
from toloka_airflow.api.errors import (
    FailureCount,
    TolokaApiError,
    TolokaConflictError,
    TolokaError,
    TolokaOperationError,
    TolokaTimeoutError,
)
from toloka_airflow.api.ids import checked_id, checked_uuid
from toloka_airflow.api.models import Operation, OperationStatus, Raw, shape
from toloka_airflow.api.settings import MIN_POLL_TIMEOUT
from toloka_airflow.api.transport import parse_json

log = logging.getLogger(__name__)

OPERATIONS_PAGE_SIZE = 500
"""As the official client takes it; where the API refuses it, 300 are requested."""


class OperationCalls(Calls):
    """Calls about operations."""

    def get_operation(self, operation_id: str) -> Operation:
        """Return an operation."""
        return Operation.from_api(self._get(object_path("/operations", operation_id=operation_id)))

    def find_operation(self, operation_id: str) -> Operation | None:
        """Return an operation, if there is one with this id."""
        try:
            return self.get_operation(operation_id)
        except TolokaApiError as exc:
            if exc.status != 404 or exc.is_transient:
                raise
            return None

    def list_operations(self, **filters: Any) -> Iterator[Operation]:
        """Iterate over operations."""
        return self._list("/operations", Operation, filters)

    def operation_pages(self, *, status: OperationStatus) -> Iterator[list[Operation]]:
        """Iterate over the operations in a state, 500 at once."""
        pages = self._list_pages("/operations", {"status": status}, limit=OPERATIONS_PAGE_SIZE)
        return ([Operation.from_api(raw) for raw in page.items] for page in pages)

    def finished_operation_pages(self, since: datetime) -> Iterator[list[Operation]]:
        """
        Iterate over the operations that finished at a time or later, 500 at once, the last one first.

        What finishes meanwhile may be missing, and an operation may come twice.
        """
        params = {"finished_gte": query_text(since), "sort": "-finished", "limit": str(OPERATIONS_PAGE_SIZE)}
        ids: set[str] = set()
        while True:
            page = self._page("/operations", params, "id")
            operations = [Operation.from_api(raw) for raw in page.items]
            yield operations
            if not page.has_more:
                return
            previous_ids, ids = ids, {operation.id for operation in operations}
            if ids <= previous_ids or (end := operations[-1].finished) is None:
                raise TolokaError(f"GET /operations says there is more but does not get further: {params}")
            params["finished_lte"] = query_text(
                end + timedelta(milliseconds=1)
            )  # digits behind milliseconds are cut off

    def analytics_pages(self, since: datetime) -> Iterator[list[Operation]]:
        """Iterate over the operations of analytics that were submitted at a time or later, 500 at once."""
        filters = {"type": "ANALYTICS", "submitted_gte": since}
        pages = self._list_pages("/operations", filters, limit=OPERATIONS_PAGE_SIZE)
        return ([Operation.from_api(raw) for raw in page.items] for page in pages)

    def get_operation_log(self, operation_id: str) -> list[dict[str, Any]]:
        """Return the steps of an operation that created tasks; other types have no log (409)."""
        return read_steps(operation_id, self.read_operation_log(operation_id, parse_json))

    def read_operation_log(self, operation_id: str, read: Callable[[bytes], ItemT]) -> ItemT:
        """
        Return the log of an operation that created tasks, as a function reads it from the JSON; see `read_steps`.

        :param read: It raises `ValueError` for what is no JSON.
        """
        path = object_path("/operations", "log", operation_id=operation_id)
        log: ItemT | None = self._transport.request("GET", path, read=read)
        if log is None:
            raise TolokaError(f"GET {path} answered no log")
        return log

    def find_unfinished_operation(self, *, types: Collection[str] = (), **parameters: str) -> Operation | None:
        """
        Return an operation that is PENDING or RUNNING with these parameters (``pool_id="21"``), if there is one.

        :param types: Kinds of operations to find, such as ``POOL.OPEN``; any, if empty.
        """
        wanted = {name: checked_id(name, value) for name, value in parameters.items()}
        # PENDING first: an operation that starts between the two requests is in the second answer.
        for status in (OperationStatus.PENDING, OperationStatus.RUNNING):
            for operation in self.list_operations(status=status):
                is_wanted = all(str(operation.parameters.get(name)) == value for name, value in wanted.items())
                if is_wanted and (not types or operation.type in types):
                    return operation
        return None

    def wait_operation(
        self,
        operation: Operation,
        *,
        timeout: float,
        poll_interval: float = 1.0,
        on_poll: Callable[[Operation], None] | None = None,
    ) -> Operation:
        """
        Poll an operation until it is done, and return it whatever its end; see `ensure_success`.

        Transient errors are tolerated until the timeout, permanent ones until they come three times in a row.

        :param timeout: Seconds to wait at the most.
        :param poll_interval: Seconds between two polls.
        :param on_poll: Called with the operation after every successful poll.
        :raises TolokaTimeoutError: If it is not done in time; it continues at Toloka.
        :raises TolokaError: If polls fail in a way that is permanent.
        """
        deadline = time.monotonic() + timeout
        failures = FailureCount()
        while not operation.is_done:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TolokaTimeoutError(
                    f"Operation {operation.id} ({operation.type}) was still {operation.status.value} "
                    f"after {timeout:.0f} s; it continues at Toloka"
                )
            time.sleep(min(poll_interval, left))
            client = self.without_retries(timeout=max(MIN_POLL_TIMEOUT, deadline - time.monotonic()))
            try:
                operation = client.get_operation(operation.id)
            except TolokaError as exc:
                if failures.is_final(exc):
                    raise
                log.warning("Operation %s could not be polled, trying again: %s", operation.id, exc)
            else:
                failures.reset()
                if on_poll:
                    on_poll(operation)
        return operation

    def ensure_success(self, operation: Operation) -> Operation:
        """
        Return a finished operation that succeeded.

        :raises TolokaOperationError: If it failed, with the first errors of its log, or if its status is not
            known to this version.
        """
        if operation.status == OperationStatus.SUCCESS:
            return operation
        try:
            steps = self.get_operation_log(operation.id) if operation.has_log else []
        except TolokaError as exc:
            log.warning("The log of operation %s could not be read: %s", operation.id, exc)
            steps = []
        raise TolokaOperationError(operation, steps)

    def _create_async(
        self,
        path: str,
        items: Sequence[Raw] | bytes,
        operation_id: str | None,
        params: Mapping[str, Any],
    ) -> Operation:
        """
        Start an operation that creates things, exactly once for each ``operation_id``.

        :raises ValueError: If ``operation_id`` is no UUID.
        """
        operation_id = str(uuid.uuid4()) if operation_id is None else checked_uuid("operation_id", operation_id)
        query = query_of({"operation_id": operation_id, "async_mode": True, **params})
        body = items if isinstance(items, bytes) else list(items)
        try:
            answer = self._transport.request("POST", path, params=query, body=body)
        except TolokaConflictError as exc:
            if exc.code != "OPERATION_ALREADY_EXISTS":
                raise
            return self.get_operation(operation_id)
        return Operation.from_api(answer)


def read_steps(operation_id: str, log: Any) -> list[dict[str, Any]]:
    """
    Return the steps in an operation's log.

    :raises TolokaError: If there are none.
    """
    steps = [log] if isinstance(log, dict) else log  # as the API reference shows it; the API itself answers a list
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise TolokaError(f"The log of operation {operation_id} is no list of steps: it is {shape(steps)}")
    return steps
