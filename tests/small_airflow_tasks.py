"""How `tests.small_airflow` runs a task: in workers that may be killed, and in a triggerer that may be down."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG
from airflow.sdk.execution_time.comms import GetConnection, GetTaskStates, TaskStatesResult
from airflow.timetables.base import DataInterval

from tests.support import TaskInstance, connection_result
from tests.virtual_time import VirtualTime, sleep_until
from toloka_airflow._internal.airflow_internals import notifies_triggers

HAS_STATE_STORE = notifies_triggers()
"""Both are there since Airflow 3.3."""
SCHEDULER, TRIGGERER, PAUSED = "scheduler", "triggerer", "paused"
HEARTBEAT_TIMEOUT = 300
KILLED_AFTER = 10
"""Seconds until a worker is killed whose task is not to run any more: a heartbeat, and what comes after SIGTERM."""
WAITING = {None, "deferred", "up_for_retry"}
ENDED = {"success", "failed", "skipped", "upstream_failed"}
Span = tuple[float, float]
Key = tuple[str, int]
"""A task instance of a run: its task, and its map index, which is -1 if it is not mapped."""


class Killed(BaseException):
    """What a worker never gets to see: SIGKILL."""


@dataclass
class Troubles:
    """
    What goes wrong with an Airflow, and when; in Unix time.

    :param down: When its parts are down, or the DAG is paused.
    :param kills: When the worker that runs a task is killed, the next time that it waits for something: the name of
        the task, without the group, and since when.
    :param clears: When the run is cleared, if its tasks wait then.
    :param timeouts: When the run of then is found to be older than the ``dagrun_timeout`` of its DAG, which somebody
        has made shorter.
    :param started: When somebody starts a run without a date.
    """

    down: dict[str, list[Span]] = field(default_factory=dict)
    kills: list[tuple[str, float]] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)

    async def over(self, *parts: str) -> None:
        """Return when these parts are up."""
        while end := self._end(parts, time.time()):
            await sleep_until(end)

    def next_down(self, part: str) -> float:
        """Return when a part goes down."""
        starts = [start for start, _ in self.down.get(part, ())]
        return min((start for start in starts if start > time.time()), default=float("inf"))

    def next_timeout(self) -> float:
        """Return when the scheduler next ends a run that takes too long."""
        timeouts = (moment for moment in self.timeouts if moment > time.time())
        return min((moment for moment in timeouts if not self._end((SCHEDULER, PAUSED), moment)), default=float("inf"))

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
    """
    A run, with the states and XComs of its task instances.

    :param is_disturbed: Whether somebody, or a timeout, is ending the tasks that run.
    :param timed_out_at: When it was ended by a ``dagrun_timeout``.
    :param notified: The waits whose trigger was notified that they were ended.
    :param forgotten: Those that no triggerer ran then.
    :param kept: What task instances keep for their next attempts.
    """

    id: str
    dag_id: str
    run_after: datetime
    interval: DataInterval | None
    start_date: datetime | None = None
    states: dict[Key, str | None] = field(default_factory=dict)
    xcoms: dict[Key, dict[str, Any]] = field(default_factory=dict)
    is_disturbed: bool = False
    timed_out_at: float | None = None
    notified: list[Key] = field(default_factory=list)
    forgotten: list[Key] = field(default_factory=list)
    kept: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def is_waiting(self) -> bool:
        """Return whether all its tasks that are not done wait, and one is deferred."""
        states = set(self.states.values()) - ENDED
        return "deferred" in states and states <= WAITING

    def time_out(self) -> None:
        """Skip what is not done."""
        self.timed_out_at = time.time()
        self.states = {key: state if state in ENDED else "skipped" for key, state in self.states.items()}


@dataclass
class StateStore:
    """What a task instance keeps for its next attempts, since Airflow 3.3."""

    kept: dict[str, Any]

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


@dataclass
class Instance(TaskInstance):
    """A task instance of a run."""

    run: Run | None = None

    @property
    def key(self) -> Key:
        """What it is among those of the run."""
        return self.task_id, self.map_index

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int) -> Any:
        """Return what another task left; the map index has to be given, as Airflow gives those of all without it."""
        assert self.run
        return self.run.xcoms.get((task_ids, map_indexes), {}).get(key)


class TaskRunner:
    """
    Run tasks until they have a state that stays.

    :param shared: What the context of all tasks has.
    """

    def __init__(
        self, dag: DAG, virtual: VirtualTime, troubles: Troubles, chance: random.Random, shared: dict[str, Any]
    ) -> None:
        self._virtual, self._troubles, self._random, self._shared = virtual, troubles, chance, shared
        self._templates = dag.get_template_env()
        # To compile the same few templates again and again is a fifth of the time.
        self._templates.compile = lru_cache(None)(self._templates.compile)  # type: ignore[method-assign]
        self._kills: set[asyncio.Task[None]] = set()

    async def run(self, run: Run, task: Any, map_index: int) -> str:
        """Run a task, and again as often as it may be tried; return its last state."""
        for try_number in range(1, task.retries + 2):
            await self._latency()
            xcoms = run.xcoms[task.task_id, map_index] = {}
            instance = Instance(
                dag_id=run.dag_id,
                run_id=run.id,
                task_id=task.task_id,
                map_index=map_index,
                try_number=try_number,
                max_tries=task.retries,
                xcoms=xcoms,
                run=run,
            )
            state = run.states[instance.key] = await self._try(run, task, instance)
            if state != "up_for_retry":
                return state
            await asyncio.sleep(task.retry_delay.total_seconds())
        return "failed"

    async def _latency(self) -> None:
        await asyncio.sleep(self._random.uniform(1, 20))
        await self._troubles.over(SCHEDULER, PAUSED)

    async def _try(self, run: Run, task: Any, instance: Instance) -> str:
        method, arguments = "execute", {}
        while True:
            run.states[instance.key] = "running"
            try:
                result = self._work(run, task, instance, method, arguments)
            except TaskDeferred as deferred:
                run.states[instance.key] = "deferred"
                method, arguments = await self._deferred(instance, deferred)
                run.states[instance.key] = "scheduled"
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
                instance.xcoms["return_value"] = json.loads(json.dumps(result))
                return "success"

    def _work(self, run: Run, task: Any, instance: Instance, method: str, arguments: dict[str, Any]) -> Any:
        """Do what a worker does."""
        fresh = task.prepare_for_execution()
        context = {**self._shared, "ti": instance, "task": fresh, "run_id": run.id, "dag_run": run, "outlet_events": {}}
        if HAS_STATE_STORE:
            context["task_state_store"] = StateStore(run.kept.setdefault(instance.key, {}))
        if run.interval:
            context |= {"data_interval_start": run.interval.start, "data_interval_end": run.interval.end}
        fresh.render_template_fields(context, self._templates)
        killed_at = 0.0 if self._troubles.take_kill(task.label) else self._troubles.next_timeout() + KILLED_AFTER
        self._virtual.interruption = killed_at, Killed()
        try:
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
        assert instance.run
        trigger: Any = None
        try:
            while True:
                trigger = None
                await self._troubles.over(TRIGGERER)
                module, _, name = path.rpartition(".")
                trigger = getattr(import_module(module), name)(**json.loads(stored))
                trigger.task_instance = instance
                async with _running(_first_event(trigger)) as running:
                    until = self._troubles.next_down(TRIGGERER)
                    await asyncio.wait({running}, timeout=min(until - time.time(), 1e8))
                    if running.done():
                        return json.loads(json.dumps(running.result()))
        except asyncio.CancelledError:
            # Not because of the timeout of the deferral, which triggers do not get to know.
            if instance.run.is_disturbed:
                self._kills.add(asyncio.create_task(self._kill(instance, instance.run, trigger)))
            raise

    async def _kill(self, instance: Instance, run: Run, trigger: Any) -> None:
        """Notify a trigger that its task was ended, which takes some seconds; after a restart nobody knows of it."""
        goes_down = self._troubles.next_down(TRIGGERER)
        await asyncio.sleep(self._random.uniform(1, 120))
        if trigger is None or not notifies_triggers() or goes_down <= time.time():
            run.forgotten.append(instance.key)
            return
        run.notified.append(instance.key)
        await trigger.on_kill()


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


class Comms:
    """
    The line over which tasks and triggers ask Airflow.

    :param runs: The runs of each DAG.
    """

    def __init__(self, runs: dict[str, Sequence[Run]]) -> None:
        self._runs = runs

    def send(self, msg: Any) -> Any:
        """Answer what is asked, and ignore what is told."""
        if isinstance(msg, GetTaskStates):
            return TaskStatesResult(task_states={run.id: self._states(run, msg) for run in self._asked(msg)})
        if isinstance(msg, GetConnection):
            return connection_result(msg.conn_id)
        return None

    async def asend(self, msg: Any) -> Any:
        """Do the same for a trigger."""
        return self.send(msg)

    def _asked(self, msg: GetTaskStates) -> Iterable[Run]:
        return (run for run in self._runs[msg.dag_id] if msg.run_ids is None or run.id in msg.run_ids)

    def _states(self, run: Run, msg: GetTaskStates) -> dict[str, str | None]:
        return {
            task_id if index < 0 else f"{task_id}_{index}": state
            for (task_id, index), state in run.states.items()
            if task_id in (msg.task_ids or ()) and msg.map_index in (None, index)
        }
