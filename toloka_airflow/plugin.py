"""What Airflow loads by the entry point ``airflow.plugins``."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from toloka_airflow._internal import startup
from toloka_airflow.links import ReportLink, TolokaLink


class TolokaPlugin(AirflowPlugin):
    """Make the links of Toloka tasks and the timetable of working windows known to Airflow."""

    name = "toloka"
    operator_extra_links = [TolokaLink(), ReportLink()]

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Prepare the process; a listener could, too, but beside any listener `end_from_trigger` breaks a DAG."""
        startup.prepare()

    @property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """The timetables; Airflow reads them where it parses DAGs, but loads plugins in every task of every DAG."""
        from toloka_airflow.timetables import PoolWindowTimetable

        return [PoolWindowTimetable]
