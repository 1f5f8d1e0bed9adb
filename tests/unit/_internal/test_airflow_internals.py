"""Each name of Airflow's that is private or young: still there, and what it was. One test per name, on every lane."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

import airflow
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

from tests.support import TaskInstance
from toloka_airflow._internal import airflow_internals as internals

VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))
SDK = "airflow.providers.common.compat.sdk"


def resolve(name: str) -> Any:
    """Return what a full name stands for; fail in words if it is not there."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                pytest.fail(f"Airflow {airflow.__version__} has no {name} any more")
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def takes(*names: str) -> Callable[[str], None]:
    """Check that a function takes these parameters, in this order if they are positional."""

    def check(name: str) -> None:
        parameters = [p.name for p in inspect.signature(resolve(name)).parameters.values() if p.kind != p.VAR_KEYWORD]
        expected = list(names)
        assert parameters == expected, f"Airflow {airflow.__version__}: {name} takes {parameters}, expected {expected}"

    return check


def has_module(name: str) -> None:
    assert find_spec(name) is not None, f"Airflow {airflow.__version__} has no module {name} any more"


def is_what_each_task_process_has(name: str) -> None:
    source = inspect.getsource(task_runner.main)
    assert "global SUPERVISOR_COMMS" in source, f"Airflow {airflow.__version__} does not set {name} any more"
    assert "CommsDecoder" in task_runner.__annotations__["SUPERVISOR_COMMS"]


def is_only_where_there_are_two_processes(name: str) -> None:
    resolve(name)
    from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

    assert not hasattr(InProcessSupervisorComms(supervisor=object()), name.rpartition(".")[2])


def is_a_coroutine(name: str) -> None:
    assert inspect.iscoroutinefunction(resolve(name)), f"Airflow {airflow.__version__}: {name} is no coroutine any more"


def is_a_message_of_triggers(name: str) -> None:
    from airflow.jobs.triggerer_job_runner import ToTriggerSupervisor

    assert resolve(name) in get_args(get_args(ToTriggerSupervisor)[0])
    assert {"key", "dag_id", "run_id", "task_id", "map_index"} <= resolve(name).model_fields.keys()


def is_the_method_of_failed_triggers(name: str) -> None:
    assert resolve(name) == internals.TRIGGER_FAILED


def is_true_of_what_is_unmapped(name: str) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator

    assert resolve(name) is False
    assert internals.is_unmapped(EmptyOperator(task_id="a", _airflow_from_mapped=True))
    assert not internals.is_unmapped(EmptyOperator(task_id="b"))


def is_an_attribute_of_triggers(name: str) -> None:
    """Check that a trigger has it from the beginning, whoever made it."""
    from toloka_airflow.triggers import PoolClosedTrigger

    attribute = name.rpartition(".")[2]
    assert attribute in vars(PoolClosedTrigger(pool_id="21")) or hasattr(PoolClosedTrigger, attribute), name


def is_a_store(name: str) -> None:
    is_an_attribute_of_triggers(name)
    accessors = "airflow.sdk.execution_time.context.AssetStateStoreAccessors"
    for method, parameters in {"aget": ["self", "key"], "aset": ["self", "key", "value"]}.items():
        is_a_coroutine(f"{accessors}.{method}")
        assert list(inspect.signature(resolve(f"{accessors}.{method}")).parameters)[: len(parameters)] == parameters
    with pytest.raises(ValueError, match="inlets and outlets"):  # what several assets with equal watchers get
        asyncio.run(resolve(accessors)(inlets=[], outlets=[]).aget("key"))


def is_asked_by_the_worker(name: str) -> None:
    assert resolve(name) is internals.RetryPolicy
    takes("self", "exception", "try_number", "max_tries", "context")(f"{name}.evaluate")
    assert "policy.evaluate(" in inspect.getsource(task_runner)


def keeps_the_scheduler_from_making_a_run(name: str) -> None:
    parameters = inspect.signature(resolve(name)).parameters
    assert list(parameters)[:4] == ["self", "run_type", "run_after", "data_interval"]
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    source = inspect.getsource(SchedulerJobRunner._create_dag_runs)
    assert "timetable.generate_run_id(" in source, "the scheduler does not ask the timetable for the id of a run"
    assert re.search(r"except Exception[^\n]*\n(.*\n){0,3}.*log\.exception", source), "an exception ends the scheduler"


