"""
The fixture `toloka_emulator`, for every project that has this package installed.

Pytest imports this module whenever it starts: what costs time is imported when a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toloka_airflow.emulator.server import EmulatorServer

__all__ = ["toloka_emulator"]

MARK = "toloka_emulator"
# Fast enough that nobody waits for people, and slow enough to watch.
DEFAULTS = {"seed": 0, "speed": 600.0}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARK}(**options): options of the emulator, see EmulatorServer")


@pytest.fixture
def toloka_emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorServer]:
    """
    Serve a local Toloka of its own to the test; ten minutes pass in a second.

    `@pytest.mark.toloka_emulator(seed=1, frozen=True)` chooses other options.
    """
    from toloka_airflow.emulator.server import EmulatorServer

    marks = request.node.iter_markers(MARK)
    options = {name: value for mark in reversed(list(marks)) for name, value in mark.kwargs.items()}
    with EmulatorServer(**DEFAULTS | options) as server:
        yield server
