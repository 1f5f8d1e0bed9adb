"""Who may import whom, as CONTRIBUTING.md says it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "toloka_airflow"
EMULATOR = "emulator.http", "emulator.rules", "emulator.people", "emulator.forms", "emulator.world"
# What each room may import, besides itself. Inside the emulator, only HTTP is on top.
ARROWS: dict[str, set[str]] = {
    "api": set(),
    "storage": set(),
    "timetables": set(),
    "get_provider_info": set(),
    "hooks": {"get_provider_info", "api"},
    "links": {"api"},
    "assets": {"api", "hooks"},
    "plugin": {"links", "startup", "timetables"},
    "startup": {"triggers"},
    "progress": {"api"},
    "arguments": {"api"},
    "closing": {"api", "hooks"},
    "looks": {"api", "hooks"},
    "streams": {"api", "looks"},
    "triggers": {"api", "closing", "hooks", "looks", "progress", "streams"},
    "watchers": {"api", "arguments", "looks", "streams", "triggers"},
    "sensors": {"api", "arguments", "assets", "closing", "hooks", "links", "looks", "progress", "triggers"},
    "identity": set(),
    "transfer": {"api", "arguments", "hooks", "identity", "links", "storage"},
    "operators": {
        "api",
        "arguments",
        "assets",
        "closing",
        "hooks",
        "identity",
        "links",
        "progress",
        "storage",
        "transfer",
        "triggers",
    },
    "windows": {"hooks", "operators", "sensors"},
    "emulator.http": {*EMULATOR, "emulator"},
    **{room: {*EMULATOR, "emulator"} - {"emulator.http"} for room in EMULATOR[1:]},
    "emulator": {*EMULATOR},
}
ANYBODY = "toloka_airflow"
"""The version, which is all that the package itself holds."""


def room_of(module: str) -> str:
    """Return the room of a module of ours, by its full name."""
    name = module.removeprefix("toloka_airflow").removeprefix(".")
    first, _, rest = name.partition(".")
    inner = f"emulator.{rest.partition('.')[0]}"
    return inner if first == "emulator" and inner in EMULATOR else first or ANYBODY


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_imported_against_the_arrows(path: Path) -> None:
    room = room_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    ours = {room_of(name) for name in imports(path) if name.split(".")[0] == "toloka_airflow"}
    known = {name if name in ARROWS else ANYBODY for name in ours}
    assert known - {room, ANYBODY} <= ARROWS.get(room, set())


def test_the_client_and_the_emulator_need_no_airflow() -> None:
    for room in ("api", "emulator"):
        for path in (PACKAGE / room).rglob("*.py"):
            assert not [name for name in imports(path) if name.split(".")[0] == "airflow"], path
