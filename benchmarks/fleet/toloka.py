"""
A local Toloka at the speed of real time and with its quotas, whose operations and pools end at moments that are known.

Beside Toloka's API there is a page for each operation, which is 404 until it has ended: what `HttpSensorTrigger` waits
for. The page is on a port of its own, and what it is asked for counts for no quota.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.resources import operations
from toloka_airflow.emulator.runner import configuration
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.clock import format_date, parse_date
from toloka_airflow.emulator.world.progression import Progression

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from toloka_airflow.emulator.world.entities import Operation
    from toloka_airflow.emulator.world.world import World

BACKLOG = 4096
ID = re.compile(r"/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")
LIST, BY_ID, OTHER, PAGE = "list", "by id", "other", "page"
Request = tuple[float, str]
"""Unix time, and which kind of a request it was."""


class Toloka:
    """
    Serve the API and the pages until the end of a ``with``.

    :param port: That of the API.
    """

    def __init__(self, port: int = 0) -> None:
        self.api = EmulatorServer(port=port, crowd=CrowdSettings(size=0), balance=10_000_000)
        self.pages = Pages(self.api)

    def __enter__(self) -> Self:
        self.api.start()
        self.pages.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.pages.stop()
        self.api.stop()

    def start_operations(self, ends: Sequence[float]) -> list[str]:
        """Start an operation for each of the Unix times, at which it will end; return their ids."""
        with self.api.world.up_to_date() as world:
            begun = []
            for end in ends:
                world.progressions.set(Progression(seconds=end - world.now / 1000))
                begun.append(operations.start(world, "POOL.OPEN", {"pool_id": "1"}, _nothing))
            world.progressions.set(Progression(seconds=1))
        return [operation.id for operation in begun]

    def open_pools(self, ends: Sequence[float]) -> list[str]:
        """Open a pool for each of the Unix times, at which it will expire; return their ids."""
        pools = [{"tasks": 1, "will_expire": format_date(round(end * 1000)), "open": True} for end in ends]
        return self.api.load({"projects": [{"pools": pools}]})["pools"]

    def requests(self, since: float) -> list[Request]:
        """Return all requests since a Unix time, in order."""
        sent = [
            (parse_date(entry["at"]) / 1000, sort_of(entry["method"], entry["path"]))
            for entry in self.api.journal.requests()
        ]
        return sorted(each for each in [*sent, *self.pages.requests] if each[0] >= since)

    def refused(self) -> int:
        """Return how many requests were one too many for a quota."""
        return sum(entry.get("status") == 429 for entry in self.api.journal.requests())


def sort_of(method: str, path: str) -> str:
    """Return whether a request is one of a list, of something by its id, or another one."""
    if method != "GET":
        return OTHER
    return BY_ID if ID.search(path) else LIST


def spread(count: int, begin: float, seconds: float) -> list[float]:
    """Return moments at random within some seconds, to the millisecond; the same ones for all who are compared."""
    chance = random.Random(count)
    return [round(begin + chance.uniform(0, seconds), 3) for _ in range(count)]


class Pages:
    """A server in a thread, with a page for each operation."""

    def __init__(self, toloka: EmulatorServer) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._toloka = toloka
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        config, state = configuration(self._answer), ServerState()
        server = await self._loop.create_server(
            lambda: H11Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0, backlog=BACKLOG
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests.append((time.time(), PAGE))
        operation = self._toloka.world.operations.get(scope["path"].rpartition("/")[2])
        found = operation is not None and operation.status.is_final
        await Response(status_code=200 if found else 404)(scope, receive, send)


def _nothing(world: World, operation: Operation) -> None:
    """Have no effect."""
