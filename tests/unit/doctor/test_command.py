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
from tests.unit.doctor.records import insert

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
    report = json.loads(done.stdout)
    assert (report["status"], report["exit_code"], report["checks"]) == ("unknown", 2, [])
    assert "airflow db check" in report["error"]


def test_what_others_connect_to_is_not_quoted(home: Path, server: ScriptedServer) -> None:
    """Nor do two connections to one account give each pool twice; and one that cannot be decrypted is not missing."""
    for _ in range(2):
        server.answer("GET", "/requester", json={"id": "r-1", "balance": 121.3})
    pool = {"id": "21", "project_id": "1", "private_name": "P", "status": "OPEN", "will_expire": "2030-01-01T00:00:00"}
    server.default("GET", "/pools", {"items": [pool], "has_more": False})
    server.default("GET", "/trainings", {"items": [], "has_more": False})
    trace = "ValueError: toloka: postgresql://me:secret-in-a-url@host/db does not take secret-of-another"
    another = {"id": 1, "conn_id": "another", "conn_type": "postgres", "password": "secret-of-another"}
    encrypted = {"id": 2, "conn_id": "encrypted", "conn_type": "toloka", "password": "by-another-key"}
    of_dag = {"id": 1, "filename": "/dags/a.py", "bundle_name": "dags", "stacktrace": trace}
    stored = [{**another, "is_encrypted": False}, {**encrypted, "is_encrypted": True}]
    insert(home, {"connection": stored, "dag_bundle": [{"name": "dags"}], "import_error": [of_dag]})
    connections = {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(
            {"conn_type": "toloka", "host": server.url, "password": TOKEN + name}
        )
        for name in ("one", "two")
    }
    _, checks, output = run(home, **connections)
    [error] = [line["message"] for line in checks if line["check"] == "import-errors"]
    assert "://***@host/db does not take ***" in error
    assert not any(secret in output for secret in ("secret-in-a-url", "secret-of-another", TOKEN))
    said = {line["conn_id"]: line["message"] for line in checks if line["check"] == "open-pools"}
    assert "Pool 21 (P) is open" in said["one"]
    assert said["two"] == "It is the account of one, whose line says it"
    [line] = [line for line in checks if (line["check"], line["conn_id"]) == ("connection", "encrypted")]
    assert line["message"] == "Airflow cannot read the connection 'encrypted'"
    assert "fernet_key" in line["remedy"]


def test_without_the_database(home: Path, tmp_path: Path, server: ScriptedServer) -> None:
    """What needs none is tried, nothing is said of what it may have, and nothing is created where it should be."""
    server.answer("GET", "/requester", json={"id": "r-1", "balance": 121.3})
    nowhere = tmp_path / "no.db"
    given = json.dumps({"conn_type": "toloka", "host": server.url, "password": TOKEN})
    env = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{nowhere}", "AIRFLOW_CONN_GIVEN": given}
    code, checks, _ = run(home, "--conn-id", "stored", "--conn-id", "given", **env)
    assert code == 2
    said = {(line["check"], line["conn_id"]): line for line in checks}
    assert said["metadata-database", None]["status"] == "unknown"
    assert said["metadata-database", None]["message"] == f"There is no {nowhere}"
    assert "AIRFLOW_HOME" in said["metadata-database", None]["remedy"]
    assert said["triggerer", None]["status"] == "unknown"
    assert said["connection", "given"]["status"] == "ok"
    assert said["connection", "stored"]["status"] == "unknown"
    assert "not in the environment" in said["connection", "stored"]["message"]
    assert list(tmp_path.iterdir()) == []