def is_called_for_every_plugin(name: str) -> None:
    resolve(name)
    assert "on_load()" in inspect.getsource(import_module("airflow.plugins_manager"))


def is_read_from_an_instance(name: str) -> None:
    resolve(name)
    assert "in plugin.timetables" in inspect.getsource(import_module("airflow.plugins_manager"))


def names_executors(name: str) -> None:
    [executor] = resolve(name)()
    assert (executor.module_path, executor.team_name) == ("airflow.executors.local_executor.LocalExecutor", None)
    assert resolve(executor.module_path).is_local


def knows_connection_types(name: str) -> None:
    info = resolve(name)().providers["apache-airflow-providers-standard"]
    assert info.version
    assert "fs" in [each["connection-type"] for each in info.data["connection-types"]]


def is_set_up_by(module: str) -> Callable[[str], None]:
    """Check that a process of Airflow sets up these statistics, by which it can be told apart from the other ones."""

    def check(name: str) -> None:
        assert name in internals.STATISTICS_MODULES
        stats = resolve(name)
        assert hasattr(stats, "_factory") or hasattr(stats.Stats, "factory"), f"{name} does not say if it is set up"
        assert re.search(r"[sS]tats\.initialize\(", inspect.getsource(import_module(f"airflow.{module}")))
        reports_statistics(f"{name}.Stats")

    return check


def reports_statistics(name: str) -> None:
    assert name.removesuffix(".Stats") in internals.STATISTICS_MODULES
    if name == "airflow.stats.Stats" and VERSION >= (3, 2):
        pytest.skip("Airflow 3.2 and newer have others")
    stats = resolve(name)
    for method in ("incr", "gauge", "timing"):
        assert "tags" in inspect.signature(getattr(stats, method)).parameters


TRIGGER, EVENT_TRIGGER = "airflow.triggers.base.BaseTrigger", "airflow.triggers.base.BaseEventTrigger"
EXECUTORS = "airflow.executors"
RUNS = "dag_id", "map_index", "task_ids", "task_group_id", "logical_dates", "run_ids"
# What checks a name, and the Airflow that has it first.
CHECKS: dict[str, tuple[Callable[[str], object], tuple[int, int]]] = {
    "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states": (takes(*RUNS), (3, 0)),
    "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS": (is_what_each_task_process_has, (3, 0)),
    "airflow.sdk.execution_time.comms.CommsDecoder.socket": (is_only_where_there_are_two_processes, (3, 0)),
    "airflow.jobs.triggerer_job_runner.TriggerCommsDecoder.asend": (is_a_coroutine, (3, 0)),
    "airflow.sdk.execution_time.comms.GetXCom": (is_a_message_of_triggers, (3, 0)),
    "airflow.sdk.execution_time.comms.SetXCom": (is_a_message_of_triggers, (3, 0)),
    "airflow.providers.common.compat.connection.get_async_connection": (is_a_coroutine, (3, 0)),
    f"{EVENT_TRIGGER}.asset_state_store": (is_a_store, (3, 3)),
    "airflow.sdk.execution_time.context.TaskStateStoreAccessor.get": (takes("self", "key", "default"), (3, 3)),
    "airflow.sdk.execution_time.context.TaskStateStoreAccessor.set": (
        takes("self", "key", "value", "retention"),
        (3, 3),
    ),
    "airflow.sdk.BaseOperator._BaseOperator__from_mapped": (is_true_of_what_is_unmapped, (3, 0)),
    "airflow.sdk.bases.operator.TRIGGER_FAIL_REPR": (is_the_method_of_failed_triggers, (3, 0)),
    internals.SCHEDULER_MODULE: (has_module, (3, 0)),
    internals.TRIGGERER_MODULE: (has_module, (3, 0)),
    f"{EXECUTORS}.executor_loader.ExecutorLoader.get_executor_names": (names_executors, (3, 0)),
    f"{EXECUTORS}.executor_loader.ExecutorLoader.import_executor_cls": (takes("executor_name"), (3, 0)),
    f"{EXECUTORS}.base_executor.ExecutorConf": (takes("team_name"), (3, 2)),
    "airflow.plugins_manager.get_plugin_info": (takes("attrs_to_dump"), (3, 0)),
    "airflow.plugins_manager.get_import_errors": (takes(), (3, 2)),
    "airflow.providers_manager.ProvidersManager": (knows_connection_types, (3, 0)),
    "airflow.sdk._shared.observability.metrics.stats": (is_set_up_by("sdk.execution_time.task_runner"), (3, 2)),
    "airflow._shared.observability.metrics.stats": (is_set_up_by("jobs.triggerer_job_runner"), (3, 2)),
    "airflow.stats.Stats": (reports_statistics, (3, 0)),
    "airflow.sdk.RetryPolicy": (is_asked_by_the_worker, (3, 3)),
    "airflow.sdk.RetryDecision": (takes("action", "retry_delay", "reason"), (3, 3)),
    f"{EVENT_TRIGGER}.shared_stream_key": (takes("self"), (3, 3)),
    f"{EVENT_TRIGGER}.open_shared_stream": (takes("kwargs"), (3, 3)),
    f"{EVENT_TRIGGER}.filter_shared_stream": (takes("self", "shared_stream"), (3, 3)),
    f"{TRIGGER}.on_kill": (is_a_coroutine, (3, 3)),
    f"{TRIGGER}.task_instance": (is_an_attribute_of_triggers, (3, 0)),
    f"{TRIGGER}.supports_triggerer_queue": (resolve, (3, 2)),
    "airflow.sdk.BaseSensorOperator._get_next_poke_interval": (
        takes("self", "started_at", "run_duration", "poke_count"),
        (3, 0),
    ),
    "airflow.sdk.BaseOperator.resume_execution": (takes("self", "next_method", "next_kwargs", "context"), (3, 0)),
    "airflow.sdk.TaskGroup.__exit__": (takes("self", "_type", "_value", "_tb"), (3, 0)),
    "airflow.sdk.TaskGroup.get_roots": (takes("self"), (3, 0)),
    "airflow.sdk.TaskGroup.get_leaves": (takes("self"), (3, 0)),
    "airflow.sdk.TaskGroup.__iter__": (takes("self"), (3, 0)),
    "airflow.timetables.base.Timetable.generate_run_id": (keeps_the_scheduler_from_making_a_run, (3, 0)),
    f"{SDK}.AirflowPlugin.on_load": (is_called_for_every_plugin, (3, 0)),
    f"{SDK}.AirflowPlugin.timetables": (is_read_from_an_instance, (3, 0)),
}


