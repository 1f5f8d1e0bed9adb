"""What the API answers about webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from toloka_airflow.api.models import Raw, read_date, read_id, read_required

__all__ = ["WebhookSubscription", "WebhookTest"]


@dataclass(frozen=True)
class WebhookSubscription:
    """That Toloka sends a pool's events of one type to an address; its secret key is never answered."""

    id: str
    pool_id: str
    event_type: str
    webhook_url: str
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a subscription as the API answers it."""
        return cls(
            id=read_id(raw),
            pool_id=read_id(raw, "pool_id"),
            event_type=str(read_required(raw, "event_type")),
            webhook_url=str(read_required(raw, "webhook_url")),
            created=read_date(raw.get("created")),
            raw=raw,
        )


@dataclass(frozen=True)
class WebhookTest:
    """How the sending of a test event went."""

    success: bool
    error_type: str | None
    original_status_code: int | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read the result as the API answers it."""
        return cls(
            success=read_required(raw, "success") is True,
            error_type=raw.get("errorType"),
            original_status_code=raw.get("originalStatusCode"),
            raw=raw,
        )
