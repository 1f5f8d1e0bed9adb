"""What the API answers about people: skills, restrictions, bonuses, metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Self

from toloka_airflow.api.models import Raw, read_date, read_decimal, read_id, read_object, read_required

__all__ = ["Skill", "UserBonus", "UserMetadata", "UserRestriction", "UserSkill"]


@dataclass(frozen=True)
class Skill:
    """What people can have between 0 and 100 of, to be chosen by."""

    id: str
    name: str
    hidden: bool | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a skill as the API answers it."""
        return cls(
            id=read_id(raw),
            name=str(read_required(raw, "name")),
            hidden=raw.get("hidden"),
            created=read_date(raw.get("created")),
            raw=raw,
        )


@dataclass(frozen=True)
class UserSkill:
    """What one person has of a skill; ``exact_value`` is not rounded."""

    id: str
    skill_id: str
    user_id: str
    value: Decimal | None
    exact_value: Decimal | None
    created: datetime | None
    modified: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a user skill as the API answers it."""
        return cls(
            id=read_id(raw),
            skill_id=read_id(raw, "skill_id"),
            user_id=read_id(raw, "user_id"),
            value=read_decimal(raw.get("value")),
            exact_value=read_decimal(raw.get("exact_value")),
            created=read_date(raw.get("created")),
            modified=read_date(raw.get("modified")),
            raw=raw,
        )


@dataclass(frozen=True)
class UserRestriction:
    """That one person gets no tasks of a ``scope``: ALL_PROJECTS, PROJECT, POOL; SYSTEM is Toloka's own."""

    id: str
    user_id: str
    scope: str
    project_id: str | None
    pool_id: str | None
    will_expire: datetime | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a restriction as the API answers it."""
        restriction_id, project_id, pool_id = read_id(raw), raw.get("project_id"), raw.get("pool_id")
        return cls(
            id=restriction_id,
            user_id=read_id(raw, "user_id"),
            scope=str(read_required(raw, "scope")),
            project_id=None if project_id is None else str(project_id),
            pool_id=None if pool_id is None else str(pool_id),
            will_expire=read_date(raw.get("will_expire")),
            created=read_date(raw.get("created")),
            raw=raw,
        )


@dataclass(frozen=True)
class UserBonus:
    """What one person was paid beside the rewards, in the currency of the account."""

    id: str
    user_id: str
    amount: Decimal | None
    assignment_id: str | None
    private_comment: str | None
    created: datetime | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a bonus as the API answers it."""
        return cls(
            id=read_id(raw),
            user_id=read_id(raw, "user_id"),
            amount=read_decimal(raw.get("amount")),
            assignment_id=raw.get("assignment_id"),
            private_comment=raw.get("private_comment"),
            created=read_date(raw.get("created")),
            raw=raw,
        )


@dataclass(frozen=True)
class UserMetadata:
    """What is known of one person; ``attributes`` are the device's, such as ``device_category``."""

    id: str
    country: str | None
    languages: list[str]
    attributes: Raw
    adult_allowed: bool | None
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        """Read a person's metadata as the API answers it."""
        return cls(
            id=read_id(raw),
            country=raw.get("country"),
            languages=list(raw.get("languages") or []),
            attributes=read_object(raw, "attributes"),
            adult_allowed=raw.get("adult_allowed"),
            raw=raw,
        )
