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
        parts = [conf.get("toloka", "namespace", fallback=""), ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)]
        return cls(name="/".join(parts))

    @property
    def tag(self) -> dict[str, list[str]]:
        """The entry for the ``metadata`` of what this task creates; the API wants lists of strings."""
        return {TAG: [self.name]}

    def marks(self, raw: Mapping[str, Any]) -> bool:
        """Return whether an object of the API carries the tag."""
        metadata = raw.get("metadata")
        return isinstance(metadata, Mapping) and self.name in (metadata.get(TAG) or ())

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that distinguish this task's files from those of others."""
        return self.uuid("file")[:8]

    def uuid(self, *parts: object) -> str:
        """Return a UUID for a part of this task's work; equal parts give equal UUIDs in every attempt."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([self.name, *map(str, parts)])))
