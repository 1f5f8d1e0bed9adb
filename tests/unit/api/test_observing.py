"""What is reported of requests: few routes, and each request that was sent once."""

from __future__ import annotations

import pytest

from tests.contract.test_all_calls import OPERATIONS
from tests.support import TOKEN, ScriptedServer, pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaConnectionError, TolokaError, TolokaNotSentError
from toloka_airflow.api.observing import Exchange, route_of
from toloka_airflow.api.settings import ClientSettings


def orphaned() -> None:
    raise TolokaNotSentError("an orphan")


@pytest.fixture
def seen() -> list[Exchange]:
    return []


@pytest.fixture
def client(server: ScriptedServer, seen: list[Exchange]) -> TolokaClient:
    settings = ClientSettings(TOKEN, base_url=server.url, first_pause=0.001)
    return TolokaClient(settings, observer=seen.append)


@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_a_documented_path_has_its_words(path: str) -> None:
    parts = path.split("/")
    wanted = "/".join("id" if "{" in part else part for part in parts)
    assert route_of("/".join("7f00-id" if "{" in part else part for part in parts)) == wanted


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/staging/analytics-2", "/api/staging/analytics-2"),
        ("/api/v1/pools/21", "/api/v1/pools/id"),
        ("/pools/21/secret", "/pools/id/id"),
        ("/a/b/c/d/e/f/g/h", "/id/id/id/id/id/id"),
        ("/pools/", "/pools"),
    ],
)
def test_any_other_part_is_taken_for_an_id(path: str, route: str) -> None:
    assert route_of(path) == route


def test_each_attempt_is_reported(client: TolokaClient, server: ScriptedServer, seen: list[Exchange]) -> None:
    server.error("GET", "/pools/21", 503, "UNAVAILABLE")
    server.answer("GET", "/pools/21", drop=True)
    server.answer("GET", "/pools/21", json=pool())
    client.get_pool("21")
    assert seen == [Exchange("GET", "/pools/id", status) for status in (503, None, 200)]


def test_the_same_client_otherwise_is_observed_as_well(
    client: TolokaClient, server: ScriptedServer, seen: list[Exchange]
) -> None:
    server.answer("GET", "/pools/21", json=pool(), times=2)
    client.without_retries().get_pool("21")
    client.with_own_session().get_pool("21")
    assert len(seen) == 2


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None, "Connection": "close"}], ids=["whole", "no length"])
def test_a_file_is_reported_once(
    client: TolokaClient, server: ScriptedServer, seen: list[Exchange], headers: dict[str, str | None]
) -> None:
    server.answer("GET", "/attachments/a-1/download", body=b"x" * 300_000, headers=headers)
    try:
        with client.download_attachment("a-1") as content:
            assert sum(map(len, content)) == 300_000
    except TolokaError:
        assert headers
    assert seen == [Exchange("GET", "/attachments/id/download", 200)]


def test_what_was_not_sent_is_not_reported(server: ScriptedServer, seen: list[Exchange]) -> None:
    settings = ClientSettings(TOKEN, base_url=server.url)
    tried: list[TolokaError] = []
    late = TolokaClient(settings, observer=seen.append, deadline=0.0, on_retry=tried.append)
    with pytest.raises(TolokaConnectionError, match="the time is up"):
        late.get_pool("21")
    assert tried == [], "no pause brings the time back"
    orphan = TolokaClient(settings, observer=seen.append, before_change=orphaned)
    with pytest.raises(TolokaNotSentError):
        orphan.close_pool("21")
    assert seen == []
