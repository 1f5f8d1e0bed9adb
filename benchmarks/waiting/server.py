"""
The emulator, with operations whose ends are known; serves until nobody is there any more.

Beside Toloka's API it answers about the same operations in the manner of two others: as a page that is not there until
the operation is done, which is what `HttpSensorTrigger` waits for, and as a run of dbt Cloud, over TLS, as the provider
for dbt Cloud knows no other way. All requests but those of the benchmark itself are counted.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from benchmarks.certificate import make_certificate
from benchmarks.waiting.case import allow_many_files
from toloka_airflow.emulator.http.app import create_app
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.runner import configuration
from toloka_airflow.emulator.simulation.simulation import Simulation
from toloka_airflow.emulator.world.progression import Progression

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from toloka_airflow.emulator.world.entities import Operation

HOST = "127.0.0.1"
# Statuses of a run of dbt Cloud.
RUNNING, SUCCESS = 3, 10


class Bench:
    """The emulator's application, and around it what the benchmark needs."""

    def __init__(self) -> None:
        self.world = Simulation(quotas=False)
        self.app = create_app(self.world)
        self.runs: dict[int, Operation] = {}
        self.requests = 0
        # Unix time, CPU seconds and requests
        self.samples: list[tuple[float, float, int]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        kind, *rest = scope["path"].strip("/").split("/")
        if kind == "bench":
            await self._steer(rest[0], dict(parse_qsl(scope["query_string"].decode())))(scope, receive, send)
            return
        self.requests += 1
        if kind == "page":
            await self._page(rest[0])(scope, receive, send)
        elif rest[:2] == ["v2", "accounts"]:
            await self._run(int(rest[4]))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _page(self, operation_id: str) -> Response:
        with self.world.up_to_date() as world:
            operation = operations.look(world, world.operations[operation_id])
            return JSONResponse(operation.view(world.now), 200 if operation.status.is_final else 404)

    def _run(self, number: int) -> Response:
        with self.world.up_to_date() as world:
            operation = operations.look(world, self.runs[number])
            status = SUCCESS if operation.status.is_final else RUNNING
            return JSONResponse({"data": {"id": number, "status": status, "operation": operation.view(world.now)}})

    def _steer(self, what: str, query: dict[str, str]) -> Response:
        if what == "begin":
            return JSONResponse(self.begin(**{name: float(text) for name, text in query.items()}))
        self.sample()
        return JSONResponse(self.samples)

    def begin(self, count: float, lead: float, seconds: float) -> dict[str, Any]:
        """Start so many operations, which end at random within some seconds, after a lead."""
        chance = random.Random(count)
        first = len(self.runs) + 1
        with self.world.up_to_date() as world:
            start = world.now / 1000
            begun = []
            for _ in range(int(count)):
                world.progressions.set(Progression(seconds=lead + chance.uniform(0, seconds)))
                begun.append(operations.start(world, "POOL.OPEN", {"pool_id": "1"}, _nothing))
            self.runs |= dict(enumerate(begun, first))
            return {
                "first": first,
                "begin": start + lead,
                "ends": [(operation.due or 0) / 1000 for operation in begun],
                "operations": [operation.view(world.now) for operation in begun],
            }

    def sample(self) -> None:
        """Write down how it is now."""
        self.samples.append((time.time(), time.process_time(), self.requests))

    async def serve(self, folder: Path) -> None:
        """Serve with and without TLS, and say where."""
        config = configuration(self)
        state = ServerState()
        loop = asyncio.get_running_loop()
        ports = []
        for tls in (None, make_certificate(folder)):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.bind((HOST, 0))
            ports.append(listener.getsockname()[1])
            await loop.create_server(
                lambda: H11Protocol(config=config, server_state=state, app_state={}),
                sock=listener,
                ssl=tls,
                backlog=4096,
            )
        print(*ports, flush=True)
        while True:
            self.sample()
            await asyncio.sleep(1)


def _nothing(world: Simulation, operation: Operation) -> None:
    """Have no effect."""


def main() -> None:
    """Serve until nobody is there any more."""
    allow_many_files()
    serving = threading.Thread(target=lambda: asyncio.run(Bench().serve(Path(sys.argv[1]))), daemon=True)
    serving.start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
