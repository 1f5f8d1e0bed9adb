"""What Airflow loads by the entry point ``airflow.plugins``."""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.metadata import version
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from toloka_airflow._internal import startup
from toloka_airflow.links import ReportLink, TolokaLink

log = logging.getLogger(__name__)

FIRST_WITH_PAGE = (3, 1, 2)
"""In Airflow before, the API server cannot read connections (apache/airflow pull request 56602)."""
URL_PREFIX = "/toloka"
_HREF = "toloka/view"
_OF_DAG = f"{_HREF}?dag_id={{DAG_ID}}"
_OF_RUN = f"{_OF_DAG}&run_id={{RUN_ID}}"
_OF_TASK = f"{_OF_RUN}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"
_HREFS = {"nav": _HREF, "dag": _OF_DAG, "dag_run": _OF_RUN, "task_instance": _OF_TASK}
"""Where the page is shown, and its address: relative, as the API server may be served below a path."""


class TolokaPlugin(AirflowPlugin):
    """Make the links of Toloka tasks, the timetable of working windows and the page "Toloka" known to Airflow."""

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

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The page's app; Airflow reads it where it serves its API, and where it lists plugins."""
        return _apps()

    @property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """Where the page is shown; nowhere without its app, as Airflow would show itself in the frame."""
        return _views()


@cache
def _apps() -> list[dict[str, Any]]:
    """Return the app to mount; none if it cannot be made, as an exception here would end the API server."""
    try:
        if tuple(map(int, re.findall(r"\d+", version("apache-airflow-core"))[:3])) < FIRST_WITH_PAGE:
            return []
        from toloka_airflow.web.app import create_app

        return [{"app": create_app(), "url_prefix": URL_PREFIX, "name": "toloka"}]
    except Exception:
        log.exception("The page of Toloka is not there, as its app could not be made; all else works")
        return []


@cache  # Airflow removes from the list what it does not take
def _views() -> list[dict[str, Any]]:
    if not _apps():
        return []
    return [_view(destination, href) for destination, href in _HREFS.items()]


def _view(destination: str, href: str) -> dict[str, Any]:
    view = {"name": "Toloka", "href": href, "destination": destination, "url_route": f"toloka-{destination}"}
    return {**view, "category": "browse"} if destination == "nav" else view
