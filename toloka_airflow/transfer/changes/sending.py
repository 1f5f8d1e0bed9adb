"""Changes that are each one request, sent several at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaApiError, TolokaError

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

RowT = TypeVar("RowT")

MAX_REFUSED = 20
"""After so many refusals nothing more is sent: what is wrong with them is likely wrong with all."""
OF_ONE_ROW = (400, 404, 409)
"""HTTP statuses that are about one row; others, such as 403, are about all."""


def send_each(
    client: TolokaClient,
    rows: Iterable[tuple[str, RowT]],
    send: Callable[[TolokaClient, str, RowT], str],
    *,
    what: str,
    in_flight: int,
    log: Any,
) -> Counter[str]:
    """
    Send a request for each of some rows, and return how often each thing happened.

    What is refused does not keep the others from being sent. If not all could be sent, the log and the error say how
    many were; an attempt that follows does what is left.

    :param rows: Ids, each with what `send` needs to know of it.
    :param send: Sends the request, which must be harmless to repeat, and returns what happened, in a word.
    :param what: What the rows are, in the plural.
    :param in_flight: How many requests at a time; fewer for a while after a 429.
    :raises TolokaError: If some were refused, with the first of them; or if the requests fail altogether.
    """
    # Here, as a DAG that is only parsed sends nothing.
    from toloka_airflow.transfer.client_threads import ClientThreads
    from toloka_airflow.transfer.pace import Pace
    from toloka_airflow.transfer.request_limit import RequestLimit

    todo = list(rows)
    sent, limit, pace, remaining = _Sent(), RequestLimit(in_flight), Pace(), iter(todo)

    def one(client: TolokaClient, row_id: str, row: RowT) -> None:
        with sent.noting(row_id), limit.request():
            if not sent.is_over.is_set():
                sent.add(send(client, row_id, row))

    try:
        with ClientThreads(client, in_flight, on_retry=limit.has_failed) as threads:
            # So few at once that a task that is stopped has little left to do.
            while not sent.is_over.is_set() and (some := list(islice(remaining, 10 * in_flight))):
                futures = [threads.submit(one, *row) for row in some]
                for future in futures:
                    future.result()
                if pace.is_due():
                    log.info("Sent so far: %d of %d %s (%s)", sent.done.total(), len(todo), what, _counts(sent.done))
    except TolokaError:
        known = sent.done.total()
        log.error("Only %d of %d %s are known to be done; a further attempt does the rest", known, len(todo), what)
        raise
    if sent.refused:
        raise _refusal(what, len(todo), sent)
    if todo:
        log.info("All %d %s are done (%s)", len(todo), what, _counts(sent.done))
    return sent.done


class _Sent:
    """What became of rows so far, as several threads note it."""

    def __init__(self) -> None:
        self.done, self.refused, self.is_over = Counter[str](), list[str](), Event()
        self._lock = Lock()

    def add(self, happened: str) -> None:
        with self._lock:
            self.done[happened] += 1

    @contextmanager
    def noting(self, row_id: str) -> Iterator[None]:
        """Note a refusal that is about one row; after any other error, and too many refusals, it is over."""
        try:
            yield
        except TolokaError as exc:
            if not isinstance(exc, TolokaApiError) or exc.status not in OF_ONE_ROW:
                self.is_over.set()
                raise
            with self._lock:
                self.refused.append(f"{row_id}: {exc}")
                if len(self.refused) >= MAX_REFUSED:
                    self.is_over.set()


def _refusal(what: str, total: int, sent: _Sent) -> TolokaError:
    done, refused = sent.done.total(), len(sent.refused)
    shown = "".join(f"\n  {problem}" for problem in sent.refused[:MAX_REFUSED])
    rest = total - done - refused
    unsent = f", {counted(rest, 'was', 'were')} not sent any more" if rest else ""
    text = f"{done} of {total} {what} are done; {counted(refused, 'was', 'were')} refused{unsent}:{shown}"
    return TolokaError(text, topic="refused-values")


def _counts(done: Counter[str]) -> str:
    return ", ".join(f"{number} {happened}" for happened, number in done.items()) or "none"
