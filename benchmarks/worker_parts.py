"""
What a worker run is made of: milliseconds of CPU, step by step, in processes that fork from one like a worker's.

It is the second half of ``make bench-worker``; see `benchmarks.worker_runs`.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from typing import Any

RUNS = 9
STEPS = {
    "Airflow's own modules that every deferrable operator imports": (
        "import airflow.triggers.base; from airflow.providers.common.compat.sdk import BaseOperator, BaseHook, conf, "
        "AirflowException, AirflowFailException, BaseOperatorLink, BaseSensorOperator, XCom"
    ),
    "models of the API": "import toloka_airflow.api.models",
    "the rest of our modules": "import toloka_airflow.operators.lifecycle, toloka_airflow.triggers.shared_waits",
    "a client": "client = TolokaClient(ClientSettings('token', base_url=url, retry_budget=0))",
    "import requests": "import requests",
    "the first request: TLS, and the certificates found": "client.get_requester()",
    "a second request": "client.get_requester()",
    "the trigger, serialised": (
        "json.dumps(toloka_airflow.triggers.OperationTrigger("
        "operation_id='1', toloka_conn_id='a', poll_interval=5.0, deadline=0.0).serialize())"
    ),
    "(for comparison: reading a bundle of certificates)": "ssl.create_default_context(cafile=certifi.where())",
}
PRELUDE = (
    "import certifi, json, ssl; from toloka_airflow.api.client import TolokaClient; "
    "from toloka_airflow.api.settings import ClientSettings"
)


def measure(url: str) -> list[float]:
    """Return what each step takes in a new process."""
    read, write = os.pipe()
    gc.freeze()  # as Airflow's executor does before it forks
    if not (child := os.fork()):
        status = 1
        try:
            os.write(write, json.dumps(_steps({"url": url})).encode())
            status = 0
        finally:
            os._exit(status)
    gc.unfreeze()
    os.close(write)
    with os.fdopen(read) as answer:
        taken: list[float] = json.loads(answer.read())
    os.waitpid(child, 0)
    return taken


def _steps(names: dict[str, Any]) -> list[float]:
    taken = []
    for name, code in STEPS.items():
        if name == "a client":
            exec(PRELUDE, names)
        start = time.process_time()
        exec(code, names)
        taken.append((time.process_time() - start) * 1000)
    return taken


def main() -> None:
    """Measure in processes that know what Airflow's supervisor of a task knows."""
    import airflow.sdk.execution_time.supervisor
    import airflow.sdk.execution_time.task_runner  # noqa: F401

    [url] = sys.argv[1:]
    runs = [measure(url) for _ in range(RUNS)]
    print("\nThe parts, medians, in milliseconds of CPU:")
    for name, taken in zip(STEPS, zip(*runs, strict=True), strict=True):
        print(f"{statistics.median(taken):8.1f}  {name}")


if __name__ == "__main__":
    main()
