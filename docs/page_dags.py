"""The DAGs of the pictures of the page *Toloka*, which `docs.page_screenshots` runs."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG

from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.timetables import PoolWindowTimetable
from toloka_airflow.windows import pool_window

STARTED = datetime.fromisoformat(os.environ["PICTURES_STARTED"])
"""When the pictures are taken: the windows begin a little before."""
WINDOWS = {"label_signs": (1, 9), "label_receipts": (5, 5), "label_relevance": (40, 2)}
"""How many minutes before that a DAG's window begins, and for how many hours its pool is open each day."""

for name, (minutes, hours) in WINDOWS.items():
    opens = STARTED - timedelta(minutes=minutes)
    schedule = PoolWindowTimetable(
        opens=f"{opens:%H:%M}", closes=f"{opens + timedelta(hours=hours):%H:%M}", days="daily", timezone="UTC"
    )
    with DAG(name, schedule=schedule, max_active_runs=1) as dag:
        pool_window(pool_id=f"{{{{ var.value.{name} }}}}", progress_interval=10, poll_interval=5)
    globals()[name] = dag

with DAG("label_helmets", schedule=None):
    POOL_ID = "{{ var.value.label_helmets }}"
    open_pool = OpenPoolOperator(task_id="open_pool", pool_id=POOL_ID)
    open_pool >> ClosePoolOperator(task_id="close_pool", pool_id=POOL_ID)
