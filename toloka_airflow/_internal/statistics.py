"""
What is reported to Airflow's own statistics, be they StatsD, Datadog or OpenTelemetry; `docs/statistics.md` has it all.

The only module that touches them. Where none is configured it does nothing at all. Whatever goes wrong with them is
logged once in a process, and neither fails nor delays anything but the thread that reports, which in a triggerer is
never that of the event loop.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import conf

from toloka_airflow._internal.airflow_internals import airflow_statistics
from toloka_airflow._internal.arguments import parse_seconds

if TYPE_CHECKING:
    from toloka_airflow.api.observing import Exchange, Observer

log = logging.getLogger(__name__)

OptionT = TypeVar("OptionT")

PREFIX = "toloka."
SWITCHES = ("statsd_on", "otel_on", "statsd_datadog_enabled")
"""Options of [metrics] that each turn statistics on."""
DEFAULT_INTERVAL = 60.0
"""Seconds between two reports of gauges."""
HOSTNAME = socket.gethostname()
"""The machine, which distinguishes triggerers."""
_NOT_IN_A_TAG = re.compile(r"[^0-9A-Za-z_./-]")
"""What StatsD, or Airflow's check of a name with its tags, does not take."""
_CLOSE = "POST", "/pools/id/close", 202


class _Process:
    """What belongs to this process: a fork begins anew."""

    def __init__(self) -> None:
        # Two first reports at once would each set up a connection. Reentrant, as a signal handler may report, too.
        self.lock = RLock()
        self.stats: Any = None
        self.is_logged = False


_process = _Process()


def _begin_anew() -> None:
    global _process
    _process = _Process()


os.register_at_fork(after_in_child=_begin_anew)


@cache
def is_on() -> bool:
    """Return whether this Airflow has any statistics configured."""
    return any(_option(partial(conf.getboolean, "metrics", switch, fallback=False), False) for switch in SWITCHES)


@cache
def has_pool_ids() -> bool:
    """Return whether gauges of pools are reported for each pool, instead of for all of a connection."""
    return _option(partial(conf.getboolean, "toloka", "statistics_pool_ids", fallback=False), False)


@cache
def interval() -> float:
    """Return the seconds between two reports of gauges."""
    name = "The option [toloka] statistics_interval"
    read = partial(conf.get, "toloka", "statistics_interval", fallback=DEFAULT_INTERVAL)
    return _option(lambda: parse_seconds(name, read()), DEFAULT_INTERVAL)


def count(name: str, **tags: str) -> None:
    """Add one to a counter."""
    _report("incr", name, tags)


def gauge(name: str, value: float, **tags: str) -> None:
    """Set a gauge."""
    _report("gauge", name, tags, value)


def timing(name: str, seconds: float, **tags: str) -> None:
    """Add a duration to a timer, which is in milliseconds."""
    _report("timing", name, tags, timedelta(seconds=seconds))


@contextmanager
def harmless() -> Iterator[None]:
    """Log what goes wrong in this block, once in a process, and continue behind it."""
    try:
        yield
    except Exception:
        _log_once()


def observer(toloka_conn_id: str, *, closes_as: str) -> Observer | None:
    """
    Return what counts the requests of a client; ``None`` if there are no statistics.

    :param toloka_conn_id: The connection of the client.
    :param closes_as: Who closes a pool with it, as the tag ``by`` has it: ``task``, ``kill``, ``page``.
    """
    if not is_on():
        return None

    def observe(exchange: Exchange) -> None:
        status = "none" if exchange.status is None else str(exchange.status)
        called = {"method": exchange.method, "route": exchange.route}
        count("requests", connection=toloka_conn_id, status=status, **called)
        if exchange.status == 429:
            count("quota_refusals", connection=toloka_conn_id, **called)
        if (exchange.method, exchange.route, exchange.status) == _CLOSE:
            count("closes", connection=toloka_conn_id, by=closes_as, reason="manual")

    return observe


def _report(method: str, name: str, tags: dict[str, str], *values: object) -> None:
    if not is_on():
        return
    with harmless(), _process.lock:
        if _process.stats is None:
            _process.stats = airflow_statistics()
        if _process.stats is not None:
            clean = {tag: _NOT_IN_A_TAG.sub("_", value) for tag, value in tags.items()}
            getattr(_process.stats, method)(PREFIX + name, *values, tags=clean)


def _option(read: Callable[[], OptionT], default: OptionT) -> OptionT:
    """Return the value of an option; what it is without it, if it cannot be used."""
    try:
        return read()
    except Exception:
        _log_once()
        return default


def _log_once() -> None:
    if not _process.is_logged:
        _process.is_logged = True
        log.warning("Some statistics of Toloka are not reported; this is not logged again", exc_info=True)
