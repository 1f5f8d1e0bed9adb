"""Which lists say most about operations and pools in the fewest requests."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from toloka_airflow.api.models import Operation, OperationStatus, Pool, PoolStatus
from toloka_airflow.api.pool_rules import is_open
from toloka_airflow.triggers.shared_polling import SharedPoller, Snapshot, idle_interval

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.settings import ClientSettings

MAX_GAP = 300.0
"""Seconds without lists after which they begin anew, as what ended meanwhile may be many pages."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
"""How far a list of finished operations reaches back if that takes no further page."""
OVERLAP = timedelta(seconds=3)
"""How far it reaches back in any case, as ends may become visible in another order than they happened."""


class OperationPoller(SharedPoller[Operation]):
    """
    List the operations that ended lately, and now and then those that did not.

    One that did not end is unfinished until it is listed as ended. So what costs requests by id is an operation that
    began after the unfinished ones were listed; they are listed again as soon as that is cheaper.
    """

    def __init__(self, toloka_conn_id: str, poll_interval: float) -> None:
        super().__init__(toloka_conn_id, poll_interval)
        self._listed_with: ClientSettings | None = None
        self._newest_end: datetime | None = None
        self._unfinished: frozenset[str] = frozenset()
        self._cost_of_unfinished = 0
        self._list_unfinished_at = 0.0

    def fetch_lists(self, not_listed: int, client: TolokaClient) -> Snapshot[Operation]:
        """Return unfinished and finished operations."""
        # Here and not when the change is noticed, as lists of before may still be on their way then.
        if client.settings != self._listed_with or time.monotonic() - self._listed_at > MAX_GAP:
            self._listed_with, self._newest_end, self._list_unfinished_at = client.settings, None, 0.0
        # What ends while the unfinished are listed may be more than a page.
        finished = self._finished(client) if self._newest_end is None else {}
        if not_listed >= self._cost_of_unfinished or time.monotonic() >= self._list_unfinished_at:
            self._list_unfinished(client)
        finished |= self._finished(client)
        self._unfinished -= finished.keys()
        return Snapshot(finished, unfinished=self._unfinished)

    def has_changed(self, former: Operation, subject: Operation) -> bool:
        """Return ``False``: what has ended does not change."""
        return False

    def _list_unfinished(self, client: TolokaClient) -> None:
        self._list_unfinished_at = 0.0  # if it fails, everything is listed anew
        # PENDING first: one that starts between the two requests is in the second.
        pages = [
            [operation.id for operation in page]
            for status in (OperationStatus.PENDING, OperationStatus.RUNNING)
            for page in client.operation_pages(status=status)
        ]
        self._unfinished = frozenset(chain.from_iterable(pages))
        self._cost_of_unfinished = len(pages)
        self._list_unfinished_at = time.monotonic() + idle_interval(self.poll_interval)

    def _finished(self, client: TolokaClient) -> dict[str, Operation]:
        known = self._newest_end
        newest = known or EARLIEST
        finished: dict[str, Operation] = {}
        for page in client.finished_operation_pages(max(EARLIEST, newest - WINDOW)):
            finished.update({operation.id: operation for operation in page if operation.is_done})
            ends = [operation.finished for operation in page if operation.finished]
            newest = max([newest, *ends])
            if known is None or not ends or ends[-1] < known - OVERLAP:
                break
        # Never in the future: until then no end would be listed.
        self._newest_end = min(newest, datetime.now(UTC))
        return finished


class PoolPoller(SharedPoller[Pool]):
    """List the open pools; one that is not among them has to be requested by id."""

    def fetch_lists(self, not_listed: int, client: TolokaClient) -> Snapshot[Pool]:
        """Return the open pools."""
        pools = client.list_pools(status=PoolStatus.OPEN)
        # Whether one that is not open has stopped is known by id only: it may be about to open.
        return Snapshot({pool.id: pool for pool in pools if is_open(pool)})

    def has_changed(self, former: Pool, subject: Pool) -> bool:
        """Return whether a pool was closed and opened again."""
        return (former.last_started, former.last_stopped) != (subject.last_started, subject.last_stopped)
