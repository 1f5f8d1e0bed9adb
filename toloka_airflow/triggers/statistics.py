"""
What a triggerer reports of its waits to Airflow's statistics. An addition to the wait, which works without it.

Invariants:

- **Nothing where no statistics are configured.** Then a wait runs as if this module were not there.
- **The event loop only hands over.** All that is reported, or requested for it, is in threads of its own. A wait adds
  itself when it begins, removes itself when it ends, and neither waits for anything nor fails because of it.
- **Gauges come at intervals**, one report for each connection that had a wait since the triggerer started: also when
  all its waits have ended, as a pool that stays open then is what an alert is for. So what was reported of waits goes
  back to 0.
- **No operation is started for them.** How far pools are is what their waits have measured. Of the account, a report
  requests the balance and the list of open pools.
- All but the reports themselves belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from toloka_airflow._internal import statistics
from toloka_airflow.api.models import CloseReason, PoolStatus, read_date
from toloka_airflow.triggers.connections import in_thread, threads
from toloka_airflow.triggers.events import FINISHED, WaitEvent
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.shared_polling import SharedWaitTrigger
from toloka_airflow.triggers.waits import PoolWait, SubjectT

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Raw
    from toloka_airflow.triggers.progress import Facts

ACCOUNT_TIMEOUT = 30.0
"""Seconds that the requests for a gauge of the account may take."""
PURPOSE = "statistics"
_BY_OTHERS = frozenset({CloseReason.MANUAL, CloseReason.FOR_UPDATE})
"""Reasons of closes that Toloka does not make by itself."""
_KNOWN_REASONS = frozenset(reason.value for reason in CloseReason)

Waits = Collection["ReportedWait[Any]"]


class ReportedWait(SharedWaitTrigger[SubjectT]):
    """A wait that is in the gauges while it runs, and whose end is counted."""

    def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the event that says how the wait ended."""
        return self._reported(super().run())

    def filter_shared_stream(self, shared_stream: AsyncIterator[None]) -> AsyncIterator[TriggerEvent]:
        """Yield the same, with what all waits of a stream share."""
        return self._reported(super().filter_shared_stream(shared_stream))

    def _reported(self, events: AsyncIterator[TriggerEvent]) -> AsyncIterator[TriggerEvent]:
        return _while_reported(self, events) if statistics.is_on() else events

    def _ended(self, kind: str, **more: Any) -> WaitEvent:
        event = super()._ended(kind, **more)
        if kind == FINISHED and statistics.is_on():
            with statistics.harmless():
                threads(self.wait.toloka_conn_id, PURPOSE).submit(
                    _report_end, self.wait, event.subject or {}, time.time()
                )
        return event


async def _while_reported(
    wait: ReportedWait[SubjectT], events: AsyncIterator[TriggerEvent]
) -> AsyncIterator[TriggerEvent]:
    reports = _Reports.of_loop(wait.wait.toloka_conn_id)
    reports.waits.add(wait)
    try:
        async for event in events:
            yield event
    finally:
        reports.waits.discard(wait)
        await events.aclose()  # type: ignore[attr-defined]  # now, as if this were not between it and the triggerer


class _StatisticsPoller(Poller):
    """Reports do not queue behind polls that Toloka does not answer."""

    purpose = PURPOSE


