"""A report of answers and labels, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.known_arguments import check_ending, check_fields, check_known
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.ids import checked_id
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import ReportLink, TolokaLink, file_address, store_link, store_report_address
from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.replacing import check_replaceable, replacing
from toloka_airflow.triggers.progress import measure

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.quality.report.figures import PoolFacts

__all__ = ["QualityReportOperator"]

SUFFIXES = (".html", ".htm")
MEDIA_TYPE = "text/html; charset=utf-8"


class QualityReportOperator(LineageMixin, BaseOperator):
    """
    Write a report of answers and their labels: one HTML file, for people.

    It has the project and the pool, answers over time, money, agreement, which labels are mixed up, how everybody did,
    the least sure tasks with their inputs and answers, and what every figure means. It needs no network and no other
    file; what is in inputs and answers is shown as text, and only images that are within them (``data:``) as images.

    The file appears when it is complete. It may be written again as often as needed; nothing is changed at Toloka.

    It returns ``{"path", "url", "tasks", "answers", "people", "labels", "alpha", "sure", "spent", "committed",
    "per_label"}``. ``alpha`` is an object with a figure for each field, ``sure`` the share of labels with a confidence
    or score of 0.9 or more; ``None`` is what is not known.

    The link *Report* of the task leads to the file if its store has an address: of Google's and Amazon's it is made of
    the path. Of a disk, SFTP and others it is not known, so give ``url``, if a web server shows the folder.

    Needs numpy: ``pip install 'airflow-toloka[quality]'``.

    :param answers: The path of a file that `GetAssignmentsOperator` wrote, or a list of such rows (templated).
        Download ``status=("SUBMITTED", "ACCEPTED", "REJECTED")``, or the report knows no rejected answers.
    :param labels: The path of a file of labels, or a list of them (templated): those of `AggregateSolutionsOperator`,
        or others with ``task_id``, ``output_values`` and ``confidence`` or ``score``. Without it, the report makes
        labels for itself.
    :param path: The file to write, which ends with ``.html`` (templated). One that is there is replaced.
    :param fields: The output fields (templated); those of the labels by default, or of the first answer.
    :param pool_id: The pool (templated). With it, project and pool are described, money is compared with Toloka's own
        count, and people are marked who are restricted in the pool, in its project, or in all projects.
    :param title: The heading (templated); the name of the project by default.
    :param url: Where a browser finds the file (templated).
    :param currency: What stands before an amount of money.
    :param toloka_conn_id: The Airflow connection to Toloka (templated); only used with ``pool_id``.
    """

    template_fields: Sequence[str] = (
        "answers",
        "labels",
        "path",
        "fields",
        "pool_id",
        "title",
        "url",
        "toloka_conn_id",
    )
    operator_extra_links = (ReportLink(), TolokaLink())

    def __init__(
        self,
        *,
        answers: RowsOrPath,
        path: str | ObjectStoragePath | XComArg,
        labels: RowsOrPath | None = None,
        fields: Sequence[str] | XComArg | None = None,
        pool_id: str | XComArg | None = None,
        title: str | XComArg | None = None,
        url: str | XComArg | None = None,
        currency: str = "$",
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        for name, rows in (("answers", answers), ("labels", labels)):
            if isinstance(rows, Iterator):
                raise argument_error(f"{name} is {rows!r:.100}, which can be read only once; give a list or a path")
        self.answers: Any = answers
        self.path = as_rendered(path)
        self.labels: Any = labels
        self.fields = as_rendered(fields)
        self.pool_id = as_rendered(pool_id)
        self.title = as_rendered(title)
        self.url = as_rendered(url)
        self.currency = currency
        self.toloka_conn_id = toloka_conn_id
        check_known(self, fields=check_fields, url=_check_url)
        check_ending(self, path=_check_suffix)

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the report."""
        with task_errors():
            path = storage_path("path", self.path)
            _check_suffix("path", path)
            if self.fields is not None:
                check_fields("fields", self.fields)
            check_replaceable(path)
            pool_id = None if self.pool_id is None else checked_id("pool_id", self.pool_id)
            url = self._url(path)
            summary = self._write(context, path, pool_id)
        # Without one, too: Airflow logs an error if it looks for the address and finds none.
        store_report_address(context, url or "")
        self.log.info("The report is in %s%s", self.path, "" if url is None else f", which is at {url}")
        self._lineage_facts = {"pool_id": pool_id}
        return {"path": str(self.path), "url": url, **summary}

    def _write(self, context: Context, path: ObjectStoragePath, pool_id: str | None) -> dict[str, Any]:
        # Here, as a DAG that is only parsed needs none of it.
        from toloka_airflow.quality.report.figures import read_figures
        from toloka_airflow.quality.report.page import render

        facts = None if pool_id is None else self._facts(context, pool_id)
        figures = read_figures(self.answers, self.labels, fields=self.fields, facts=facts)
        html = render(figures, title=self.title, made=datetime.now(UTC), currency=self.currency)
        with replacing(path, media_type=MEDIA_TYPE) as file:
            file.write(html.encode())
        report_written(path)
        self.log.info("%s", figures.in_words(self.currency))
        return figures.summary()

    def _url(self, path: ObjectStoragePath) -> str | None:
        if self.url is None:
            return file_address(path)
        _check_url("url", self.url)
        return self.url

    def _facts(self, context: Context, pool_id: str) -> PoolFacts:
        from toloka_airflow.quality.report.figures import PoolFacts

        client = TolokaHook(self.toloka_conn_id).get_conn()
        pool = client.get_pool(pool_id)
        store_link(context, client, pool)
        self._report_pool_read(pool_id)
        return PoolFacts(
            project=client.get_project(pool.project_id).raw,
            pool=pool.raw,
            measured=measure(client, pool_id, self.log) or {},
            restricted=_restricted(client, pool),
        )


def _check_suffix(name: str, path: object) -> None:
    if not str(path).lower().endswith(SUFFIXES):
        raise ValueError(f"{name} is {str(path)!r}; it must end with .html, so that a browser shows the file")


def _check_url(name: str, url: str) -> None:
    if not str(url).lower().startswith(("http://", "https://")):
        raise ValueError(f"{name} is {url!r}; it must begin with https:// or http://")


def _restricted(client: TolokaClient, pool: Pool) -> set[str]:
    """Return who may not work in a pool now, by restrictions of the requester."""
    now = client.server_time() or datetime.now(UTC)
    wanted = (
        {"scope": "POOL", "pool_id": pool.id},
        {"scope": "PROJECT", "project_id": pool.project_id},
        {"scope": "ALL_PROJECTS"},
    )
    return {
        found.user_id
        for filters in wanted
        for found in client.list_user_restrictions(**filters)
        # Whatever the API makes of the filters.
        if all(getattr(found, name) == value for name, value in filters.items())
        and (found.will_expire is None or found.will_expire > now)
    }
