"""Make one answer per task out of the answers of several people."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import AirflowException

from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.errors import TolokaApiError, TolokaError, TolokaOperationError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.hooks import TolokaHook, task_error, task_errors
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.download.downloading import download
from toloka_airflow.transfer.download.pool_tasks import PoolTasks
from toloka_airflow.triggers.events import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Raw

__all__ = ["AggregateSolutionsOperator"]

OPERATION = "SOLUTION.AGGREGATE"
EXPIRED = "RESULTS_EXPIRED"
DAWID_SKENE, WEIGHTED = "DAWID_SKENE", "WEIGHTED_DYNAMIC_OVERLAP"
PAGE_SIZE = 30_000
"""Results to fetch at once: Toloka answers 5 requests a minute and 30 an hour. A page takes some 20 MB of memory."""
RESUMABLE_FOR = 24 * 3600.0
"""Seconds since the first attempt in which a further one may resume it; very many results take hours by the quota."""
STATE_VERSION = 2
"""Rows that were written at version 1 have no input values."""


@dataclass(frozen=True)
class AggregationState:
    """
    How far an aggregation is, as it is stored beside the file, so that a further attempt resumes it.

    :param operation_id: The operation; ``None`` if it was about to be started, and may have been.
    :param previous_ids: The aggregations like this one that were there before it was started.
    :param last_task_id: The task whose row was written last.
    """

    operation_id: str | None = None
    previous_ids: tuple[str, ...] = ()
    last_task_id: str | None = None

    def dump(self) -> str:
        """Return the state as text."""
        return json.dumps({"version": STATE_VERSION, **asdict(self)})

    @classmethod
    def load(cls, text: str) -> Self:
        """
        Return the state that was stored, perhaps by another version: fields that it has more, or lacks, are fine.

        Rows of a version before are to be written again, so no task was the last.
        """
        if not text.startswith("{"):
            return cls._load_unversioned(text)
        stored = json.loads(text)
        return cls(
            operation_id=stored.get("operation_id"),
            previous_ids=tuple(stored.get("previous_ids") or ()),
            last_task_id=stored.get("last_task_id") if stored.get("version", 1) >= STATE_VERSION else None,
        )

    @classmethod
    def _load_unversioned(cls, text: str) -> Self:
        """Read words with spaces between them, which is what was stored before there were versions."""
        first, *others = text.split()
        return cls(previous_ids=tuple(others)) if first == "asked" else cls(operation_id=first)


class AggregateSolutionsOperator(WaitingOperator):
    """
    Aggregate the accepted answers of a pool, and write the result to a file of JSON Lines, a row for each task.

    A row is as the API answers it, ``pool_id``, ``task_id``, ``output_values`` and ``confidence`` from 0 to 1, with
    ``method``, whose confidence that is (``toloka:`` and the type), and what the task has: ``input_values``,
    ``is_control``, and ``known_solutions`` if it is a control task. So the file is the pool's inputs with their labels.
    `toloka_airflow.labels.add_inputs` does that for labels from elsewhere. For it all tasks of the pool are read, into
    a temporary file on the local disk.

    A further attempt resumes the aggregation that a previous one started, and the writing of its results, unless that
    began more than a day ago. What was started before this task began is never taken for its own, as it may lack
    answers. Toloka lets start and read aggregations 5 times a minute, 30 times an hour and 200 times a day. The first
    is waited for here. For the others the task fails with the time at which they return, for Airflow to try again.

    It returns ``{"pool_id", "operation_id", "path", "solutions"}``, the last being a count. The operation's id is in
    the XCom ``operation_id`` before the wait begins.

    :param pool_id: The pool (templated).
    :param fields: The output fields to aggregate (templated); one, if by Dawid-Skene.
    :param path: The file to write (templated); gzip if its name ends with ``.gz``. One that is there is replaced.
    :param type: ``DAWID_SKENE``, or ``WEIGHTED_DYNAMIC_OVERLAP``: each person's answer weighs as much as a skill.
    :param answer_weight_skill_id: That skill (templated).
    :param only_real_tasks: Whether to leave out control tasks, whose labels are known.

    Further arguments are those of `WaitingOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "fields", "path", "answer_weight_skill_id", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        fields: Sequence[str] | XComArg,
        path: str | ObjectStoragePath | XComArg,
        type: str = DAWID_SKENE,
        answer_weight_skill_id: str | XComArg | None = None,
        only_real_tasks: bool = False,
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
            **{"multiple_outputs": True, **kwargs},
        )
        if type not in (DAWID_SKENE, WEIGHTED):
            raise argument_error(f"type is {type!r}; it must be {DAWID_SKENE} or {WEIGHTED}")
        if (answer_weight_skill_id is None) != (type == DAWID_SKENE):
            raise argument_error(
                f"answer_weight_skill_id is {answer_weight_skill_id!r}; {WEIGHTED} needs it, and no other"
            )
        self.pool_id = as_rendered(pool_id)
        self.fields = as_rendered(fields)
        self.path = as_rendered(path)
        self.type = type
        self.answer_weight_skill_id = as_rendered(answer_weight_skill_id)
        self.only_real_tasks = only_real_tasks

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the aggregation or find the one that runs, wait for it, and write its results."""
        with task_errors():
            pool_id = checked_id("pool_id", self.pool_id)
            self._check_fields()
            file = self._file(context)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, {"pool_id": pool_id})
            return self._act(context, client, file, time.time() + self.timeout)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the results after the triggerer waited for the aggregation."""
        with task_errors():
            operation = awaited_operation(WaitEvent.read(event))
            return self._write(TolokaHook(self.toloka_conn_id).get_conn(), operation, self._file(context))

    def blocking_operation_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start the aggregation after the triggerer waited for an operation that blocked it."""
        with task_errors():
            end = WaitEvent.read(event)
            awaited_operation(end)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            return self._act(context, client, self._file(context), end.deadline)

    holder_finished = blocking_operation_finished  # as tasks that older versions have deferred will call it

    def _act(self, context: Context, client: TolokaClient, file: RowFile, deadline: float) -> dict[str, Any]:
        operation = self._started_before(client, file)
        while operation is None:
            operation = self._start(client, file, deadline)
        self.log.info("Operation %s aggregates the answers of pool %s", operation.id, self.pool_id)
        context["ti"].xcom_push(key="operation_id", value=operation.id)
        if file.cursor is None or AggregationState.load(file.cursor).operation_id != operation.id:
            self._store(file, AggregationState(operation.id))
        return self._write(client, self._wait(client, operation, deadline, self.execute_complete), file)

    def _store(self, file: RowFile, state: AggregationState) -> None:
        """Write a part without rows, so that a further attempt knows the state."""
        file.append([], cursor=state.dump(), counts={"solutions": 0})

    def _started_before(self, client: TolokaClient, file: RowFile) -> Operation | None:
        """Return the operation that this task started, in a previous attempt or just now, unless it failed."""
        if file.cursor is None:
            return None
        state = AggregationState.load(file.cursor)
        if state.operation_id is None:
            return next((found for found in self._similar(client) if found.id not in state.previous_ids), None)
        operation = client.find_operation(state.operation_id)
        if operation is None or (operation.is_done and operation.status != OperationStatus.SUCCESS):
            file.discard()
            return None
        self.log.info("This attempt resumes operation %s, which a previous attempt started", operation.id)
        return operation

    def _similar(self, client: TolokaClient) -> Iterator[Operation]:
        """Iterate over aggregations like this one; in this order, none is missed whose status changes meanwhile."""
        for status in (OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.SUCCESS):
            yield from filter(self._is_similar, client.list_operations(type=OPERATION, status=status))

    def _is_similar(self, operation: Operation) -> bool:
        given = operation.parameters
        fields = given.get("aggregated_output_fields") or [f["name"] for f in given.get("aggregated_fields", ())]
        skills = given.get("answer_weight_skill_id"), self.answer_weight_skill_id
        return (
            str(given.get("pool_id")) == str(self.pool_id)
            and given.get("algorithm") == self.type
            and sorted(fields) == sorted(self.fields)
            and len({skill and str(skill) for skill in skills}) == 1
        )

    def _start(self, client: TolokaClient, file: RowFile, deadline: float) -> Operation | None:
        """Start the aggregation; if another operation has locked the pool, wait for that and return ``None``."""
        if file.cursor is None:
            previous = tuple(operation.id for operation in self._similar(client))
            self._store(file, AggregationState(previous_ids=previous))
        start = partial(
            client.aggregate_by_pool,
            self.pool_id,
            type=self.type,
            fields=sorted(self.fields),
            answer_weight_skill_id=self.answer_weight_skill_id,
        )
        try:
            started: Operation | Blocked | None = send_if_free(start)
        except TolokaError as exc:
            # The answer may have been lost after the aggregation was started.
            if not exc.may_have_been_received or (started := self._started_before(client, file)) is None:
                raise
        if isinstance(started, Blocked):
            resume = self.blocking_operation_finished
            self._wait_until_free(client, started, deadline, resume, pool_id=self.pool_id)
            return None
        return started

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
            raise task_error(exc, AirflowException, f"The next attempt starts another aggregation: {exc}") from exc
        facts = {"pool_id": str(self.pool_id), "operation_id": operation.id, "path": str(self.path)}
        result = {**facts, "solutions": 0, **file.finish()}
        self._report_pool_read(str(self.pool_id))
        self._lineage_facts = result
        return result

    def _download(self, client: TolokaClient, operation_id: str, file: RowFile) -> None:
        state = AggregationState() if file.cursor is None else AggregationState.load(file.cursor)
        if state.operation_id != operation_id or (file.counts["solutions"] and state.last_task_id is None):
            file.discard()
            state = AggregationState(operation_id)
            self._store(file, state)
        pages = client.aggregated_solution_pages(operation_id, page_size=PAGE_SIZE, after=state.last_task_id)
        # A client of its own, as the next page of results is fetched meanwhile.
        with PoolTasks(client.with_own_session(), str(self.pool_id), log=self.log) as tasks:
            download(
                file,
                pages,
                lines=lambda solution: (compact_json(label).encode() for label in self._labels([solution], tasks)),
                cursor=lambda solution: AggregationState(operation_id, last_task_id=solution["task_id"]).dump(),
                count=lambda page: {"solutions": sum(1 for _ in self._labels(page, tasks))},
                log=self.log,
            )

    def _labels(self, solutions: Iterable[Raw], tasks: PoolTasks) -> Iterator[Raw]:
        from toloka_airflow.quality.label_rows import BY_TOLOKA

        for solution in solutions:
            label = {**solution, "method": f"{BY_TOLOKA}{self.type}", **tasks.of(str(solution["task_id"]))}
            if not (self.only_real_tasks and label["is_control"]):
                yield label

    def _file(self, context: Context) -> RowFile:
        given = [self.pool_id, self.type, *sorted(self.fields), self.answer_weight_skill_id]
        if self.only_real_tasks:
            given.append("only real tasks")
        key = TaskIdentity.of(context).uuid("aggregation", *given)[:8]
        # Every page is a part, as pages are few and dear.
        return RowFile(storage_path("path", self.path), key=key, part_bytes=0, max_age=RESUMABLE_FOR)

    def _check_fields(self) -> None:
        are_names = not isinstance(self.fields, str) and all(name and isinstance(name, str) for name in self.fields)
        if not are_names or not self.fields:
            raise ValueError(f"fields is {self.fields!r}; it must be a list of output fields")
        if self.type == DAWID_SKENE and len(self.fields) > 1:
            raise ValueError(f"fields is {self.fields!r}; {DAWID_SKENE} takes one field")
        if self.answer_weight_skill_id is not None:
            checked_id("answer_weight_skill_id", self.answer_weight_skill_id)
