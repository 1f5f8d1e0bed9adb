"""Iterate over a pool's answers, in the order of their ids, with several pages of them being fetched."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import PAGE_SIZE
from toloka_airflow.api.models import Assignment
from toloka_airflow.api.pages import read_page
from toloka_airflow.api.transport import parse_json
from toloka_airflow.transfer.download.id_spans import behind, distance
from toloka_airflow.transfer.request_limit import RequestLimit

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.errors import TolokaError
    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.pages import Page

STRETCH_PAGES = 4
"""How many pages a stretch of ids is to have, and how many of it are fetched before it is its turn. The next ones are
longer or shorter if it has others."""


@dataclass(frozen=True)
class _Stretch:
    pages: Future[list[Page[Raw]]]
    length: int
    until: str | None


def _read(content: bytes) -> Page[Raw]:
    return read_page("/assignments", parse_json(content), "id")


def _next_length(length: int, pages: list[Page[Raw]]) -> int:
    """Return how long the next stretches are to be after one that had these pages."""
    if pages[-1].has_more:
        return max(1, length // 2)
    if not pages[0].keys:
        return length * 16
    return length * 2 if len(pages) == 1 else length


class ParallelReading:
    """
    Iterate over answers, each once: those that come into a wanted status meanwhile, if their place was not read yet.

    What is fetched and not asked for yet are a few pages for each request at a time.

    :param client: What is read with, one of its like in each thread.
    :param in_flight: Pages to request at a time.
    :param filters: Which answers, as `TolokaClient.list_assignments` takes them.
    """

    def __init__(
        self, client: TolokaClient, pool_id: str, *, in_flight: int, page_size: int = PAGE_SIZE, **filters: Any
    ) -> None:
        self._client, self._pool_id, self._filters = client, pool_id, filters
        self._in_flight, self._page_size = in_flight, page_size
        self._limit = RequestLimit(in_flight)
        self._own = threading.local()
        self._is_stopped = False

    def __iter__(self) -> Iterator[Assignment]:
        for page in self._in_order():
            yield from map(Assignment.from_api, page.items)

    def _in_order(self) -> Iterator[Page[Raw]]:
        self._is_stopped = False
        first = next(self._pages(self._client, None, None))
        yield first
        if not first.has_more:
            return
        position, length = first.keys[-1], STRETCH_PAGES * distance(first.keys[0], first.keys[-1])
        last = self._client.find_last_assignment(self._pool_id, **self._filters) if length else None
        threads = ThreadPoolExecutor(self._in_flight, "toloka-pages")
        window: deque[_Stretch] = deque()
        is_open = True
        try:
            while is_open or window:
                while is_open and len(window) < self._in_flight:
                    is_open = distance(position, last) > length
                    until = behind(position, length) if is_open else None
                    window.append(_Stretch(threads.submit(self._stretch, position, until), length, until))
                    position = until or position
                stretch = window.popleft()
                pages = stretch.pages.result()
                yield from pages
                if pages[-1].has_more:
                    # More than it seemed, which are not all kept in memory.
                    yield from self._pages(self._client, pages[-1].keys[-1], stretch.until)
                if stretch.length == length:
                    length = _next_length(length, pages)
        finally:
            self._is_stopped = True
            threads.shutdown(wait=False, cancel_futures=True)

    def _stretch(self, after: str, until: str | None) -> list[Page[Raw]]:
        if not hasattr(self._own, "client"):
            self._own.client = self._client.with_own_session(on_retry=self._on_retry)
        pages: list[Page[Raw]] = []
        following = self._pages(self._own.client, after, until)
        while len(pages) < STRETCH_PAGES + 1 and not self._is_stopped and (not pages or pages[-1].has_more):
            with self._limit.request():
                pages.append(next(following))
        return pages

    def _on_retry(self, error: TolokaError) -> None:
        if self._is_stopped:
            raise error
        self._limit.has_failed(error)

    def _pages(self, client: TolokaClient, after: str | None, until: str | None) -> Iterator[Page[Raw]]:
        return client.read_assignments(
            self._pool_id, _read, page_size=self._page_size, after=after, until=until, **self._filters
        )
