"""
A pool's answers, several stretches of their ids at a time, each row once and in the order of ids.

- Each thread reads one range of the file at a time, page by page from the range's cursor to its end; a thread that has
  none splits the one that has most left. Which range an id is in is decided by the ends of ranges alone, so where they
  are split does not matter for what is written, only for how the work is shared.
- Under the lock, a reader says up to which id it will write, before it does; a split is always behind that. What a page
  has behind the end that its range has got meanwhile is left out: it belongs to another range.
- The greatest id that there is, is asked for beside the first page, and ranges are split off as soon as both are known.
  So a pool of one page takes two requests, and one of two pages takes three.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from math import ceil
from threading import Condition, Semaphore
from typing import TYPE_CHECKING, Any

from toloka_airflow.transfer.download.downloading import progress
from toloka_airflow.transfer.download.id_spans import distance, divide, is_divisible
from toloka_airflow.transfer.heap import frozen_heap
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.request_limit import RequestLimit

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.errors import TolokaError
    from toloka_airflow.api.pages import Page
    from toloka_airflow.storage.row_files import RowFile, RowRange
    from toloka_airflow.transfer.download.answer_rows import AssignmentRows

SPLIT_PAGES = 2.75
"""A range is split if what is left of it seems to fill so many pages for each."""
SPLITS_PER_PAGE = 4
"""So many ranges are split off for each page behind the first that has been read, at the most; at first, one for each
request at a time."""
MAX_PAGES_IN_MEMORY = 4
"""So many pages are received, read and added to the file at a time, at the most: each takes a megabyte or two. Others
that have come meanwhile are left in the buffers of their connections."""
LAST_PAGES_TIMEOUT = 5.0
"""Seconds that a download that failed waits for the pages that are under way, so that the next attempt has them."""

ReadPage = Callable[[bytes], "Page[AssignmentRows]"]
Pages = Callable[["TolokaClient", ReadPage, str | None, str | None], Iterator["Page[AssignmentRows]"]]


@dataclass(eq=False)
class _Reading:
    """A range that a thread reads: up to where it will be written, and what is known of how dense its ids are."""

    range: RowRange
    position: str | None
    first: str | None = None
    pages: int = 0
    is_done: bool = False

    @property
    def can_be_split(self) -> bool:
        """Whether there is something left, and its ids can be divided."""
        return not self.is_done and self.position is not None and is_divisible(self.position)

    def takes(self, ids: list[str], *, is_done: bool) -> None:
        """Take notice of what is written next."""
        self.is_done, self.pages = is_done, self.pages + 1
        if ids:
            self.first, self.position = self.first or ids[0], ids[-1]

    def pages_left(self, last: str | None) -> float:
        """Return about how many pages there are up to the end, or to an id if it has no end."""
        done = distance(self.first, self.position)
        if not self.can_be_split or not done:
            return 0.0
        return self.pages * distance(self.position, self.range.end or last) / done


class _Place:
    """The place in memory that a thread's page has, from when it comes until it is in the file."""

    def __init__(self, places: Semaphore) -> None:
        self._places, self._is_taken = places, False

    def take(self) -> None:
        """Wait until there is one, unless it has one for a page that was refused."""
        if not self._is_taken:
            self._places.acquire()
            self._is_taken = True

    def leave(self) -> None:
        """Leave it to others."""
        if self._is_taken:
            self._is_taken = False
            self._places.release()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        self.leave()


