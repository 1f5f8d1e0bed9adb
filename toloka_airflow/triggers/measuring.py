"""
One operation that measures several pools, for all waits of a connection. An addition to the plain wait, which works
without it; a task that pokes measures by itself (`toloka_airflow.triggers.progress`).

Invariants:

- **A poll has its pool measured, and then decides as ever.** It waits for the result, but for `RESULT_TIMEOUT` seconds
  at the most, and never beyond the end of the wait; what comes later is taken by the next poll. So a sum is noticed at
  the latest one ``progress_interval`` and one poll after it was spent, if Toloka measures in time.
- **Packed by time.** Waits with the same interval are due at the same moments, each a little after the one before, and
  what is due within `gathering` seconds is measured by as few operations as hold it, in the order in which it came.
- **Nobody is spoilt by another.** If Toloka refuses a pack, fails it, or gives no result for one of its pools, each of
  them is measured alone at once. A pool whose measurement failed in whatever way is alone the next time, too.
- **Each result comes once.** Whoever wants a pool measured gets the result of what is under way for it. Every
  measurement ends: by a result, an error, or after `OPERATION_TIMEOUT`, whether or not the wait has ended meanwhile.
- **A list only ever saves requests.** If several operations are to be read, they are listed; what the list omits, and
  everything while it fails, is read by id. What cannot be read just now is read later, ever more seldom.
- **What a restart loses:** the measurements under way. Each pool is measured as the first poll after it comes.
- All of it belongs to one event loop; only the requests themselves run in threads, and begin in turn.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.analytics import MAX_METRICS
from toloka_airflow.api.errors import TolokaApiError, TolokaError, TolokaOperationError, is_transient
from toloka_airflow.api.models import Operation, OperationStatus, Pool, read_metrics
from toloka_airflow.api.pool_rules import has_stopped
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.progress import METRICS, Progress
from toloka_airflow.triggers.trail import TrailWriter
from toloka_airflow.triggers.waiting import WaitTrigger

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.triggers.events import WaitEvent
    from toloka_airflow.triggers.waits import PoolWait

PACK_SIZE = MAX_METRICS // len(METRICS)
"""Pools that one operation measures."""
REQUESTS_PER_SECOND = 50
"""Requests about measurements that may begin on one connection, so that others stay below what Toloka allows."""
GATHERING = 2.0
"""Seconds for which a pool waits for others to be measured with, at the most; a tenth of a short interval."""
RESULT_TIMEOUT = 10.0
"""Seconds for which a poll waits for a measurement, at the most; an interval, if that is shorter."""
LEAST_RESULT_TIMEOUT = 5.0
"""The same with a very short interval."""
BEFORE_THE_END = 1.0
"""Seconds before the end of a wait in which nothing is measured any more."""
READ_AFTER = 2.0
"""Seconds after which an operation is read, and again after twice as long each time; most take less than one."""
MAX_READ_PAUSE = 30.0
OPERATION_TIMEOUT = 300.0
"""Seconds after which an operation that is not done is given up, and another one may be started."""
READ_TIMEOUT = 15.0
"""Seconds for which the answer to a list, or to a reading by id, is waited for: all others are read after it."""
READ_AT_ONCE = 20
"""How many results are handed out in one go, so that the event loop comes round to others in between."""

Metrics = Mapping[str, float | None]
Result = Metrics | Exception


@dataclass
class _Pack:
    """Pools that an operation measures."""

    pool_ids: list[str]
    submitted: datetime | None
    began_at: float
    pause: float
    read_at: float


class Measurer(Poller):
    """Measure pools for all waits of a connection."""

    per_second = REQUESTS_PER_SECOND
    purpose = "measurements"

    def __init__(self, toloka_conn_id: str) -> None:
        super().__init__(toloka_conn_id)
        self._results: dict[str, asyncio.Future[Result]] = {}
        self._gathered: dict[str, bool] = {}
        self._packs: dict[str, _Pack] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._interval = 0.0

    def measure(self, pool_id: str, *, alone: bool, poll_interval: float) -> asyncio.Future[Result]:
        """
        Return what will be the metrics of a pool, or why they are not known; nobody else but may cancel it.

        :param alone: Whether no other pool may depend on it.
        :param poll_interval: Seconds between two polls of who wants to know.
        """
        if (result := self._results.get(pool_id)) is None:
            loop = asyncio.get_running_loop()
            result = self._results[pool_id] = loop.create_future()
            self._interval = poll_interval
            if not self._gathered:
                loop.call_later(gathering(poll_interval), self._start_gathered)
            self._gathered[pool_id] = alone
        return result

    def _start_gathered(self) -> None:
        gathered, self._gathered = self._gathered, {}
        together = [pool_id for pool_id, alone in gathered.items() if not alone]
        packs = [together[start : start + PACK_SIZE] for start in range(0, len(together), PACK_SIZE)]
        for pack in [*packs, *([pool_id] for pool_id, alone in gathered.items() if alone)]:
            self._run(self._start(pack))

    async def _start(self, pool_ids: list[str]) -> None:
        try:
            operation = await self.fetch(lambda client: client.start_analytics_of(pool_ids, METRICS), self._interval)
        except Exception as exc:  # whatever it is, a result must come
            self._fail(pool_ids, exc)
        else:
            now, pause = time.monotonic(), min(READ_AFTER, self._interval)
            self._update(operation, _Pack(pool_ids, operation.submitted, now, pause, now + pause))

    def _update(self, operation: Operation, pack: _Pack) -> None:
        """Hand out the results of an operation if it is done, else note when to read it."""
        if not operation.is_done:
            self._packs[operation.id] = pack
            if self._reader is None or self._reader.done():
                self._reader = self._run(self._read())
            return
        self._packs.pop(operation.id, None)
        if operation.status != OperationStatus.SUCCESS:
            self._fail(pack.pool_ids, TolokaOperationError(operation, []))
            return
        is_shared = len(pack.pool_ids) > 1
        for pool_id in pack.pool_ids:
            metrics = read_metrics(operation, pool_id if is_shared else None)
            if is_shared and not metrics:
                self._run(self._start([pool_id]))
            else:
                self._settle([pool_id], metrics)

    def _fail(self, pool_ids: list[str], exc: Exception) -> None:
        is_due_to_all = is_transient(exc) or (isinstance(exc, TolokaApiError) and exc.status == 401)
        if len(pool_ids) > 1 and not is_due_to_all:
            for pool_id in pool_ids:
                self._run(self._start([pool_id]))
        else:
            self._settle(pool_ids, exc)

    def _settle(self, pool_ids: list[str], result: Result) -> None:
        for pool_id in pool_ids:
            self._results.pop(pool_id).set_result(result)

    async def _read(self) -> None:
        """Read operations when it is time, until none is left."""
        while self._packs:
            pause = min(READ_AFTER, self._interval)
            await asyncio.sleep(pause)
            now = time.monotonic()
            # Half a pause early, so that what began a moment later is read together with it.
            due = {each: pack for each, pack in self._packs.items() if pack.read_at <= now + pause / 2}
            for pack in due.values():
                pack.pause = min(2 * pack.pause, MAX_READ_PAUSE)
                pack.read_at = now + pack.pause
            listed = await self._listed(due) if len(due) > 1 else {}
            await self._take_listed(listed)
            await asyncio.gather(*(self._read_by_id(operation_id) for operation_id in due.keys() - listed))
            self._give_up()

    async def _take_listed(self, listed: Mapping[str, Operation]) -> None:
        known = [(listed[operation_id], pack) for operation_id, pack in self._packs.items() if operation_id in listed]
        for count, (operation, pack) in enumerate(known, 1):
            self._update(operation, pack)
            if count % READ_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _listed(self, packs: Mapping[str, _Pack]) -> Mapping[str, Operation]:
        """Return operations of which a list says enough; a list that fails says nothing."""
        times = [pack.submitted for pack in packs.values() if pack.submitted is not None]
        if not times:
            return {}
        try:
            operations = await self.fetch(partial(_list, min(times), len(packs)), self._interval)
        except Exception:  # whatever it is, each can still be read by id
            return {}
        return {each.id: each for each in operations if each.details or not each.is_done}

    async def _read_by_id(self, operation_id: str) -> None:
        try:
            operation = await self.fetch(partial(_read, operation_id), self._interval)
        except Exception as exc:
            if not is_transient(exc):
                self._settle(self._packs.pop(operation_id).pool_ids, exc)
        else:
            self._update(operation, self._packs[operation_id])

    def _give_up(self) -> None:
        for operation_id, pack in list(self._packs.items()):
            if time.monotonic() - pack.began_at >= OPERATION_TIMEOUT:
                why = f"operation {operation_id}, which measures it, is not done after {OPERATION_TIMEOUT:.0f} s"
                self._settle(self._packs.pop(operation_id).pool_ids, TolokaError(why))

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop itself does not keep it
        task.add_done_callback(self._tasks.discard)
        return task


class SharedProgress(Progress):
    """Measure the pool of a wait now and then, together with those of others."""

    def __init__(self, wait: PoolWait, log: Any) -> None:
        super().__init__(wait.pool_id, wait.progress_interval, log)
        self._wait = wait
        self._alone = False
        self._offset = random.uniform(0.0, 0.8) * gathering(wait.poll_interval)
        self._measurer: Measurer | None = None
        self._pending: asyncio.Future[Result] | None = None

    def due_in(self) -> float:
        """Return in how many seconds it is time for a poll; what could not be done in time has the next one's."""
        if self.interval is None:
            return float("inf")
        left = self._due - time.monotonic()
        return left if left > 0 and self._pending is None else self._wait.poll_interval

    def poll(self, client: TolokaClient, pool: Pool) -> None:
        """Do nothing: the pool is measured after the poll."""

    async def measure(self, pool: Pool) -> None:
        """Have the pool measured if it is time, and log what changed; give up waiting before the wait has to end."""
        if self.interval is None:
            return
        self._take_result(pool)
        interval = self._wait.poll_interval
        timeout = min(RESULT_TIMEOUT, max(LEAST_RESULT_TIMEOUT, interval), self._left())
        if self._pending is not None or time.monotonic() < self._due or timeout <= 0:
            return
        self._due = self._next_due(max(self.interval, interval))
        self._measurer = self._measurer or Measurer.of(self._wait.toloka_conn_id)
        self._pending = self._measurer.measure(self.pool_id, alone=self._alone, poll_interval=interval)
        await asyncio.wait({self._pending}, timeout=timeout)
        self._take_result(pool)

    def _take_result(self, pool: Pool) -> None:
        if self._pending is not None and self._pending.done():
            result, self._pending = self._pending.result(), None
            self._alone = isinstance(result, Exception)
            self.take(result, pool)

    def _left(self) -> float:
        ends = [end for end in (self._wait.until, self._wait.deadline) if end is not None]
        return min(ends) - time.time() - BEFORE_THE_END

    def _next_due(self, period: float) -> float:
        """Return the next of the moments that all with this period have in common, but for the offset."""
        now = time.monotonic()
        due = (math.floor((now - self._offset) / period) + 1) * period + self._offset
        return due if due > now else due + period


