"""
What an Airflow does with one DAG, in virtual time: a scheduler, workers and a triggerer that may be down.

The timetable, the operators, the triggers and the templates are the real ones. It is for DAGs whose tasks run one after
the other, with ``max_active_runs=1``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from importlib import import_module
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection, GetTaskStates, TaskStatesResult
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction

from tests.support import TaskInstance
from tests.virtual_time import VirtualTime, sleep_until, utc
from toloka_airflow.timetables import PoolWindowTimetable

SCHEDULER, TRIGGERER, PAUSED = "scheduler", "triggerer", "paused"
HEARTBEAT_TIMEOUT = 300
Span = tuple[float, float]


class Killed(BaseException):
    """What a worker never gets to see: SIGKILL."""


class Cleared(BaseException):
    """A person clears the run."""


@dataclass
class Troubles:
    """
    What goes wrong with an Airflow, and when; in Unix time.

    :param down: When its parts are down, or the DAG is paused.
    :param kills: When the worker that runs a task is killed, the next time that it waits for something: the name of
        the task, without the group, and since when.
    :param clears: When the run is cleared, if it waits in the triggerer then.
    """

    down: dict[str, list[Span]] = field(default_factory=dict)
    kills: list[tuple[str, float]] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)

    async def over(self, *parts: str) -> None:
        """Return when these parts are up."""
        while end := self._end(parts, time.time()):
            await sleep_until(end)

    def next(self, part: str) -> float:
        """Return when a part goes down, or what waits is cleared."""
        moments = [start for start, _ in self.down.get(part, ())] + self.clears
        return min((moment for moment in moments if moment > time.time()), default=float("inf"))

    def take_kill(self, task: str) -> bool:
        """Return whether the worker is to be killed that runs a task."""
        for kill in self.kills:
            if kill[0] == task and kill[1] <= time.time():
                self.kills.remove(kill)
                return True
        return False

    def _end(self, parts: Iterable[str], now: float) -> float | None:
        return max(
            (end for part in parts for start, end in self.down.get(part, ()) if start <= now < end), default=None
        )


@dataclass
class Run:
    """A run, with the states and XComs of its tasks."""

    id: str
    interval: DataInterval
    states: dict[str, str | None] = field(default_factory=dict)
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Instance(TaskInstance):
    """A task of a run."""

    run: Run | None = None

    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        """Return what another task left."""
        assert self.run
        return self.run.xcoms.get(task_ids, {}).get(key)


class SmallAirflow:
    """
    Run a DAG by its timetable.

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
        self._virtual = virtual
        self._random = random.Random(seed)
        self._restriction = TimeRestriction(earliest=pendulum.instance(utc(virtual.now)), latest=None, catchup=catchup)
        self._shared = {"var": {"value": variables or {}}, "params": params or {}}
        self._kills: set[asyncio.Task[None]] = set()
        self._tasks = list(_in_order(dag))

    async def schedule(self) -> None:
        """Do what the scheduler does, for ever."""
        last: DataInterval | None = None
        stored = self._next(last)
        while stored is not None:
            await sleep_until(stored.run_after.timestamp())
            await self.troubles.over(SCHEDULER, PAUSED)
            # Who is first after an outage, the scheduler or what parses the DAG?
            if self._random.random() < 0.5 and (stored := self._next(last)) and stored.run_after > utc(time.time()):
                continue
            run_id = stored and self._run_id(stored)
            if run_id:
                last = stored.data_interval
            else:
                self.refused += 1
            stored = self._next(last)
            if run_id and last:
                await self._run(Run(run_id, last))

    def backfill(self, since: float) -> list[DataInterval]:
        """Return the intervals for which a backfill until now would make runs."""
        first, latest = pendulum.instance(utc(since)), pendulum.instance(utc(time.time()))
        restriction, found = TimeRestriction(earliest=first, latest=latest, catchup=True), []
        last: DataInterval | None = None
        while info := self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
            found.append(last := info.data_interval)
        return found

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
        while True:
            run.states, run.xcoms = dict.fromkeys(self.dag.task_dict), {}
            try:
                for task in self._tasks:
                    run.states[task.task_id] = _decided(task, run.states) or await self._task(run, task)
            except Cleared:
                continue
            return

    async def _task(self, run: Run, task: Any) -> str:
        for _ in range(task.retries + 1):
            await self._latency()
            state = await self._try(run, task)
            if state != "up_for_retry":
                return state
            await asyncio.sleep(task.retry_delay.total_seconds())
        return "failed"

    async def _latency(self) -> None:
        await asyncio.sleep(self._random.uniform(1, 20))
        await self.troubles.over(SCHEDULER, PAUSED)

    async def _try(self, run: Run, task: Any) -> str:
        xcoms = run.xcoms[task.task_id] = {}
        instance = Instance(dag_id=self.dag.dag_id, run_id=run.id, task_id=task.task_id, xcoms=xcoms, run=run)
        method, arguments = "execute", {}
        while True:
            run.states[task.task_id] = "running"
            try:
                result = self._work(run, task, instance, method, arguments)
            except TaskDeferred as deferred:
                run.states[task.task_id] = "deferred"
                method, arguments = await self._deferred(instance, deferred)
                await self._latency()
            except AirflowSkipException:
                return "skipped"
            except (AirflowFailException, AirflowSensorTimeout):
                return "failed"
            except Killed:
                await asyncio.sleep(HEARTBEAT_TIMEOUT)
                return "up_for_retry"
            except Exception:
                return "up_for_retry"
            else:
                xcoms["return_value"] = json.loads(json.dumps(result))
                return "success"

    def _work(self, run: Run, task: Any, instance: Instance, method: str, arguments: dict[str, Any]) -> Any:
        """Do what a worker does."""
        fresh = task.prepare_for_execution()
        interval = {"data_interval_start": run.interval.start, "data_interval_end": run.interval.end}
        context = {**self._shared, **interval, "ti": instance, "task": fresh, "run_id": run.id, "outlet_events": {}}
        fresh.render_template_fields(context, self.dag.get_template_env())
        self._virtual.interruption = Killed() if self.troubles.take_kill(task.label) else None
        try:
            with _states(run):
                if method == "execute":
                    return fresh.execute(context)
                return fresh.resume_execution(method, arguments, context)
        finally:
            self._virtual.interruption = None

    async def _deferred(self, instance: Instance, deferred: TaskDeferred) -> tuple[str, dict[str, Any]]:
        """Return how the task goes on, by what the triggerer says, or the scheduler if that takes too long."""
        limit = deferred.timeout.total_seconds() if deferred.timeout else None
        try:
            event = await asyncio.wait_for(self._wait(instance, *deferred.trigger.serialize()), limit)
        except TimeoutError:
            return "__fail__", {"error": "Trigger timeout"}
        return deferred.method_name, {"event": event}

    async def _wait(self, instance: Instance, path: str, arguments: dict[str, Any]) -> Any:
        """Do what a triggerer does."""
        stored = json.dumps(arguments)
        while True:
            await self.troubles.over(TRIGGERER)
            module, _, name = path.rpartition(".")
            trigger = getattr(import_module(module), name)(**json.loads(stored))
            trigger.task_instance = instance
            async with _running(_first_event(trigger)) as running:
                until = self.troubles.next(TRIGGERER)
                await asyncio.wait({running}, timeout=min(until - time.time(), 1e8))
                if running.done():
                    return json.loads(json.dumps(running.result()))
            if until in self.troubles.clears:
                self._kills.add(asyncio.create_task(self._kill(trigger)))
                raise Cleared

    async def _kill(self, trigger: Any) -> None:
        """Tell a trigger that a person has ended it, which takes the triggerer some seconds."""
        await asyncio.sleep(self._random.uniform(1, 120))
        await self.troubles.over(TRIGGERER)
        if hasattr(trigger, "on_kill"):
            with _states(trigger.task_instance.run):
                await trigger.on_kill()


