"""What is compared: whose triggers, and with which arguments."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

POLL_INTERVAL = 5.0
DAY = 86400


@dataclass(frozen=True)
class Case:
    """
    A way to wait.

    :param name: How the command line calls it.
    :param title: How the table and the chart call it.
    :param python: Which environment it needs: ``ours``, ``providers`` or ``kit``.
    :param process: What runs it: Airflow's ``triggerer``, a bare event ``loop``, or ``threads``.
    :param classpath: The trigger.
    """

    name: str
    title: str
    python: str = "ours"
    process: str = "triggerer"
    classpath: str = ""

    def arguments(self, number: int, operation_id: str, due: float) -> dict[str, Any]:
        """Return the arguments of the trigger that waits for an operation, which will end at a Unix time."""
        end = time.time() + DAY
        match self.name:
            case "http":
                return {
                    "endpoint": f"page/{operation_id}",
                    "http_conn_id": "http_default",
                    "method": "GET",
                    "data": None,
                    "headers": {},
                    "extra_options": {},
                    "poke_interval": POLL_INTERVAL,
                }
            case "dbt":
                return {
                    "conn_id": "dbt_cloud_default",
                    "run_id": number,
                    "account_id": 1,
                    "end_time": end,
                    "execution_deadline": None,
                    "poll_interval": POLL_INTERVAL,
                    "hook_params": {},
                }
            case "sleep":
                return {"end": due}
            case _:
                return {
                    "operation_id": operation_id,
                    "toloka_conn_id": "toloka_default",
                    "poll_interval": POLL_INTERVAL,
                    "deadline": end,
                }


OURS = "toloka_airflow.triggers.OperationTrigger"
CASES = {
    case.name: case
    for case in (
        Case("shared", "ours", classpath=OURS),
        Case("by_id", "ours, by id", classpath="benchmarks.waiting.triggers.ByIdTrigger"),
        Case("http", "HTTP provider", "providers", classpath="airflow.providers.http.triggers.http.HttpSensorTrigger"),
        Case(
            "dbt",
            "dbt Cloud provider",
            "providers",
            classpath="airflow.providers.dbt.cloud.triggers.dbt.DbtCloudRunJobTrigger",
        ),
        Case("kit", "toloka-kit", "kit", "threads"),
        Case("sleep", "Airflow alone", classpath="benchmarks.waiting.triggers.SleepTrigger"),
        Case("bare", "ours, bare loop", process="loop", classpath=OURS),
    )
}


def connections(port: int, tls_port: int) -> dict[str, str]:
    """Return the connections, as variables of the environment."""
    here = f"http://127.0.0.1:{port}"
    told = {
        "TOLOKA_DEFAULT": {"conn_type": "toloka", "host": here, "password": "secret"},
        "HTTP_DEFAULT": {"conn_type": "http", "host": here},
        "DBT_CLOUD_DEFAULT": {
            "conn_type": "dbt_cloud",
            "host": f"127.0.0.1:{tls_port}",
            "login": "1",
            "password": "secret",
        },
    }
    return {f"AIRFLOW_CONN_{name}": json.dumps(connection) for name, connection in told.items()}
