"""A lane must not pass with another Airflow than the one it names."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest


@pytest.mark.skipif("TOLOKA_AIRFLOW_LANE" not in os.environ, reason="only make names a lane")
def test_the_lane_has_the_airflow_it_names() -> None:
    lane = os.environ["TOLOKA_AIRFLOW_LANE"]
    assert version("apache-airflow-core").startswith(f"{lane}.")
    assert version("apache-airflow").startswith(f"{lane}.")
