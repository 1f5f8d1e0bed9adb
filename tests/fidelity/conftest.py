"""What the suites of fidelity share. It knows neither Airflow nor the client of this project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

STEADY = CrowdSettings(size=10, accuracy=(0.9, 0.9), seconds_per_task=(5, 15), skip_rate=0, expire_rate=0)


@pytest.fixture
def emulator() -> Iterator[EmulatorServer]:
    """An emulator whose time stands still and whose operations end at once."""
    with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00", crowd=STEADY) as server:
        server.progressions.set(Progression(seconds=0))
        yield server


@pytest.fixture
def let_the_crowd_work(emulator: EmulatorServer) -> Any:
    """A function that lets a day go by."""

    def work() -> None:
        emulator.clock.advance(24 * 3600)

    return work
