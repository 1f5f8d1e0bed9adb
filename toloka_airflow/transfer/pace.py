"""How often a task that moves very much tells how far it is."""

from __future__ import annotations

import time

TELL_EVERY = 10.0
"""Seconds between two lines of progress in the log."""


class Pace:
    """Tell whether the next line of progress is due."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def is_due(self) -> bool:
        """Return whether to tell now; if so, the next time is later."""
        now = time.monotonic()
        if now - self._told < TELL_EVERY:
            return False
        self._told = now
        return True
