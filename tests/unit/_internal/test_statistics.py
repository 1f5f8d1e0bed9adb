"""What reaches a StatsD server through Airflow's statistics, and that nothing of it can harm who reports."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from demo.airflow_api import wait_until
from tests.statistics_receivers import Sample, StatsdServer, reporting
from tests.support import ScriptedServer, operation, pool
from toloka_airflow._internal import statistics
from toloka_airflow.api.errors import TolokaConnectionError, TolokaRetryableError
from toloka_airflow.hooks import TolokaHook

PATIENCE = 30
HANDLER = "AIRFLOW__METRICS__STAT_NAME_HANDLER"


@pytest.fixture
def statsd() -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        yield server


@pytest.fixture
def on(statsd: StatsdServer) -> Iterator[StatsdServer]:
    """A StatsD server to which this process reports."""
    with reporting(statsd.settings()):
        yield statsd


def received(statsd: StatsdServer) -> list[Sample]:
    """Return what was reported of Toloka until now."""
    statistics.count("end")
    wait_until(lambda: bool(statsd.samples("airflow.toloka.end")), "the end is received", PATIENCE, 0.01)
    return statsd.samples()[:-1]


def refuses(name: str) -> str:
    """Refuse each name, as a handler that somebody has configured may."""
    raise RuntimeError(f"no {name}")


def test_all_kinds_come_with_their_tags(on: StatsdServer) -> None:
    statistics.count("polls", connection="a", purpose="polls")
    statistics.gauge("balance", 12.5, connection="a")
    statistics.timing("detection_delay", 1.25, of="pool")
    assert received(on) == [
        Sample("airflow.toloka.polls", "counter", 1, {"connection": "a", "purpose": "polls"}),
        Sample("airflow.toloka.balance", "gauge", 12.5, {"connection": "a"}),
        Sample("airflow.toloka.detection_delay", "timer", 1250, {"of": "pool"}),
    ]


def test_a_tag_has_no_characters_that_airflow_would_drop_it_for(on: StatsdServer) -> None:
    statistics.count("requests", connection="a,b=c:d|e {f}\n", route="/pools/id/open")
    [sample] = received(on)
    assert sample.tags == {"connection": "a_b_c_d_e__f__", "route": "/pools/id/open"}


def test_nothing_is_reported_where_nothing_is_configured(statsd: StatsdServer) -> None:
    settings = {name: value for name, value in statsd.settings().items() if not name.endswith("STATSD_ON")}
    with reporting(settings):
        assert not statistics.is_on()
        assert statistics.observer("a", closes_as="task") is None
        statistics.count("polls", connection="a")
    with reporting(statsd.settings()):
        assert received(statsd) == []


def test_an_error_is_logged_once_and_harms_nobody(statsd: StatsdServer, caplog: pytest.LogCaptureFixture) -> None:
    with reporting({**statsd.settings(), HANDLER: f"{__name__}.refuses"}):
        for _ in range(3):
            statistics.count("polls", connection="a")
            statistics.gauge("balance", 1.0, connection="a")
    records = [record for record in caplog.records if record.name == statistics.__name__]
    assert [record.levelno for record in records] == [logging.WARNING]
    assert "no airflow.toloka.polls" in str(records[0].exc_info) or "no toloka.polls" in str(records[0].exc_info)


@pytest.mark.parametrize("option", ["STATISTICS_INTERVAL", "STATISTICS_POOL_IDS"])
def test_an_option_that_cannot_be_used_has_its_default(
    statsd: StatsdServer, option: str, caplog: pytest.LogCaptureFixture
) -> None:
    with reporting({**statsd.settings(), f"AIRFLOW__TOLOKA__{option}": "often"}):
        assert (statistics.interval(), statistics.has_pool_ids()) == (statistics.DEFAULT_INTERVAL, False)
    assert "not logged again" in caplog.text


def test_a_process_that_forks_reports_itself(on: StatsdServer) -> None:
    statistics.count("polls", connection="parent")
    child = os.fork()
    if child == 0:
        statistics.count("polls", connection="child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert {sample.tags["connection"] for sample in received(on)} == {"parent", "child"}


def test_the_requests_of_a_task_are_counted(on: StatsdServer, server: ScriptedServer, connection: str) -> None:
    server.answer("GET", "/pools/21", json=pool())
    server.answer("POST", "/pools/21/open", 202, operation())
    server.answer("POST", "/pools/21/close", 202, operation())
    server.answer("POST", "/pools/22/close", 204)
    server.error("GET", "/pools/23", 429, "TOO_MANY_REQUESTS")
    server.answer("GET", "/pools/24", drop=True)
    client = TolokaHook(connection).get_conn().without_retries()
    client.get_pool("21")
    client.open_pool("21")
    client.close_pool("21")
    assert client.close_pool("22") is None
    with pytest.raises(TolokaRetryableError):
        client.get_pool("23")
    with pytest.raises(TolokaConnectionError):
        client.get_pool("24")
    samples = received(on)
    requests = [sample.tags for sample in samples if sample.name == "airflow.toloka.requests"]
    assert [(tags["method"], tags["route"], tags["status"]) for tags in requests] == [
        ("GET", "/pools/id", "200"),
        ("POST", "/pools/id/open", "202"),
        ("POST", "/pools/id/close", "202"),
        ("POST", "/pools/id/close", "204"),
        ("GET", "/pools/id", "429"),
        ("GET", "/pools/id", "none"),
    ]
    others = [sample for sample in samples if sample.name != "airflow.toloka.requests"]
    assert others == [
        Sample("airflow.toloka.closes", "counter", 1, {"connection": connection, "by": "task", "reason": "manual"}),
        Sample(
            "airflow.toloka.quota_refusals",
            "counter",
            1,
            {"connection": connection, "method": "GET", "route": "/pools/id"},
        ),
    ]
    assert all(sample.kind == "counter" and sample.value == 1 for sample in samples)


def test_the_test_of_a_connection_is_not_counted(on: StatsdServer, server: ScriptedServer, connection: str) -> None:
    server.answer("GET", "/requester", json={"id": "1", "balance": 1.0})
    assert TolokaHook(connection).test_connection()[0]
    statistics.count("polls", connection="after")
    assert [sample.name for sample in received(on)] == ["airflow.toloka.polls"]
