"""The emulator as a server in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from toloka_airflow.emulator.app import DROP, create_app
from toloka_airflow.emulator.clock import Clock
from toloka_airflow.emulator.pools import summary
from toloka_airflow.emulator.world import World

if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

    from toloka_airflow.emulator.crowd import Crowd, CrowdSettings
    from toloka_airflow.emulator.faults import Faults
    from toloka_airflow.emulator.journal import Journal
    from toloka_airflow.emulator.progression import Progressions

START_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0
BACKLOG = 128


class EmulatorServer:
    """
    Serve a world of its own over HTTP: `with EmulatorServer(seed=1, speed=60) as server: server.url`.

    It accepts requests when `start` returns and is gone when `stop` returns. What can be steered over HTTP
    can be steered from Python too, from any thread.

    :param host: Address to listen at.
    :param port: Port to listen at; 0 takes a free one.
    :param seed: The same seed gives the same people, answers and ids.
    :param speed: Virtual seconds per real second.
    :param frozen: Let virtual time stand still until `clock.advance`.
    :param start: Virtual time to begin at, `YYYY-MM-DDThh:mm:ss`; the real time if None.
    :param crowd: The simulated Tolokers.
    :param balance: Money on the requester's account.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        speed: float = 1.0,
        frozen: bool = False,
        start: str | None = None,
        crowd: CrowdSettings | None = None,
        balance: Decimal | float = 1000,
    ) -> None:
        clock = Clock(start=start, speed=speed, frozen=frozen)
        self.url = ""
        self._world = World(seed=seed, clock=clock, crowd=crowd, balance=balance)
        self._address = (host, port)
        self._runner: _Runner | None = None

    @property
    def world(self) -> World:
        """Return the world, brought up to the clock; whoever changes it holds `world.lock`."""
        with self._world.up_to_date() as world:
            return world

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._world.clock

    @property
    def faults(self) -> Faults:
        """Return the queue of faults."""
        return self._world.faults

    @property
    def journal(self) -> Journal:
        """Return the journal, brought up to the clock."""
        return self.world.journal

    @property
    def crowd(self) -> Crowd:
        """Return the crowd: `crowd.change(size=5)`, `crowd.truth.tell([{"match": ..., "output_values": ...}])`."""
        return self._world.crowd

    @property
    def progressions(self) -> Progressions:
        """Return how long operations take: `progressions.set(Progression(looks=2), type="POOL.OPEN")`."""
        return self._world.progressions

    def set_balance(self, balance: Decimal | float) -> None:
        """Set the money on the requester's account."""
        self._world.set_balance(balance)

    def pool(self, pool_id: str) -> dict[str, Any]:
        """Return status, close reason, answers, people and money of a pool or a training."""
        with self._world.up_to_date() as world:
            return summary(world.pools[pool_id])

    def reset(self) -> None:
        """Begin anew with the same seed and settings; the clock runs on as it is."""
        self._world.reset()

    def start(self) -> Self:
        """Begin to listen."""
        if self._runner is not None:
            raise RuntimeError("The emulator is running already")
        listener = _listen(*self._address)
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._runner = _Runner(create_app(self._world), listener)
        self._runner.start()
        return self

    def stop(self) -> None:
        """Close all connections and end the thread; does nothing if the emulator is not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off: it would cost 40 ms per answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class _Runner:
    """
    Run uvicorn's protocol in an event loop and a thread of its own.

    Not `uvicorn.Server`: it looks for its stop flag ten times a second and sleeps once more on the way out,
    which would cost every test of a user up to 0.3 s.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._state = ServerState()
        self._leave = asyncio.Event()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="toloka-emulator", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until it serves."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise RuntimeError(f"The emulator did not start within {START_TIMEOUT:.0f} s")

    def stop(self) -> None:
        """End the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        config = uvicorn.Config(
            self._with_drop,
            http="h11",
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            # As long as usual servers do: a client that polls every ten seconds keeps its connection.
            timeout_keep_alive=75,
        )
        config.load()

        # Not the parser that uvicorn would choose: this is the one that every installation has.
        def protocol() -> asyncio.Protocol:
            return H11Protocol(config=config, server_state=self._state, app_state={})

        server = await self._loop.create_server(protocol, sock=self._listener)
        self._ready.set()
        await self._leave.wait()
        server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        for connection in self._connections():
            connection.transport.close()
        # Requests that are being delayed end as soon as they notice.
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=STOP_TIMEOUT / 2)

    def _connections(self) -> list[H11Protocol]:
        return [connection for connection in self._state.connections if isinstance(connection, H11Protocol)]

    async def _with_drop(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def drop() -> None:
            for connection in self._connections():
                if connection.client == scope["client"]:
                    connection.transport.close()
            # Until uvicorn knows, it would answer 500 for an application that did not answer.
            while (await receive())["type"] != "http.disconnect":
                continue

        extensions = {**scope.get("extensions", {}), DROP: drop}
        await self._app({**scope, "extensions": extensions}, receive, send)
