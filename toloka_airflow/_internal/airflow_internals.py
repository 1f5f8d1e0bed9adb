"""
Everything of Airflow's that is private, undocumented or young, and that this package depends on.

A new Airflow may change any of it without notice. Each name has a test in
``tests/unit/_internal/test_airflow_internals.py``, which fails with the reason below when it does.

Called, by the functions of this module only:

- ``airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states``: private; the only way in which a task
  or a trigger learns the states of tasks (`task_states`, `states_in_other_runs`)
- ``airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS``, ``airflow.sdk.execution_time.comms.CommsDecoder.socket``:
  private; the connection of a task process with its supervisor, which closes with that (`supervisor_socket`)
- ``airflow.providers.common.compat.connection.get_async_connection``: young; reads a connection without blocking the
  event loop on every Airflow 3 (`fetch_connection`)
- ``airflow.jobs.triggerer_job_runner.TriggerCommsDecoder.asend``, ``airflow.sdk.execution_time.comms.GetXCom``,
  ``airflow.sdk.execution_time.comms.SetXCom``: private; the XComs of the task of a trigger, without blocking the event
  loop (`fetch_xcom`, `set_xcoms`)
- ``airflow.triggers.base.BaseEventTrigger.asset_state_store``: since Airflow 3.3; where a trigger that watches an asset
  keeps what a restart must not forget (`asset_state_store`)
- ``airflow.sdk.execution_time.context.TaskStateStoreAccessor.get``,
  ``airflow.sdk.execution_time.context.TaskStateStoreAccessor.set``: since Airflow 3.3; what a task instance keeps from
  one attempt to the next (`task_state_store`)
- ``airflow.sdk.BaseOperator._BaseOperator__from_mapped``: private; whether a worker made the operator from a mapped one
  (`is_unmapped`)
- ``airflow.sdk.bases.operator.TRIGGER_FAIL_REPR``: private, and stored in Airflow's database (`TRIGGER_FAILED`)
- ``airflow.jobs.scheduler_job_runner``, ``airflow.jobs.triggerer_job_runner``: private; a process that has imported one
  of them is a scheduler or a triggerer (`is_scheduler`, `is_triggerer`)
- ``airflow.executors.executor_loader.ExecutorLoader.get_executor_names``,
  ``airflow.executors.executor_loader.ExecutorLoader.import_executor_cls``: private; which executors a scheduler has
  (`configured_executors`)
- ``airflow.plugins_manager.get_plugin_info``, ``airflow.plugins_manager.get_import_errors``: private, the latter since
  Airflow 3.2; which plugins this process has loaded (`loaded_plugins`, `plugin_errors`)
- ``airflow.providers_manager.ProvidersManager``: private; which providers this process finds (`provider_version`)
- ``airflow.executors.base_executor.ExecutorConf``: young, since Airflow 3.2; the options of a team
  (`celery_settings`)
- ``airflow.sdk._shared.observability.metrics.stats``, ``airflow._shared.observability.metrics.stats``: private, since
  Airflow 3.2; the two places where a process may have set up Airflow's statistics (`airflow_statistics`)
- ``airflow.stats.Stats``: the one place of Airflow 3.1, deprecated since 3.2 (`airflow_statistics`)
- ``airflow.sdk.RetryPolicy``, ``airflow.sdk.RetryDecision``: since Airflow 3.3; decide when a task that failed is tried
  again (`RetryPolicy`, `retry_decision`)

Overridden or read by a subclass, because Airflow calls or sets it:

- ``airflow.triggers.base.BaseEventTrigger.shared_stream_key``,
  ``airflow.triggers.base.BaseEventTrigger.open_shared_stream``,
  ``airflow.triggers.base.BaseEventTrigger.filter_shared_stream``: since Airflow 3.3; one poll for many triggers
- ``airflow.triggers.base.BaseTrigger.on_kill``: since Airflow 3.3; called when a person ends a deferred task
- ``airflow.triggers.base.BaseTrigger.task_instance``: undocumented; whose trigger it is, read in ``on_kill``
- ``airflow.triggers.base.BaseTrigger.supports_triggerer_queue``: since Airflow 3.2; a ``BaseEventTrigger`` of a task
  must say that it may have a queue
- ``airflow.sdk.BaseSensorOperator._get_next_poke_interval``: private; lets a sensor poke at an exact time
- ``airflow.sdk.BaseOperator.resume_execution``: undocumented; gives a task whose trigger was lost another chance
- ``airflow.sdk.TaskGroup.__exit__``, ``airflow.sdk.TaskGroup.get_roots``, ``airflow.sdk.TaskGroup.get_leaves``,
  ``airflow.sdk.TaskGroup.__iter__``: undocumented; what comes before and after a `pool_window`
- ``airflow.timetables.base.Timetable.generate_run_id``: what the scheduler calls right before it makes a run; that an
  exception keeps it from making the run is undocumented
- ``airflow.providers.common.compat.sdk.AirflowPlugin.on_load``: undocumented; called in each process that loads plugins
- ``airflow.providers.common.compat.sdk.AirflowPlugin.timetables``: that it may be a property is undocumented; in most
  processes Airflow does not read it
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import airflow.sdk

if TYPE_CHECKING:
    import socket
    from datetime import timedelta

    from airflow.executors.base_executor import BaseExecutor
    from airflow.providers.common.compat.sdk import Connection
    from airflow.sdk import RetryDecision
    from airflow.sdk import RetryPolicy as RetryPolicy
else:
    # Airflow before 3.3 has none, and there is nobody who could ask one.
    RetryPolicy = getattr(airflow.sdk, "RetryPolicy", object)

TRIGGER_FAILED = "__fail__"
"""The method with which Airflow resumes a task whose trigger has failed, or was not done in time."""
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which Airflow does nothing more for a task."""
TASK_RUNNER_MODULE = "airflow.sdk.execution_time.task_runner"
SCHEDULER_MODULE = "airflow.jobs.scheduler_job_runner"
TRIGGERER_MODULE = "airflow.jobs.triggerer_job_runner"
STATISTICS_MODULES = (
    "airflow.sdk._shared.observability.metrics.stats",
    "airflow._shared.observability.metrics.stats",
    "airflow.stats",
)
CELERY_EXECUTOR = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
CELERY_DEFAULT = "airflow.providers.celery.executors.default_celery.DEFAULT_CELERY_CONFIG"


