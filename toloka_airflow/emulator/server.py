"""The emulator as a server in a thread of this process."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow.emulator.http.app import API_ROUTES
from toloka_airflow.emulator.http.guard import Guard, is_loopback
from toloka_airflow.emulator.resources import webhooks
from toloka_airflow.emulator.resources.pools.pools import summary
from toloka_airflow.emulator.runner import Runner, listen
from toloka_airflow.emulator.simulation import seed as seed_data
from toloka_airflow.emulator.simulation import snapshot
from toloka_airflow.emulator.simulation.simulation import Simulation
from toloka_airflow.emulator.world.clock import Clock
from toloka_airflow.emulator.world.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from types import TracebackType

    from toloka_airflow.emulator.people.crowd import Crowd, CrowdSettings
    from toloka_airflow.emulator.world.faults import Faults
    from toloka_airflow.emulator.world.journal import Journal
    from toloka_airflow.emulator.world.progression import Progressions

__all__ = ["EmulatorServer"]


class EmulatorServer:
    """
    Serve a world of its own over HTTP: `with EmulatorServer(seed=1, speed=60) as server: server.url`.

    It accepts requests when `start` returns and is gone when `stop` returns. What can be steered over HTTP
    can be steered from Python too, from any thread.

    :param host: Address to listen at. Other machines reach none but loopback addresses only with `allow_remote`.
    :param port: Port to listen at; 0 takes a free one.
    :param seed: The same seed gives the same people, answers and ids.
    :param speed: Virtual seconds per real second.
    :param frozen: Let virtual time stand still until `clock.advance`.
    :param start: Virtual time to begin at, `YYYY-MM-DDThh:mm:ss`; the real time if None.
    :param crowd: The simulated Tolokers.
    :param balance: Money on the requester's account.
    :param seed_file: A JSON file that tells what there is at the beginning and after a reset.
    :param quotas: Refuse calls beyond the documented quotas with 429. Quotas of methods pass in virtual time; 300
        requests per second are the most while the clock runs at real speed, and no limit if it is faster or frozen.
    :param allow_remote: Whether everybody who reaches the address may read, change and steer everything: the emulator
        asks for no password.
    :param allow_hosts: Names under which clients reach the emulator, besides addresses and `localhost`.
    :raises ValueError: If one of them cannot be used.
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
        quotas: bool = True,
        seed_file: str | Path | None = None,
        allow_remote: bool = False,
        allow_hosts: Sequence[str] = (),
    ) -> None:
        if not (allow_remote or is_loopback(host)):
            raise ValueError(
                f"host is {host!r}, which other machines may reach, and all of them could steer the emulator; "
                "set allow_remote (--allow-remote) if they may, or listen at 127.0.0.1"
            )
        self._guard = Guard(allow_remote, tuple(allow_hosts))
        clock = Clock(start=start, speed=speed, frozen=frozen)
        data = None if seed_file is None else json.loads(Path(seed_file).read_text())
        self.url = ""
        with _value_errors():
            self._world = Simulation(
                seed=seed, clock=clock, crowd=crowd, balance=balance, quotas=quotas, data=data, routes=API_ROUTES
            )
        self._address = (host, port)
        self._runner: Runner | None = None

    @property
    def connection(self) -> str:
        """Return an Airflow connection as JSON, for a variable such as `AIRFLOW_CONN_TOLOKA_DEFAULT`."""
        return json.dumps({"conn_type": "toloka", "host": self.url, "password": "any-token-will-do"})

    @property
    def world(self) -> Simulation:
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

    def accept_tokens(self, *tokens: str) -> None:
        """Refuse all other tokens from now on with 401, as if the token was changed; accept any if none is given."""
        self._world.accept_only(tokens)

    def pool(self, pool_id: str) -> dict[str, Any]:
        """
        Return status, close reason, answers, people and money of a pool or a training.

        :raises ValueError: If there is none with this id.
        """
        with self._world.up_to_date() as world:
            if (pool := world.pools.get(pool_id)) is None:
                known = ", ".join(world.pools) or "none"
                raise ValueError(f"pool_id is {pool_id!r}; there is no such pool or training; there are: {known:.200}")
            return summary(pool)

    def settle(self, timeout: float = 5.0) -> bool:
        """Wait until all webhooks that are due were delivered or refused; return False after `timeout` real seconds."""
        with self._world.up_to_date() as world:
            courier = world.courier
        return courier.wait(timeout)

    def reset(self) -> None:
        """Begin anew with the same seed, seed file and settings; the clock, too."""
        self._world.reset()

    def load(self, document: dict[str, Any]) -> dict[str, list[str]]:
        """Add what a document like a seed file tells of; return the ids of projects, trainings and pools."""
        with _value_errors():
            return seed_data.load(self._world, document)

    def add_pool(
        self,
        tasks: int | Sequence[dict[str, Any]] = 5,
        *,
        overlap: int = 1,
        open: bool = False,
        project: dict[str, Any] | None = None,
        **body: Any,
    ) -> str:
        """
        Create a project, a pool and its tasks, and return the id of the pool.

        :param tasks: How many tasks, or the input values of each.
        :param overlap: How many people answer each task.
        :param open: Open the pool at once.
        :param project: Fields of the project; by default it asks for the label yes or no about such tasks.
        :param body: Fields of the pool that shall not be as in the sample.
        """
        with _value_errors(), self._world.up_to_date() as world:
            return seed_data.add_pool(world, tasks, overlap=overlap, open=open, project=project, **body)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as a JSON document: also time, chance, and what is planned."""
        return snapshot.take(self._world)

    def restore(self, document: dict[str, Any]) -> None:
        """Go back, or on, to a snapshot; of this emulator or another."""
        snapshot.restore(self._world, document)

    def start(self) -> Self:
        """Begin to listen."""
        if self._runner is not None:
            raise RuntimeError("The emulator is running already")
        listener = listen(*self._address)
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        with self._world.lock:
            if self._world.courier.is_stopped:
                self._world.courier.start()
                webhooks.resume(self._world)
        self._runner = Runner(self._world, listener, self._guard)
        self._runner.start()
        return self

    def stop(self) -> None:
        """Close all connections and end the thread; does nothing if the emulator is not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._world.courier.stop()
            runner.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def _value_errors() -> Iterator[None]:
    """Raise a ValueError where the API would refuse."""
    try:
        yield
    except Refusal as refusal:
        raise ValueError(f"{refusal.message}: {json.dumps(refusal.payload)}") from refusal
