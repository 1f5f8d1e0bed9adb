"""Let single tasks have more answers, or no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_int
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.ids import checked_id
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.transfer.changes.rows import check_repeatable, raise_problems, read_rows
from toloka_airflow.transfer.changes.sending import send_each

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Task

__all__ = ["ChangeOverlapOperator"]

MAX_OVERLAP = 30_000
MAX_IN_FLIGHT = 64


class ChangeOverlapOperator(LineageMixin, BaseOperator):
    """
    Change how many people answer some tasks of a pool: more, as for labels that are not sure, or no more.

    An overlap is how many answers a task is to have in all, so it may be repeated: a task that has the overlap is not
    touched. A lower one takes no answer back: of a task that more people have already, it becomes as many as have it. 0
    stops the task so: nobody else gets it.

    All rows are checked, and all tasks fetched, before the first is changed; up to 20 that cannot be used are listed at
    once. What Toloka refuses fails the task when the others are sent, or after 20 of them.

    It returns ``{"pool_id", "total", "already", "higher"}``: how many tasks have the overlap, how many of them had it
    before this attempt, and how many have a higher one because more people have them already.

    :param pool_id: The pool that all the tasks are in (templated).
    :param tasks: Which: a list of ids, or of rows with ``task_id`` and, if they are not all to have the same,
        ``overlap``; or the path of a file with rows (templated), such as that of the ids that `CreateTasksOperator`
        writes, or labels, in the formats that `SetUserSkillsOperator` takes. Or a mapping from ids of tasks to
        overlaps. Other fields do not matter.
    :param overlap: The overlap of all tasks that have no ``overlap`` of their own, from 0 to 30,000 (templated).
    :param open_pool: Whether Toloka opens the pool with the last task whose overlap rises. A further attempt with none
        left to raise does not open it, as somebody may have closed it meanwhile. `OpenPoolOperator` behind this
        operator has guards, waits, and belongs to a teardown; prefer it.
    :param in_flight: How many requests at a time; fewer for a while after a 429.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "tasks", "overlap", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        tasks: RowsOrPath,
        overlap: int | str | XComArg | None = None,
        open_pool: bool = False,
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        check_repeatable("tasks", tasks)
        self.pool_id = as_rendered(pool_id)
        self.tasks: Any = tasks
        self.overlap = as_rendered(overlap)
        self.open_pool = open_pool
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Change what is not as wanted."""
        with task_errors():
            pool_id = checked_id("pool_id", self.pool_id)
            default = None if self.overlap is None else _parse_overlap(self.overlap)
            wanted = read_rows("tasks", self.tasks, "task_id", lambda row: _overlap(row, default), value_name="overlap")
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, {"pool_id": pool_id})
            fetched = self._fetch(client, pool_id, wanted)
            missing = [task for task in fetched.values() if not _is_as_wanted(task, wanted[task.id])]
            raised = [task for task in missing if _rises(task, wanted[task.id])]
            opening = raised[-1:] if self.open_pool else []
            # Once all others have changed, as people begin with it, and a pool without open tasks closes again.
            for tasks, opens in ([task for task in missing if task not in opening], False), (opening, True):
                fetched |= self._change(client, tasks, wanted, opens=opens)
            if self.open_pool and not opening:
                self.log.warning("Pool %s was not opened, as no overlap rises: all tasks have theirs already", pool_id)
        result = {
            "pool_id": pool_id,
            "total": len(wanted),
            "already": len(wanted) - len(missing),
            "higher": sum(_is_higher(fetched[task_id], overlap) for task_id, overlap in wanted.items()),
        }
        self.log.info(
            "%s overlap: %d had it before, and %d a higher one, as more people have them already",
            *(counted(result["total"], "task has its", "tasks have their"), result["already"], result["higher"]),
        )
        self._report_pool_written(pool_id)
        self._lineage_facts = result
        return result

    def _fetch(self, client: TolokaClient, pool_id: str, wanted: Mapping[str, int]) -> dict[str, Task]:
        """
        Return the tasks, by their ids.

        :raises ValueError: If some are in other pools, with the first of them.
        :raises TolokaError: If some do not exist.
        """
        fetched: dict[str, Task] = {}

        def fetch(client: TolokaClient, task_id: str, _: int) -> str:
            fetched[task_id] = client.get_task(task_id)
            return "fetched"

        send_each(client, wanted.items(), fetch, what="tasks to fetch", in_flight=self.in_flight, log=self.log)
        others = [f"task {task.id} is in pool {task.pool_id}" for task in fetched.values() if task.pool_id != pool_id]
        raise_problems("tasks", self.tasks, sorted(others))
        return fetched

    def _change(
        self, client: TolokaClient, tasks: Sequence[Task], wanted: Mapping[str, int], *, opens: bool
    ) -> dict[str, Task]:
        """Set the overlaps of tasks, and return these as they are then."""
        changed: dict[str, Task] = {}

        def change(client: TolokaClient, task_id: str, task: Task) -> str:
            overlap = wanted[task_id]
            if _rises(task, overlap):
                body = {"overlap": overlap, "infinite_overlap": False}
                changed[task_id] = client.update_task(task_id, body, open_pool=opens)
                return "raised"
            changed[task_id] = client.set_task_overlap_or_min(task_id, overlap)
            return "lowered"

        rows = [(task.id, task) for task in tasks]
        send_each(client, rows, change, what="overlaps", in_flight=self.in_flight, log=self.log)
        return changed


def _overlap(row: Mapping[str, Any], default: int | None) -> int:
    overlap = row.get("overlap")
    if overlap is None and default is None:
        raise ValueError("it has no overlap, and the argument overlap gives none for it")
    return _parse_overlap(default if overlap is None else overlap)


def _parse_overlap(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_OVERLAP:
        raise ValueError(f"overlap is {value!r:.100}; it must be a whole number from 0 to {MAX_OVERLAP}")
    return number


def _rises(task: Task, overlap: int) -> bool:
    return task.overlap is not None and overlap > task.overlap


def _is_higher(task: Task, overlap: int) -> bool:
    return task.overlap is not None and task.overlap > overlap


def _is_as_wanted(task: Task, overlap: int) -> bool:
    """Return whether a task has its overlap, or the lowest that it can have."""
    return task.overlap == overlap or (_is_higher(task, overlap) and task.remaining_overlap == 0)
