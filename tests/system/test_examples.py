"""Every example DAG is parsed with nothing defined, and runs to its end against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import TOKEN
from tests.worlds import digits, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import PoolStatus
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow whose database is ready and which has no connection."""
    home = tmp_path_factory.mktemp("airflow")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = {
        **clean,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags_examples"),
    }
    run([sys.executable, "-m", "airflow", "db", "migrate"], env)
    return env


@pytest.fixture
def toloka() -> Iterator[EmulatorServer]:
    """A local Toloka where a minute passes in 50 ms."""
    with EmulatorServer(seed=1, speed=1200) as server:
        yield server


def run(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, cwd=ROOT, text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout


def run_example(name: str, airflow: dict[str, str], *conf: dict[str, Any]) -> dict[str, Any]:
    """Parse an example and, with a conf, run it."""
    command = [sys.executable, "tests/system/run_example.py", f"dags_examples/{name}.py", *map(json.dumps, conf)]
    return json.loads(run(command, airflow).splitlines()[-1])  # type: ignore[no-any-return]


@pytest.fixture
def connected(airflow: dict[str, str], toloka: EmulatorServer) -> dict[str, str]:
    """The same Airflow with a connection to the local Toloka."""
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    return {**airflow, "AIRFLOW_CONN_TOLOKA_DEFAULT": connection}


@pytest.mark.parametrize("name", EXAMPLES)
def test_parsing_needs_no_connection_and_no_network(name: str, airflow: dict[str, str]) -> None:
    assert run_example(name, airflow) == {"dag_id": name}


def test_pool_lifecycle(connected: dict[str, str], toloka: EmulatorServer) -> None:
    client = TolokaClient(TOKEN, base_url=toloka.url)
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": "?"}, "overlap": 3}])
    ended = run_example("pool_lifecycle", connected, {"pool_id": pool_id})
    assert ended["state"] == "success"
    assert set(ended["tasks"].values()) == {"success"}
    assert client.get_pool(pool_id).status == PoolStatus.ARCHIVED


def test_label_digits(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    requests.put(f"{toloka.url}/_emulator/truth", json=digits(), timeout=10).raise_for_status()
    conf = {"images": 60, "output": f"file://{tmp_path}"}
    ended = run_example("label_digits", connected, conf)
    assert ended["state"] == "success", ended
    assert set(ended["tasks"].values()) == {"success"}
    [pool] = TolokaClient(TOKEN, base_url=toloka.url).list_pools()
    assert (pool.status, pool.last_close_reason) == (PoolStatus.ARCHIVED, "COMPLETED")
    [answers] = tmp_path.glob("*.jsonl")
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(rows) == 60 * 5
    assert len({(row["image_id"], row["user_id"]) for row in rows}) == len(rows)
