"""What docs/start.md and docs/first-dag.md have a newcomer type is typed here, in one shell, against a local Toloka."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow_home import airflow_home, clean_environment
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
START = (ROOT / "docs" / "start.md").read_text()
FIRST_DAG = (ROOT / "docs" / "first-dag.md").read_text()
COMMANDS = re.compile(r"(?<! -->\n)^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = re.compile(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CSV = re.compile(r"^The file `(\S+)`:\n\n```csv\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def env(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder as after the installation: the checkout, and an Airflow whose database is ready."""
    (tmp_path / "toloka_airflow").symlink_to(ROOT)
    (tmp_path / "airflow").symlink_to(airflow_home(tmp_path_factory))
    clean = clean_environment()
    return {**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def typed(page: str) -> str:
    """Return what a page has typed; the Toloka of the test is there already."""
    return "".join(block for block in COMMANDS.findall(page) if not block.startswith("toloka-emulator"))


def run(commands: str, env: dict[str, str], folder: Path, toloka: EmulatorServer) -> str:
    assert "http://127.0.0.1:8123" in commands
    shell = ["bash", "-euo", "pipefail", "-c", commands.replace("http://127.0.0.1:8123", toloka.url)]
    done = subprocess.run(shell, cwd=folder, env=env, text=True, capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return done.stdout


def labels(folder: Path) -> list[dict[str, object]]:
    [path] = folder.glob("*/labels.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_from_nothing_to_labels(env: dict[str, str], tmp_path: Path) -> None:
    with EmulatorServer(seed=1, speed=600) as toloka:
        printed = run(typed(START), env, tmp_path, toloka)
    assert "(True, " in printed
    [shown] = re.findall(r"^```json\n(.*?)^```$", START, re.MULTILINE | re.DOTALL)
    assert [label.keys() for label in labels(tmp_path / "out")] == [json.loads(shown).keys()] * 3


def test_the_emulator_is_started_as_shown() -> None:
    [command] = re.findall(r"^toloka-emulator (.*) &$", START, re.MULTILINE)
    assert command == "--port 8123 --speed 600"


def test_the_first_dag(env: dict[str, str], tmp_path: Path) -> None:
    for name, text in [*FILES.findall(FIRST_DAG), *CSV.findall(FIRST_DAG)]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)
    setup = "".join(block for block in COMMANDS.findall(START) if "AIRFLOW_CONN" in block)
    with EmulatorServer(seed=1, speed=600) as toloka:
        printed = run(setup + typed(FIRST_DAG), env, tmp_path, toloka)
    assert re.search(r"^total +0\.39 +0\.39$", printed, re.MULTILINE)
    assert len(labels(tmp_path / "comments")) == 8