def _in_order(dag: DAG) -> Iterable[Any]:
    above = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
    return (dag.get_task(task_id) for task_id in TopologicalSorter(above).static_order())


def _decided(task: Any, states: dict[str, str | None]) -> str | None:
    """Return the state of a task that does not run, by what is before it."""
    above = {states[task_id] for task_id in task.upstream_task_ids}
    if task.is_teardown:
        setups = {states[above.task_id] for above in task.upstream_list if above.is_setup}
        return None if "success" in setups else "skipped" if setups == {"skipped"} else "upstream_failed"
    if above & {"failed", "upstream_failed"}:
        return "upstream_failed"
    return "skipped" if "skipped" in above else None


async def _first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("A trigger ended without an event")


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Comms:
    """The line over which tasks and triggers ask Airflow."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def send(self, msg: Any) -> Any:
        """Answer what is asked, and ignore what is told."""
        if isinstance(msg, GetTaskStates):
            return TaskStatesResult(task_states={self._run.id: self._run.states})
        if isinstance(msg, GetConnection):
            # Airflow 3.1 asks before it looks at the environment.
            fields = json.loads(os.environ[f"AIRFLOW_CONN_{msg.conn_id.upper()}"])
            return ConnectionResult(conn_id=msg.conn_id, **fields)
        return None

    async def asend(self, msg: Any) -> Any:
        """Do the same for a trigger."""
        return self.send(msg)


@contextmanager
def _states(run: Run) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", _Comms(run), raising=False)
        yield
