"""Upload tasks to a pool or training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_int
from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import TolokaLink
from toloka_airflow.operators.waiting import WaitingOperator, remaining_deadline

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.transfer.upload.uploading import Upload

__all__ = ["CreateTasksOperator"]

MAX_CHUNK = 10_000


class CreateTasksOperator(WaitingOperator):
    """
    Upload tasks to a pool or training, each exactly once.

    Tasks come from a list (also the output of another task), or from a file on any object storage, which is read as
    a stream:

    - JSON Lines (``.jsonl``, ``.ndjson``): a task a line, as the API takes it: ``{"input_values": {...}}``.
    - JSON (``.json``): an array of such tasks.
    - CSV (``.csv``, ``.tsv``): columns ``INPUT:name``, ``GOLDEN:name``, ``HINT:text`` and ``TASK:overlap`` as on
      Toloka's upload page, ``reserved_for`` and ``unavailable_for``. Cells are converted to the types of the project's
      fields; an empty cell is no value, and an empty row no task. A task with golden answers is for everybody (its
      overlap is infinite) unless it has an overlap of its own.
    - Parquet (``.parquet``): the same columns, or columns named like the fields of a task; needs pyarrow.

    Text files may be compressed (``.gz``). A cell that is not of its field's type fails the task, as do 3.5 for an
    integer and a key that is there twice in JSON. What else is wrong with the values of JSON and lists, the API says.

    It may be retried and cleared as often as needed: what was uploaded is found again, also if a worker was killed.
    Tasks that are uploaded stay so if others are refused; repair the refused lines, leave all others in their place,
    and clear the task. A file whose uploaded lines changed, or that ends earlier, is refused, so a line cannot be
    removed: to do without the invalid ones, set ``skip_invalid_items``. Lines that were skipped are done with; when
    they are repaired, give them to a task of its own. It never opens the pool: an upload that is still under way could
    open a pool again that was closed meanwhile.

    It returns ``pool_id``, the counts ``total``, ``created`` and ``invalid``, and two paths. At ``ids_path``
    is the id of every task, ``{"line": 1, "task_id": "..."}``; at ``invalid_path`` what is wrong with every task
    that was refused, ``{"line": 2, "field": "input_values.image", "code": "VALUE_REQUIRED", "message": "..."}``. It
    is ``None`` if no task was refused. By default both are beside the file and called ``*.jsonl``, too: name others if
    the next run reads all such files of the folder. Mapped tasks must not share a path that you name, or the last
    replaces what the others wrote.

    :param pool_id: The pool or training (templated).
    :param tasks: The tasks or the path of a file with them (templated); no generator, which can be read only once.
    :param ids_path: Where to write the ids; beside the file by default, nowhere for a list (templated).
    :param invalid_path: Where to write what was refused; beside ``ids_path`` if that is named, else beside the file,
        nowhere for a list (templated).
    :param skip_invalid_items: Whether to upload the valid tasks of a chunk with invalid ones, and succeed.
    :param allow_defaults: Whether tasks without ``overlap`` get that of the pool's defaults.
    :param chunk_size: Tasks in one request, at most; there are fewer if they have many bytes.
    :param in_flight: Requests at a time.
    :param timeout: Seconds until all operations must have been taken and have ended, counted anew in every attempt; an
        attempt resumes after what the previous one sent.

    Further arguments are those of `WaitingOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "tasks", "ids_path", "invalid_path", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        tasks: RowsOrPath,
        ids_path: str | XComArg | None = None,
        invalid_path: str | XComArg | None = None,
        skip_invalid_items: bool = False,
        allow_defaults: bool = True,
        chunk_size: int = 5000,
        in_flight: int = 4,
        timeout: float | timedelta = 6 * 3600.0,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **{"multiple_outputs": True, **kwargs},
        )
        if hasattr(tasks, "__next__"):
            raise argument_error(f"tasks is {tasks!r:.100}, which can be read only once; give a list or a path")
        self.pool_id = as_rendered(pool_id)
        self.tasks: Any = tasks
        self.ids_path = as_rendered(ids_path)
        self.invalid_path = as_rendered(invalid_path)
        self.skip_invalid_items = skip_invalid_items
        self.allow_defaults = allow_defaults
        self.chunk_size = parse_int("chunk_size", chunk_size, maximum=MAX_CHUNK)
        self.in_flight = parse_int("in_flight", in_flight, maximum=32)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send what is not sent yet, wait for it, and write its results."""
        with task_errors(), self._open_upload(context, time.time() + self.timeout) as upload:
            self._send(upload, context, is_retry=context["ti"].try_number > 1)
            return self._collect(upload)

    def blocking_operation_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume after the triggerer waited for an operation that blocked the upload."""
        with task_errors(), self._open_upload(context, remaining_deadline(event)) as upload:
            self._send(upload, context, is_retry=True)
            return self._collect(upload)

    holder_finished = blocking_operation_finished  # as tasks that older versions have deferred will call it

    def operations_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume after the triggerer waited for an operation of this upload."""
        with task_errors(), self._open_upload(context, remaining_deadline(event)) as upload:
            return self._collect(upload)

    def _open_upload(self, context: Context, deadline: float) -> AbstractContextManager[Upload]:
        # Here, as a DAG that is only parsed needs none of it.
        from toloka_airflow.transfer.upload.uploading import UploadOptions, open_upload

        options = UploadOptions(**{name: getattr(self, name) for name in UploadOptions.__dataclass_fields__})
        client = TolokaHook(self.toloka_conn_id).get_conn()
        return open_upload(options, client, context, deadline=deadline, log=self.log)

    def _send(self, upload: Upload, context: Context, *, is_retry: bool) -> None:
        upload.check_pool(context)
        for operation in upload.send(is_retry=is_retry):
            self._wait(upload.client, operation, upload.deadline, self.blocking_operation_finished)

    def _collect(self, upload: Upload) -> dict[str, Any]:
        for operation in upload.collect():
            self._wait(upload.client, operation, upload.deadline, self.operations_finished)
        result = upload.result()
        self._report_pool_written(result["pool_id"])
        self._lineage_facts = result
        return result
