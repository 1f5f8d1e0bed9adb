"""
What checking a project and a pool adds to the parsing of their DAG, beside the same DAG with ``check_config=False``.

Run it by ``make bench-checks``. Each parse is in a process of its own that forks from one like Airflow's DAG processor,
so it has imported of this package what that has, which is nothing; printed is the time from before the file is read
until its DAG is serialised.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import statistics
import sys
import time
from pathlib import Path

RUNS = 41
GOAL_MS = 30.0
DAG = Path(__file__).parent / "check_dags" / "labelling.py"


def parse(*, check_config: bool) -> tuple[float, float]:
    """Return the milliseconds of CPU and of the clock that the DAG processor takes for the DAG."""
    import structlog
    from airflow.dag_processing import processor

    log = structlog.get_logger()
    processor._pre_import_airflow_modules(str(DAG), log)
    read, write = os.pipe()
    gc.freeze()
    if not (child := os.fork()):
        status = 1
        try:
            os.environ["CHECK_CONFIG"] = str(check_config)
            request = processor.DagFileParseRequest(
                file=str(DAG), bundle_path=DAG.parent, bundle_name="benchmark", callback_requests=[]
            )
            with contextlib.redirect_stdout(io.StringIO()):
                start = time.process_time(), time.perf_counter()
                result = processor._parse_file(request, log)
                taken = time.process_time() - start[0], time.perf_counter() - start[1]
            if result is None or result.import_errors or len(result.serialized_dags) != 1:
                raise AssertionError(result)
            os.write(write, json.dumps([seconds * 1000 for seconds in taken]).encode())
            status = 0
        finally:
            os._exit(status)
    gc.unfreeze()
    os.close(write)
    with os.fdopen(read) as answer:
        cpu, clock = json.loads(answer.read())
    os.waitpid(child, 0)
    return cpu, clock


def main() -> None:
    """Parse with and without in turn, so that a slow moment of the machine hits both."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"  # as in the processes that parse
    import airflow.dag_processing.manager  # noqa: F401 - what the process that they fork from has imported

    runs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for run in range(RUNS):
        print(f"run {run + 1} of {RUNS}", file=sys.stderr)
        for check_config in sorted(runs, reverse=bool(run % 2)):
            runs[check_config].append(parse(check_config=check_config))
    medians = {
        check_config: list(map(statistics.median, zip(*taken, strict=True))) for check_config, taken in runs.items()
    }
    print("medians of parsing a DAG with a project and a pool as dicts")
    for check_config, (cpu, clock) in medians.items():
        print(f"{cpu:6.1f} ms of CPU, {clock:6.1f} ms by the clock: check_config={check_config}")
    added = medians[True][0] - medians[False][0]
    print(f"The check adds {added:.1f} ms of CPU. The goal is less than {GOAL_MS:.0f} ms.")


if __name__ == "__main__":
    main()
