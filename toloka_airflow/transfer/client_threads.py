"""Several requests at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from toloka_airflow.transfer.heap import frozen_heap

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.errors import TolokaError

ArgumentTs = TypeVarTuple("ArgumentTs")
ResultT = TypeVar("ResultT")


class ClientThreads:
    """
    Threads that each have a client with connections of its own.

    :param size: How many there are.
    :param on_retry: Called with the error of a request that is about to be sent again.
    """

    def __init__(
        self, client: TolokaClient, size: int, *, on_retry: Callable[[TolokaError], None] | None = None
    ) -> None:
        self._client, self._size, self._on_retry = client, size, on_retry
        self._own = threading.local()
        self._stack = ExitStack()

    def __enter__(self) -> ClientThreads:
        self._stack.enter_context(frozen_heap())
        self._threads = ThreadPoolExecutor(self._size, "toloka", self._connect)
        self._stack.callback(self._threads.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let those that have begun something end it, and nothing else begin."""
        self._stack.close()

    def submit(self, act: Callable[[TolokaClient, *ArgumentTs], ResultT], *arguments: *ArgumentTs) -> Future[ResultT]:
        """Have a thread call a function with its client, and with the arguments."""
        return self._threads.submit(lambda: act(self._own.client, *arguments))

    def _connect(self) -> None:
        self._own.client = self._client.with_own_session(on_retry=self._on_retry)
