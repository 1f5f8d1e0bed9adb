"""Word of something new, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[], object]


class Signal:
    """Tell whoever listens that something is new; a listener must be quick and must not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Call the listener each time, until the end of the block and never after it."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def fire(self) -> None:
        """Tell everybody."""
        with self._lock:
            for listener in self._listeners:
                listener()
