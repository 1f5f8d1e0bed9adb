"""Uvicorn's protocol in an event loop and a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from toloka_airflow.emulator.http.app import DROP, create_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from toloka_airflow.emulator.http.guard import Guard
    from toloka_airflow.emulator.simulation.simulation import Simulation

LOG = logging.getLogger(__name__)
START_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0
BACKLOG = 128
# The ticker's rest in real seconds: what is due in the meantime happens together.
TICK = 0.01


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections."""
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


def configuration(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn is to serve the emulator, or what wraps it."""
    config = uvicorn.Config(
        app,
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
    return config


class Runner:
    """
    Run uvicorn's protocol in an event loop and a thread of its own.

    Not `uvicorn.Server`: it looks for its stop flag ten times a second and sleeps once more on the way out,
    which would cost every test of a user up to 0.3 s.
    """

    def __init__(self, world: Simulation, listener: socket.socket, guard: Guard) -> None:
        self._world = world
        self._app = create_app(world, guard)
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
        config = configuration(self._with_drop)

        # Not the parser that uvicorn would choose: this is the one that every installation has.
        def protocol() -> asyncio.Protocol:
            made = H11Protocol(config=config, server_state=self._state, app_state={})
            # Again: others who set up logging turn it on, and users would read it in each of their failing tests.
            made.access_log = False
            return made

        server = await self._loop.create_server(protocol, sock=self._listener)
        ticker = asyncio.create_task(self._tick(self._loop))
        self._ready.set()
        await self._leave.wait()
        server.close()
        await self._hang_up()
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker

    async def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let happen what is due even if nobody asks: webhooks come by themselves."""
        alarm = asyncio.Event()
        with self._world.clock.alarm.heard_by(partial(loop.call_soon_threadsafe, alarm.set)):
            while True:
                alarm.clear()
                try:
                    with self._world.up_to_date() as world:
                        pause = world.pause()
                except Exception:
                    # A snapshot may hold a world that contradicts itself: what else it planned happens all the same.
                    LOG.exception("Something that was planned could not happen")
                    pause = 0
                with suppress(TimeoutError):
                    await asyncio.wait_for(alarm.wait(), pause)
                await asyncio.sleep(TICK)

    async def _hang_up(self) -> None:
        connections = self._connections()
        for connection in connections:
            connection.transport.close()
        await asyncio.sleep(0)
        # A client that does not read its answer would keep the connection for as long as it likes.
        for connection in connections:
            connection.transport.abort()
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