@pytest.mark.parametrize("name", CHECKS)
def test_airflow_still_has(name: str) -> None:
    check, since = CHECKS[name]
    if since > VERSION:
        pytest.skip(f"Airflow has it since {since[0]}.{since[1]}")
    check(name)


def test_the_docstring_lists_the_same_names() -> None:
    assert set(re.findall(r"``(airflow\.[\w.]+)``", internals.__doc__ or "")) == set(CHECKS)


class Airflow:
    """Airflow's side of the line over which a task asks for the states of tasks."""

    def __init__(self, **states: str | None) -> None:
        self.states = states
        self.asked: list[Any] = []

    def send(self, msg: Any) -> Any:
        assert isinstance(msg, GetTaskStates)
        self.asked.append(msg)
        return TaskStatesResult(task_states={"manual__1": self.states} if self.states else {})


class TestTaskStates:
    @pytest.mark.parametrize(
        ("map_index", "states"),
        [(-1, {"a": "success", "b": None}), (7, {"a_7": "success", "b_7": None})],
        ids=["plain", "mapped"],
    )
    def test_of_the_same_run_and_map_index(
        self, monkeypatch: pytest.MonkeyPatch, map_index: int, states: dict[str, str | None]
    ) -> None:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms := Airflow(**states), raising=False)
        ti = TaskInstance(map_index=map_index)
        assert internals.task_states(ti, ["a", "b", "missing"]) == {"a": "success", "b": None}
        [asked] = comms.asked
        assert (asked.dag_id, asked.run_ids, asked.map_index) == ("dag", ["manual__1"], map_index)
        assert asked.task_ids == ["a", "b", "missing"]

    def test_of_a_run_that_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Airflow(), raising=False)
        assert internals.task_states(TaskInstance(), ["a"]) == {}

    def test_of_other_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms := Airflow(a_0="success", a_1=None), raising=False)
        assert internals.states_in_other_runs(TaskInstance(run_id="manual__2"), ["a"]) == {
            "manual__1": {"a_0": "success", "a_1": None}
        }
        assert internals.states_in_other_runs(TaskInstance(run_id="manual__1"), ["a"]) == {}
        assert [(asked.run_ids, asked.map_index) for asked in comms.asked] == [(None, None)] * 2
