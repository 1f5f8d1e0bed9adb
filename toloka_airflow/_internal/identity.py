"""The identity of one task of one run: the same in every attempt, and unlike that of all others."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

TAG = "airflow_task"
"""The key under ``metadata`` of a project, pool or training that names the task which created it."""


@dataclass(frozen=True)
class TaskIdentity:
    """
    Name a task instance: the same in every attempt, also after it was cleared.

    Two Airflow deployments that run the same DAG with one Toloka account would give equal names: set the option
    ``namespace`` in the section ``[toloka]`` of the Airflow configuration of one of them.

    :param name: Namespace, DAG, run, task and map index.
    """

    name: str

    @classmethod
    def of(cls, context: Context) -> TaskIdentity:
        """Return the identity of the task that runs in this context."""
        ti = context["ti"]
        return cls(name=f"{_run(context)}{ti.task_id}/{ti.map_index}")

    @classmethod
    def of_group(cls, context: Context, group_id: str) -> TaskIdentity:
        """Return the identity of a task group, in the run and with the map index of the task that runs."""
        return cls(name=f"{_run(context)}{group_id}/{context['ti'].map_index}")

    @classmethod
    def of_creator(cls, context: Context, raw: Mapping[str, Any]) -> TaskIdentity | None:
        """Return the identity of the task that created an object of the API, if that is one of this run."""
        return next((cls(name) for name in _names(raw) if name.startswith(_run(context))), None)

    @property
    def tag(self) -> dict[str, list[str]]:
        """The entry for the ``metadata`` of what this task creates; the API wants lists of strings."""
        return {TAG: [self.name]}

    def marks(self, raw: Mapping[str, Any]) -> bool:
        """Return whether an object of the API carries the tag."""
        return self.name in _names(raw)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that distinguish this task's files from those of others."""
        return self.uuid("file")[:8]

    def uuid(self, *parts: object) -> str:
        """Return a UUID for a part of this task's work; equal parts give equal UUIDs in every attempt."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([self.name, *map(str, parts)])))


@dataclass(frozen=True)
class CommentTag:
    """
    Mark what a task sets in a private comment at Toloka, so that the tasks of its run or DAG find it again.

    The names themselves may be longer than a comment; these are hexadecimal digits that stand for them.

    :param dag: Stands for namespace and DAG.
    :param run: Stands for these and the run.
    :param task: Stands for these, task and map index.
    """

    dag: str
    run: str
    task: str

    @classmethod
    def of(cls, context: Context) -> CommentTag:
        """Return the tag of the task that runs in this context."""
        run = _run(context)
        names = run.removesuffix(f"{context['ti'].run_id}/"), run, TaskIdentity.of(context).name
        return cls(*(uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:10] for name in names))

    def __str__(self) -> str:
        return f"[airflow:{self.dag}:{self.run}:{self.task}]"

    def is_of_dag(self, comment: object) -> bool:
        """Return whether a comment has the tag of a task of this DAG."""
        return f"[airflow:{self.dag}:" in str(comment)

    def is_of_run(self, comment: object) -> bool:
        """Return whether a comment has the tag of a task of this run."""
        return f"[airflow:{self.dag}:{self.run}:" in str(comment)

    def is_of_task(self, comment: object) -> bool:
        """Return whether a comment has the tag of this task."""
        return str(self) in str(comment)


@dataclass(frozen=True)
class Creator:
    """The task that created an object of the API, as the tag names it."""

    namespace: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def creators(raw: Mapping[str, Any]) -> list[Creator]:
    """Return the tasks that the tag of an object of the API names, mostly one; what is no such name is left out."""
    found = []
    for name in _names(raw):
        parts = name.rsplit("/", 4)  # only a namespace may have a slash
        if len(parts) == 5 and parts[4].removeprefix("-").isdecimal():
            space, dag_id, run_id, task_id, map_index = parts
            found.append(Creator(space, dag_id, run_id, task_id, int(map_index)))
    return found


def namespace() -> str:
    """Return what distinguishes this Airflow from another with the same DAGs and Toloka account."""
    return str(conf.get("toloka", "namespace", fallback=""))


def _run(context: Context) -> str:
    """Return how the names of all tasks of a run begin."""
    ti = context["ti"]
    return f"{namespace()}/{ti.dag_id}/{ti.run_id}/"


def _names(raw: Mapping[str, Any]) -> list[str]:
    """Return the names in the tag of an object of the API."""
    metadata = raw.get("metadata")
    names = metadata.get(TAG) if isinstance(metadata, Mapping) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
