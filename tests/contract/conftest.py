"""The same client against the same emulator: in process, and over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict

from tests.support import TOKEN
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.http.app import create_app
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.simulation.simulation import Simulation
from toloka_airflow.emulator.world.clock import Clock

IN_PROCESS = "http://127.0.0.1"


class AsgiAdapter(BaseAdapter):
    """Let `requests` call an ASGI application instead of a socket."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Run the application once, and return what it sent."""
        sent: list[dict[str, Any]] = []
        asyncio.run(self._call(request, sent))
        response = Response()
        response.request, response.url = request, str(request.url)
        response.status_code = sent[0]["status"]
        headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        response.headers = CaseInsensitiveDict(headers)
        response.raw = BytesIO(b"".join(message.get("body", b"") for message in sent[1:]))
        return response

    async def _call(self, request: PreparedRequest, sent: list[dict[str, Any]]) -> None:
        address = urlsplit(str(request.url))
        body = request.body or b""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": address.path,
            "raw_path": address.path.encode(),
            "query_string": address.query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [
                (b"host", address.netloc.encode()),
                *((name.lower().encode(), str(value).encode()) for name, value in request.headers.items()),
            ],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body.encode() if isinstance(body, str) else body}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Toloka:
    """A client and what steers the emulator that it talks to."""

    client: TolokaClient
    clock: Clock
    world: Simulation


@pytest.fixture(params=["in-process", "socket"])
def toloka(request: pytest.FixtureRequest) -> Iterator[Toloka]:
    """A client of an emulator whose time stands still until a test advances it."""
    settings: dict[str, Any] = {"seed": 1, "frozen": True, "start": "2026-01-05T09:00:00"}
    if request.param == "socket":
        with EmulatorServer(**settings) as server:
            yield Toloka(
                TolokaClient(ClientSettings(TOKEN, base_url=server.url, retry_budget=0)), server.clock, server.world
            )
        return
    clock = Clock(start=settings["start"], frozen=True)
    world = Simulation(seed=1, clock=clock)
    with requests.Session() as session:
        session.mount("http://", AsgiAdapter(create_app(world)))
        yield Toloka(
            TolokaClient(ClientSettings(TOKEN, base_url=IN_PROCESS, retry_budget=0), session=session), clock, world
        )
