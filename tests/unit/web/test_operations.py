"""How often the operations of a pool are requested: counted by a local Toloka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import TOKEN, ScriptedServer, operation
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import Pool
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.web.operations import Operations


@pytest.fixture
def toloka() -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1) as server:
        server.crowd.change(size=0)
        server.clock.freeze()
        yield server


@pytest.fixture
def client(toloka: EmulatorServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).without_retries(timeout=30)


def requests_of(toloka: EmulatorServer) -> list[str]:
    """Return which operations and logs have been requested, in order."""
    return [
        entry["path"].removeprefix("/api/v1/operations/")
        for entry in toloka.journal.requests("GET")
        if entry["path"].startswith("/api/v1/operations/")
    ]


def test_an_operation_that_has_ended_is_fetched_once(toloka: EmulatorServer, client: TolokaClient) -> None:
    pool = client.get_pool(toloka.add_pool())
    first = client.open_pool(pool.id)
    assert first is not None
    toloka.clock.advance(3600)
    second = client.close_pool(pool.id)
    assert second is not None
    operations, ids = Operations(), [second.id, first.id]

    def fetch() -> list[tuple[str, str]]:
        """Return the id and the status of each operation."""
        found = operations.fetch(client, client.get_pool(pool.id), ids)
        return [(each.operation.id, each.operation.status.value) for each in found]

    under_way = fetch()
    assert [id_ for id_, _ in under_way] == ids
    assert under_way[0][1] in ("PENDING", "RUNNING")
    assert under_way[1][1] == "SUCCESS"
    assert fetch() == under_way
    assert requests_of(toloka) == [*ids, second.id]
    toloka.clock.advance(3600)
    ended = [(second.id, "SUCCESS"), (first.id, "SUCCESS")]
    assert [fetch() for _ in range(3)] == [ended] * 3
    assert requests_of(toloka) == [*ids, second.id, second.id]


def test_a_log_that_could_not_be_fetched_is_fetched_again(server: ScriptedServer) -> None:
    """No operation that a task names has a log yet, as far as is documented, and is about a pool."""
    client = TolokaClient(ClientSettings(TOKEN, base_url=server.url)).without_retries(timeout=30)
    pool = Pool.from_api({"id": "21", "project_id": "10", "status": "OPEN"})
    server.default("GET", "/operations/op-1", operation(type="POOL.BATCH_CREATE"))
    server.answer("GET", "/operations/op-1/log", 503)
    server.default("GET", "/operations/op-1/log", [{"type": "POOL_VALIDATE", "success": True, "output": "as is"}])
    operations = Operations()
    logs = [[*each.log] for _ in range(4) for each in operations.fetch(client, pool, ["op-1"])]
    assert logs[0] == ["The log could not be fetched: Toloka answered 503"]
    assert logs[1:] == [["POOL_VALIDATE: done (as is)"]] * 3
    assert server.calls() == ["GET /operations/op-1", "GET /operations/op-1/log"] * 2


def test_what_another_pool_did_is_not_shown(toloka: EmulatorServer, client: TolokaClient) -> None:
    pool, other = (client.get_pool(toloka.add_pool(open=True)) for _ in range(2))
    close = client.close_pool(other.id)
    assert close is not None
    toloka.clock.advance(3600)
    operations = Operations()
    for _ in range(2):
        assert operations.fetch(client, pool, [close.id, "no-such-operation"]) == []
        [shown] = operations.fetch(client, other, [close.id])
        assert shown.operation.id == close.id
