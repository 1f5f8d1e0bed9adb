"""Each name of `docs/statistics.md` is received during one run of an example, by StatsD and by OpenTelemetry."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow
from tests.statistics_receivers import Collector, Receiver, StatsdServer
from tests.support import TOKEN
from tests.system.disturbed import PATIENCE, Connect, insist
from tests.worlds import digits
from toloka_airflow.api.observing import route_of
from toloka_airflow.emulator.server import EmulatorServer

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "label_digits"
PREFIX = "airflow."


class Documented(NamedTuple):
    """A row of the table in the docs."""

    kind: str
    tags: set[str]


def documented() -> dict[str, Documented]:
    """Return the table of the docs, by name."""
    page = (ROOT / "docs" / "statistics.md").read_text()
    rows = re.findall(r"^\| `(toloka\.[\w.]+)` \| (\w+)[^|]* \| ([^|]*) \|", page, re.MULTILINE)
    assert rows
    return {name: Documented(kind, set(re.findall(r"`(\w+)`", tags))) for name, kind, tags in rows}


@pytest.fixture(scope="module", params=[StatsdServer, Collector], ids=["statsd", "opentelemetry"])
def receiver(request: pytest.FixtureRequest) -> Iterator[StatsdServer | Collector]:
    with request.param() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def airflow(receiver: StatsdServer | Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow that reports to the receiver, often."""
    folder = tmp_path_factory.mktemp("statistics")
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "dags_examples" / f"{DAG_ID}.py", folder / "dags")
    env = {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__TOLOKA__STATISTICS_INTERVAL": "1",
        **receiver.settings(),
    }
    with LocalAirflow(folder / "home", folder / "dags", env=env) as local:
        local.start(timeout=PATIENCE)
        yield local


def counted(receiver: Receiver) -> Counter[tuple[str, str, str]]:
    """Return how often which requests were counted."""
    found: Counter[tuple[str, str, str]] = Counter()
    for sample in receiver.samples(f"{PREFIX}toloka.requests"):
        found[sample.tags["method"], sample.tags["route"], sample.tags["status"]] += round(sample.value)
    return without_reports(found)


def requested(toloka: EmulatorServer) -> Counter[tuple[str, str, str]]:
    """Return how often which requests were answered."""
    entries = toloka.journal.requests()
    paths = [entry["path"].removeprefix("/api/v1") for entry in entries]
    return without_reports(
        Counter(
            (entry["method"], route_of(path), str(entry["status"])) for entry, path in zip(entries, paths, strict=True)
        )
    )


def without_reports(found: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    """Leave out what is requested again and again for the gauges."""
    return Counter(
        {key: count for key, count in found.items() if key[:2] not in [("GET", "/requester"), ("GET", "/pools")]}
    )


def test_every_documented_name_is_received(
    receiver: Receiver, airflow: LocalAirflow, connect_to: Connect, tmp_path: Path
) -> None:
    names = documented()
    with EmulatorServer(seed=1, speed=60) as toloka:
        connect_to("toloka_default", toloka)
        requests.put(f"{toloka.url}/_emulator/truth", json=digits(), timeout=10).raise_for_status()
        # Nobody answers before it was reported how far the pool is; and a quota is used up once.
        people = len(toloka.crowd.people())
        toloka.crowd.change(size=0)
        toloka.faults.add("GET", "/api/v1/pools/{id}", status=429, retry_after=1, times=1)
        airflow.api.wait_for_dag(DAG_ID)
        run_id = insist(partial(airflow.api.trigger, DAG_ID, {"images": 20, "output": f"file://{tmp_path}"}))
        wait_until(lambda: bool(receiver.samples("airflow.toloka.pools.percent")), "a report of the pool", PATIENCE)
        toloka.crowd.change(size=people)
        airflow.api.wait_for_run(DAG_ID, run_id)

        def missing() -> set[str]:
            return {f"{PREFIX}{name}" for name in names} - {sample.name for sample in receiver.samples()}

        wait_until(lambda: not missing(), "everything is reported", PATIENCE)
        wait_until(lambda: counted(receiver) == requested(toloka), "each request is counted once", PATIENCE)
        wait_until(lambda: receiver.samples(f"{PREFIX}toloka.waits", of="pool")[-1].value == 0, "no wait", PATIENCE)
    assert {sample.name for sample in receiver.samples()} == {f"airflow.{name}" for name in names}
    for sample in receiver.samples():
        row = names[sample.name.removeprefix(PREFIX)]
        kind = receiver.kind_of_timers if row.kind == "timer" else row.kind
        assert (sample.kind, set(sample.tags)) == (kind, row.tags), sample
        assert sample.tags["connection"] == "toloka_default"
        assert TOKEN not in str(sample)
    assert receiver.samples("airflow.toloka.closes", by="toloka", reason="completed")
    assert receiver.samples("airflow.toloka.quota_refusals", route="/pools/id")
