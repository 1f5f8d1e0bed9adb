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


def parse(*, check_config: bool) -> float:
    """Return the milliseconds that the DAG processor takes for the DAG."""
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
                start = time.perf_counter()
                result = processor._parse_file(request, log)
                taken = time.perf_counter() - start
            if result is None or result.import_errors or len(result.serialized_dags) != 1:
                raise AssertionError(result)
            os.write(write, json.dumps(taken * 1000).encode())
            status = 0
        finally:
            os._exit(status)
    gc.unfreeze()
    os.close(write)
    with os.fdopen(read) as answer:
        milliseconds = float(answer.read())
    os.waitpid(child, 0)
    return milliseconds


def main() -> None:
    """Parse with and without in turn, so that a slow moment of the machine hits both."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"  # as in the processes that parse
    import airflow.dag_processing.manager  # noqa: F401 - what the process that they fork from has imported

    runs: dict[bool, list[float]] = {True: [], False: []}
    for run in range(RUNS):
        print(f"run {run + 1} of {RUNS}", end="\r", file=sys.stderr)
        for check_config in sorted(runs, reverse=bool(run % 2)):
            runs[check_config].append(parse(check_config=check_config))
    medians = {check_config: statistics.median(taken) for check_config, taken in runs.items()}
    print(f"{'median':>9} {'smallest':>9}  parsing a DAG with a project and a pool as dicts")
    for check_config, taken in runs.items():
        print(f"{medians[check_config]:6.1f} ms {min(taken):6.1f} ms  check_config={check_config}")
    added = medians[True] - medians[False]
    print(f"The check adds {added:.1f} ms. The goal is less than {GOAL_MS:.0f} ms.")


if __name__ == "__main__":
    main()
