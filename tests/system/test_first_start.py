"""What somebody reads who installs the package beside Airflow and starts `airflow standalone`: nothing bad of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.airflow_api import wait_until
from demo.local_airflow import LocalAirflow

ROOT = Path(__file__).resolve().parents[2]
# As Airflow has them by default. What `LocalAirflow` sets besides are keys, ports, loopback and short intervals.
DEFAULTS = {"AIRFLOW__CORE__LOAD_EXAMPLES": "True", "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}
HARMLESS = re.compile(r"\[(debug|info) *\]")

pytestmark = pytest.mark.live


def test_a_first_start_has_no_warning_and_no_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    with LocalAirflow(tmp_path / "home", tmp_path / "dags", env=DEFAULTS) as airflow:
        airflow.start("standalone", timeout=300)
        # By then the DAG processor has looked for the example DAGs of all providers.
        wait_until(
            lambda: "example_" in str(airflow.api.call("GET", "/dags?limit=1")), "examples are there", timeout=120
        )
        logs = [airflow.processes.log_file("standalone"), *airflow.home.rglob("*.log")]
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    # The folders may be called like the package.
    ours = [line for line in lines if "toloka" in line.replace(str(ROOT), "").replace(str(tmp_path), "").lower()]
    assert [line for line in ours if not HARMLESS.search(line)] == []
