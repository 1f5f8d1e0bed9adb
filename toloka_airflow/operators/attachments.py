"""Download the files that people attached to their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_int
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow.api.ids import checked_id
from toloka_airflow.assets import check_outlets, report
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.operators.assignments import MAX_IN_FLIGHT, parse_statuses, pool_or_training
from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.transfer.attachments.downloading import download_attachments
from toloka_airflow.transfer.attachments.folder import AttachmentFolder
from toloka_airflow.transfer.attachments.manifest import check_manifest

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.storage.replacing import StoragePath

__all__ = ["DownloadAttachmentsOperator"]

FILE_TYPES = ("file", "array_file")


class DownloadAttachmentsOperator(LineageMixin, BaseOperator):
    """
    Write the files that people attached to the answers of a pool to a folder, on any object storage.

    Output fields of the type ``file`` hold ids of attachments. Several files are fetched at a time, in the same memory
    for any number of them. A file appears when it is complete, with the bytes and the length that Toloka sent; one that
    broke off is fetched again. Its name is ``<assignment id>_<attachment id>_<name>``; of the name that it had on the
    device of the person, letters without accents, digits and hyphens are left, so every store takes it.

    The manifest appears when all files are there. It has a row for each file that an answer names, with
    ``assignment_id``, ``task_id``, ``field``, ``attachment_id``, ``user_id``, ``name`` (as the person called it),
    ``path``, ``size`` (bytes), ``media_type``, ``sha256``, ``created`` and ``problem``. A file of an assignment that no
    answer names, as when somebody has replaced it by another, is downloaded, too; its row has neither task nor field.
    One that is missing at Toloka (404) has a row with a ``problem`` and no path. The log has the numbers of both.

    A file that is in the manifest of a previous download, or was complete when an attempt was killed, is not fetched
    again if it is there with the same size. So a pool may be downloaded to one folder again and again.

    It returns ``{"pool_id", "folder", "manifest", "files", "bytes", "unnamed", "missing"}``: paths, how many files are
    there and how many bytes they have, how many of them no answer names, and how many others are missing. Assets among
    its outlets get the same as the extra of their event.

    :param pool_id: The pool or training (templated).
    :param folder: The folder to write to (templated). Several pools may have the same.
    :param status: A status of assignments, several, or several with commas in between (templated): ``SUBMITTED``,
        ``ACCEPTED``, ``REJECTED``.
    :param manifest: The file of the manifest (templated): ``.jsonl``, ``.jsonl.gz``, ``.csv`` or ``.parquet`` (needs
        pyarrow); ``manifest-<pool id>.jsonl`` in the folder by default. One that is there is replaced.
    :param in_flight: How many files to fetch at a time. Fewer are, for a while, if Toloka answers that they are too
        many (429).
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "folder", "status", "manifest", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        folder: str | ObjectStoragePath | XComArg,
        status: str | Sequence[str] | XComArg = ("ACCEPTED",),
        manifest: str | ObjectStoragePath | XComArg | None = None,
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pool_id = as_rendered(pool_id)
        self.folder = as_rendered(folder)
        self.status = as_rendered(status)
        self.manifest = as_rendered(manifest)
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Download the files and write the manifest."""
        with task_errors():
            pool_id = checked_id("pool_id", self.pool_id)
            check_outlets(self.outlets, pool_id=pool_id, toloka_conn_id=self.toloka_conn_id)
            statuses = parse_statuses(self.status)
            key = TaskIdentity.of(context).uuid("attachments", pool_id)[:8]
            folder = AttachmentFolder(storage_path("folder", self.folder), key=key)
            manifest = self._manifest(folder, pool_id)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = pool_or_training(client, pool_id)
            store_link(context, client, pool)
            fields = self._fields(client, pool.project_id)
            counts = download_attachments(
                client,
                pool_id,
                folder,
                manifest,
                statuses=statuses,
                fields=fields,
                in_flight=self.in_flight,
                log=self.log,
            )
        report_written(folder.path)
        result = {"pool_id": pool_id, "folder": str(self.folder), "manifest": str(manifest), **counts}
        report(context, self.outlets, pool_id=pool_id, toloka_conn_id=self.toloka_conn_id, facts=result)
        self._report_pool_read(pool_id)
        self._lineage_facts = result
        return result

    def _manifest(self, folder: AttachmentFolder, pool_id: str) -> StoragePath:
        if self.manifest is None:
            return folder.file(f"manifest-{pool_id}.jsonl")
        manifest = storage_path("manifest", self.manifest)
        check_manifest(manifest)
        return manifest

    def _fields(self, client: TolokaClient, project_id: str) -> list[str]:
        spec = client.get_project(project_id).raw["task_spec"]["output_spec"]
        fields = [name for name, field in spec.items() if str(field["type"]).lower() in FILE_TYPES]
        if not fields:
            self.log.warning("Project %s has no output field of the type file, so no answer names a file", project_id)
        return fields
