"""Virtual time, in whole milliseconds since 1970 (UTC): as fine as the API's own dates."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.world.news import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
EPOCH = datetime(1970, 1, 1)
# Ten years: more is a mistake in the caller's units, and year 9999 is as far as dates go.
MAX_ADVANCE_SECONDS = 10 * 366 * 24 * 3600


@lru_cache(maxsize=10_000)  # whoever polls asks for the same dates again and again
def format_date(moment: int) -> str:
    """Write a moment as the API does: no zone, three fraction digits."""
    return (EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")


def format_dates(**moments: int | None) -> dict[str, str]:
    """Write the moments that there have been."""
    return {name: format_date(moment) for name, moment in moments.items() if moment is not None}


@lru_cache(maxsize=10)  # many answers in a second
def format_http_date(second: int) -> str:
    """Write a second since 1970 as the header `Date` does."""
    return formatdate(second, usegmt=True)


def parse_date(text: str) -> int:
    """Read a date in any of the forms the documentation shows; raise ValueError for others."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH) // timedelta(milliseconds=1)


class Clock:
    """
    Tell virtual time: it starts at the real time and may run faster, stand still and be advanced.

    It never goes back, except to a snapshot or by a reset. A change of speed does not make it jump. Whoever sleeps
    until some moment listens to `alarm`, and then asks again how long.
    """

    def __init__(
        self,
        *,
        start: str | None = None,
        speed: float = 1.0,
        frozen: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.alarm = Signal()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._start = parse_date(start) if start else None
        self._first_speed, self._first_frozen = _checked_speed(speed), frozen
        self._base, self._since = self._first_moment(), monotonic()
        self._speed, self._frozen = self._first_speed, frozen

    def now(self) -> int:
        """Return the current virtual moment."""
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass at once."""
        if not 0 <= seconds <= MAX_ADVANCE_SECONDS:
            raise ValueError(f"advance must be between 0 and {MAX_ADVANCE_SECONDS} seconds, not {seconds}")
        with self._lock:
            self._base += round(seconds * SECOND)
        self.alarm.fire()

    def set(self, now: int, *, speed: float, frozen: bool) -> None:
        """Go to a moment, forward or back."""
        speed = _checked_speed(speed)
        with self._lock:
            self._base, self._since = now, self._monotonic()
            self._speed, self._frozen = speed, frozen
        self.alarm.fire()

    def reset(self) -> None:
        """Begin anew: at the first moment or the real time, as fast as at the beginning."""
        self.set(self._first_moment(), speed=self._first_speed, frozen=self._first_frozen)

    def freeze(self) -> None:
        """Stop time; only `advance` moves it then."""
        self.change(frozen=True)

    def unfreeze(self) -> None:
        """Let time run again, from where it stands."""
        self.change(frozen=False)

    def set_speed(self, speed: float) -> None:
        """Let `speed` virtual seconds pass in each real second from now on."""
        self.change(speed=speed)

    def change(self, *, speed: float | None = None, frozen: bool | None = None) -> None:
        """Change how time runs from now on."""
        speed = None if speed is None else _checked_speed(speed)
        with self._lock:
            self._base, self._since = self._now(), self._monotonic()
            self._speed = self._speed if speed is None else speed
            self._frozen = self._frozen if frozen is None else frozen
        self.alarm.fire()

    def seconds_until(self, moment: int) -> float | None:
        """Return the real seconds until a moment; None if time stands still before it."""
        with self._lock:
            missing = moment - self._now()
            if missing <= 0:
                return 0.0
            return None if self._frozen else missing / SECOND / self._speed

    @property
    def is_real_time(self) -> bool:
        """Say whether virtual time passes as fast as real time."""
        with self._lock:
            return self._speed == 1 and not self._frozen

    def view(self) -> dict[str, Any]:
        """Return what the steering API shows."""
        with self._lock:
            return {"now": format_date(self._now()), "speed": self._speed, "frozen": self._frozen}

    def _first_moment(self) -> int:
        return time.time_ns() // 1_000_000 if self._start is None else self._start

    def _now(self) -> int:
        if self._frozen:
            return self._base
        return self._base + int((self._monotonic() - self._since) * self._speed * SECOND)


def _checked_speed(speed: float) -> float:
    if not (math.isfinite(speed) and 0 < speed <= 1_000_000):
        raise ValueError(f"speed must be greater than 0 and at most 1000000, not {speed}")
    return speed