def task_states(ti: Any, task_ids: Sequence[str]) -> dict[str, str | None]:
    """
    Return the states of tasks in the run of a task instance, and with its map index.

    The state of a task that was cleared is ``None``; a task that does not exist is missing. It blocks until Airflow
    answers, and raises what Airflow raises.

    :param ti: The task instance that runs, or whose trigger does.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id], map_index=ti.map_index
    ).get(ti.run_id, {})
    # Airflow names a mapped task instance by its task and its index.
    suffix = "" if ti.map_index < 0 else f"_{ti.map_index}"
    found = {task_id: states[task_id + suffix] for task_id in task_ids if task_id + suffix in states}
    return {task_id: None if state is None else str(state) for task_id, state in found.items()}


def states_in_other_runs(ti: Any, task_ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """
    Return the states of tasks in all other runs of the DAG, by the id of the run.

    The name of a mapped task instance is that of its task with the map index behind, such as ``window.close_2``.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag_id=ti.dag_id, task_ids=list(task_ids))
    return {
        run_id: {name: None if state is None else str(state) for name, state in found.items()}
        for run_id, found in states.items()
        if run_id != ti.run_id
    }


def supervisor_socket() -> socket.socket | None:
    """
    Return the connection of this process with its supervisor; ``None`` if it has none.

    A task has one with every executor, and so has the Python that a task of `PythonVirtualenvOperator` starts. Plain
    Python has none, nor has ``dag.test()``, where the task and what stands for its supervisor are one process.
    """
    comms = getattr(sys.modules.get(TASK_RUNNER_MODULE), "SUPERVISOR_COMMS", None)
    connection: socket.socket | None = getattr(comms, "socket", None)
    return connection


async def fetch_connection(toloka_conn_id: str) -> Connection:
    """
    Return an Airflow connection without blocking the event loop.

    :raises AirflowNotFoundException: If Airflow has no such connection, or cannot read it just now.
    """
    from airflow.providers.common.compat.connection import get_async_connection

    return await get_async_connection(toloka_conn_id)


async def fetch_xcom(ti: Any, key: str) -> Any:
    """
    Return an XCom of the task of a trigger; ``None`` if there is none. It must not be cancelled.

    :param ti: The task instance whose trigger runs.
    """
    from airflow.sdk.execution_time.comms import GetXCom, XComResult

    answer = await _asend(GetXCom(key=key, **_of(ti)))
    return answer.value if isinstance(answer, XComResult) else None


async def set_xcoms(ti: Any, values: Mapping[str, Any]) -> None:
    """
    Set XComs, JSON values by key, of the task of a trigger; they must not be cancelled.

    :param ti: The task instance whose trigger runs.
    """
    from airflow.sdk.execution_time.comms import SetXCom

    for key, value in values.items():
        await _asend(SetXCom(key=key, value=value, **_of(ti)))


def _of(ti: Any) -> dict[str, Any]:
    return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}


async def _asend(message: Any) -> Any:
    comms = getattr(sys.modules.get(TASK_RUNNER_MODULE), "SUPERVISOR_COMMS", None)
    if type(comms).__name__ != "TriggerCommsDecoder":
        raise RuntimeError("this process is no triggerer")
    return await comms.asend(message)  # type: ignore[union-attr]


