"""Make one answer per task out of the answers of several people."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from toloka_airflow.api.answer_rows import raw_row
from toloka_airflow.api.errors import (
    LOCKED,
    TolokaApiError,
    TolokaConflictError,
    TolokaConnectionError,
    TolokaOperationError,
    TolokaRetryableError,
)
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.transport import checked_id
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.identity import TaskIdentity
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.downloading import download
from toloka_airflow.triggers import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.api.client import TolokaClient

OPERATION = "SOLUTION.AGGREGATE"
EXPIRED = "RESULTS_EXPIRED"
DAWID_SKENE, WEIGHTED = "DAWID_SKENE", "WEIGHTED_DYNAMIC_OVERLAP"
PAGE_SIZE = 30_000
"""Results to ask for at once: Toloka answers 5 requests a minute and 30 an hour. A page takes some 20 MB of memory."""
GOES_ON_FOR = 24 * 3600.0
"""Seconds since the first attempt in which a further one may go on; very many results take hours by the quota."""
_ASKED = "asked"
"""Begins the cursor of a part that is written before an aggregation is started; the ids of all others follow."""


class AggregateSolutionsOperator(WaitingOperator):
    """
    Aggregate the accepted answers of a pool, and write the result to a file of JSON Lines, a row for each task.

    A row is as the API answers it: ``pool_id``, ``task_id``, ``output_values`` and ``confidence``, from 0 to 1.

    A further attempt goes on with the aggregation that an earlier one started, and with writing its results, unless
    that began more than a day ago. What was started before this task began is never taken for its own, as it may lack
    answers. Toloka lets start and read aggregations 5 times a minute, 30 times an hour and 200 times a day. The first
    is waited for here. For the others the task fails with the time at which they return, for Airflow to try again.

    It returns ``{"pool_id", "operation_id", "path", "solutions"}``, the last being a count. The operation's id is in
    the XCom ``operation_id`` before the wait begins.

    :param pool_id: The pool (templated).
    :param fields: The output fields to aggregate (templated); one, if by Dawid-Skene.
    :param path: The file to write (templated); gzip if its name ends with ``.gz``. One that is there is replaced.
    :param type: ``DAWID_SKENE``, or ``WEIGHTED_DYNAMIC_OVERLAP``: each person's answer weighs as much as a skill.
    :param answer_weight_skill_id: That skill (templated).

    Further arguments are those of `WaitingOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "fields", "path", "answer_weight_skill_id", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str,
        fields: Sequence[str],
        path: str | ObjectStoragePath,
        type: str = DAWID_SKENE,
        answer_weight_skill_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if type not in (DAWID_SKENE, WEIGHTED):
            raise ValueError(f"type is {type!r}; it must be {DAWID_SKENE} or {WEIGHTED}")
        if (answer_weight_skill_id is None) != (type == DAWID_SKENE):
            raise ValueError(f"answer_weight_skill_id is {answer_weight_skill_id!r}; {WEIGHTED} needs it, and no other")
        self.pool_id = pool_id
        self.fields = fields
        self.path = path
        self.type = type
        self.answer_weight_skill_id = answer_weight_skill_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the aggregation or find the one under way, wait for it, and write its results."""
        pool_id = checked_id("pool_id", self.pool_id)
        self._check_fields()
        file = self._file(context)
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, {"pool_id": pool_id})
            return self._act(context, client, file, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer waited for the aggregation."""
        with task_errors():
            operation = awaited_operation(WaitEvent.read(event))
            return self._write(TolokaHook(self.toloka_conn_id).get_conn(), operation, self._file(context))

    def holder_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer waited for another operation that held the pool."""
        with task_errors():
            end = WaitEvent.read(event)
            awaited_operation(end)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, self._file(context), end.deadline)

    def _act(self, context: Context, client: TolokaClient, file: RowFile, deadline: float) -> dict[str, Any]:
        operation = self._earlier(client, file)
        while operation is None:
            operation = self._start(client, file, deadline)
        self.log.info("Aggregation of pool %s: operation %s", self.pool_id, operation.id)
        context["ti"].xcom_push(key="operation_id", value=operation.id)
        if not (file.cursor or "").startswith(f"{operation.id} "):
            # A part without rows, so that a further attempt knows of the operation.
            file.append([], cursor=f"{operation.id} ", counts={"solutions": 0})
        return self._write(client, self._wait(client, operation, deadline, self.execute_complete), file)

    def _earlier(self, client: TolokaClient, file: RowFile) -> Operation | None:
        """Return the operation that an earlier attempt started, waited for or wrote down, unless it led nowhere."""
        if file.cursor is None:
            return None
        first, *others = file.cursor.split(" ")
        if first == _ASKED:
            return self._find(client, others)
        operation = client.find_operation(first)
        if operation is None or (operation.is_done and operation.status != OperationStatus.SUCCESS):
            file.discard()
            return None
        self.log.info("Going on with operation %s of an earlier attempt", operation.id)
        return operation

    def _find(self, client: TolokaClient, others: Collection[str]) -> Operation | None:
        """Return an aggregation like this one, which this task started unless it is one of the others."""
        return next((operation for operation in self._all(client) if operation.id not in others), None)

    def _all(self, client: TolokaClient) -> Iterator[Operation]:
        """Iterate over aggregations like this one; in this order, none is missed that goes on meanwhile."""
        for status in (OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.SUCCESS):
            yield from filter(self._is_like_this, client.list_operations(type=OPERATION, status=status))

    def _is_like_this(self, operation: Operation) -> bool:
        told = operation.parameters
        fields = told.get("aggregated_output_fields") or [field["name"] for field in told.get("aggregated_fields", ())]
        skills = told.get("answer_weight_skill_id"), self.answer_weight_skill_id
        return (
            str(told.get("pool_id")) == str(self.pool_id)
            and told.get("algorithm") == self.type
            and sorted(fields) == sorted(self.fields)
            and len({skill and str(skill) for skill in skills}) == 1
        )

    def _start(self, client: TolokaClient, file: RowFile, deadline: float) -> Operation | None:
        """Start the aggregation; if another operation holds the pool, wait for that and return ``None``."""
        if file.cursor is None:
            others = [operation.id for operation in self._all(client)]
            file.append([], cursor=" ".join([_ASKED, *others]), counts={"solutions": 0})
        try:
            return client.aggregate_by_pool(
                self.pool_id,
                type=self.type,
                fields=sorted(self.fields),
                answer_weight_skill_id=self.answer_weight_skill_id,
            )
        except (TolokaConnectionError, TolokaRetryableError) as exc:
            # The answer may have been lost after the aggregation was started.
            if not exc.received or (started := self._earlier(client, file)) is None:
                raise
            return started
        except TolokaConflictError as exc:
            if exc.code != LOCKED or time.time() >= deadline:
                raise
            self.log.info("Pool %s is held by another operation; waiting for it", self.pool_id)
        holder = client.find_unfinished_operation(pool_id=self.pool_id)
        if holder is None:
            time.sleep(min(self.poll_interval, max(0.0, deadline - time.time())))
        else:
            self._wait(client, holder, deadline, self.holder_finished)
        return None

    def _write(self, client: TolokaClient, operation: Operation, file: RowFile) -> dict[str, Any]:
        try:
            client.ensure_success(operation)
            self._download(client, operation.id, file)
        except TolokaOperationError:
            file.discard()  # the next attempt is to start another
            raise
        except TolokaApiError as exc:
            if exc.code != EXPIRED:
                raise
            file.discard()
            raise AirflowException(f"The next attempt starts another aggregation: {exc}") from exc
        facts = {"pool_id": str(self.pool_id), "operation_id": operation.id, "path": str(self.path)}
        return {**facts, "solutions": 0, **file.finish()}

    def _download(self, client: TolokaClient, operation_id: str, file: RowFile) -> None:
        written_of, _, after = (file.cursor or "").partition(" ")
        if written_of != operation_id:
            file.discard()
            after = ""
        download(
            file,
            client.aggregated_solution_pages(operation_id, page_size=PAGE_SIZE, after=after or None),
            lines=lambda solution: [raw_row(solution)],
            cursor=lambda solution: f"{operation_id} {solution['task_id']}",
            count=lambda page: {"solutions": len(page)},
            log=self.log,
        )

    def _file(self, context: Context) -> RowFile:
        asked = (self.pool_id, self.type, *sorted(self.fields), self.answer_weight_skill_id)
        key = TaskIdentity.of(context).uuid("aggregation", *asked)[:8]
        # Every page is a part, as pages are few and dear.
        return RowFile(storage_path("path", self.path), key=key, part_bytes=0, max_age=GOES_ON_FOR)

    def _check_fields(self) -> None:
        are_names = not isinstance(self.fields, str) and all(name and isinstance(name, str) for name in self.fields)
        if not are_names or not self.fields:
            raise ValueError(f"fields is {self.fields!r}; it must be a list of output fields")
        if self.type == DAWID_SKENE and len(self.fields) > 1:
            raise ValueError(f"fields is {self.fields!r}; {DAWID_SKENE} takes one field")
        if self.answer_weight_skill_id is not None:
            checked_id("answer_weight_skill_id", self.answer_weight_skill_id)
