"""
From the attachments of a pool to the files of a folder, several at a time.

- One thread reads the index and writes it; the others fetch. A few files for each of them are handed out ahead, so
  memory does not grow with the number of files.
- A file is what came when it is as long as the server said. What broke off is requested again from the start, within
  the time that the client gives to retries; then the task fails, and the next attempt begins with that file.
- What is complete is in the journal of the folder a few seconds later, or when the download fails.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import count, islice
from threading import Event
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import FailureCount, TolokaApiError, TolokaConnectionError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.transfer.attachments.index import AttachmentIndex, StoredFile
from toloka_airflow.transfer.attachments.manifest import read_stored, write_manifest
from toloka_airflow.transfer.attachments.names import file_name
from toloka_airflow.transfer.client_threads import ClientThreads
from toloka_airflow.transfer.download.downloading import progress
from toloka_airflow.transfer.download.parallel_reading import ParallelReading
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.request_limit import RequestLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.errors import TolokaError
    from toloka_airflow.api.models.attachments import Attachment
    from toloka_airflow.api.transport import FileContent
    from toloka_airflow.storage.replacing import StoragePath
    from toloka_airflow.transfer.attachments.folder import AttachmentFolder, FilePath
    from toloka_airflow.transfer.attachments.index import Wanted

AHEAD = 4
"""Files that are handed out for each thread."""
JOURNAL_FILES, JOURNAL_SECONDS = 100, 5.0
"""After how many complete files, or how long, the journal is written."""
LAST_FILES_TIMEOUT = 5.0
"""Seconds that a download that failed waits for what the other threads are ending."""
LONGEST_PAUSE = 30.0


class _StoppedError(Exception):
    """Another thread has failed."""


@dataclass(frozen=True)
class _Result:
    """
    What became of an attachment.

    :param described: What the API says of it, if it was in no list.
    :param stored: Its file; ``None`` if it is gone.
    :param problem: Why there is no file.
    :param was_there: Whether a previous download had written it.
    """

    wanted: Wanted
    described: Attachment | None = None
    stored: StoredFile | None = None
    problem: str | None = None
    was_there: bool = False


def download_attachments(
    client: TolokaClient,
    pool_id: str,
    folder: AttachmentFolder,
    manifest: StoragePath,
    *,
    statuses: Sequence[str],
    fields: Iterable[str],
    in_flight: int,
    log: Any,
) -> dict[str, int]:
    """
    Write the attachments of a pool to a folder and then their manifest, and return what is to be counted.

    :param client: What they are requested with, one of its like in each thread.
    :param statuses: Of assignments whose attachments are wanted.
    :param fields: The output fields that hold attachments.
    :param in_flight: How many files to fetch at a time.
    """
    with AttachmentIndex(fields) as index:
        _fill(index, client, pool_id, statuses, in_flight, log)
        try:
            index.add_stored(read_stored(manifest), is_there=False)
        except ValueError as exc:
            log.warning("%s is no manifest of a previous download, and will be replaced: %s", manifest, exc)
        index.add_stored(folder.journal(), is_there=False)
        _Download(client, folder, index, in_flight=in_flight, log=log).run()
        write_manifest(manifest, index.rows(), key=folder.key)
        counts = index.counts()
    folder.remove_journal()
    return counts


def _fill(
    index: AttachmentIndex, client: TolokaClient, pool_id: str, statuses: Sequence[str], in_flight: int, log: Any
) -> None:
    """Read what there is. First the answers: what they name was uploaded before, so it is in the list that follows."""
    pace, others = Pace(), 0
    for number, assignment in enumerate(ParallelReading(client, pool_id, in_flight=in_flight, status=statuses), 1):
        index.add_answers(assignment)
        if pace.is_due():
            log.info("Read so far: %s of pool %s", counted(number, "assignment"), pool_id)
    for number, attachment in enumerate(client.list_attachments(pool_id=pool_id), 1):
        others += not index.add(attachment)
        if pace.is_due():
            log.info("Listed so far: %s of pool %s", counted(number, "attachment"), pool_id)
    index.add_named()
    log.info("Pool %s has %s of %s assignments", pool_id, counted(index.total(), "file"), " and ".join(statuses))
    if others:
        log.info("Not downloaded: %d more, of assignments with another status", others)


class _Download:
    """
    Download what is in an index.

    :param client: What it is requested with, one of its like in each thread.
    :param in_flight: How many files to fetch at a time.
    """

    def __init__(
        self, client: TolokaClient, folder: AttachmentFolder, index: AttachmentIndex, *, in_flight: int, log: Any
    ) -> None:
        self._client, self._folder, self._index = client, folder, index
        self._in_flight, self._log = in_flight, log
        self._limit = RequestLimit(in_flight)
        self._stopped = Event()
        self._to_journal: list[StoredFile] = []
        self._journal_written = time.monotonic()
        self._counts = Counter(files=0, bytes=0)
        self._done = self._were_there = 0

    def run(self) -> None:
        """Fetch all files that are not there, and log how far it is."""
        began, pace, total = time.monotonic(), Pace(), self._index.total()
        wanted, most = self._index.wanted(), AHEAD * self._in_flight
        pending: set[Future[_Result]] = set()
        with ClientThreads(self._client, self._in_flight, on_retry=self._on_retry) as threads:
            try:
                while pending := pending | {
                    threads.submit(self._download, each) for each in islice(wanted, most - len(pending))
                }:
                    finished, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
                    self._take(finished)
                    for future in finished:
                        future.result()  # which raises its error
                    if len(self._to_journal) >= JOURNAL_FILES or self._seconds_behind() >= JOURNAL_SECONDS:
                        self._write_journal()
                    if pace.is_due():
                        seconds = time.monotonic() - began
                        self._log.info("%s", progress(self._counts, {}, seconds, self._done / total))
            except Exception:
                self._stopped.set()
                finished, _ = wait(pending, timeout=LAST_FILES_TIMEOUT)
                self._take(finished)
                self._write_journal()
                raise
            finally:
                self._stopped.set()
        self._log.info("%s; that is all", progress(self._counts, {}, time.monotonic() - began))
        self._report()

    def _take(self, finished: Iterable[Future[_Result]]) -> None:
        for result in (future.result() for future in finished if not future.exception()):
            self._done += 1
            if result.described is not None:
                self._index.describe(result.described)
            if result.problem is not None:
                self._index.set_problem(result.wanted.id, result.problem)
            if result.stored is not None:
                self._index.add_stored([result.stored], is_there=True)
            if result.was_there:
                self._were_there += 1
            elif result.stored is not None:
                self._to_journal.append(result.stored)
                self._counts.update(files=1, bytes=result.stored.size)

    def _report(self) -> None:
        """Log what is not as one would expect."""
        counts = self._index.counts()
        if self._were_there:
            self._log.info(
                "%s there already, and not fetched again", counted(self._were_there, "file was", "files were")
            )
        if counts["missing"]:
            [(attachment_id, assignment_id, problem)] = self._index.missing(1)
            self._log.warning(
                "Missing at Toloka: %s that answers name, in the manifest without a path. The first is %s of "
                "assignment %s: %s",
                *(counted(counts["missing"], "attachment"), attachment_id, assignment_id, problem),
            )
        if counts["unnamed"]:
            self._log.warning(
                "No answer names %s of these assignments, as when somebody has replaced a file: in the folder, and in "
                "the manifest without a task and a field",
                counted(counts["unnamed"], "attachment"),
            )
        if others := self._index.other_types():
            number, attachment_id, listed, came = others
            self._log.warning(
                "%s came as another type than the list of attachments says; the manifest has what came. The first is "
                "%s: listed as %s, it is %s",
                *(counted(number, "attachment"), attachment_id, listed, came),
            )

    def _seconds_behind(self) -> float:
        return time.monotonic() - self._journal_written if self._to_journal else 0.0

    def _write_journal(self) -> None:
        if self._to_journal:
            self._folder.add_to_journal(self._to_journal)
        self._to_journal, self._journal_written = [], time.monotonic()

    def _on_retry(self, error: TolokaError) -> None:
        if self._stopped.is_set():
            raise error
        self._limit.has_failed(error)

    # In the threads

    def _download(self, client: TolokaClient, wanted: Wanted) -> _Result:
        if self._stopped.is_set():
            raise _StoppedError
        try:
            attachment_id = checked_id("attachment_id", wanted.id)
        except ValueError as exc:
            return _Result(wanted, problem=str(exc))
        described, failures = None, FailureCount()
        while True:
            try:
                if wanted.name is None and described is None:
                    with self._limit.request():
                        described = client.get_attachment(attachment_id)
                return self._stored(client, attachment_id, wanted, described)
            except TolokaApiError as exc:
                if exc.status != 404 or exc.is_transient:
                    raise
                if failures.is_final(exc):
                    return _Result(wanted, described, problem=f"gone: {exc.status} {exc.code}")
            self._stopped.wait(client.settings.first_pause / 5)

    def _stored(
        self, client: TolokaClient, attachment_id: str, wanted: Wanted, described: Attachment | None
    ) -> _Result:
        name = wanted.name or (described and described.name) or ""
        owner = (described and described.assignment_id) or wanted.assignment_id
        path = self._folder.file(file_name(owner, attachment_id, name))
        stored = wanted.stored
        if stored is not None and stored.path == str(path) and stored.size == self._folder.size(path):
            return _Result(wanted, described, stored, was_there=True)
        with self._limit.request():
            return _Result(wanted, described, self._fetch(client, attachment_id, path))

    def _fetch(self, client: TolokaClient, attachment_id: str, path: FilePath) -> StoredFile:
        give_up = time.monotonic() + client.settings.retry_budget
        for attempt in count():
            # Until the first bytes come, the client tries again by itself.
            with client.download_attachment(attachment_id) as content:
                try:
                    return self._store(attachment_id, content, path)
                except TolokaConnectionError as exc:
                    pause = min(client.settings.first_pause * 2.0 ** min(attempt, 20), LONGEST_PAUSE)
                    if time.monotonic() + pause > give_up or self._stopped.is_set():
                        raise
                    self._log.warning("%s; fetching it again in %.1f s", exc, pause)
                    self._limit.has_failed(exc)
            self._stopped.wait(pause * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _store(self, attachment_id: str, content: FileContent, path: FilePath) -> StoredFile:
        digest, size = hashlib.sha256(), 0
        with self._folder.writing(path) as file:
            for data in content:
                if self._stopped.is_set():
                    raise _StoppedError
                file.write(data)
                digest.update(data)
                size += len(data)
        return StoredFile(attachment_id, str(path), size, content.media_type, digest.hexdigest())