class ParallelDownload:
    """
    Read what a file has not got yet.

    :param file: The file, which may have been begun.
    :param client: What is read with, one of its like in each thread.
    :param pages: Returns the pages behind an id, up to another, as a function reads them.
    :param read: Reads a page from its JSON.
    :param find_last: Returns the greatest id that there is.
    :param in_flight: Pages to request at a time.
    """

    def __init__(
        self,
        file: RowFile,
        client: TolokaClient,
        *,
        pages: Pages,
        read: ReadPage,
        find_last: Callable[[TolokaClient], str | None],
        in_flight: int,
        log: Any,
    ) -> None:
        self._file, self._client, self._find_last = file, client, find_last
        self._pages, self._read = pages, read
        self._in_flight, self._log = in_flight, log
        self._limit = RequestLimit(in_flight)
        self._changed = Condition()
        self._waiting = deque(each for each in file.ranges if each.end is None or each.cursor != each.end)
        self._readings: list[_Reading] = []
        self._is_stopped = False
        self._last: str | None = None
        self._asked_for_last = all(each.end is not None for each in self._waiting)
        self._in_memory = Semaphore(MAX_PAGES_IN_MEMORY)
        self._left_at_first = self._pages_read = self._splits = 0

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Read all of it, and tell in the log how far it is.

        :param meanwhile: Called once the first pages are on their way.
        """
        began, pace, before = time.monotonic(), Pace(), dict(self._file.counts)
        threads = ThreadPoolExecutor(self._in_flight, "toloka-pages")
        self._reader = ThreadPoolExecutor(1, "toloka-rows")
        pending: set[Future[None]] = set()
        try:
            with frozen_heap():
                pending = {threads.submit(self._work) for _ in range(self._in_flight)}
                meanwhile()
                while pending:
                    done, pending = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    if pace.is_due():
                        seconds = time.monotonic() - began
                        self._log.info("%s", progress(self._file.counts, before, seconds, self._done()))
        except Exception:
            self._stop()
            wait(pending, timeout=LAST_PAGES_TIMEOUT)
            self._file.put_parts()
            raise
        finally:
            self._stop()
            # A task that is stopped does not wait for pages that nobody will read.
            threads.shutdown(wait=False, cancel_futures=True)
            self._reader.shutdown(wait=False, cancel_futures=True)
        self._log.info("%s; that is all", progress(self._file.counts, before, time.monotonic() - began))

    def _on_retry(self, place: _Place, error: TolokaError) -> None:
        place.leave()
        if self._is_stopped:
            raise error
        self._limit.has_failed(error)

    def _stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _work(self) -> None:
        place = _Place(self._in_memory)
        client = self._client.with_own_session(on_retry=partial(self._on_retry, place), before_receiving=place.take)
        while (reading := self._next(client, place)) is not None:
            self._read_range(client, place, reading)

    def _next(self, client: TolokaClient, place: _Place) -> _Reading | None:
        """Return what to read next, as soon as there is something; ``None`` if there is nothing left."""
        while True:
            with self._changed:
                while not self._is_stopped and self._readings and not self._waiting and self._asked_for_last:
                    if not self._split():
                        self._changed.wait()
                if self._is_stopped or not (self._waiting or self._readings):
                    return None
                if self._waiting:
                    row_range = self._waiting.popleft()
                    self._readings.append(_Reading(row_range, row_range.cursor))
                    return self._readings[-1]
                self._asked_for_last = True
            with self._limit.request(), place:
                last = self._find_last(client)
            with self._changed:
                self._last = last
                self._changed.notify_all()

    def _split(self) -> bool:
        """Split the range that has most left among those who have nothing to read; return whether there is one."""
        reading = max(self._readings, key=lambda each: each.pages_left(self._last))
        idle, pages = self._in_flight - len(self._readings), reading.pages_left(self._last)
        count = 1 + min(idle, int(pages / SPLIT_PAGES) - 1, self._splits_left())
        end = reading.range.end or self._last
        if count < 2 or reading.position is None or end is None:
            return False
        # Whole pages for each but the last, where ids are as dense as they were: a page that is not full is a request
        # more.
        length = int(distance(reading.position, end) * ceil(pages / count) / pages)
        new = reading.range.split(divide(reading.position, end, length))
        self._splits += len(new)
        self._waiting.extend(new)
        self._changed.notify_all()
        return True

    def _splits_left(self) -> int:
        """Return how many ranges may be split off: where ids are much denser than elsewhere, most would be empty."""
        return self._in_flight + SPLITS_PER_PAGE * (self._pages_read - 1) - self._splits if self._pages_read else 0

    def _read_range(self, client: TolokaClient, place: _Place, reading: _Reading) -> None:
        pages = self._pages(client, self._read_page, reading.range.cursor, reading.range.end)
        while not (reading.is_done or self._is_stopped):
            with place:
                self._read_next(pages, reading)
        with self._changed:
            self._readings.remove(reading)
            self._changed.notify_all()

    def _read_next(self, pages: Iterator[Page[AssignmentRows]], reading: _Reading) -> None:
        with self._limit.request():
            page = next(pages)
        with self._changed:
            end = reading.range.end
            count = len(page.keys) if end is None else bisect_right(page.keys, end)
            is_done = not page.has_more or count < len(page.keys)
            self._pages_read += count > 0
            reading.takes(page.keys[:count], is_done=is_done)
            self._left_at_first = self._left_at_first or self._left()
            self._changed.notify_all()
        # A range that is complete is not asked for again.
        cursor = end if is_done and end is not None else reading.position
        if cursor is not None:
            self._write(reading.range, cursor, page.items[:count])
        page.items.clear()  # or it would be kept until the next one has come

    def _read_page(self, content: bytes) -> Page[AssignmentRows]:
        """Read a page in a thread that all share: what each thread once needed for a page is never given back."""
        return self._reader.submit(self._read, content).result()

    def _write(self, row_range: RowRange, cursor: str, rows: list[AssignmentRows]) -> None:
        counts = {"assignments": len(rows), "answers": sum(each.answers for each in rows)}
        row_range.append([each.lines for each in rows if each.lines], cursor=cursor, counts=counts)

    def _left(self) -> int:
        """Return how far it is to the end, in ids."""
        stretches = [(each.position, each.range.end) for each in self._readings]
        stretches += [(each.cursor, each.end) for each in self._waiting]
        return sum(distance(position, end or self._last) for position, end in stretches)

    def _done(self) -> float | None:
        """Return which share of the ids is done, if it is known how far they go."""
        with self._changed:
            return 1 - self._left() / self._left_at_first if self._left_at_first else None
