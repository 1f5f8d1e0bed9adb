"""What the API answers about task suites."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from toloka_airflow.api.models import Raw, Task, read_date, read_id, read_objects

__all__ = ["TaskSuite"]


@dataclass(frozen=True)
class TaskSuite:
    """Tasks that one person gets together; ``remaining_overlap`` people are still wanted."""

    id: str
    pool_id: str
    tasks: list[Task]
    overlap: int | None
    remaining_overlap: int | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a task suite as the API answers it."""
        suite_id, pool_id = read_id(raw), read_id(raw, "pool_id")
        return cls(
            id=suite_id,
            pool_id=pool_id,
            tasks=[Task.from_api({"pool_id": pool_id, **task}) for task in read_objects(raw, "tasks")],
            overlap=raw.get("overlap"),
            remaining_overlap=raw.get("remaining_overlap"),
            created=read_date(raw.get("created")),
            raw=raw,
        )
