"""What is fetched at most so often, however many people want it, and shown with its age when it cannot be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Snapshot(Generic[ValueT]):
    """
    The last answer there is.

    :param value: ``None`` if none has come yet.
    :param fetched_at: When it was requested.
    :param error: Why no newer one has come; ``None`` if the last fetch succeeded, or none has ended.
    """

    value: ValueT | None = None
    fetched_at: datetime | None = None
    error: Exception | None = None


class Refreshed(Generic[ValueT]):
    """
    One value for all threads of a process.

    Whoever wants it and finds it old has it fetched in a thread, one at a time. They wait for that until ``max_wait``
    seconds after the fetch began, and only if what there is is older than ``usable_for`` seconds, and than two of the
    pauses that ``load`` requires: where fetches are slow, the data are older, and nobody waits for each of them. Then
    they take what there is.

    :param fetch: Fetches it; it has time limits of its own.
    :param min_pause: Seconds from the beginning of one fetch to that of the next, whether or not it succeeded.
    :param load: The greatest share of the time that fetches may take: after a slow one, the pause is longer.
    """

    def __init__(
        self,
        fetch: Callable[[], ValueT],
        *,
        min_pause: float,
        max_wait: float,
        usable_for: float,
        load: float = 1.0,
    ) -> None:
        self._fetch, self._min_pause, self._max_wait, self._usable_for = fetch, min_pause, max_wait, usable_for
        self._load = load
        self._changed = Condition()
        self._snapshot: Snapshot[ValueT] = Snapshot()
        self._began = self._usable_until = self._next = float("-inf")
        self._is_fetching = False

    def start(self) -> Snapshot[ValueT]:
        """Have it fetched if it is time, and return what there is."""
        with self._changed:
            now = time.monotonic()
            if not self._is_fetching and now >= self._next:
                self._next = now + self._min_pause
                try:
                    Thread(target=self._run, name="toloka-page", daemon=True).start()
                except RuntimeError:  # there is no thread to be had; later there may be
                    log.warning("The page of Toloka shows what it had, as no thread can be started")
                else:
                    self._is_fetching, self._began = True, now
            return self._snapshot

    def get(self) -> Snapshot[ValueT]:
        """Return the newest answer that can be had in time."""
        self.start()
        with self._changed:
            now, until = time.monotonic(), self._began + self._max_wait
            while self._is_fetching and now < until and now > self._usable_until:
                self._changed.wait(until - now)
                now = time.monotonic()
            return self._snapshot

    def _run(self) -> None:
        requested_at, began = datetime.now(UTC), time.monotonic()
        try:
            snapshot = Snapshot(self._fetch(), requested_at)
        except Exception as exc:  # whatever it is, the page shows what there is
            # Not its text: that of a connection which cannot be read may quote it.
            log.info("The page of Toloka shows what it had, as fetching failed with %s", type(exc).__name__)
            snapshot = Snapshot(self._snapshot.value, self._snapshot.fetched_at, exc)
        with self._changed:
            took = time.monotonic() - began
            pause = took / self._load
            self._next = began + max(self._min_pause, pause)
            if snapshot.error is None:
                self._usable_until = began + max(self._usable_for, 2 * pause)
            self._snapshot, self._is_fetching = snapshot, False
            self._changed.notify_all()
