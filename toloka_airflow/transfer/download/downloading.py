"""From the pages of a list at Toloka to the rows of a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.transfer.heap import frozen_heap
from toloka_airflow.transfer.pace import Pace

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw
    from toloka_airflow.storage.row_files import RowFile


def download(
    file: RowFile,
    pages: Iterator[list[Raw]],
    *,
    lines: Callable[[Raw], Iterable[bytes]],
    cursor: Callable[[Raw], str],
    count: Callable[[list[Raw]], Mapping[str, int]],
    log: Any,
) -> None:
    """
    Append pages to a file, the next one being fetched while one is written; the log tells how far it is.

    :param lines: Returns the rows of an item.
    :param cursor: Returns what to go on behind, once a page that ends with this item is written.
    :param count: Returns what to count for a page.
    """
    began, pace = time.monotonic(), Pace()
    before = dict(file.counts)
    with frozen_heap():
        for page in _read_ahead(pages):
            if not page:
                continue
            rows = (line for item in page for line in lines(item))
            file.append(rows, cursor=cursor(page[-1]), counts=count(page))
            if pace.is_due():
                log.info("%s", progress(file.counts, before, time.monotonic() - began))
    log.info("%s; that is all", progress(file.counts, before, time.monotonic() - began))


def _read_ahead(pages: Iterator[list[Raw]]) -> Iterator[list[Raw]]:
    thread = ThreadPoolExecutor(1, "toloka-pages")
    try:
        coming = thread.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = thread.submit(next, pages, None)
            yield page
    finally:
        # A task that is stopped does not wait for a page that nobody will read.
        thread.shutdown(wait=False, cancel_futures=True)


def progress(counts: Mapping[str, int], before: Mapping[str, int], seconds: float, done: float | None = None) -> str:
    """
    Return a line for the log.

    :param before: The counts ``seconds`` ago.
    :param done: Which share is done, if that is known.
    """
    parts = []
    for name, number in counts.items():
        rate = (number - before.get(name, 0)) / max(seconds, 0.001)
        parts.append(f"{counted(number, name.removesuffix('s'), name)} ({rate:.0f} a second)")
    left = f"; about {done:.0%}, {seconds * (1 - done) / done:.0f} s left" if done else ""
    return f"Written: {', '.join(parts) or 'nothing'}{left}"
