"""
``make demo``: label handwritten digits in a real Airflow, with a local Toloka.

Everything runs on this machine and listens on loopback only; all files are under ``.demo/``, which is wiped at
the start. With a terminal the demo stays up until Ctrl-C. Exit code 0: the run succeeded; 1: it did not.

Environment variables: ``DEMO_EXIT=1`` ends the demo after the run also with a terminal; ``DEMO_SPEED`` is how
many times faster than real life the people answer (default: 30).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.airflow_api import TERMINAL_RUN_STATES, wait_until
from demo.local_airflow import LocalAirflow
from demo.progress import RunProgress
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.settings import ClientSettings

ROOT = Path(__file__).resolve().parent.parent
DAG_ID = "label_digits"
POOL_TASK = "create_pool"
PAGE = "/plugin/toloka-nav"
"""Where Airflow shows the page *Toloka*."""
RESULT_TASK = "compare"
REPORT_TASK = "report"
TOKEN = "demo-token"
RUN_TIMEOUT = 300.0
GOOD_ENOUGH = 0.95
"""The accuracy below which something is wrong with the people, the answers or their aggregation."""


class DemoError(RuntimeError):
    """The demo cannot show what it should; the message says why."""


def main() -> int:
    """Run the demo and return its exit code."""
    console = Console()
    signal.signal(signal.SIGTERM, _exit_cleanly)
    try:
        with LocalAirflow(ROOT / ".demo", ROOT / "dags_examples", env={"PYTHONPATH": str(ROOT)}) as airflow:
            try:
                show(airflow, console)
                if console.is_terminal and os.environ.get("DEMO_EXIT") != "1":
                    console.print("\nPress Ctrl-C to end the demo.")
                    with suppress(KeyboardInterrupt):
                        signal.pause()
            finally:
                console.print("Ending Airflow and the local Toloka ...")
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, TimeoutError, requests.RequestException, TolokaError) as exc:
        console.print(f"[red]The demo failed:[/] {escape(str(exc))}", highlight=False)
        return 1
    return 0


def show(airflow: LocalAirflow, console: Console) -> None:
    """Start everything, run the DAG, print how good the labels are."""
    started = time.monotonic()
    console.print("Starting a local Toloka and an Airflow, which takes half a minute ...")
    toloka = start_toloka(airflow)
    connection = {"conn_type": "toloka", "host": toloka, "password": TOKEN}
    airflow.env["AIRFLOW_CONN_TOLOKA_DEFAULT"] = json.dumps(connection)
    airflow.start("standalone")
    set_truth(toloka)
    airflow.api.wait_for_dag(DAG_ID)
    run_id = airflow.api.trigger(DAG_ID, {"output": f"file://{airflow.home}/answers"})
    run_url = f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}"
    console.print(f"Airflow is up after {time.monotonic() - started:.0f} s. Watch the run:")
    console.print(f"{run_url}\n", soft_wrap=True)
    follow(airflow, toloka, run_id, console)
    seconds = time.monotonic() - started
    result = airflow.api.xcom(DAG_ID, run_id, RESULT_TASK)
    console.print("\nHandwritten digits, labelled by simulated people:")
    console.print(summary(result, seconds))
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka))
    pool = client.get_pool(airflow.api.xcom(DAG_ID, run_id, POOL_TASK))
    # Not in the table, which would cut them off in a narrow terminal.
    console.print(f"run in Airflow: {run_url}", soft_wrap=True)
    console.print(f"pool on Toloka: {client.web_url(pool)}", soft_wrap=True)
    console.print(f"all pools, in Airflow: {airflow.url}{PAGE}", soft_wrap=True)
    report = airflow.api.xcom(DAG_ID, run_id, REPORT_TASK)["path"].removeprefix("file://")
    console.print(f"report of the labels' quality, for a browser: {report}", soft_wrap=True)
    if result["accuracy"] < GOOD_ENOUGH:
        raise DemoError(f"The labels are worse than expected: {result['accuracy']:.1%} are right.")


def start_toloka(airflow: LocalAirflow) -> str:
    """Start the emulator, as a process that ends with Airflow, and return its address."""
    options = {"--port": "0", "--seed": "1", "--speed": os.environ.get("DEMO_SPEED", "30")}
    command = [sys.executable, "-m", "toloka_airflow.emulator", *chain(*options.items())]
    airflow.processes.start("toloka", command, os.environ, cwd=ROOT)
    log = airflow.processes.log_file("toloka")
    ready = re.compile(r"^Toloka emulator ready at (http://\S+)$", re.MULTILINE)

    def is_ready() -> bool:
        airflow.processes.check()
        return ready.search(log.read_text()) is not None

    wait_until(is_ready, "the local Toloka is ready", timeout=30)
    return str(ready.findall(log.read_text())[0])


def set_truth(toloka: str) -> None:
    """Give the simulated people the true labels, which the DAG only uses to compare."""
    from sklearn.datasets import load_digits

    truth = [
        {"match": {"image_id": f"digit-{number:04}"}, "output_values": {"digit": str(digit)}}
        for number, digit in enumerate(load_digits().target)
    ]
    steer("PUT", f"{toloka}/_emulator/truth", json=truth).raise_for_status()


def follow(airflow: LocalAirflow, toloka: str, run_id: str, console: Console) -> None:
    """Show the progress of the run until it ends; `DemoError` if it does not end well."""
    api = airflow.api
    deadline = time.monotonic() + RUN_TIMEOUT
    pool_id = None
    with RunProgress(console, api.sorted_task_ids(DAG_ID)) as progress:
        while True:
            airflow.processes.check()
            state = api.run_state(DAG_ID, run_id)
            pool_id = pool_id or api.xcom(DAG_ID, run_id, POOL_TASK)
            percent = pool_percent(toloka, pool_id) if pool_id else None
            progress.update(api.task_states(DAG_ID, run_id), percent)
            if state in TERMINAL_RUN_STATES:
                break
            if time.monotonic() > deadline:
                raise DemoError(f"The run is still {state} after {RUN_TIMEOUT:.0f} s.")
            time.sleep(0.5)
    if state == "failed":
        raise DemoError(reason(airflow, run_id))


def pool_percent(toloka: str, pool_id: str) -> float | None:
    """How much of a pool is answered, in percent."""
    answer = steer("GET", f"{toloka}/_emulator/pools/{pool_id}")
    return float(answer.json()["completion"]) * 100 if answer.ok else None


def reason(airflow: LocalAirflow, run_id: str) -> str:
    """Which task failed, and the end of its log."""
    failed = [task for task in airflow.api.tasks(DAG_ID, run_id) if task["state"] == "failed"]
    if not failed:
        return f"The run failed, but none of its tasks: {airflow.api.task_states(DAG_ID, run_id)}"
    task = min(failed, key=lambda task: str(task["end_date"]))
    log = airflow.api.log(DAG_ID, run_id, task["task_id"], task["try_number"])
    return f"task {task['task_id']} failed. The end of its log:\n" + "\n".join(log.splitlines()[-15:])


def summary(result: dict[str, Any], seconds: float) -> Table:
    """How good the labels are and what they cost."""
    table = Table(show_header=False)
    table.add_row("images", str(result["images"]))
    table.add_row("answers", str(result["answers"]))
    table.add_row("people", str(result["people"]))
    table.add_row("money spent on rewards", f"${result['spent']:.2f}")
    table.add_row("accuracy against the true labels", f"{result['accuracy']:.1%}")
    table.add_row("wall time", f"{seconds:.0f} s")
    return table


def steer(method: str, url: str, json: Any = None) -> requests.Response:
    """Make a call that only the local Toloka has; never through a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, json=json, timeout=(3, 30))


def _exit_cleanly(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
