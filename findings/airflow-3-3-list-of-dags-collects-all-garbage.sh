#!/usr/bin/env bash
# One would guess that the requests of a list take about the same time each, when the same list is asked for again and
# again and nobody else asks: what a request allocates dies young, so that Python's full garbage collections, which go
# through every object of the process, are as rare as after the start, one in some hundreds of requests.
#
# In Airflow 3.3.2, `/ui/dags`, the list of the home page, starts one about each 20 lists of 50 DAGs. Each goes through
# more than 500,000 objects and stops all of the process meanwhile: 0.35 to 1 second where it was seen, beside 40 ms for
# the list itself, so that a request at random waits as long for nothing of its own. 3.1.8 has a third fewer objects,
# and one in 75 to 150 lists: what full collections find there is some 500 objects per list, 7,700 in 3.3.2. Health
# checks start none.
#
# Seen on 2026-11-30 with apache-airflow-core 3.1.8 and 3.3.2, Python 3.11, SQLite.
# Output seen:
#   3.1.8: less than 500,000 objects; full collections: 1 to 6 in 300 lists, less than a tenth of the time; 0 in 300 health checks
#   3.3.2: more than 500,000 objects; full collections: 10 to 25 in 300 lists, more than a tenth of the time; 0 in 300 health checks
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$work/dags" no_proxy=127.0.0.1
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True

mkdir "$work/dags"
cat > "$work/dags/fifty.py" <<'PYTHON'
from airflow.sdk import DAG, task


@task
def nothing():
    pass


for number in range(50):
    with DAG(f"dag_{number}", schedule=None):
        nothing()
PYTHON

cat > "$work/runs.py" <<'PYTHON'
import datetime

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session

now = datetime.datetime.now(datetime.timezone.utc)
with create_session() as session:
    for number in range(50):
        for hour in range(10):
            date = now - datetime.timedelta(hours=hour)
            run = DagRun(
                dag_id=f"dag_{number}",
                run_id=f"run_{hour}",
                logical_date=date,
                run_after=date,
                start_date=date,
                run_type="manual",
                state="success",
                triggered_by="cli",
            )
            session.add(run)
PYTHON

cat > "$work/client.py" <<'PYTHON'
import json
import sys
import urllib.request

base, path, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
with urllib.request.urlopen(f"{base}/auth/token") as answer:
    token = json.load(answer)["access_token"]
for _ in range(times):
    request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        content = json.load(answer)
if path.startswith("/ui/dags"):
    assert len(content["dags"]) == 50
PYTHON

cat > "$work/server.py" <<'PYTHON'
import gc
import os
import subprocess
import sys
import threading
import time

import uvicorn
from airflow.api_fastapi.app import create_app

version, client, seen = sys.argv[1:]
LISTS = "/ui/dags?limit=50"


class Server(uvicorn.Server):
    """Asks itself, when it has begun, from another process."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        threading.Thread(target=measure, args=[self.servers[0].sockets[0].getsockname()[1]]).start()


def measure(port):
    try:
        ask(port, LISTS, 20)
        gc.collect()
        objects = len(gc.get_objects())
        count, share = full_collections(port, LISTS)
        of_health, _ = full_collections(port, "/api/v2/monitor/health")
        many = "10 to 25" if 10 <= count <= 25 else "1 to 6" if 1 <= count <= 6 else str(count)
        line = f"{version}: {'more' if objects > 500_000 else 'less'} than 500,000 objects; full collections: "
        line += f"{many} in 300 lists, {'more' if share > 0.1 else 'less'} than a tenth of the time"
        with open(seen, "a") as file:
            file.write(f"{line}; {of_health} in 300 health checks\n")
        print(version, objects, count, share, file=sys.stderr)
    finally:
        server.should_exit = True


def ask(port, path, times):
    subprocess.run([sys.executable, client, f"http://127.0.0.1:{port}", path, str(times)], check=True)


def full_collections(port, path):
    """Return how many there are in 300 requests, and their share of the time."""
    starts, ends = [], []

    def note(phase, info):
        if info["generation"] == 2:
            (starts if phase == "start" else ends).append(time.perf_counter())

    gc.callbacks.append(note)
    began = time.perf_counter()
    ask(port, path, 300)
    took = time.perf_counter() - began
    gc.callbacks.remove(note)
    return len(ends), (sum(ends) - sum(starts)) / took


server = Server(uvicorn.Config(create_app(), port=0, log_level="error"))
server.run()
os._exit(0)  # Airflow's API has threads that do not end
PYTHON

for version in 3.1.8 3.3.2; do
    export AIRFLOW_HOME="$work/home-$version"
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check \
        --constraint "$constraints/airflow-${version%.*}.txt" apache-airflow-core==$version
    python() { "$work/$version/bin/python" -W ignore "$@" >> "$work/log" 2>&1 || { tail "$work/log"; exit 1; }; }
    python -m airflow db migrate
    python -m airflow dags reserialize
    python "$work/runs.py"
    python "$work/server.py" "$version" "$work/client.py" "$work/seen"
done
cat "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
