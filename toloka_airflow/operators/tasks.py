"""Upload tasks to a pool or training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.links import TolokaLink
from toloka_airflow.operators.waiting import WaitingOperator, awaited_operation
from toloka_airflow.triggers import WaitEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

MAX_CHUNK = 10_000


class CreateTasksOperator(WaitingOperator):
    """
    Upload tasks to a pool or training, each exactly once.

    Tasks come from a list (also the output of another task), or from a file on any object storage, which is read as
    a stream:

    - JSON Lines (``.jsonl``, ``.ndjson``): a task a line, as the API takes it: ``{"input_values": {...}}``.
    - CSV (``.csv``, ``.tsv``): columns ``INPUT:name``, ``GOLDEN:name``, ``HINT:text`` and ``TASK:overlap`` as on
      Toloka's upload page. Cells are converted to the types of the project's fields; an empty cell is no value. A task
      with golden answers is for everybody (its overlap is infinite) unless it has an overlap of its own.
    - Parquet (``.parquet``): the same columns, or columns named like the fields of a task; needs pyarrow.

    Text files may be compressed (``.gz``).

    It may be retried and cleared as often as needed: what was uploaded is found again, also if a worker was killed.
    Tasks that are uploaded stay so if others are refused; repair the refused lines, leave all others in their place,
    and clear the task. A file whose uploaded lines changed is refused. It never opens the pool: an upload that
    is still under way could open a pool again that was closed meanwhile.

    It returns ``pool_id``, the counts ``total``, ``created`` and ``invalid``, and two paths. At ``ids_path``
    is the id of every task, ``{"line": 1, "task_id": "..."}``; at ``invalid_path`` what is wrong with every task
    that was refused, ``{"line": 2, "field": "input_values.image", "code": "VALUE_REQUIRED", "message": "..."}``. It
    is ``None`` if no task was refused.

    :param pool_id: The pool or training (templated).
    :param tasks: The tasks or the path of a file with them (templated).
    :param ids_path: Where to write the ids; beside the file by default, nowhere for a list (templated).
    :param invalid_path: Where to write what was refused; beside the file by default, nowhere for a list (templated).
    :param skip_invalid_items: Whether to upload the valid tasks of a chunk with invalid ones, and succeed.
    :param allow_defaults: Whether tasks without ``overlap`` get that of the pool's defaults.
    :param chunk_size: Tasks in one request, at most; there are fewer if they have many bytes.
    :param in_flight: Requests at a time.
    :param timeout: Seconds to wait until the pool takes the next operation, and until the last has ended.

    Further arguments are those of `WaitingOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "tasks", "ids_path", "invalid_path", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str,
        tasks: Any,
        ids_path: str | None = None,
        invalid_path: str | None = None,
        skip_invalid_items: bool = False,
        allow_defaults: bool = True,
        chunk_size: int = 5000,
        in_flight: int = 4,
        timeout: float = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)
        self.pool_id = pool_id
        self.tasks = tasks
        self.ids_path = ids_path
        self.invalid_path = invalid_path
        self.skip_invalid_items = skip_invalid_items
        self.allow_defaults = allow_defaults
        self.chunk_size = _whole("chunk_size", chunk_size, MAX_CHUNK)
        self.in_flight = _whole("in_flight", in_flight, 32)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send what was not sent yet, wait for it, and write down what became of it."""
        return self._upload(context, time.time() + self.timeout)

    def holder_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer waited for an operation that held the pool."""
        from toloka_airflow.transfer.uploading import upload_errors

        with upload_errors():
            return self._upload(context, _deadline(event))

    def operations_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer waited for an operation of this upload."""
        from toloka_airflow.transfer.uploading import Upload, upload_errors

        with upload_errors():
            deadline = _deadline(event)
            return Upload(self, context, wait=self._wait).collect(deadline)

    def _upload(self, context: Context, deadline: float) -> dict[str, Any]:
        # Here, as a DAG that is only parsed needs none of it.
        from toloka_airflow.transfer.uploading import Upload, upload_errors

        with upload_errors():
            upload = Upload(self, context, wait=self._wait)
            upload.check_pool()
            if context["ti"].try_number > 1:
                upload.check_earlier()
            last = upload.send(deadline)
            deadline = time.time() + self.timeout
            # The last one first: when it is done, most of the others are.
            self._wait(upload.client, last, deadline, self.operations_finished)
            return upload.collect(deadline)


def _deadline(event: dict[str, Any] | None) -> float:
    """Return when what comes next must be done, after a wait that ended well."""
    end = WaitEvent.read(event)
    awaited_operation(end)
    return end.deadline


def _whole(name: str, value: int, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 to {limit}")
    return value
