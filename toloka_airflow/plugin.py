"""What Airflow loads by the entry point ``airflow.plugins``."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowPlugin

from toloka_airflow.links import TolokaLink
from toloka_airflow.timetables import PoolWindowTimetable


class TolokaPlugin(AirflowPlugin):
    """Make the links of Toloka tasks and the timetable of working windows known to Airflow."""

    name = "toloka"
    operator_extra_links = [TolokaLink()]
    timetables = [PoolWindowTimetable]
