"""Who receives Airflow's statistics: a StatsD server and an OpenTelemetry collector, by their own protocols."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import airflow
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from toloka_airflow._internal import statistics
from toloka_airflow._internal.airflow_internals import airflow_statistics

VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))
KINDS = {"c": "counter", "g": "gauge", "ms": "timer"}


@dataclass(frozen=True)
class Sample:
    """One value that was received; ``kind`` is ``counter``, ``gauge`` or ``timer``, which is in milliseconds."""

    name: str
    kind: str
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """What was received, by name."""

    kind_of_timers = "timer"

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def add(self, samples: Iterable[Sample]) -> None:
        self._samples.extend(samples)

    def samples(self, name: str = "airflow.toloka.", **tags: str) -> list[Sample]:
        """Return what came under a name, or a beginning of names that ends with a dot, and with such tags."""
        is_wanted = name.__eq__ if not name.endswith(".") else lambda other: other.startswith(name)
        return [each for each in list(self._samples) if is_wanted(each.name) and tags.items() <= each.tags.items()]


class StatsdServer(Receiver):
    """Receive StatsD over UDP, with tags as InfluxDB has them, or without."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # All that comes at once, while another process has the core, waits here.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def settings(self) -> dict[str, str]:
        """Return what an Airflow has in its environment that reports here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def _receive(self) -> None:
        while datagram := self._socket.recv(65536):
            self.add(read_statsd(line) for line in datagram.decode().splitlines())


def read_statsd(line: str) -> Sample:
    """Read a line of StatsD, such as ``airflow.toloka.polls,connection=a:1|c``."""
    name, _, rest = line.partition(":")
    value, kind = rest.split("|")[:2]
    name, *tags = name.split(",")
    return Sample(name, KINDS[kind], float(value), dict(tag.split("=", 1) for tag in tags))


class Collector(Receiver):
    """Receive OTLP over HTTP, in protobuf; before Airflow 3.3 a timer is the gauge of its last value there."""

    kind_of_timers = "timer" if VERSION >= (3, 3) else "gauge"

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert (self.path, self.headers["Content-Type"]) == ("/v1/metrics", "application/x-protobuf")
                receiver.add(read_otlp(ExportMetricsServiceRequest.FromString(body)))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def settings(self) -> dict[str, str]:
        """Return what an Airflow has in its environment that reports here."""
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__OTEL_PORT": str(self._server.server_port),
            "AIRFLOW__METRICS__OTEL_INTERVAL_MILLISECONDS": "1000",
            "AIRFLOW__METRICS__OTEL_SSL_ACTIVE": "False",
            # Each process counts from 0; so counters can be added up.
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        }


def read_otlp(request: ExportMetricsServiceRequest) -> Iterable[Sample]:
    """Read all points of a request."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from _points(metric)


def _points(metric: Any) -> Iterable[Sample]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        tags = {each.key: each.value.string_value for each in point.attributes}
        if kind in ("sum", "gauge"):
            value = getattr(point, point.WhichOneof("value"))
            yield Sample(metric.name, "counter" if kind == "sum" else "gauge", value, tags)
        else:
            yield Sample(metric.name, "timer", point.sum, tags)


@contextmanager
def reporting(settings: Mapping[str, str]) -> Iterator[None]:
    """Have this process report to whomever the settings name, as a process of Airflow does that begins with them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        _set_up()
        try:
            yield
        finally:
            _close()
            patch.undo()
            _set_up()


def _close() -> None:
    """Close the socket of a StatsD client, which Airflow leaves to the end of the process."""
    stats = airflow_statistics()
    backend = getattr(sys.modules[stats.__module__], "_backend", None) or getattr(stats, "instance", None)
    if client := getattr(backend, "statsd", None):
        client.close()


def _set_up() -> None:
    for option in (statistics.is_on, statistics.has_pool_ids, statistics.interval):
        option.cache_clear()
    statistics._begin_anew()
    if VERSION < (3, 2):
        from airflow import stats

        # It chooses when it is imported.
        chosen: Any = stats.Stats
        chosen.instance = None
        del type(chosen).factory
        type(chosen).__init__(chosen)
        return
    # As `airflow.sdk.execution_time.task_runner.main` does.
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk.observability.metrics import stats_utils

    if VERSION < (3, 3):
        stats.Stats.initialize(factory=stats_utils.get_stats_factory(stats.Stats))
    else:
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
