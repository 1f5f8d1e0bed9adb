"""What Airflow imports when it parses a DAG, which it does every half minute; ``make bench`` has what it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PARSED = {
    "toloka_airflow.operators.lifecycle": 41,
    "toloka_airflow.sensors": 32,
    "toloka_airflow.label_until": 64,
}
"""How many modules of ours each may import, those included that it is for: one of them in Airflow 3.1 only."""
FOR_TASKS = {
    "airflow.triggers.base",
    "numpy",
    "pyarrow",
    "requests",
    "toloka_airflow.api.client",
    "toloka_airflow.checks.checking",
    "toloka_airflow.checks.estimate",
    "toloka_airflow.quality",
    "toloka_airflow.storage.row_files",
    "toloka_airflow.transfer.download",
    "toloka_airflow.triggers.shared_polling",
}
"""What a task or a triggerer needs, and a DAG that is parsed does not."""
NEW = """
import airflow.sdk, json, sys
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)
import {}
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("module", PARSED)
def test_parsing_imports_nothing_that_only_tasks_need(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", NEW.format(module)], capture_output=True, text=True, check=True)
    new = json.loads(done.stdout.splitlines()[-1])
    assert set(new) & FOR_TASKS == set()
    ours = [name for name in new if name.startswith("toloka_airflow.")]
    assert module in ours
    assert len(ours) <= PARSED[module], ours
