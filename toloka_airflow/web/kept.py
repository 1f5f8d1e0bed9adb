"""What is made once and kept for those who want the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class Kept(Generic[ValueT]):
    """
    Values by key, of which those that were not used for longest are dropped.

    One value is made at a time, so whoever wants the same waits for it and does not make it as well.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size, self._lock = max_size, Lock()
        self._values: OrderedDict[Hashable, ValueT] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], ValueT]) -> ValueT:
        """Return the value of a key, made if there is none."""
        with self._lock:
            value = self._values[key] if key in self._values else self._values.setdefault(key, make())
            self._values.move_to_end(key)
            if len(self._values) > self._max_size:
                self._values.popitem(last=False)
            return value

    def find(self, key: Hashable) -> ValueT | None:
        """Return the value of a key, if there is one."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]
