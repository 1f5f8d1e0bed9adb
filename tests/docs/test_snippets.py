"""The blocks that name this file are run here, each as it stands, against a local Toloka."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from toloka_airflow.emulator.server import EmulatorServer

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("emulator.md", "hook.md", "performance.md", "quality.md")
BLOCK = re.compile(r"^<!-- runs in: tests/docs/test_snippets\.py -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, *block) for page in PAGES for block in BLOCK.findall((DOCS / page).read_text())]


def of(language: str) -> list[tuple[str, str]]:
    return [(page, text) for page, kind, text in BLOCKS if kind == language]


def test_nothing_is_left_out() -> None:
    assert {page for page, *_ in BLOCKS} == {*PAGES}
    assert {kind for _, kind, _ in BLOCKS} == {"python", "shell", "json"}


@pytest.mark.parametrize(("page", "code"), of("python"))
def test_python(page: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer(seed=1, frozen=True) as toloka:
        monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", toloka.connection)
        names: dict[str, object] = {}
        exec(compile(code, page, "exec"), names)
        if "def balance" in code:
            assert names["balance"].function() == "1000.0"  # type: ignore[attr-defined]


def test_every_steering_call_is_understood() -> None:
    [(_, commands)] = of("shell")
    assert commands.count("curl ") > 8
    with EmulatorServer(seed=1, frozen=True) as toloka:
        there = commands.replace("curl ", "curl --fail-with-body --silent --show-error --noproxy '*' ")
        shell = ["bash", "-euo", "pipefail", "-c", there.replace("http://127.0.0.1:8765", toloka.url)]
        done = subprocess.run(shell, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_world_that_is_shown_has_a_pool() -> None:
    [(_, world)] = of("json")
    with EmulatorServer(seed=1, frozen=True) as toloka:
        toloka.load(json.loads(world))
        assert toloka.pool("21")["status"] == "OPEN"
