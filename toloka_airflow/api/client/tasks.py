"""Calls about tasks and task suites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import PAGE_SIZE, ModelT, object_path
from toloka_airflow.api.client.operations import OperationCalls
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, Raw, Task, shape

if TYPE_CHECKING:
    from toloka_airflow.api.models.suites import TaskSuite


class TaskCalls(OperationCalls):
    """Calls about tasks and task suites."""

    def create_tasks(
        self, tasks: Sequence[Raw], *, allow_defaults: bool = False, open_pool: bool = False
    ) -> list[Task]:
        """
        Create up to 5000 tasks at once, all or none; the answer is in the order of ``tasks``.

        It is never repeated when an answer is lost, because the API would create the tasks a second time: use
        `create_tasks_async` where that matters.
        """
        params = {"allow_defaults": allow_defaults, "open_pool": open_pool}
        return self._create_all("/tasks", Task, tasks, params)

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
        params = {"allow_defaults": allow_defaults, "open_pool": open_pool, "skip_invalid_items": skip_invalid_items}
        return self._create_async("/tasks", tasks, operation_id, params)

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

    def get_task(self, task_id: str) -> Task:
        """Return a task."""
        return Task.from_api(self._get(object_path("/tasks", task_id=task_id)))

    def update_task(self, task_id: str, fields: Raw, *, open_pool: bool = False) -> Task:
        """
        Change some of a task: its overlap, known solutions, baseline solutions or hint.

        :param open_pool: Whether Toloka is to open the pool if it is closed.
        """
        path = object_path("/tasks", task_id=task_id)
        return Task.from_api(self._patch(path, fields, {"open_pool": open_pool or None}))

    def set_task_overlap_or_min(self, task_id: str, overlap: int) -> Task:
        """
        Set how many answers a task is to get, or the least that is possible, which the answer says; 0 to stop.

        :param overlap: Answers, those that it has included.
        """
        path = object_path("/tasks", "set-overlap-or-min", task_id=task_id)
        return Task.from_api(self._patch(path, {"overlap": overlap, "infinite_overlap": False}))

    # Task suites

    def create_task_suites(
        self, suites: Sequence[Raw], *, allow_defaults: bool = False, open_pool: bool = False
    ) -> list[TaskSuite]:
        """
        Create task suites at once, all or none; the answer is in the order of ``suites``.

        It is never repeated when an answer is lost: see `create_tasks`.
        """
        from toloka_airflow.api.models.suites import TaskSuite

        params = {"allow_defaults": allow_defaults, "open_pool": open_pool}
        return self._create_all("/task-suites", TaskSuite, suites, params)

    def create_task_suites_async(
        self,
        suites: Sequence[Raw] | bytes,
        *,
        operation_id: str | None = None,
        allow_defaults: bool = False,
        open_pool: bool = False,
        skip_invalid_items: bool = False,
    ) -> Operation:
        """Start an operation that creates task suites, exactly once for each ``operation_id``: `create_tasks_async`."""
        params = {"allow_defaults": allow_defaults, "open_pool": open_pool, "skip_invalid_items": skip_invalid_items}
        return self._create_async("/task-suites", suites, operation_id, params)

    def list_task_suites(
        self, *, pool_id: str | None = None, task_id: str | None = None, **filters: Any
    ) -> Iterator[TaskSuite]:
        """Iterate over the task suites of a pool, or over those with a task."""
        from toloka_airflow.api.models.suites import TaskSuite

        if not (pool_id or task_id):
            raise ValueError("pool_id or task_id is needed to list task suites")
        return self._list("/task-suites", TaskSuite, {"pool_id": pool_id, "task_id": task_id, **filters})

    def get_task_suite(self, suite_id: str) -> TaskSuite:
        """Return a task suite."""
        from toloka_airflow.api.models.suites import TaskSuite

        return TaskSuite.from_api(self._get(object_path("/task-suites", suite_id=suite_id)))

    def update_task_suite(self, suite_id: str, fields: Raw, *, open_pool: bool = False) -> TaskSuite:
        """
        Change some of a task suite: its overlap (with ``infinite_overlap``) or ``issuing_order_override``.

        :param open_pool: Whether Toloka is to open the pool if it is closed.
        """
        from toloka_airflow.api.models.suites import TaskSuite

        path = object_path("/task-suites", suite_id=suite_id)
        return TaskSuite.from_api(self._patch(path, fields, {"open_pool": open_pool or None}))

    def set_task_suite_overlap_or_min(self, suite_id: str, overlap: int) -> TaskSuite:
        """Set how many answers a task suite is to get, or the least that is possible; 0 to stop."""
        from toloka_airflow.api.models.suites import TaskSuite

        path = object_path("/task-suites", "set-overlap-or-min", suite_id=suite_id)
        return TaskSuite.from_api(self._patch(path, {"overlap": overlap}))

    def _create_all(
        self, path: str, model: type[ModelT], items: Sequence[Raw], params: Mapping[str, Any]
    ) -> list[ModelT]:
        """Create all items or none, and return them in the order in which they were sent."""
        answer = self._create(path, list(items), params)
        created = answer.get("items") if isinstance(answer, dict) else None
        indexes = [str(index) for index in range(len(items))]
        if not isinstance(created, dict) or set(created) != set(indexes):
            what = path[1:].replace("-", " ")
            raise TolokaError(
                f"POST {path} was to create {len(items)} {what}, but the answer is {shape(created or answer)}"
            )
        return [model.from_api(created[index]) for index in indexes]
