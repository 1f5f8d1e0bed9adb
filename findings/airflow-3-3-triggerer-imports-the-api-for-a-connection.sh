#!/usr/bin/env bash
# One would guess that a trigger that reads a connection from Airflow's database costs its triggerer a query.
#
# In Airflow 3.3.2 the process of the triggers asks its supervisor, which answers such questions by Airflow's execution
# API in its own process: for the first one it imports all of that API, FastAPI with its routes and models, and builds it.
# That takes more than 50 MB that are never given back, and seconds in which the supervisor does nothing else, heartbeats
# included. A second connection costs nothing. What the triggers' process finds in its environment, or in a secrets
# backend, it never asks for; so `AIRFLOW_CONN_...` for triggerers saves both.
#
# Seen on 2026-11-29 with apache-airflow-core 3.3.2, Python 3.11, SQLite.
# Output seen:
#   the first connection: more than 50 MB, more than 200 modules
#   the second one: less than 1 MB, 0 modules
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -c "$constraints/airflow-3.3.txt" apache-airflow-core==3.3.2
"$work/venv/bin/airflow" db migrate > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }

cat > "$work/connections.py" <<'PYTHON'
import os
import sys
from pathlib import Path

from airflow.jobs import triggerer_job_runner
from airflow.models.connection import Connection
from airflow.sdk.api.client import Client
from airflow.utils.session import create_session


def megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


with create_session() as session:
    for name in ("first", "second"):
        session.add(Connection(conn_id=name, conn_type="http", host="example.com"))

memory, modules = megabytes(), len(sys.modules)
# As `TriggerRunnerSupervisor.make_client` has it.
client = Client(base_url=None, token="", dry_run=True, transport=triggerer_job_runner.in_process_api_server().transport)
client.base_url = "http://in-process.invalid./"
assert client.connections.get("first").host == "example.com"
more, imported = megabytes() - memory, len(sys.modules) - modules
print("the first connection:", "more" if more > 50 else "no more", "than 50 MB,", end=" ")
print("more" if imported > 200 else "no more", "than 200 modules")

memory, modules = megabytes(), len(sys.modules)
assert client.connections.get("second").host == "example.com"
more, imported = megabytes() - memory, len(sys.modules) - modules
print("the second one:", "less" if more < 1 else "no less", "than 1 MB,", imported, "modules", flush=True)
os._exit(0)  # its event loop has a thread that does not end
PYTHON

"$work/venv/bin/python" -W ignore "$work/connections.py" 2> "$work/errors" | grep connection\\\|second | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
