"""From a task in the Airflow UI to what it is about on Toloka: a pool, a training, a project, a skill."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from toloka_airflow.api.errors import TolokaError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Project, Training

log = logging.getLogger(__name__)

XCOM_KEY = "toloka_link"


class TolokaLink(BaseOperatorLink):
    """Lead to the page of what a task acts on."""

    name = "Toloka"

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address; tasks fill it before they wait."""
        return XCOM_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task stored, or nothing if it found none."""
        return XCom.get_value(ti_key=ti_key, key=XCOM_KEY) or ""


def store_link(context: Context, client: TolokaClient, found: Training | Project) -> None:
    """Make the link of this task lead to a pool, training or project."""
    store_address(context, client.web_url(found))


def store_address(context: Context, address: str) -> None:
    """Make the link of this task lead to a page."""
    context["ti"].xcom_push(key=XCOM_KEY, value=address)


def find_link(context: Context, client: TolokaClient, ids: dict[str, Any]) -> None:
    """
    Make the link of this task lead to the pool, training, project or skill among some arguments.

    The address of a pool's or training's page needs the project, so the object is read, once and without retries: a
    link is never worth a failed or late task.

    :param ids: May hold ``pool_id``, ``training_id``, ``project_id`` or ``skill_id``; the first of them counts.
    """
    quick = client.without_retries()
    try:
        if ids.get("pool_id"):
            store_link(context, client, quick.get_pool(str(ids["pool_id"])))
        elif ids.get("training_id"):
            store_link(context, client, quick.get_training(str(ids["training_id"])))
        elif ids.get("project_id"):
            store_address(context, client.project_web_url(str(ids["project_id"])))
        elif ids.get("skill_id"):
            store_address(context, client.skill_web_url(str(ids["skill_id"])))
    except (TolokaError, ValueError) as exc:
        log.info("This task has no link to Toloka, as its pool or training could not be fetched: %s", exc)
