"""
What importing the operators costs on top of Airflow's own SDK, compared with an operator of Airflow's.

Run it by ``make bench``. Every figure is the CPU time of one import in a fresh process; printed are the median and
the smallest of some runs, and the ratio to the peer's median in the same run.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 9
PEER = "airflow.providers.standard.sensors.external_task"
CASES = {
    "toloka_airflow.operators.lifecycle": "the operators",
    "toloka_airflow.sensors": "the sensors",
    "toloka_airflow.operators.quality": "measures and the gate, without numpy",
    "toloka_airflow.operators.answer_aggregation": "the aggregation of answers, without numpy",
    "toloka_airflow.operators.quality_report": "the report, without numpy",
    "toloka_airflow.label_until": "the task group that labels until it is sure",
    "requests": "the HTTP client, imported when a client is made",
    PEER: "peer: a sensor with a trigger from Airflow's standard provider",
}
GOAL_MS = 40.0
MEASURE = """
import time
import airflow.sdk
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
start = time.process_time()
import {module}
print((time.process_time() - start) * 1000)
"""


def cost(module: str) -> float:
    """Return the milliseconds of CPU that importing a module takes in a process that has the SDK."""
    output = subprocess.check_output([sys.executable, "-c", MEASURE.format(module=module)], text=True)
    return float(output.splitlines()[-1])


def main() -> None:
    """Measure all cases in turn, so that a slow moment of the machine hits all of them."""
    costs: dict[str, list[float]] = {module: [] for module in CASES}
    for run in range(RUNS):
        print(f"run {run + 1} of {RUNS}", file=sys.stderr)
        for module, measured in costs.items():
            measured.append(cost(module))
    peer = statistics.median(costs[PEER])
    print(f"{'median':>9} {'smallest':>9} {'to peer':>8}  on top of airflow.sdk")
    for module, meaning in CASES.items():
        median = statistics.median(costs[module])
        print(f"{median:6.1f} ms {min(costs[module]):6.1f} ms {median / peer:7.2f}x  {module}: {meaning}")
    print(f"The goal for the operators is at most {GOAL_MS:.0f} ms.")


if __name__ == "__main__":
    main()
