"""What is compared: whose triggers, how they get to the triggerers, and with which arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

POLL_INTERVAL = 5.0
PROGRESS_INTERVAL = 60.0
"""What `PoolSensor` takes with ``max_spend``."""
DAY = 86400
IN_ENVIRONMENT = "bench_in_environment"
"""The connection of the kind ``environment``: triggerers find it in their environment, and not in the database."""


@dataclass(frozen=True)
class Kind:
    """
    A way to wait.

    :param name: How the command line calls it.
    :param title: How the table calls it.
    :param classpath: The trigger.
    :param dag_id: Whose mapped tasks wait.
    :param real: Whether workers defer and resume the tasks; otherwise they are deferred in the database.
    """

    name: str
    title: str
    classpath: str = ""
    dag_id: str = "bench_in_database"
    real: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it sends requests to Toloka's API."""
        return self.name in ("ours", "environment", "pools", "real")

    def arguments(self, subject_id: str, conn_id: str, end: float) -> dict[str, Any]:
        """
        Return the arguments of the trigger that waits for something on Toloka.

        :param end: Unix time at which it will end.
        """
        wait = {"toloka_conn_id": conn_id, "poll_interval": POLL_INTERVAL, "deadline": end + DAY}
        match self.name:
            case "ours" | "environment":
                return {"operation_id": subject_id, **wait}
            case "pools":
                budget = {"max_spend": 100.0, "progress_interval": PROGRESS_INTERVAL, "ignore_close_for_update": True}
                return {"pool_id": subject_id, **wait, **budget}
            case "connection":
                return {"moment": datetime.fromtimestamp(end, UTC).isoformat(), "conn_id": conn_id}
            case "http":
                return {"endpoint": f"page/{subject_id}", "http_conn_id": conn_id, "poke_interval": POLL_INTERVAL}
            case _:
                return {"moment": datetime.fromtimestamp(end, UTC).isoformat()}


KINDS = {
    kind.name: kind
    for kind in (
        Kind("ours", "`OperationSensor`", "toloka_airflow.triggers.OperationTrigger"),
        Kind(
            "environment",
            "`OperationSensor`, connection in the environment",
            "toloka_airflow.triggers.OperationTrigger",
        ),
        Kind("datetime", "Airflow's `DateTimeTrigger`", "airflow.providers.standard.triggers.temporal.DateTimeTrigger"),
        Kind("connection", "the same, once it has read a connection", "benchmarks.fleet.triggers.ConnectedTrigger"),
        Kind("http", "HTTP provider's `HttpSensorTrigger`", "airflow.providers.http.triggers.http.HttpSensorTrigger"),
        Kind("pools", "`PoolSensor`, `max_spend`", "toloka_airflow.triggers.PoolTrigger"),
        Kind("real", "`OperationSensor`, real tasks", dag_id="bench_real", real=True),
        Kind("real_datetime", "`DateTimeSensorAsync`, real tasks", dag_id="bench_real_date_time", real=True),
    )
}
