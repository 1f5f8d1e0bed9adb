"""What the API answers about the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

from toloka_airflow.api.models import Raw, read_decimal, read_id

__all__ = ["Requester"]


@dataclass(frozen=True)
class Requester:
    """The account that a token belongs to; ``balance`` is in its currency."""

    id: str
    balance: Decimal | None
    name: str
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read the answer of ``GET /requester``."""
        account_id = read_id(raw)
        names = raw.get("public_name") or {}
        name = names.get("EN") or next(iter(names.values()), "") if isinstance(names, Mapping) else names
        return cls(id=account_id, balance=read_decimal(raw.get("balance")), name=str(name), raw=raw)
