"""
Toloka's requester API v1, one method per call that a labelling round uses.

Facts are those of https://toloka.ai/docs/api/api-reference; the section names follow that page.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from toloka_airflow.api import pool_rules
from toloka_airflow.api.errors import (
    FailureCount,
    TolokaApiError,
    TolokaConflictError,
    TolokaError,
    TolokaOperationError,
    TolokaTimeoutError,
)
from toloka_airflow.api.ids import checked_id, checked_uuid
from toloka_airflow.api.models import (
    AggregatedSolution,
    Assignment,
    AssignmentStatus,
    Operation,
    OperationStatus,
    Pool,
    Project,
    Raw,
    Requester,
    Task,
    Training,
    read_metrics,
    shape,
)
from toloka_airflow.api.pages import Page, check_page, read_page
from toloka_airflow.api.settings import PRODUCTION, SANDBOX, ClientSettings
from toloka_airflow.api.transport import LazySession, Transport, parse_json

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

WEB_HOSTS = {PRODUCTION: "https://platform.toloka.ai", SANDBOX: "https://platform.sandbox.toloka.ai"}
PAGE_SIZE = 300
OPERATIONS_PAGE_SIZE = 500
"""As the official client takes it; where the API refuses it, 300 are requested."""
MAX_METRICS = 10
"""Of one operation of analytics; so the official client."""
MIN_POLL_TIMEOUT = 5.0
"""Seconds that the answer to a poll has at least, also shortly before the time is up: its last chance is one, too."""

_RANGES = ("_gt", "_gte", "_lt", "_lte")
_POOL_FILTERS = {"status", "project_id"}, {"id", "created", "last_started"}
_FILTERS: dict[str, tuple[set[str], set[str]]] = {
    "/projects": ({"status", "owner"}, {"id", "created"}),
    "/pools": _POOL_FILTERS,
    "/trainings": _POOL_FILTERS,
    "/tasks": ({"pool_id", "overlap"}, {"id", "created", "overlap"}),
    "/operations": ({"type", "status"}, {"id", "submitted", "finished"}),
    "/assignments": (
        {"pool_id", "task_id", "task_suite_id", "user_id", "status"},
        {"id", "created", "submitted", "accepted", "rejected", "skipped", "expired"},
    ),
    "/aggregated-solutions": (set(), {"task_id"}),
}


class _Model(Protocol):
    @classmethod
    def from_api(cls, raw: Raw) -> Any: ...


ModelT = TypeVar("ModelT", bound=_Model)
ItemT = TypeVar("ItemT")


class TolokaClient:
    """
    Call the Toloka API with one account's token.

    Every call raises `TolokaConnectionError` when no answer came, and `TolokaApiError` when the answer was an error
    (see `toloka_airflow.api.errors`). Calls that are safe to repeat are repeated on 408, 429, 5xx and lost
    answers, with pauses that double up to 30 s, until ``retry_budget`` is spent. Calls that create something
    are repeated only if the server cannot have received them.

    :param settings: The account, where its API is served, time limits and retries.
    :param session: A `requests.Session` to use instead of an own one, which then has only the time limits that
        `requests` has; or one that is made later, of another client.
    :param retries: Whether to send a request again after a transient error; if not, that is left to the caller.
    :param deadline: Monotonic time by which all its requests must have ended.
    :param before_change: Called right before each sending of a request that is no GET; it raises `TolokaNotSentError`
        if this process may not change anything at Toloka any more.
    :param on_retry: Called with the error of a request that is about to be sent again.
    :param before_receiving: Called when an answer begins to come, before more of it is read than its headers.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        session: requests.Session | LazySession | None = None,
        retries: bool = True,
        deadline: float = float("inf"),
        before_change: Callable[[], None] | None = None,
        on_retry: Callable[[TolokaError], None] | None = None,
        before_receiving: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self._session = session if isinstance(session, LazySession) else LazySession(session)
        self._retries, self._before_change = retries, before_change
        self._transport = Transport(
            settings,
            self._session,
            retries=retries,
            deadline=deadline,
            before_change=before_change,
            on_retry=on_retry,
            before_receiving=before_receiving,
        )

    def __repr__(self) -> str:
        return f"TolokaClient(base_url={self.base_url!r})"

    def without_retries(self, *, timeout: float = float("inf")) -> TolokaClient:
        """
        Return the same client, one that leaves trying again to its caller.

        :param timeout: Seconds from now in which all its requests must have ended.
        """
        deadline = time.monotonic() + timeout
        return TolokaClient(
            self.settings,
            session=self._session,
            retries=False,
            deadline=deadline,
            before_change=self._before_change,
        )

    def with_own_session(
        self,
        *,
        on_retry: Callable[[TolokaError], None] | None = None,
        before_receiving: Callable[[], None] | None = None,
    ) -> TolokaClient:
        """
        Return the same client with connections of its own: a `requests.Session` belongs to one thread.

        :param on_retry: Called with the error of a request that is about to be sent again.
        :param before_receiving: Called when an answer begins to come, before more of it is read than its headers.
        """
        return TolokaClient(
            self.settings,
            retries=self._retries,
            before_change=self._before_change,
            on_retry=on_retry,
            before_receiving=before_receiving,
        )

    @property
    def base_url(self) -> str:
        """Where the API is served."""
        return self.settings.base_url

    def server_time(self) -> datetime | None:
        """
        Return what Toloka's clock shows, to the second, by the ``Date`` of the last answer that this client got.

        ``None`` without an answer, or if it said nothing.
        """
        return self._transport.server_time()

    def web_url(self, pool: Training) -> str:
        """Return the address of a pool's or training's page for requesters."""
        noun = "pool" if isinstance(pool, Pool) else "training"
        return f"{self._web_host}/requester/project/{pool.project_id}/{noun}/{pool.id}"

    def assignment_web_url(self, pool_id: str, assignment_id: str) -> str:
        """Return the address of an assignment's page, as it is in Toloka's own files of results."""
        pool, assignment = checked_id("pool_id", pool_id), checked_id("assignment_id", assignment_id)
        return f"{self._web_host}/task/{pool}/{assignment}"

    @property
    def _web_host(self) -> str:
        return WEB_HOSTS.get(self.base_url, self.base_url)

    def get_requester(self) -> Requester:
        """Return whose token this is, and the balance."""
        return Requester.from_api(self._get("/requester"))

    # Projects

    def create_project(self, project: Raw) -> Project:
        """Create a project."""
        return Project.from_api(self._create("/projects", project))

    def get_project(self, project_id: str) -> Project:
        """Return a project."""
        return Project.from_api(self._get(_path("/projects", project_id=project_id)))

    def list_projects(self, **filters: Any) -> Iterator[Project]:
        """Iterate over projects, archived ones included."""
        return self._list("/projects", Project, filters)

    def archive_project(self, project_id: str) -> Operation | None:
        """Archive a project whose pools are all archived."""
        return self._act(_path("/projects", "archive", project_id=project_id))

    # Pools

    def create_pool(self, pool: Raw) -> Pool:
        """Create a pool; it is CLOSED."""
        return Pool.from_api(self._create("/pools", pool))

    def get_pool(self, pool_id: str) -> Pool:
        """Return a pool."""
        return Pool.from_api(self._get(_path("/pools", pool_id=pool_id)))

    def get_settled_pool(self, pool_id: str) -> Pool:
        """Return a pool, as LOCKED while an operation that opens it is under way; see `pool_rules.as_opening`."""
        pool = self.get_pool(pool_id)
        if not pool_rules.is_closed(pool):
            return pool
        if self.find_unfinished_operation(types=["POOL.OPEN"], pool_id=pool.id):
            return pool_rules.as_opening(pool)
        # Again: the opening may have ended between the two requests.
        return self.get_pool(pool_id)

    def list_pools(self, **filters: Any) -> Iterator[Pool]:
        """Iterate over pools, archived ones included."""
        return self._list("/pools", Pool, filters)

    def update_pool(self, pool_id: str, pool: Raw) -> Pool:
        """Replace all parameters of a closed pool (a change of its overlap: 10 an hour)."""
        # Sent again if need be: it sets the same once more.
        return Pool.from_api(self._transport.request("PUT", _path("/pools", pool_id=pool_id), body=pool))

    def open_pool(self, pool_id: str) -> Operation | None:
        """Open a pool; ``None`` if it is open."""
        return self._act(_path("/pools", "open", pool_id=pool_id))

    def close_pool(self, pool_id: str) -> Operation | None:
        """Close a pool; ``None`` if it is closed."""
        return self._act(_path("/pools", "close", pool_id=pool_id))

    def close_pool_for_update(self, pool_id: str) -> Operation | None:
        """Close a pool for editing; it reopens by itself after 15 minutes."""
        return self._act(_path("/pools", "close-for-update", pool_id=pool_id))

    def archive_pool(self, pool_id: str) -> Operation | None:
        """Archive a closed pool; ``None`` if it is archived."""
        return self._act(_path("/pools", "archive", pool_id=pool_id))

    def clone_pool(self, pool_id: str) -> Operation:
        """Copy a pool without its tasks; the new id is ``details["pool_id"]`` once the operation succeeded."""
        return Operation.from_api(self._create(_path("/pools", "clone", pool_id=pool_id)))

    # Trainings

    def create_training(self, training: Raw) -> Training:
        """Create a training; it is CLOSED."""
        return Training.from_api(self._create("/trainings", training))

    def get_training(self, training_id: str) -> Training:
        """Return a training."""
        return Training.from_api(self._get(_path("/trainings", training_id=training_id)))

    def list_trainings(self, **filters: Any) -> Iterator[Training]:
        """Iterate over trainings, archived ones included."""
        return self._list("/trainings", Training, filters)

    def open_training(self, training_id: str) -> Operation | None:
        """Open a training; ``None`` if it is open."""
        return self._act(_path("/trainings", "open", training_id=training_id))

    def close_training(self, training_id: str) -> Operation | None:
        """Close a training; ``None`` if it is closed."""
        return self._act(_path("/trainings", "close", training_id=training_id))

    def close_training_for_update(self, training_id: str) -> Operation | None:
        """Close a training for editing."""
        return self._act(_path("/trainings", "close-for-update", training_id=training_id))

    def archive_training(self, training_id: str) -> Operation | None:
        """Archive a closed training whose main pools are all archived; ``None`` if it is archived."""
        return self._act(_path("/trainings", "archive", training_id=training_id))

    def clone_training(self, training_id: str) -> Operation:
        """Copy a training without its tasks; the new id is ``details["training_id"]``."""
        return Operation.from_api(self._create(_path("/trainings", "clone", training_id=training_id)))

    def pools_requiring(self, training_id: str) -> Iterator[Pool]:
        """Iterate over the main pools of a training that are not archived."""
        wanted = checked_id("training_id", training_id)
        pools = (pool for status in pool_rules.NOT_ARCHIVED for pool in self.list_pools(status=status))
        return (pool for pool in pools if pool.training_id == wanted)

    def find_open_pool_requiring(self, training_id: str) -> Pool | None:
        """Return a main pool of a training that is not closed for good, or is being opened; ``None`` if all are."""
        pools = self.pools_requiring(training_id)
        under_way = (OperationStatus.PENDING, OperationStatus.RUNNING)
        operations = (operation for status in under_way for operation in self.list_operations(status=status))
        opening = {str(each.parameters.get("pool_id")) for each in operations if each.type == "POOL.OPEN"}
        for listed in pools:
            if listed.id in opening or pool_rules.why_not_closed(listed):
                pool = self.get_settled_pool(listed.id)  # a list may be older
                if pool_rules.why_not_closed(pool) and not self._is_being_archived(pool):
                    return pool
        return None

    def _is_being_archived(self, pool: Pool) -> bool:
        """Return whether a pool is locked by what archives it, so that it was closed before."""
        types = ["POOL.ARCHIVE"]
        return pool_rules.is_locked(pool) and bool(self.find_unfinished_operation(types=types, pool_id=pool.id))

    # Tasks

    def create_tasks(
        self, tasks: Sequence[Raw], *, allow_defaults: bool = False, open_pool: bool = False
    ) -> list[Task]:
        """
        Create up to 5000 tasks at once, all or none; the answer is in the order of ``tasks``.

        It is never repeated when an answer is lost, because the API would create the tasks a second time: use
        `create_tasks_async` where that matters.
        """
        params = {"allow_defaults": allow_defaults, "open_pool": open_pool}
        answer = self._create("/tasks", list(tasks), params)
        items = answer.get("items") if isinstance(answer, dict) else None
        indexes = [str(index) for index in range(len(tasks))]
        if not isinstance(items, dict) or set(items) != set(indexes):
            raise TolokaError(
                f"POST /tasks was to create {len(tasks)} tasks, but the answer is {shape(items or answer)}"
            )
        return [Task.from_api(items[index]) for index in indexes]

    def create_tasks_async(
        self,
        tasks: Sequence[Raw] | bytes,
        *,
        operation_id: str | None = None,
        allow_defaults: bool = False,
        open_pool: bool = False,
        skip_invalid_items: bool = False,
    ) -> Operation:
        """
        Start an operation that creates tasks, exactly once for each ``operation_id``.

        :param tasks: Tasks, or the JSON list of them.
        :param operation_id: A UUID. Sent a second time, it creates nothing and the operation that already
            has it is returned.
        :raises ValueError: If ``operation_id`` is no UUID.
        """
        operation_id = str(uuid.uuid4()) if operation_id is None else checked_uuid("operation_id", operation_id)
        params = {
            "operation_id": operation_id,
            "async_mode": True,
            "allow_defaults": allow_defaults,
            "open_pool": open_pool,
            "skip_invalid_items": skip_invalid_items,
        }
        body = tasks if isinstance(tasks, bytes) else list(tasks)
        try:
            answer = self._transport.request("POST", "/tasks", params=_query(params), body=body)
        except TolokaConflictError as exc:
            if exc.code != "OPERATION_ALREADY_EXISTS":
                raise
            return self.get_operation(operation_id)
        return Operation.from_api(answer)

    def list_tasks(self, pool_id: str, **filters: Any) -> Iterator[Task]:
        """Iterate over the tasks of a pool."""
        return self._list("/tasks", Task, {"pool_id": checked_id("pool_id", pool_id), **filters})

    def task_pages(self, pool_id: str, *, page_size: int = PAGE_SIZE) -> Iterator[list[Raw]]:
        """
        Iterate over the tasks of a pool page by page, as the API answers them: for whoever reads very many.

        :param page_size: Tasks to request at once; 300 are documented, and taken if the API refuses more.
        """
        pages = self._list_pages("/tasks", {"pool_id": checked_id("pool_id", pool_id)}, limit=page_size)
        return (page.items for page in pages)

    # Operations

    def get_operation(self, operation_id: str) -> Operation:
        """Return an operation."""
        return Operation.from_api(self._get(_path("/operations", operation_id=operation_id)))

    def find_operation(self, operation_id: str) -> Operation | None:
        """Return an operation, if there is one with this id."""
        try:
            return self.get_operation(operation_id)
        except TolokaApiError as exc:
            if exc.status != 404:
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
        params = {"finished_gte": _text(since), "sort": "-finished", "limit": str(OPERATIONS_PAGE_SIZE)}
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
            params["finished_lte"] = _text(end + timedelta(milliseconds=1))  # digits behind milliseconds are cut off

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
        path = _path("/operations", "log", operation_id=operation_id)
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

    # Answers

    def list_assignments(
        self,
        *,
        pool_id: str | None = None,
        status: AssignmentStatus | Iterable[AssignmentStatus] | None = None,
        **filters: Any,
    ) -> Iterator[Assignment]:
        """Iterate over answers; one of ``pool_id``, ``task_id`` and ``task_suite_id`` is needed."""
        given = {"pool_id": pool_id, "status": status, **filters}
        if not any(given.get(key) for key in ("pool_id", "task_id", "task_suite_id")):
            raise ValueError("pool_id, task_id or task_suite_id is needed to list assignments")
        return self._list("/assignments", Assignment, given)

    def assignment_pages(
        self, pool_id: str, *, page_size: int = PAGE_SIZE, after: str | None = None, **filters: Any
    ) -> Iterator[list[Raw]]:
        """
        Iterate over a pool's answers page by page, as the API answers them: for whoever reads very many.

        :param page_size: Answers to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the assignment with this id.
        """
        given = {"pool_id": checked_id("pool_id", pool_id), "id_gt": after, **filters}
        return (page.items for page in self._list_pages("/assignments", given, limit=page_size))

    def read_assignments(
        self,
        pool_id: str,
        read: Callable[[bytes], Page[ItemT]],
        *,
        page_size: int = PAGE_SIZE,
        after: str | None = None,
        until: str | None = None,
        **filters: Any,
    ) -> Iterator[Page[ItemT]]:
        """
        Iterate over a pool's answers page by page, as a function reads them from the JSON of a page.

        :param read: It raises `ValueError` for what is no JSON.
        :param page_size: Answers to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the assignment with this id.
        :param until: End with the assignment with this id, if there is one, or before it.
        """
        given = {"pool_id": checked_id("pool_id", pool_id), "id_gt": after, "id_lte": until, **filters}
        return self._list_pages("/assignments", given, limit=page_size, read=read)

    def find_last_assignment(self, pool_id: str, **filters: Any) -> str | None:
        """Return the greatest id of a pool's answers, in one request; ``None`` if there are none."""
        given = {"pool_id": checked_id("pool_id", pool_id), **_query(filters)}
        _check_filters("/assignments", given)
        page = self._page("/assignments", {**given, "sort": "-id", "limit": "1"}, "id")
        return page.keys[0] if page.keys else None

    def has_answers(self, pool_id: str, *, since: datetime | None = None, before: datetime | None = None) -> bool:
        """
        Return whether anybody has submitted an answer, in one request.

        :param since: Count only what was submitted at this time or later.
        :param before: Count only what was submitted before this time.
        """
        answered = [AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED, AssignmentStatus.REJECTED]
        filters: dict[str, Any] = {"status": answered, "submitted_gte": since, "submitted_lt": before}
        return any(self.assignment_pages(pool_id, page_size=1, **filters))

    def get_assignment(self, assignment_id: str) -> Assignment:
        """Return an answer."""
        return Assignment.from_api(self._get(_path("/assignments", assignment_id=assignment_id)))

    def patch_assignment(
        self, assignment_id: str, *, status: AssignmentStatus, public_comment: str | None = None
    ) -> Assignment:
        """
        Accept or reject an answer; Tolokers read the comment.

        It may be sent again after a lost answer: what is decided is not decided a second time (409).
        """
        body = {"status": AssignmentStatus(status).value, "public_comment": public_comment}
        path = _path("/assignments", assignment_id=assignment_id)
        return Assignment.from_api(self._transport.request("PATCH", path, body=_given(body)))

    def aggregate_by_pool(
        self,
        pool_id: str,
        *,
        type: str,
        fields: Sequence[str],
        answer_weight_skill_id: str | None = None,
    ) -> Operation:
        """
        Start the aggregation of a pool's accepted answers (5 a minute, 30 an hour, 200 a day).

        :param type: ``DAWID_SKENE`` (one field) or ``WEIGHTED_DYNAMIC_OVERLAP`` (needs the skill).
        :param fields: Names of output fields.
        """
        skill_id = answer_weight_skill_id
        if skill_id is not None:
            skill_id = checked_id("answer_weight_skill_id", skill_id)
        body = {
            "pool_id": checked_id("pool_id", pool_id),
            "type": type,
            "answer_weight_skill_id": skill_id,
            "fields": [{"name": name} for name in fields],
        }
        return Operation.from_api(self._create("/aggregated-solutions/aggregate-by-pool", _given(body)))

    def list_aggregated_solutions(self, operation_id: str, **filters: Any) -> Iterator[AggregatedSolution]:
        """Iterate over the results of an aggregation that succeeded."""
        path = _path("/aggregated-solutions", operation_id=operation_id)
        return self._list(path, AggregatedSolution, filters, key="task_id")

    def aggregated_solution_pages(
        self, operation_id: str, *, page_size: int = PAGE_SIZE, after: str | None = None
    ) -> Iterator[list[Raw]]:
        """
        Iterate over the results of an aggregation page by page, as the API answers them (5 pages a minute).

        :param page_size: Results to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the task with this id.
        """
        path = _path("/aggregated-solutions", operation_id=operation_id)
        pages = self._list_pages(path, {"task_id_gt": after}, key="task_id", limit=page_size)
        return (page.items for page in pages)

    # Analytics

    def start_analytics(self, pool_id: str, metrics: Sequence[str]) -> Operation:
        """
        Start an operation that measures a pool, such as its ``completion_percentage``.

        The results are in the ``details`` of the operation once it succeeded; `read_metrics` reads them.

        :param metrics: Names of up to `MAX_METRICS` metrics.
        """
        return self.start_analytics_of([checked_id("pool_id", pool_id)], metrics)

    def start_analytics_of(self, pool_ids: Sequence[str], metrics: Sequence[str]) -> Operation:
        """
        Start an operation that measures several pools; see `start_analytics`.

        :param metrics: Their names; times the number of pools, they are `MAX_METRICS` at the most.
        """
        subjects = [{"subject": "POOL", "subject_id": checked_id("pool_ids", pool_id)} for pool_id in pool_ids]
        body = [{"name": metric, **subject} for subject in subjects for metric in metrics]
        # Sent again if need be: measuring twice changes nothing.
        return Operation.from_api(self._transport.request("POST", "/api/staging/analytics-2", body=body))

    def measure(self, pool_id: str, metrics: Sequence[str], *, timeout: float) -> dict[str, float | None]:
        """
        Measure a pool, and return the number for each metric; ``None`` where Toloka gives none.

        :param metrics: Names of up to 10 metrics.
        :param timeout: Seconds to wait for the operation at the most.
        :raises TolokaOperationError: If the operation failed.
        :raises TolokaTimeoutError: If it is not done in time.
        """
        operation = self.wait_operation(self.start_analytics(pool_id, metrics), timeout=timeout)
        measured = read_metrics(self.ensure_success(operation))
        return {metric: measured.get(metric) for metric in metrics}

    # How the calls above are sent

    def _get(self, path: str) -> Any:
        return self._transport.request("GET", path)

    def _act(self, path: str) -> Operation | None:
        """Send a call that changes nothing when it is sent a second time (204)."""
        answer = self._transport.request("POST", path)
        return None if answer is None else Operation.from_api(answer)

    def _create(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """Send a call that the server must not receive twice."""
        return self._transport.request("POST", path, params=_query(params or {}), body=body, repeatable=False)

    def _list(self, path: str, model: type[ModelT], filters: Mapping[str, Any], key: str = "id") -> Iterator[ModelT]:
        """
        Iterate over all pages of a list, by ascending key.

        :raises ValueError: At once, if a filter is unknown or empty: the API might ignore it and list everything.
        """
        pages = self._list_pages(path, filters, key=key)
        return (model.from_api(item) for page in pages for item in page.items)

    def _list_pages(
        self,
        path: str,
        filters: Mapping[str, Any],
        *,
        key: str = "id",
        limit: int = PAGE_SIZE,
        read: Callable[[bytes], Page[Any]] | None = None,
    ) -> Iterator[Page[Any]]:
        ids = {
            name: checked_id(name, value)
            for name, value in _given(filters).items()
            if name.endswith("_id") or name in (f"{key}_gt", f"{key}_lte")
        }
        given = {**_query(filters), **ids}
        _check_filters("/" + path.split("/")[1], given)
        return self._pages(path, given, key, limit, read)

    def _pages(
        self, path: str, filters: Mapping[str, str], key: str, limit: int, read: Callable[[bytes], Page[Any]] | None
    ) -> Iterator[Page[Any]]:
        params = {"sort": key, "limit": str(limit), **filters}
        while True:
            page = self._page(path, params, key, read)
            check_page(path, params, page, key)
            yield page
            if not page.has_more:
                return
            params[f"{key}_gt"] = page.keys[-1]

    def _page(
        self, path: str, params: dict[str, str], key: str, read: Callable[[bytes], Page[Any]] | None = None
    ) -> Page[Any]:
        send = partial(self._transport.request, "GET", path, params=params, read=read)
        try:
            answer = send()
        except TolokaApiError as exc:
            # How the API refuses a limit is not documented; a payload that only names other fields is about those.
            may_be_limit = exc.status == 400 and (not exc.payload or "limit" in str(exc.payload))
            if not may_be_limit or int(params["limit"]) <= PAGE_SIZE:
                raise
            params["limit"] = str(PAGE_SIZE)
            answer = send()
        return answer if isinstance(answer, Page) else read_page(path, answer, key)


def read_steps(operation_id: str, log: Any) -> list[dict[str, Any]]:
    """
    Return the steps in an operation's log.

    :raises TolokaError: If there are none.
    """
    steps = [log] if isinstance(log, dict) else log  # as the API reference shows it; the API itself answers a list
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise TolokaError(f"The log of operation {operation_id} is no list of steps: it is {shape(steps)}")
    return steps


def _path(collection: str, action: str = "", /, **ids: str) -> str:
    """Return the path of an object, whose id is checked under the name of the argument it came in."""
    [(name, value)] = ids.items()
    path = f"{collection}/{checked_id(name, value)}"
    return f"{path}/{action}" if action else path


def _check_filters(collection: str, given: Mapping[str, str]) -> None:
    exact, ranges = _FILTERS[collection]
    known = exact | {field + suffix for field in ranges for suffix in _RANGES}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{', '.join(unknown)}: no filter of {collection}; known are {', '.join(sorted(known))}")
    if empty := sorted(name for name, value in given.items() if not value):
        raise ValueError(f"{', '.join(empty)} is empty; leave the filter out to list everything")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _query(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in _given(values).items()}


def _text(value: Any) -> str:
    """Write a value as Toloka's query strings have it: UTC dates without zone, commas, lower-case booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; dates in filters must have one")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Iterable):
        return ",".join(_text(item) for item in value)
    return str(value)
