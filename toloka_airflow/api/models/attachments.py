"""What the API answers about attachments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from toloka_airflow.api.models import Raw, read_date, read_id, read_object

__all__ = ["Attachment"]


@dataclass(frozen=True)
class Attachment:
    """A file that somebody uploaded with an answer; ``name`` is the uploader's."""

    id: str
    name: str | None
    media_type: str | None
    pool_id: str | None
    assignment_id: str | None
    user_id: str | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read an attachment as the API answers it."""
        attachment_id, details = read_id(raw), read_object(raw, "details")
        return cls(
            id=attachment_id,
            name=raw.get("name"),
            media_type=raw.get("media_type"),
            pool_id=details.get("pool_id"),
            assignment_id=details.get("assignment_id"),
            user_id=details.get("user_id"),
            created=read_date(raw.get("created")),
            raw=raw,
        )
