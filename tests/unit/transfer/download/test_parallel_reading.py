"""Answers that are read by several requests at a time: all of them, in order, not all of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from tests.support import TOKEN, ScriptedServer
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.transfer.download.parallel_reading import STRETCH_PAGES, ParallelReading

ANSWERED = ("SUBMITTED", "ACCEPTED", "REJECTED")
MIXER = {"real_tasks_count": 1, "golden_tasks_count": 0, "training_tasks_count": 0}


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True, start="2026-01-01T00:00:00") as server:
        yield server


@pytest.fixture(scope="module")
def pool_id(emulator: EmulatorServer) -> str:
    """A pool with 200 answers."""
    pool_id = emulator.add_pool(100, overlap=2, open=True, mixer_config=MIXER)
    emulator.clock.advance(86400)
    return pool_id


@pytest.fixture
def toloka(emulator: EmulatorServer) -> Iterator[EmulatorServer]:
    yield emulator
    emulator.faults.clear()


def client(url: str) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=url, first_pause=0.001))


@pytest.mark.parametrize("in_flight", [1, 4, 64])
@pytest.mark.parametrize("page_size", [1, 3, 50, 300])
def test_all_are_read_in_order(toloka: EmulatorServer, pool_id: str, in_flight: int, page_size: int) -> None:
    wanted = [one.id for one in client(toloka.url).list_assignments(pool_id=pool_id, status=ANSWERED)]  # type: ignore[arg-type]
    toloka.faults.add("GET", "/api/v1/assignments", probability=0.02, half_body=True)
    reading = ParallelReading(client(toloka.url), pool_id, in_flight=in_flight, page_size=page_size, status=ANSWERED)
    assert [answer.id for answer in reading] == wanted
    assert [answer.id for answer in reading] == wanted, "it may be read again"
    assert len(wanted) == 200


def test_no_more_is_read_than_there_are_requests(toloka: EmulatorServer, pool_id: str) -> None:
    """A review that takes long does not have a million answers in memory."""
    before = len(toloka.journal.requests(method="GET", path="/api/v1/assignments"))
    reading = iter(ParallelReading(client(toloka.url), pool_id, in_flight=2, page_size=5, status=ANSWERED))
    assert len(list(islice(reading, 6))) == 6
    reading.close()  # type: ignore[attr-defined]
    read = len(toloka.journal.requests(method="GET", path="/api/v1/assignments")) - before
    assert read < 40 - 2 * STRETCH_PAGES, "there are 40 pages"


@pytest.mark.parametrize("items", [[], [{"id": "a-1", "pool_id": "21", "status": "SUBMITTED"}]])
def test_one_page_takes_one_request(server: ScriptedServer, items: list[dict[str, str]]) -> None:
    server.answer("GET", "/assignments", json={"items": items, "has_more": False})
    assert len(list(ParallelReading(client(server.url), "21", in_flight=8))) == len(items)
    assert len(server.seen) == 1


def test_ids_of_another_shape_are_read_one_page_after_the_other(server: ScriptedServer) -> None:
    pages = [(["x-1", "x-2"], True), (["x-3", "x-4"], True), (["x-9"], False)]
    for ids, more in pages:
        items = [{"id": name, "pool_id": "21", "status": "SUBMITTED"} for name in ids]
        server.answer("GET", "/assignments", json={"items": items, "has_more": more})
    found = [answer.id for answer in ParallelReading(client(server.url), "21", in_flight=8)]
    assert found == ["x-1", "x-2", "x-3", "x-4", "x-9"]
    assert all("id_lte" not in seen.query for seen in server.seen)


def test_an_error_ends_it(toloka: EmulatorServer, pool_id: str) -> None:
    toloka.faults.add("GET", "/api/v1/assignments", status=403, skip=9)
    with pytest.raises(TolokaApiError, match="403"):
        list(ParallelReading(client(toloka.url), pool_id, in_flight=4, page_size=3, status=ANSWERED))
