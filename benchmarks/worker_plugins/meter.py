"""A plugin of Airflow that writes down what CPU each task process took; one line for each worker run."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import AirflowPlugin

FILE = "TOLOKA_BENCH_METER"
run: dict[str, Any] = {}


def cpu_ms() -> float:
    """Return the CPU of this process since it was forked, and of its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


@hookimpl
def on_starting(component: object) -> None:
    """Before the DAG file is parsed."""
    run.update(began=cpu_ms())


@hookimpl
def on_task_instance_running(previous_state: object, task_instance: Any) -> None:
    """After the DAG file was parsed, before the operator does anything."""
    run.update(parsed=cpu_ms(), dag_id=task_instance.dag_id, run_id=task_instance.run_id)


@hookimpl
def before_stopping(component: object) -> None:
    """When all is done and said."""
    if "dag_id" in run:
        loaded = [name for name in ("requests", "ssl", "urllib3") if name in sys.modules]
        line = json.dumps({**run, "ended": cpu_ms(), "loaded": loaded})
        with Path(os.environ[FILE]).open("a") as file:
            file.write(line + "\n")


class MeterPlugin(AirflowPlugin):
    """Register the listener."""

    name = "toloka_bench_meter"
    listeners = [sys.modules[__name__]]
