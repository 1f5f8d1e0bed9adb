"""
Keep a pool open on weekdays from 9 to 18 in Berlin, and download the answers each evening.

Set the Airflow variable ``toloka_pool`` to the id of the pool. Needs the connection ``toloka_default`` and a triggerer.
A run that is started by hand outside of these hours keeps the pool open until the next 18:00, or until ``closes_at``.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import pool_window

POOL_ID = "{{ var.value.toloka_pool }}"

with DAG(
    "weekday_window",
    schedule=PoolWindowTimetable(opens="09:00", closes="18:00", days="mon-fri", timezone="Europe/Berlin"),
    max_active_runs=1,
    # Many short retries keep a window that begins in an outage; when it is too late, the window is skipped.
    default_args={"retries": 100, "retry_delay": timedelta(minutes=5)},
    params={
        "closes_at": Param("", type="string", description="When to close, such as 2030-01-31T18:00:00+01:00"),
        "output": Param("file:///tmp/weekday_window", type="string", description="Where to write the answers"),
    },
    tags=["toloka"],
    doc_md=__doc__,
) as dag:
    window = pool_window(
        pool_id=POOL_ID,
        closes_at="{{ params.closes_at or data_interval_end }}",
        min_balance=20,
        max_spend=100,
        progress_interval=300,
    )
    # All answers, each evening: those that people are working on when the pool closes come in later.
    download = GetAssignmentsOperator(
        task_id="download", pool_id=POOL_ID, path="{{ params.output }}/{{ var.value.toloka_pool }}.jsonl.gz"
    )
    window >> download
