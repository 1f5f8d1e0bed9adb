"""What the API answers about aggregated answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from toloka_airflow.api.models import Raw, read_id, read_object

__all__ = ["AggregatedSolution"]


@dataclass(frozen=True)
class AggregatedSolution:
    """The answer that several people's answers add up to; ``confidence`` is between 0 and 1."""

    task_id: str
    pool_id: str
    confidence: float | None
    output_values: Raw
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read one aggregated solution as the API answers it."""
        return cls(
            task_id=read_id(raw, "task_id"),
            pool_id=read_id(raw, "pool_id"),
            confidence=raw.get("confidence"),
            output_values=read_object(raw, "output_values"),
            raw=raw,
        )
