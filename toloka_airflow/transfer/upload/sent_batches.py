"""What became of batches that were just sent, fetched and written down while others are sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toloka_airflow.api.models import Operation

if TYPE_CHECKING:
    from concurrent.futures import Future

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.transfer.client_threads import ClientThreads
    from toloka_airflow.transfer.upload.batch_operations import BatchResult, Uploader
    from toloka_airflow.transfer.upload.batches import Batch
    from toloka_airflow.transfer.upload.upload_results import UploadResults


@dataclass
class _SentBatch:
    """A batch whose result is not written down yet, and the request for that, once there is one."""

    batch: Batch
    operation: Operation
    result: Future[BatchResult | Operation | None] | None = None


class SentBatches:
    """
    Write down what became of batches in their order, as far as Toloka is done with them in time.

    It gives up for good at the first that is not: what became of that one and of all behind it is left to who reads
    the source once more.

    :param keep: How many batches to keep in memory until they are done.
    """

    def __init__(self, threads: ClientThreads, uploader: Uploader, results: UploadResults, *, keep: int) -> None:
        self._threads, self._uploader, self._results, self._keep = threads, uploader, results, keep
        self._batches: deque[_SentBatch] = deque()
        self._has_all = False

    def begin(self) -> None:
        """From now on all batches are added, from the first one on."""
        self._has_all = True

    def add(self, batch: Batch, operation: Operation) -> None:
        """Add the next batch, and fetch its result if it is done."""
        if self._has_all:
            sent = _SentBatch(batch, operation)
            self._batches.append(sent)
            if operation.is_done:
                self._fetch(sent)
            self._write(self._keep)

    def write_all(self) -> bool:
        """Return whether all batches were added, and are now written down; those that were not done are polled once."""
        for sent in self._batches:
            if sent.result is None:
                self._fetch(sent)
        self._write(0)
        return self._has_all

    def _write(self, keep: int) -> None:
        """Write down what is known, from the first batch on; wait for it while there are more batches than to keep."""
        while self._batches:
            first, is_due = self._batches[0], len(self._batches) > keep
            if first.result is None and is_due:
                self._fetch(first)
            if first.result is None or not (is_due or first.result.done()):
                return
            result = first.result.result()
            if isinstance(result, Operation):
                self._batches.clear()
                self._has_all = False
                return
            self._results.add(first.batch, result)
            self._batches.popleft()

    def _fetch(self, sent: _SentBatch) -> None:
        sent.result = self._threads.submit(self._result, sent.batch, sent.operation)

    def _result(self, client: TolokaClient, batch: Batch, operation: Operation) -> BatchResult | Operation | None:
        """Return what became of a batch; nothing if it is written down, and the operation if it is not done."""
        if self._results.has(batch):
            return None
        if not operation.is_done:
            operation = client.get_operation(operation.id)
        return self._uploader.batch_result(client, batch, operation) if operation.is_done else operation
