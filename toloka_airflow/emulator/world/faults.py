"""Faults on request: refusals, delays, lost answers."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from random import Random
from typing import Any

from toloka_airflow.emulator.world.paths import may_meet, pattern

KINDS = ("status", "html", "drop", "lost_answer", "half_body", "delay")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Fault:
    """
    Describe what goes wrong with the next `times` requests of a method to a path; exactly one kind.

    :param path: A template such as `/api/v1/pools/{id}/open`, or an exact path.
    :param times: How often it happens; None means once, or without end if there is a probability.
    :param skip: Spare so many requests first.
    :param probability: Hit only this share of the requests; which ones is decided by the seed of the emulator.
    :param status: Answer this status and the documented error body, with `code`, `message`, `payload` and
        the header Retry-After from `retry_after`; the work is not done.
    :param html: Answer this status with a page instead of JSON; the work is not done.
    :param drop: Close the connection without doing the work and without an answer.
    :param lost_answer: Do the work, then close the connection without an answer.
    :param half_body: Do the work, send half of the answer, close the connection.
    :param delay: Do the work, then wait this many real seconds before answering.
    """

    method: str
    path: str
    times: int | None = None
    skip: int = 0
    probability: float | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    payload: dict[str, Any] | None = None
    retry_after: int | str | None = None
    html: int | None = None
    drop: bool = False
    lost_answer: bool = False
    half_body: bool = False
    delay: float | None = None
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.method = self.method.upper()
        self._pattern = pattern(self.path)
        if self.times is None and self.probability is None:
            self.times = 1
        self._check()

    @property
    def kind(self) -> str:
        """Return which of the kinds this is."""
        return next(kind for kind in KINDS if getattr(self, kind) not in (None, False))

    @property
    def does_work(self) -> bool:
        """Say whether the request is carried out all the same."""
        return self.kind in ("lost_answer", "half_body", "delay")

    def fits(self, method: str, path: str) -> bool:
        """Say whether a request is to suffer this fault."""
        return method == self.method and self._pattern.fullmatch(path) is not None

    def _check(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {self.method}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, got {self.times}")
        if self.skip < 0:
            raise ValueError(f"skip must not be negative, got {self.skip}")
        if self.probability is not None and not 0 < self.probability <= 1:
            raise ValueError(f"probability must be greater than 0 and at most 1, got {self.probability}")
        kinds = [kind for kind in KINDS if getattr(self, kind) not in (None, False)]
        if len(kinds) != 1:
            raise ValueError(f"a fault has exactly one of {', '.join(KINDS)}, got {', '.join(kinds) or 'none'}")
        for name in ("status", "html"):
            value = getattr(self, name)
            if value is not None and not 400 <= value <= 599:
                raise ValueError(f"{name} must be between 400 and 599, got {value}")
        details = [name for name in ("code", "message", "payload", "retry_after") if getattr(self, name) is not None]
        if details and self.status is None:
            raise ValueError(f"{details[0]} is only possible together with status")
        if self.delay is not None and not (math.isfinite(self.delay) and 0 < self.delay <= 3600):
            raise ValueError(f"delay must be between 0 and 3600 seconds, got {self.delay}")


class Faults:
    """
    Keep faults in a queue; the first one that fits a request and that luck does not spare it is used.

    :param routes: Methods and paths of the API; if there are any, a fault must fit one.
    """

    def __init__(self, seed: int = 0, routes: Collection[tuple[str, str]] = ()) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._routes = routes
        self.clear()

    def add(self, method: str, path: str, **kind: Any) -> Fault:
        """
        Queue a fault, see `Fault`.

        :raises ValueError: If there is no such fault, or no route that it could be for.
        """
        fault = Fault(method, path, **kind)
        self._check_route(fault)
        with self._lock:
            self._queue.append(fault)
        return fault

    def _check_route(self, fault: Fault) -> None:
        if not self._routes or any(
            fault.method == method and may_meet(fault.path, path) for method, path in self._routes
        ):
            return
        given = f"{fault.method} {fault.path}"

        def likeness(route: str) -> float:
            is_as_deep = route.count("/") == given.count("/")
            return SequenceMatcher(None, route, given).ratio() + 0.1 * is_as_deep

        nearest = max((f"{method} {path}" for method, path in self._routes), key=likeness)
        raise ValueError(f"path: there is no route {given}, so the fault would never happen; the nearest is {nearest}")

    def remove(self, fault: Fault) -> None:
        """Take a fault out of the queue, used up or not."""
        with self._lock, suppress(ValueError):
            self._queue.remove(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """Use up one time of the first fault that fits."""
        with self._lock:
            for fault in self._queue:
                if fault.fits(method, path) and self._hits(fault):
                    self._use_up(fault)
                    return fault
        return None

    def _hits(self, fault: Fault) -> bool:
        if fault.skip:
            fault.skip -= 1
            return False
        return fault.probability is None or self._random.random() < fault.probability

    def _use_up(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._queue.remove(fault)

    def clear(self) -> None:
        """Forget all faults, and begin anew with the seed."""
        with self._lock:
            self._queue: list[Fault] = []
            self._random = Random(f"{self._seed}:faults")

    def state(self) -> dict[str, Any]:
        """Return all that a snapshot has to keep."""
        with self._lock:
            return {"_seed": self._seed, "_queue": list(self._queue), "_random": self._random}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        with self._lock:
            vars(self).update(state)

    def __len__(self) -> int:
        """Count the faults that still wait for a request."""
        return len(self._queue)
