"""
Triggers of this package, and the task instances that wait for them.

- ``airflow.models.trigger.Trigger``: what triggerers run, and the arguments of triggers
- ``airflow.models.taskinstance.TaskInstance``, ``airflow.models.dag.DagModel``: which task a trigger is for, and
  whether its DAG is paused
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from toloka_airflow.records.reading import reading

OURS = "toloka_airflow."
"""How the class paths of this package's triggers begin."""


@dataclass(frozen=True)
class Task:
    """A task instance, or one that may have been deleted."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    state: str | None = None

    def __str__(self) -> str:
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id} / {self.run_id} / {self.task_id}{index}"


@dataclass(frozen=True)
class Wait:
    """
    A trigger of this package.

    :param kind: Its class, without the module.
    :param arguments: What it was stored with; ``None`` if this process cannot decrypt it.
    :param task: The deferred task; ``None`` for one that watches an asset.
    """

    kind: str
    arguments: Mapping[str, Any] | None
    created: datetime
    triggerer_id: int | None
    queue: str | None
    task: Task | None
    is_paused: bool

    @property
    def name(self) -> str:
        """Whose it is, in words."""
        return str(self.task) if self.task else f"the asset watcher {self.kind} of {dict(self.arguments or {})}"


def stored_waits() -> list[Wait]:
    """Return all triggers of this package that a task waits for or an asset is watched by, the oldest first."""
    from airflow.models.dag import DagModel  # noqa: TID251, as only there is one
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251, as only there is one
    from airflow.models.trigger import Trigger  # noqa: TID251, as only there is one
    from sqlalchemy import or_, select

    ti = TaskInstance
    # A task that was marked keeps its trigger until a triggerer deletes that, so both stay while none lives.
    is_waited_for = or_(ti.state == "deferred", Trigger.assets.any())
    # Airflow before 3.2 has no queues of triggers.
    queue: Any = getattr(Trigger, "queue", None)
    columns = (Trigger.classpath, Trigger.encrypted_kwargs, Trigger.created_date, Trigger.triggerer_id)
    task = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.state, DagModel.is_paused)
    found = (
        select(*columns, *task, *([] if queue is None else [queue]))
        .outerjoin(ti, ti.trigger_id == Trigger.id)
        .outerjoin(DagModel, DagModel.dag_id == ti.dag_id)
        .where(Trigger.classpath.like(f"{OURS}%"), is_waited_for)
        .order_by(Trigger.created_date)
    )
    with reading() as session:
        rows: Sequence[Any] = session.execute(found).all()
    return [
        Wait(
            kind=row[0].rpartition(".")[2],
            arguments=_decrypted(row[1]),
            created=row[2],
            triggerer_id=row[3],
            queue=row[10] if queue is not None else None,
            task=None if row[4] is None else Task(*row[4:9]),
            is_paused=bool(row[9]),
        )
        for row in rows
    ]


@lru_cache(maxsize=10_000)  # what is stored with a trigger never changes
def _decrypted(kwargs: str) -> Mapping[str, Any] | None:
    from airflow.models.trigger import Trigger  # noqa: TID251, as only there is one

    try:
        return dict(Trigger._decrypt_kwargs(kwargs))
    except Exception:  # another fernet key, or written by another Airflow
        return None
