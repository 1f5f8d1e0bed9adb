"""What marks a bonus as that of one row of one task, so that it is found again when its operation is forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toloka_airflow._internal.identity import TaskIdentity

DIGITS = 20


class BonusTags:
    """
    Tag bonuses in their private comments, which only the requester reads.

    With its tag, no bonus is equal to another one: Toloka refuses several to a person in one request if amount, title,
    message and comment are the same.

    :param identity: Of the task that pays them.
    """

    def __init__(self, identity: TaskIdentity) -> None:
        # A part of the task's own, as how long a comment may be is not documented.
        self._prefix = f"[airflow:{identity.uuid('bonuses').replace('-', '')[:DIGITS]}:"
        self._pattern = re.compile(rf"{re.escape(self._prefix)}(\d+)\]")

    def tagged(self, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bonus of a row with its tag; in front, should Toloka cut a comment off."""
        comment = f"{self._prefix}{number}] {body.get('private_comment', '')}".rstrip()
        return {**body, "private_comment": comment}

    def number(self, raw: Mapping[str, Any]) -> int | None:
        """Return of which row of this task a bonus is; ``None`` if it is none of its bonuses."""
        match = self._pattern.match(str(raw.get("private_comment")))
        return None if match is None else int(match[1])
