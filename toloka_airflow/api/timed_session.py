"""
A session whose requests end in time: `requests` itself limits only the pause between two bytes.

The socket gets what is left of the time before each read and write, so an answer that drips, in its headers or its
body, ends like one that does not come. Resolving the name of the host is not limited here, but by the system's
resolver; and each address of the host is tried for as long as a connection may take.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_DEADLINE: ContextVar[float] = ContextVar("toloka_request_deadline", default=float("inf"))


@contextmanager
def ends_by(deadline: float) -> Iterator[None]:
    """Let what is sent in this block end by a monotonic time, with a time-out of `requests`."""
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def timed_session() -> requests.Session:
    """Return a session that keeps the deadlines of `ends_by`."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def warm_up() -> None:
    """Do, for all processes that fork from this one, what each would do for its first request: 2 ms of CPU."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    address = "http://127.0.0.1/"
    with timed_session() as session:
        session.merge_environment_settings(address, {}, True, None, None)
        session.prepare_request(
            requests.Request("GET", address, {"Accept": "*/*"}, params={"id": "1"}, auth=lambda r: r)
        )


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_timed_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _use_timed_connections(manager)
        return manager


def _use_timed_connections(manager: Any) -> None:
    """Make the connections of a `urllib3.PoolManager`, of whatever kind they are, timed ones."""
    manager.pool_classes_by_scheme = {
        scheme: _timed_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@cache
def _timed_pool(pool: Any) -> Any:
    """Return a pool like one of `urllib3`, whose connections are timed."""
    connection = type("Timed", (_TimedConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _TimedConnection:
    """What is added to a connection of `urllib3`."""

    sock: Any
    response_class = _TimedResponse

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(_time_left(self.sock.gettimeout()))
        super().send(data)  # type: ignore[misc]


class _TimedReader(io.RawIOBase):
    """Read from a socket, with what is left of the time as the limit for each read."""

    def __init__(self, raw: Any, sock: Any) -> None:
        super().__init__()
        self._raw, self._sock, self._max_pause = raw, sock, sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_time_left(self._max_pause))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _time_left(max_pause: float | None) -> float | None:
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    if left == float("inf"):
        return max_pause
    return left if max_pause is None else min(left, max_pause)
