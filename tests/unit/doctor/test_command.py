"""The command with an Airflow of which nothing runs: what it says, and that it changes nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_home import airflow_home, clean_environment
from tests.support import TOKEN, ScriptedServer

ROOT = Path(__file__).resolve().parents[3]
EXTRA_TOKEN = "another-secret-9876543210"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return airflow_home(tmp_path_factory)


def digest(home: Path) -> str:
    return hashlib.sha256((home / "airflow.db").read_bytes()).hexdigest()


def run(home: Path, *options: str, **env: str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "toloka_airflow.cli", "doctor", "--json", *options],
        env=clean_environment(
            AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False", PYTHONPATH=str(ROOT), **env
        ),
        cwd=home,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)["checks"], done.stdout + done.stderr


def test_nothing_was_ever_started_and_nothing_is_changed(home: Path, server: ScriptedServer) -> None:
    server.answer("GET", "/requester", json={"id": "r-1", "balance": 121.3})
    server.answer("GET", "/pools", json={"items": [], "has_more": False})
    server.answer("GET", "/trainings", json={"items": [], "has_more": False})
    connection = {"conn_type": "toloka", "host": server.url, "password": TOKEN}
    before = digest(home)
    code, checks, output = run(home, AIRFLOW_CONN_SCRIPTED=json.dumps(connection))
    assert code == 1
    failed = {line["check"]: line["message"] for line in checks if line["status"] == "fail"}
    assert failed == {
        "scheduler": "No scheduler was ever started",
        "dag-processor": "No dag processor was ever started",
        "triggerer": "No triggerer was ever started",
    }
    assert next(line["message"] for line in checks if line["conn_id"] == "scripted").startswith("Connected to")
    assert digest(home) == before
    assert {request.method for request in server.seen} == {"GET"}
    assert TOKEN not in output


def test_a_server_that_echoes_the_token_is_not_quoted(home: Path, server: ScriptedServer) -> None:
    """The token is in the extra, as the old provider had it, and in the text of the error."""
    echo = {"code": "INTERNAL_ERROR", "message": f"OAuth {EXTRA_TOKEN} is no good", "payload": {"token": EXTRA_TOKEN}}
    server.answer("GET", "/requester", status=500, json=echo)
    connection = {"conn_type": "toloka", "host": server.url, "extra": {"extra__toloka__token": EXTRA_TOKEN}}
    code, checks, output = run(home, "--conn-id", "old", AIRFLOW_CONN_OLD=json.dumps(connection))
    assert code == 1
    [line] = [line for line in checks if line["check"] == "connection"]
    assert (line["status"], "*** is no good" in line["message"]) == ("fail", True)
    assert EXTRA_TOKEN not in output


def test_an_airflow_that_cannot_be_imported_is_not_tried(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toloka_airflow.cli", "doctor", "--json"],
        env=clean_environment(AIRFLOW_HOME=str(home), AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"no-such-database:{TOKEN}"),
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert TOKEN not in done.stdout + done.stderr