def asset_state_store(trigger: Any) -> Any | None:
    """
    Return where a trigger that watches an asset can keep a few values; ``None`` before Airflow 3.3.

    Its methods ``aget(key)`` and ``aset(key, value)`` raise a `ValueError` if several assets have an equal watcher.
    """
    return getattr(trigger, "asset_state_store", None)


def task_state_store(context: Any) -> Any | None:
    """
    Return where a task instance can keep a few values for its next attempts; ``None`` before Airflow 3.3.

    Its methods are ``get(key)``, which returns ``None`` for what was never set, and ``set(key, value)``.
    """
    return context.get("task_state_store")


def is_unmapped(task: Any) -> bool:
    """Return whether an operator was made from a mapped one, by the worker that runs it."""
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


def shares_streams() -> bool:
    """Return whether in this Airflow triggers can share one poll, as they do since 3.3."""
    from airflow.triggers.base import BaseEventTrigger

    return hasattr(BaseEventTrigger, "shared_stream_key")


def notifies_triggers() -> bool:
    """Return whether this Airflow notifies a trigger when its task is killed, as it does since 3.3."""
    from airflow.triggers.base import BaseTrigger

    return hasattr(BaseTrigger, "on_kill")


def retry_decision(delay: timedelta | None = None, reason: str | None = None) -> RetryDecision:
    """Return the answer of a retry policy: to try again after a delay, or as the task itself says if there is none."""
    from airflow.sdk import RetryDecision

    return RetryDecision.default() if delay is None else RetryDecision.retry(delay, reason)


def is_scheduler() -> bool:
    """Return whether this process is a scheduler, from which the tasks of a LocalExecutor fork."""
    return SCHEDULER_MODULE in sys.modules


def is_triggerer() -> bool:
    """Return whether this process is a triggerer, from which the one that runs triggers forks."""
    return TRIGGERER_MODULE in sys.modules


def configured_executors() -> list[tuple[type[BaseExecutor], str | None]]:
    """
    Return the executors of a scheduler, each with the team whose it is; most have none.

    :raises AirflowException: If Airflow cannot make anything of ``[core] executor``.
    """
    from airflow.executors.executor_loader import ExecutorLoader

    names = ExecutorLoader.get_executor_names()
    return [(ExecutorLoader.import_executor_cls(name)[0], name.team_name) for name in names]


def loaded_plugins() -> dict[str, str]:
    """Load the plugins in this process, and return where each comes from."""
    from airflow.plugins_manager import get_plugin_info

    return {str(plugin["name"]): str(plugin["source"]) for plugin in get_plugin_info(["name", "source"])}


def plugin_errors() -> dict[str, str]:
    """Return what went wrong with the plugins that `loaded_plugins` could not load, by where they come from."""
    from airflow import plugins_manager

    young = getattr(plugins_manager, "get_import_errors", None)
    return dict(young() if young else vars(plugins_manager)["import_errors"])


def provider_version(package: str, conn_type: str) -> str | None:
    """Return the version of a provider, as Airflow finds it; ``None`` if it does not, or not its type of connection."""
    from airflow.providers_manager import ProvidersManager

    info = ProvidersManager().providers.get(package)
    if info is None or conn_type not in [each["connection-type"] for each in info.data.get("connection-types", [])]:
        return None
    return str(info.version)


def airflow_statistics() -> Any | None:
    """
    Return what sends statistics in this process, with ``incr``, ``gauge`` and ``timing``; ``None`` if nothing does.

    Since 3.2, Airflow has its statistics twice, for tasks and for its components. A process sets up those that it uses
    itself, and what is sent through the other ones is lost without a word.
    """
    for name in STATISTICS_MODULES:
        module = sys.modules.get(name)
        # Airflow 3.3 has the factory in the module, 3.2 in the class; 3.1 sets itself up.
        if module is not None and (getattr(module, "_factory", None) or getattr(module.Stats, "factory", None)):
            return module.Stats
    return None


def is_celery_executor(executor: type[BaseExecutor]) -> bool:
    """Return whether an executor hands tasks to workers of Celery."""
    return any(f"{parent.__module__}.{parent.__qualname__}" == CELERY_EXECUTOR for parent in executor.__mro__)


def celery_settings(team: str | None) -> str:
    """
    Return a text with all that the configuration adds to Airflow's settings of Celery, or has instead of them.

    :param team: The team that the workers belong to, if they are not everybody's.
    """
    from airflow.providers.common.compat.sdk import conf

    settings = conf
    if team is not None:
        from airflow.executors.base_executor import ExecutorConf

        settings = ExecutorConf(team)
    found = [settings.get("celery", "extra_celery_config", fallback="")]
    path = settings.get("celery", "celery_config_options", fallback="")
    if path not in ("", CELERY_DEFAULT):
        module, _, name = path.rpartition(".")
        found.append(getattr(import_module(module), name))
    return str(found)
