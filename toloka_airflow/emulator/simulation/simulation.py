"""A whole Toloka: the world, the people in it, and what it sends to others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from toloka_airflow.emulator.people.crowd import Crowd, CrowdSettings, PeopledWorld
from toloka_airflow.emulator.quality import control
from toloka_airflow.emulator.resources import webhooks
from toloka_airflow.emulator.simulation import seed as seed_data

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from decimal import Decimal

    from toloka_airflow.emulator.world.clock import Clock
    from toloka_airflow.emulator.world.entities import Json


class Simulation(PeopledWorld):
    """
    A world in which people work and whose webhooks are sent.

    :param seed: The same seed gives the same people, answers and ids.
    :param clock: Virtual time; that of this machine if None.
    :param crowd: The people.
    :param balance: Money on the requester's account.
    :param quotas: Whether calls beyond the documented quotas are refused.
    :param data: What there is at the beginning and after a reset, like a seed file.
    :param routes: Method and path of the calls that there are, so that no fault is set for another one.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        crowd: CrowdSettings | None = None,
        balance: Decimal | float = 1000,
        quotas: bool = True,
        data: Json | None = None,
        routes: Collection[tuple[str, str]] = (),
    ) -> None:
        self._crowd_settings = crowd or CrowdSettings()
        self._data = data
        super().__init__(seed=seed, clock=clock, balance=balance, quotas=quotas, routes=routes)

    def _build(self) -> None:
        super()._build()
        self.crowd = Crowd(self, self._crowd_settings)
        self.crowd.listen()
        webhooks.listen(self)
        control.listen(self)
        if self._data is not None:
            seed_data.load(self, self._data)

    def resume(self) -> None:
        """Go on from another state, which was put into the attributes."""
        super().resume()
        self.crowd.find_people()

    @contextmanager
    def up_to_date(self) -> Iterator[Self]:
        """Hold the world still, at the clock's now; then send what has come up."""
        with super().up_to_date():
            yield self
            webhooks.send_waiting(self)
