"""How many requests are sent at a time, by what the server takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from toloka_airflow.api.errors import TolokaApiError, TolokaError


class RequestLimit:
    """
    Send up to so many requests at a time: half as many after a 429, and one more after as many that went well.

    :param most: How many at the most.
    """

    def __init__(self, most: int) -> None:
        self._most = self.current = most
        self._under_way = self._went_well = 0
        self._changed = Condition()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Wait for a place; a request that is sent again keeps it."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self.current)
            self._under_way += 1
        try:
            yield
            self._grow()
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def has_failed(self, error: TolokaError) -> None:
        """Take notice of an error; of several that came at once, the first counts."""
        if isinstance(error, TolokaApiError) and error.status == 429:
            with self._changed:
                if self._went_well or self.current == self._most:
                    self.current = max(1, self.current // 2)
                self._went_well = 0

    def _grow(self) -> None:
        with self._changed:
            self._went_well += 1
            if self.current < self._most and self._went_well >= self.current:
                self.current, self._went_well = self.current + 1, 0
