"""How often a task that moves very much logs how far it is."""

from __future__ import annotations

import time

LOG_INTERVAL = 10.0
"""Seconds between two lines of progress in the log."""


class Pace:
    """Say whether the next line of progress is due."""

    def __init__(self) -> None:
        self._logged = time.monotonic()

    def is_due(self) -> bool:
        """Return whether to log now; if so, the next time is later."""
        now = time.monotonic()
        if now - self._logged < LOG_INTERVAL:
            return False
        self._logged = now
        return True
