"""Quotas: how often each method may be called, and how often the server may be asked at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toloka_airflow.emulator.world.clock import DAY, MINUTE
from toloka_airflow.emulator.world.errors import Refusal

INTERVALS = {"MIN": MINUTE, "HOUR": 60 * MINUTE, "DAY": DAY}
REQUESTS_PER_SECOND = 300


@dataclass(frozen=True)
class Quota:
    """What one method may be asked for in each interval; `per_item`: the items of a list count one each."""

    limits: dict[str, int]
    per_item: bool = False

    def amount(self, body: Any) -> int:
        """Return what a request with this body counts."""
        return len(body) if self.per_item and isinstance(body, list) else 1


CREATE = Quota({"MIN": 20, "DAY": 100})
AGGREGATE = Quota({"MIN": 5, "HOUR": 30, "DAY": 200})
OVERLAP_CHANGE = "PUT /pools/{id} overlap"
MESSAGE_TO_ALL = "POST /message-threads/compose to all"
MESSAGE_TO_CHOSEN = "POST /message-threads/compose to chosen people"

QUOTAS: dict[str, Quota] = {
    "POST /projects": CREATE,
    "POST /pools": CREATE,
    "POST /trainings": CREATE,
    "POST /pools/{id}/clone": CREATE,
    "POST /trainings/{id}/clone": CREATE,
    OVERLAP_CHANGE: Quota({"HOUR": 10}),
    "POST /tasks": Quota({"MIN": 200_000, "DAY": 4_000_000}, per_item=True),
    "POST /task-suites": Quota({"MIN": 100_000, "DAY": 2_000_000}, per_item=True),
    "POST /skills": Quota({"MIN": 10, "DAY": 100}),
    "PUT /user-skills": Quota({"DAY": 100_000}),
    "POST /user-bonuses": Quota({"DAY": 10_000}, per_item=True),
    MESSAGE_TO_ALL: Quota({"DAY": 1}),
    MESSAGE_TO_CHOSEN: Quota({"DAY": 100_000}),
    "POST /aggregated-solutions/aggregate-by-pool": AGGREGATE,
    "POST /aggregated-solutions/aggregate-by-task": AGGREGATE,
    "GET /aggregated-solutions/{id}": AGGREGATE,
}


@dataclass(slots=True)
class Window:
    """A span of time in which something is counted; it begins with the first count."""

    start: float = 0
    count: int = 0

    def fits(self, now: float, length: float, amount: int, limit: int) -> bool:
        """Say whether so much more is within the limit."""
        if now >= self.start + length:
            self.start, self.count = now, 0
        return self.count + amount <= limit


class Counters:
    """
    Count what is used of the quotas.

    Intervals of methods pass in virtual time. Requests are counted per real second, and only while the clock
    runs as fast as real time: a client of a faster clock, or of one that stands still, is not so busy.
    """

    def __init__(self, *, enabled: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self._monotonic = monotonic
        self._windows: dict[tuple[str, str], Window] = {}
        self._second = Window()

    def charge(self, name: str, now: int, body: Any = None) -> None:
        """Count a call of a method; refuse it if it is more than a quota allows, and then count nothing."""
        quota = QUOTAS.get(name)
        if quota is None or not self.enabled:
            return
        amount = quota.amount(body)
        windows = {interval: self._windows.setdefault((name, interval), Window()) for interval in quota.limits}
        for interval, limit in quota.limits.items():
            if not windows[interval].fits(now, INTERVALS[interval], amount, limit):
                raise Refusal("TOO_MANY_REQUESTS", payload={"interval": interval})
        for window in windows.values():
            window.count += amount

    def charge_request(self, *, real_time: bool) -> None:
        """Count a request, whatever it is; refuse it if there were too many in this second."""
        if not self.enabled or not real_time:
            return
        if not self._second.fits(self._monotonic(), 1, 1, REQUESTS_PER_SECOND):
            raise Refusal("TOO_MANY_REQUESTS")
        self._second.count += 1
