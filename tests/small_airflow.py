"""
What an Airflow does with one DAG, in virtual time: a scheduler, workers and a triggerer that may be down.

The timetable, the operators, the triggers and the templates are the real ones. It is for DAGs with
``max_active_runs=1``, whose tasks run one after the other, or all of whose tasks are in one task group that is mapped
over a list: then those of each element do. `SmallAirflow` is the scheduler, `tests.small_airflow_tasks` has the rest.

What it takes from Airflow 3.3.2:

- A run that is older than ``dagrun_timeout`` is failed by the scheduler, if that is up and the DAG is not paused. All
  its tasks that are not done are skipped then, teardowns, too. A worker that runs one is killed after its next
  heartbeat, and a trigger is notified, if a triggerer runs it just then (``SchedulerJobRunner._schedule_dag_run``).
- A run that somebody starts without a date has no logical date and no data interval. It is queued until the run before
  it has ended, and no run is scheduled until then (``DagRun.active_runs_of_dags``).
- An XCom and the states of other tasks have the map index of who asks for them (``GetTaskStates``).

What it cannot do: while a worker waits in ``time.sleep``, nothing else goes on, so that what others do in that time
happens only after it. A worker that is killed after a timeout does not call ``on_kill`` of its task, which matters for
sensors that wait in a worker. Only a run whose tasks all wait, in the triggerer or for the next attempt, is cleared.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.execution_time import task_runner
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction

from tests.small_airflow_tasks import (
    PAUSED,
    SCHEDULER,
    TRIGGERER,
    Comms,
    Key,
    Run,
    Span,
    TaskRunner,
    Troubles,
)
from tests.virtual_time import VirtualTime, sleep_until, utc
from toloka_airflow.timetables import PoolWindowTimetable

__all__ = ["PAUSED", "SCHEDULER", "TRIGGERER", "SmallAirflow", "Span", "Troubles", "supervised"]


@dataclass
class _Queue:
    """The runs to come."""

    stored: DagRunInfo | None
    by_hand: list[float]
    last: DataInterval | None = None

    @property
    def due(self) -> float:
        scheduled = [self.stored.run_after.timestamp()] if self.stored else []
        return min(scheduled + self.by_hand[:1], default=float("inf"))


class SmallAirflow:
    """
    Run a DAG by its timetable, and whenever somebody starts it.

    :param timetable: Another timetable than that of the DAG.
    :param variables: What ``var.value`` has.
    """

    def __init__(
        self,
        dag: DAG,
        virtual: VirtualTime,
        *,
        troubles: Troubles | None = None,
        seed: int = 0,
        catchup: bool = False,
        timetable: PoolWindowTimetable | None = None,
        variables: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        self.dag = dag
        self.timetable = PoolWindowTimetable.deserialize((timetable or dag.timetable).serialize())
        self.troubles = troubles or Troubles()
        self.runs: list[Run] = []
        self.refused = 0
        self._random = random.Random(seed)
        self._restriction = TimeRestriction(earliest=pendulum.instance(utc(virtual.now)), latest=None, catchup=catchup)
        self._tasks = list(_in_order(dag))
        self._map_indexes = _map_indexes(self._tasks)
        shared = {"var": {"value": variables or {}}, "params": params or {}}
        self._runner = TaskRunner(dag, virtual, self.troubles, self._random, shared)

    async def schedule(self) -> None:
        """Do what the scheduler does, for ever."""
        queue = _Queue(self._next(None), sorted(self.troubles.started))
        while (due := queue.due) < float("inf"):
            await sleep_until(due)
            await self.troubles.over(SCHEDULER, PAUSED)
            if run := self._started(queue) if queue.by_hand[:1] == [due] else self._scheduled(queue):
                await self._run(run)

    def backfill(self, since: float) -> list[DataInterval]:
        """Return the intervals for which a backfill until now would make runs."""
        first, latest = pendulum.instance(utc(since)), pendulum.instance(utc(time.time()))
        restriction, found = TimeRestriction(earliest=first, latest=latest, catchup=True), []
        last: DataInterval | None = None
        while info := self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
            found.append(last := info.data_interval)
        return found

    def _started(self, queue: _Queue) -> Run:
        """Return a run that somebody has started, without a date."""
        run_after = pendulum.instance(utc(queue.by_hand.pop(0)))
        return Run(f"manual__{run_after.isoformat()}", self.dag.dag_id, run_after, None)

    def _scheduled(self, queue: _Queue) -> Run | None:
        """Return the next run by the timetable, if it makes one."""
        # Who is first after an outage, the scheduler or what parses the DAG?
        if self._random.random() < 0.5:
            queue.stored = self._next(queue.last)
        if queue.stored is None or queue.stored.run_after > utc(time.time()):
            return None
        info, run = queue.stored, None
        if run_id := self._run_id(info):
            queue.last = info.data_interval
            run = Run(run_id, self.dag.dag_id, info.run_after, info.data_interval)
        else:
            self.refused += 1
        queue.stored = self._next(queue.last)
        return run

    def _next(self, last: DataInterval | None) -> DagRunInfo | None:
        return self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=self._restriction)

    def _run_id(self, info: DagRunInfo) -> str | None:
        from airflow.utils.types import DagRunType  # noqa: TID251, for no other place has it on 3.1

        facts: dict[str, Any] = {"run_after": info.run_after, "data_interval": info.data_interval}
        try:
            return self.timetable.generate_run_id(run_type=DagRunType.SCHEDULED, **facts)
        except AirflowException:
            return None

    async def _run(self, run: Run) -> None:
        self.runs.append(run)
        run.start_date = utc(time.time())
        end: float | None = 0.0
        while end is not None:
            keys = ((task_id, index) for index in self._map_indexes for task_id in self.dag.task_dict)
            run.states, run.xcoms, run.kept, run.is_disturbed = dict.fromkeys(keys), {}, {}, False
            work = [asyncio.create_task(self._element(run, index)) for index in self._map_indexes]
            try:
                end = await self._disturbed(run, work)
            finally:
                for each in work:
                    each.cancel()
                await asyncio.wait(work)
            if end in self.troubles.timeouts:
                run.time_out()
                return

    async def _disturbed(self, run: Run, work: Sequence[asyncio.Task[None]]) -> float | None:
        """Wait until a run is done, or return when it is cleared or has timed out."""
        now = time.time()
        moments = sorted(moment for moment in self.troubles.clears + self.troubles.timeouts if moment > now)
        for moment in moments:
            timeout = max(0.0, moment - time.time())
            done, _ = await asyncio.wait(work, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION)
            for each in done:
                each.result()
            if moment in self.troubles.timeouts:
                await self.troubles.over(SCHEDULER, PAUSED)
            if all(each.done() for each in work):
                break
            if moment in self.troubles.timeouts or run.is_waiting():
                run.is_disturbed = True
                return moment
        await asyncio.gather(*work)
        return None

    async def _element(self, run: Run, map_index: int) -> None:
        """Run the tasks of one element, or all tasks of a DAG that is not mapped."""
        for task in self._tasks:
            key = task.task_id, map_index
            run.states[key] = _decided(task, run.states, map_index) or await self._runner.run(run, task, map_index)


@contextmanager
def supervised(*airflows: SmallAirflow) -> Iterator[None]:
    """Let the tasks and triggers of Airflows ask them for what they know."""
    with pytest.MonkeyPatch.context() as patch:
        comms = Comms({airflow.dag.dag_id: airflow.runs for airflow in airflows})
        patch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
        yield


def _in_order(dag: DAG) -> Iterable[Any]:
    above = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
    return (dag.get_task(task_id) for task_id in TopologicalSorter(above).static_order())


def _map_indexes(tasks: Iterable[Any]) -> Sequence[int]:
    groups = {id(group): group for task in tasks for group in [task.get_closest_mapped_task_group()]}
    assert len(groups) == 1, "Either all tasks are in one mapped task group, or none is"
    [group] = groups.values()
    return [-1] if group is None else range(max(map(len, group._expand_input.value.values())))


def _decided(task: Any, states: dict[Key, str | None], map_index: int) -> str | None:
    """Return the state of a task that does not run, by what is before it."""
    above = {states[task_id, map_index] for task_id in task.upstream_task_ids}
    if task.is_teardown:
        setups = {states[each.task_id, map_index] for each in task.upstream_list if each.is_setup}
        return None if "success" in setups or not setups else "skipped" if setups == {"skipped"} else "upstream_failed"
    if above & {"failed", "upstream_failed"}:
        return "upstream_failed"
    return "skipped" if "skipped" in above and task.trigger_rule != TriggerRule.NONE_FAILED else None