class _Reports:
    """
    Report the waits of a connection, and its account, for as long as the event loop runs.

    :param toloka_conn_id: The connection.
    """

    _all: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Reports]] = WeakKeyDictionary()

    def __init__(self, toloka_conn_id: str) -> None:
        self.toloka_conn_id = toloka_conn_id
        self.waits: set[ReportedWait[Any]] = set()
        self._pools = PoolReports(toloka_conn_id)
        # Not in the context of the wait that happens to be the first: its log is not that of all others.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    @classmethod
    def of_loop(cls, toloka_conn_id: str) -> _Reports:
        """Return those of the running event loop."""
        of_loop = cls._all.setdefault(asyncio.get_running_loop(), {})
        if toloka_conn_id not in of_loop:
            of_loop[toloka_conn_id] = cls(toloka_conn_id)
        return of_loop[toloka_conn_id]

    async def _run(self) -> None:
        poller = _StatisticsPoller.of(self.toloka_conn_id)
        executor = threads(self.toloka_conn_id, PURPOSE)
        interval = statistics.interval()
        try:
            while True:
                with statistics.harmless():
                    await in_thread(executor, partial(self._report_waits, frozenset(self.waits)))
                for report in (self._report_open, self._report_balance):
                    with statistics.harmless():
                        await poller.fetch(report, interval)
                await asyncio.sleep(interval)
        finally:
            self._all.pop(asyncio.get_running_loop(), None)

    def _report_waits(self, waits: Waits) -> None:
        tags = {"connection": self.toloka_conn_id, "hostname": statistics.HOSTNAME}
        of_pools: list[Any] = [wait for wait in waits if isinstance(wait.wait, PoolWait)]
        statistics.gauge("waits", len(of_pools), of="pool", **tags)
        statistics.gauge("waits", len(waits) - len(of_pools), of="operation", **tags)
        pools: dict[str, Facts | None] = {}
        for wait in of_pools:  # of several for one pool, only those with a progress_interval measure it
            pool_id = wait.wait.pool_id
            pools[pool_id] = wait.tracker.progress.facts or pools.get(pool_id)
        self._pools.report(pools)

    def _report_open(self, client: TolokaClient) -> None:
        pools = client.without_retries(timeout=ACCOUNT_TIMEOUT).list_pools(status=PoolStatus.OPEN)
        statistics.gauge("pools.open", sum(1 for _ in pools), connection=self.toloka_conn_id)

    def _report_balance(self, client: TolokaClient) -> None:
        balance = client.without_retries(timeout=ACCOUNT_TIMEOUT).get_requester().balance
        if balance is not None:
            statistics.gauge("balance", float(balance), connection=self.toloka_conn_id)


class PoolReports:
    """
    Report how far the pools are that are waited for, by what was measured, and since when nobody has answered.

    :param toloka_conn_id: The connection.
    """

    def __init__(self, toloka_conn_id: str) -> None:
        self._tags = {"connection": toloka_conn_id, "hostname": statistics.HOSTNAME}
        self._answers: dict[str, tuple[float, float]] = {}

    def report(self, pools: Mapping[str, Facts | None]) -> None:
        """Report pools, by their ids, with what is known of each."""
        measured = {pool_id: facts for pool_id, facts in pools.items() if facts}
        before = self._answers.keys()
        ages = self._ages(measured)
        statistics.gauge("pools.waited_for", len(pools), **self._tags)
        if statistics.has_pool_ids():
            for pool_id, facts in measured.items():
                self._report([facts], [ages[pool_id]] if pool_id in ages else [], pool=pool_id)
            for pool_id in before - ages.keys():  # it would seem to get no answers for ever
                self._report_age(0.0, pool=pool_id)
        else:
            self._report(measured.values(), ages.values() or [0.0])

    def _report(self, measured: Collection[Facts], ages: Collection[float], **more: str) -> None:
        tags = {**self._tags, **more}
        if percents := [facts["percent"] for facts in measured if facts["percent"] is not None]:
            statistics.gauge("pools.percent", sum(percents) / len(percents), **tags)
        for fact in ("spent", "committed"):
            statistics.gauge(f"pools.{fact}", sum(facts[fact] or 0.0 for facts in measured), **tags)
        if ages:
            self._report_age(max(ages), **more)

    def _report_age(self, age: float, **more: str) -> None:
        statistics.gauge("pools.last_answer_age", age, **self._tags, **more)

    def _ages(self, measured: Mapping[str, Facts]) -> dict[str, float]:
        """Return the seconds since each pool has got an answer, or was measured first; forget the other pools."""
        now, known = time.monotonic(), self._answers
        counts = {pool_id: facts["answers"] for pool_id, facts in measured.items() if facts["answers"] is not None}
        self._answers = {
            pool_id: known[pool_id] if pool_id in known and known[pool_id][0] == count else (count, now)
            for pool_id, count in counts.items()
        }
        return {pool_id: now - since for pool_id, (_, since) in self._answers.items()}


def _report_end(wait: Any, subject: Raw, noticed_at: float) -> None:
    """Report when a wait has noticed that what it waited for is done, and who closed a pool."""
    with statistics.harmless():
        is_pool = isinstance(wait, PoolWait)
        ended = read_date(subject.get("last_stopped" if is_pool else "finished"))
        if ended is not None:
            # Not less than nothing: both clocks show almost the same time.
            delay = max(0.0, noticed_at - ended.timestamp())
            tags = {"connection": wait.toloka_conn_id, "of": "pool" if is_pool else "operation"}
            statistics.timing("detection_delay", delay, **tags)
        if is_pool and (reason := subject.get("last_close_reason")):
            by = "others" if reason in _BY_OTHERS else "toloka"
            known = reason.lower() if reason in _KNOWN_REASONS else "unknown"
            statistics.count("closes", connection=wait.toloka_conn_id, by=by, reason=known)
