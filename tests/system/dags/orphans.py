"""Tasks whose supervisors are killed alone, so that another attempt runs beside what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from toloka_airflow.operators.bonuses import PayBonusesOperator
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.operators.projects import CreateProjectOperator

PARAMS = {"pool_id": Param("", type="string")}
AGAIN: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
    "toloka_conn_id": "toloka_orphans",
}

with DAG("orphaned_creation", schedule=None, default_args=AGAIN):
    CreateProjectOperator(
        task_id="create",
        config={
            "public_name": "Orphans",
            "public_description": "Answer them",
            "assignments_issuing_type": "AUTOMATED",
            "task_spec": {
                "input_spec": {"text": {"type": "string"}},
                "output_spec": {"answer": {"type": "string"}},
                "view_spec": {"type": "classic", "markup": "?"},
            },
        },
    )

with DAG("orphaned_opening", schedule=None, default_args=AGAIN, params=PARAMS):
    opening = OpenPoolOperator(task_id="open", pool_id="{{ params.pool_id }}", poll_interval=1)
    opening >> ClosePoolOperator(task_id="close", pool_id="{{ params.pool_id }}", poll_interval=1).as_teardown(
        setups=opening
    )

with DAG("orphaned_payment", schedule=None, default_args=AGAIN, params={"path": Param("", type="string")}):
    PayBonusesOperator(task_id="pay", bonuses="{{ params.path }}", max_total=1, poll_interval=1)