class MeasuresWithOthers(WaitTrigger[Pool]):
    """A wait for a pool that is measured together with those of other waits."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._progress = SharedProgress(self.wait, self.log)
        self.tracker: Any
        self.tracker.progress = self._progress
        self._trail = TrailWriter(self.log)
        self._kept: Any = None

    async def _poll(self, fetch: Callable[[], Awaitable[Pool | None]]) -> WaitEvent | None:
        return await super()._poll(partial(self._fetch_and_measure, fetch))

    async def _fetch_and_measure(self, fetch: Callable[[], Awaitable[Pool | None]]) -> Pool | None:
        pool = await fetch()
        if pool is not None and not has_stopped(pool):
            await self._progress.measure(pool)
            if (facts := self._progress.facts) is not None and self._progress.measured != self._kept:
                self._kept = self._progress.measured
                self._trail.keep(self.task_instance, facts)
        return pool


def gathering(poll_interval: float) -> float:
    """Return the seconds for which a pool waits for others to be measured with."""
    return min(GATHERING, poll_interval / 10)


def _list(since: datetime, max_pages: int, client: TolokaClient) -> list[Operation]:
    # More pages than operations are wanted would cost more than to read them by id.
    pages = islice(client.without_retries(timeout=READ_TIMEOUT).analytics_pages(since), max_pages)
    return [operation for page in pages for operation in page]


def _read(operation_id: str, client: TolokaClient) -> Operation:
    return client.without_retries(timeout=READ_TIMEOUT).get_operation(operation_id)
