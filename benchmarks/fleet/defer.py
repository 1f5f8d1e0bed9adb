"""
Defer mapped tasks as workers would have done, in Airflow's database; runs in the environment of the deployment.

Reads one line of JSON: the DAG, the class of the trigger, and its arguments for each task. Says when it is ready, and
when it is done.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from airflow.models.taskinstance import TaskInstance  # noqa: TID251 - the rows themselves are written
from airflow.models.trigger import Trigger  # noqa: TID251
from airflow.utils.session import create_session  # noqa: TID251
from airflow.utils.state import TaskInstanceState  # noqa: TID251
from sqlalchemy import select

READY, DONE = "ready", "done"


def main() -> None:
    """Defer the tasks of a run."""
    print(READY, flush=True)
    told = json.loads(sys.stdin.readline())
    module, name = told["classpath"].rsplit(".", 1)
    trigger_type = getattr(import_module(module), name)
    mapped = select(TaskInstance).where(
        TaskInstance.dag_id == told["dag_id"], TaskInstance.run_id == told["run_id"], TaskInstance.map_index >= 0
    )
    now = datetime.now(UTC)
    with create_session() as session:
        tasks = session.scalars(mapped.order_by(TaskInstance.map_index)).all()
        rows = [_row(trigger_type, arguments) for arguments in told["arguments"]]
        session.add_all(rows)
        session.flush()
        for task, row in zip(tasks, rows, strict=True):
            task.state, task.trigger_id = TaskInstanceState.DEFERRED, row.id
            task.next_method, task.next_kwargs = "execute_complete", {}
            task.scheduled_dttm, task.start_date, task.try_number = None, now, 1
    print(DONE, flush=True)


def _row(trigger_type: Any, arguments: dict[str, Any]) -> Trigger:
    if "moment" in arguments:
        arguments = {**arguments, "moment": datetime.fromisoformat(arguments["moment"])}
    classpath, kwargs = trigger_type(**arguments).serialize()
    return Trigger(classpath=classpath, kwargs=kwargs)


if __name__ == "__main__":
    main()
