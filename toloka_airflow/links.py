"""From a task in the Airflow UI to what it is about: a pool, a training, a project, a skill on Toloka; or a report."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from toloka_airflow.api.errors import TolokaError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Project, Training

log = logging.getLogger(__name__)

XCOM_KEY = "toloka_link"
REPORT_XCOM_KEY = "toloka_report_link"


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


class ReportLink(BaseOperatorLink):
    """Lead to the report that a task has written, where its store has an address."""

    name = "Report"

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address."""
        return REPORT_XCOM_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the task stored, or nothing if its store has none."""
        return XCom.get_value(ti_key=ti_key, key=REPORT_XCOM_KEY) or ""


def store_report_address(context: Context, address: str) -> None:
    """Make the link *Report* of this task lead to a page; to none, if the address is empty."""
    context["ti"].xcom_push(key=REPORT_XCOM_KEY, value=address)


def file_address(path: ObjectStoragePath) -> str | None:
    """
    Return the address at which a browser shows a file to people who may read it; ``None`` if its store has none.

    At Google's they sign in and are shown the file. Amazon's leads to the file in the console; Amazon documents no such
    address, and may change it. An S3 at another endpoint than Amazon's has no address that is known, and neither have
    disks and SFTP servers.
    """
    bucket, _, key = str(path.path).strip("/").partition("/")
    if path.protocol in ("gs", "gcs"):
        return f"https://storage.cloud.google.com/{quote(bucket)}/{quote(key)}"
    if path.protocol in ("s3", "s3a") and not _has_other_endpoint(path.fs):
        return f"https://s3.console.aws.amazon.com/s3/object/{quote(bucket)}?prefix={quote(key)}"
    return None


def _has_other_endpoint(fs: Any) -> bool:
    given = getattr(fs, "client_kwargs", None) or {}
    of_environment = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return bool(getattr(fs, "endpoint_url", None) or given.get("endpoint_url") or any(of_environment))


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
