"""Requests that the emulator itself sends: in threads of their own, so that no receiver can hold it up."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# Inferred. Real seconds: the receiver is real, whatever the virtual time.
TIMEOUT = 5.0
STOP_TIMEOUT = 1.0


@dataclass(frozen=True)
class Parcel:
    """What is POSTed."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a parcel: the status of the answer, if there was one, and what went wrong."""

    status: int | None = None
    error: str | None = None


Report = Callable[[Outcome], None]


class Courier:
    """
    Deliver parcels: to each receiver one after the other, so that a slow one holds up nobody else.

    :param notify: Called from another thread when a receiver has got everything.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._changed = threading.Condition()
        # What each receiver has still to get, the first one being under way.
        self._lanes: dict[str, deque[tuple[Parcel, Report]]] = {}
        self._connections: dict[threading.Thread, http.client.HTTPConnection] = {}
        self._is_stopped = False

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is under way."""
        return not self._lanes

    def send(self, parcel: Parcel, report: Report) -> None:
        """Deliver the parcel once; `report` is called with the outcome, from another thread."""
        receiver = urlsplit(parcel.url).netloc
        with self._changed:
            if self._is_stopped:
                return
            lane = self._lanes.setdefault(receiver, deque())
            lane.append((parcel, report))
            if len(lane) == 1:
                name = "toloka-emulator-webhook"
                threading.Thread(target=self._work, args=(receiver, lane), name=name, daemon=True).start()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is under way; return False if something still is after `timeout` real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_idle, timeout)

    @property
    def is_stopped(self) -> bool:
        """Say whether what is sent is lost."""
        return self._is_stopped

    def start(self) -> None:
        """Deliver again after a stop."""
        with self._changed:
            self._is_stopped = False

    def stop(self) -> None:
        """Break off what is under way; what is sent from now on is lost."""
        with self._changed:
            self._is_stopped = True
            under_way = dict(self._connections)
        for connection in under_way.values():
            _hang_up(connection)
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in under_way:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, receiver: str, lane: deque[tuple[Parcel, Report]]) -> None:
        while lane:
            parcel, report = lane[0]
            report(self._deliver(parcel))
            with self._changed:
                lane.popleft()
                if not lane or self._is_stopped:
                    del self._lanes[receiver]
                    self._changed.notify_all()
                    break
        self._notify()

    def _deliver(self, parcel: Parcel) -> Outcome:
        connection = _connection(parcel.url)
        with self._changed:
            self._connections[threading.current_thread()] = connection
        outcome = _post(connection, parcel)
        with self._changed:
            del self._connections[threading.current_thread()]
        return outcome


def _connection(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    return kind(address.hostname or "", address.port, timeout=TIMEOUT)


def _post(connection: http.client.HTTPConnection, parcel: Parcel) -> Outcome:
    address = urlsplit(parcel.url)
    target = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    try:
        connection.request("POST", target, parcel.body, dict(parcel.headers))
        status = connection.getresponse().status
    except TimeoutError:
        return Outcome(error="REQUEST_TIMEOUT")
    except OSError:
        return Outcome(error="CONNECTION_ERROR")
    except (http.client.HTTPException, ValueError):
        return Outcome(error="UNKNOWN")
    finally:
        connection.close()
    return Outcome(status, None if 200 <= status < 300 else "WRONG_STATUS_CODE")


def _hang_up(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It has ended by itself.
