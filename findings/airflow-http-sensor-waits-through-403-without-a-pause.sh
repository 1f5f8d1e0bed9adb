#!/usr/bin/env bash
# One would guess that a sensor waits for the same thing with `deferrable=True` as without: what fails it in a worker
# fails it in the triggerer, and the pause between two requests is `poke_interval`.
#
# `HttpSensor` of the http provider 6.3.0 fails in a worker at an answer of 403, as `response_error_codes_allowlist` has
# only 404. Once it is deferred, no status fails it, and the list is not read at all: it waits until its timeout,
# 7 days by default, and then fails for having waited. After a 404 it pauses for `poke_interval`, after every other
# status it does not: here 50 answers of 403, as a token that has expired gets them, are asked for one right after the
# other although the interval is an hour; the server is asked as fast as it answers. Only 5xx and 429 have a second
# between them, from the retries of the hook.
#
# Seen on 2026-11-30 with apache-airflow-providers-http 6.3.0, apache-airflow-core 3.3.2, Python 3.11.
# Output seen:
#   in a worker, 403: AirflowException: 403:Forbidden
#   deferred after a 404, poke_interval 1 hour, 50 times 403, then 200: success after 52 requests
set -euo pipefail
constraints=$(cd "$(dirname "${BASH_SOURCE[0]}")/../constraints" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AIRFLOW_HOME="$work/home" AIRFLOW__CORE__LOAD_EXAMPLES=False no_proxy=127.0.0.1
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$constraints/airflow-3.3.txt" \
    apache-airflow-core==3.3.2 apache-airflow-providers-http==6.3.0

cat > "$work/statuses.py" <<'PYTHON'
import asyncio
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

statuses, requests = [], []


class Handler(BaseHTTPRequestHandler):
    """Answers with one status of the list after the other, and with 200 when it is at its end."""

    def do_GET(self):
        requests.append(self.path)
        self.send_response(statuses.pop(0) if statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AIRFLOW_CONN_LOCAL"] = f"http://127.0.0.1:{server.server_port}"

from airflow.providers.http.sensors.http import HttpSensor  # noqa: E402
from airflow.sdk.exceptions import TaskDeferred  # noqa: E402


def sensor(deferrable):
    return HttpSensor(
        task_id="wait", http_conn_id="local", endpoint="file", poke_interval=3600, deferrable=deferrable
    )


async def event_of(trigger):
    # With a pause of `poke_interval` after any of the 50, this would time out.
    return await asyncio.wait_for(anext(aiter(trigger.run())), timeout=1800)


statuses[:] = [403]
try:
    sensor(deferrable=False).execute({})
except Exception as exc:
    print(f"in a worker, 403: {type(exc).__name__}: {exc}", flush=True)

requests.clear()
statuses[:] = [404] + 50 * [403]
try:
    sensor(deferrable=True).execute({})
except TaskDeferred as deferred:
    event = asyncio.run(event_of(deferred.trigger))
    outcome = "success" if event.payload is True else event.payload
    print("deferred after a 404, poke_interval 1 hour, 50 times 403, then 200:", end=" ")
    print(f"{outcome} after {len(requests)} requests", flush=True)
PYTHON

"$work/venv/bin/python" -W ignore "$work/statuses.py" 2> "$work/errors" | grep ^in\ a\\\|^deferred | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen" || { cat "$work/errors"; exit 1; }
