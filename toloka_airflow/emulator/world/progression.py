"""How long operations take, and whether they succeed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progression:
    """
    Say when an operation ends: after `seconds` of virtual time, or at the `looks`-th GET of it.

    :param fail: `{"code", "message"}`; the operation ends as FAIL and changes nothing.
    """

    seconds: float | None = None
    looks: int | None = None
    fail: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and self.looks is not None:
            raise ValueError("seconds and looks exclude each other")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"seconds must not be negative, got {self.seconds}")
        if self.looks is not None and self.looks < 1:
            raise ValueError(f"looks must be at least 1, got {self.looks}")


# Inferred: open and close took a second or two in practice.
DEFAULT = Progression(seconds=1.0)


class Progressions:
    """Know the progression of each operation: the setting for type and pool wins over less specific ones."""

    def __init__(self) -> None:
        self._settings: dict[tuple[str | None, str | None], Progression] = {}

    def set(self, progression: Progression, *, type: str | None = None, pool_id: str | None = None) -> None:
        """Use this progression from now on, for new operations of the type and of the pool (None: of any)."""
        self._settings[type, pool_id] = progression

    def find(self, type: str, pool_id: str | None) -> Progression:
        """Return the progression of a new operation."""
        for key in ((type, pool_id), (None, pool_id), (type, None), (None, None)):
            if key in self._settings:
                return self._settings[key]
        return DEFAULT
