"""What the API answers about messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from toloka_airflow.api.models import Raw, read_date, read_id, read_object, read_objects

__all__ = ["MessageThread"]


@dataclass(frozen=True)
class MessageThread:
    """Messages with one topic; ``topic`` is by language."""

    id: str
    topic: Raw
    messages: list[Raw]
    folders: list[str]
    answerable: bool | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a thread as the API answers it."""
        return cls(
            id=read_id(raw),
            topic=read_object(raw, "topic"),
            messages=read_objects(raw, "messages"),
            folders=list(raw.get("folders") or []),
            answerable=raw.get("answerable"),
            created=read_date(raw.get("created")),
            raw=raw,
        )
