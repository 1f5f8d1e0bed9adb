"""What the requester knows of people and gives to them, and what they send."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.world.clock import format_dates

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json


@dataclass(frozen=True)
class Profile:
    """What is known of a person; two letters stand for a country or a language."""

    country: str
    languages: tuple[str, ...]
    device_category: str
    os_family: str
    os_version: tuple[int, int]

    @property
    def is_mobile(self) -> bool:
        """Say whether the person works in the app."""
        return self.device_category != "PERSONAL_COMPUTER"

    @property
    def attributes(self) -> Json:
        """Return what is known of place and device."""
        major, minor = self.os_version
        return {
            "country_by_phone": self.country,
            "country_by_ip": self.country,
            "client_type": "TOLOKA_APP" if self.is_mobile else "BROWSER",
            "user_agent_type": "OTHER" if self.is_mobile else "BROWSER",
            "device_category": self.device_category,
            "os_family": self.os_family,
            "os_version": float(f"{major}.{minor}") if minor else major,
            "os_version_major": major,
            "os_version_minor": minor,
            "os_version_bugfix": 0,
        }

    def values_of(self, category: str, key: str) -> tuple[Any, ...] | None:
        """Return what the person has of that which a filter asks for; None if nobody knows."""
        if category == "profile":
            return {"languages": self.languages, "country": (self.country,)}.get(key)
        attributes = self.attributes
        return (attributes[key],) if key in attributes else None


SKILL_DEFAULTS: dict[str, Any] = {"hidden": True, "deprecated": False}


@dataclass(slots=True)
class Skill:
    """A skill that people can have; `body` is what the client sent."""

    id: str
    body: Json
    created: int
    modified: int

    def view(self, owner: Json) -> Json:
        """Return the skill as the API shows it."""
        shown = {"id": self.id, **SKILL_DEFAULTS, **self.body, "owner": owner, "global": False}
        return shown | format_dates(created=self.created)


@dataclass(slots=True)
class UserSkill:
    """How much of a skill somebody has, from 0 to 100."""

    id: str
    skill_id: str
    user_id: str
    exact_value: float
    created: int
    modified: int
    reason: str | None = None

    @property
    def value(self) -> int:
        """Return the rounded value."""
        return int(Decimal(str(self.exact_value)).quantize(Decimal(1), ROUND_HALF_UP))

    def view(self) -> Json:
        """Return the value as the API shows it: the reason is kept for the requester's log and not told."""
        shown: Json = {"id": self.id, "skill_id": self.skill_id, "user_id": self.user_id}
        shown |= {"value": self.value, "exact_value": self.exact_value}
        return shown | format_dates(created=self.created, modified=self.modified)


class Scope(StrEnum):
    """Where a restriction holds; SYSTEM is Toloka's own and cannot be set."""

    SYSTEM = "SYSTEM"
    ALL_PROJECTS = "ALL_PROJECTS"
    PROJECT = "PROJECT"
    POOL = "POOL"


@dataclass(slots=True)
class UserRestriction:
    """A ban: somebody gets no tasks, there and until then; `place_id` is of a project or a pool, as the scope says."""

    id: str
    scope: Scope
    place_id: str | None
    user_id: str
    created: int
    private_comment: str | None = None
    will_expire: int | None = None

    @property
    def place(self) -> tuple[Scope, str | None]:
        """Return where it holds: there is one restriction of a person in each place."""
        return self.scope, self.place_id

    @property
    def project_id(self) -> str | None:
        """Return the project in which it holds."""
        return self.place_id if self.scope is Scope.PROJECT else None

    @property
    def pool_id(self) -> str | None:
        """Return the pool in which it holds."""
        return self.place_id if self.scope is Scope.POOL else None

    def view(self) -> Json:
        """Return the restriction as the API shows it."""
        told = {"project_id": self.project_id, "pool_id": self.pool_id, "private_comment": self.private_comment}
        shown: Json = {"id": self.id, "scope": self.scope, "user_id": self.user_id}
        shown |= {name: value for name, value in told.items() if value is not None}
        return shown | format_dates(created=self.created, will_expire=self.will_expire)


@dataclass(slots=True)
class UserBonus:
    """Money that was paid to somebody besides the rewards; `body` is the rest of what the client sent."""

    id: str
    user_id: str
    amount: Decimal
    body: Json
    created: int

    @property
    def assignment_id(self) -> str | None:
        """Return the assignment that it was paid for, if there is one."""
        return self.body.get("assignment_id")

    def view(self) -> Json:
        """Return the bonus as the API shows it."""
        shown = {"id": self.id, "user_id": self.user_id, "amount": float(self.amount), "without_message": False}
        return shown | self.body | format_dates(created=self.created)


@dataclass(slots=True)
class Attachment:
    """A file that somebody sent with an answer."""

    id: str
    name: str
    media_type: str
    content: bytes
    user_id: str
    assignment_id: str
    pool_id: str
    created: int

    type = "ASSIGNMENT_ATTACHMENT"

    def view(self, owner: Json) -> Json:
        """Return what the API tells of the file."""
        details = {"user_id": self.user_id, "assignment_id": self.assignment_id, "pool_id": self.pool_id}
        shown = {"id": self.id, "attachment_type": self.type, "name": self.name, "details": details, "owner": owner}
        return shown | {"media_type": self.media_type} | format_dates(created=self.created)


@dataclass(slots=True)
class MessageThread:
    """Messages between the requester and people; `compose_details` tells whom the first was sent to."""

    id: str
    topic: Json
    compose_details: Json
    answerable: bool
    created: int
    # Text and moment of each; all are the requester's own.
    messages: list[tuple[Json, int]] = field(default_factory=list)
    folders: list[str] = field(default_factory=lambda: ["OUTBOX"])

    def view(self, owner: Json) -> Json:
        """Return the thread as the API shows it."""
        requester = {**owner, "role": "REQUESTER"}
        people = [{"id": user_id, "role": "USER"} for user_id in self.compose_details.get("recipients_ids", [])]
        newest_first = reversed(self.messages)
        messages = [{"text": text, "from": requester, **format_dates(created=sent)} for text, sent in newest_first]
        return {
            "id": self.id,
            "topic": self.topic,
            "interlocutors_inlined": True,
            "interlocutors": sorted([requester, *people], key=lambda person: str(person["id"])),
            "messages_inlined": True,
            "messages": messages,
            "compose_details": self.compose_details,
            "meta": {},
            "folders": self.folders,
            "answerable": self.answerable,
            **format_dates(created=self.created),
        }
