"""Several requests at a time, in the order of what they are about."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from toloka_airflow.transfer.heap import frozen_heap

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class ClientThreads:
    """
    Threads that each have a client with connections of its own.

    :param size: How many there are.
    """

    def __init__(self, client: TolokaClient, size: int) -> None:
        self._size = size
        self._clients: SimpleQueue[TolokaClient] = SimpleQueue()
        for _ in range(size):
            self._clients.put(client.with_own_session())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the threads; at the end, those that have begun something end it, and nothing else begins."""
        self._threads = ThreadPoolExecutor(self._size)
        try:
            with frozen_heap():
                yield
        finally:
            self._threads.shutdown(cancel_futures=True)

    def map(
        self, act: Callable[[TolokaClient, ItemT], ResultT], items: Iterable[ItemT], width: int | None = None
    ) -> Iterator[tuple[ItemT, Future[ResultT]]]:
        """
        Act on items, a few ahead of the one that is asked for, and iterate over them in order.

        :param width: How many at a time; as many as there are threads if ``None``.
        """

        def act_with_a_client(item: ItemT) -> ResultT:
            client = self._clients.get()
            try:
                return act(client, item)
            finally:
                self._clients.put(client)

        window: deque[tuple[ItemT, Future[ResultT]]] = deque()
        for item in items:
            window.append((item, self._threads.submit(act_with_a_client, item)))
            if len(window) >= (width or self._size):
                yield window.popleft()
        yield from window
