"""
Looking at Toloka from the triggerer for everybody at once, through lists.

`SharedLooks` belong to all who wait on one connection at the same interval. They look at lists, and wake a wait only if
there is news for it, or if it is not listed; then it asks by id. So lists only ever save requests: whatever they
omit, and whenever they fail, the answer by id decides. Airflow 3.3 keeps them up by a shared stream for as long as
somebody waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from airflow.triggers.base import BaseEventTrigger

from toloka_airflow.api.models import Operation, OperationStatus, Pool, PoolStatus
from toloka_airflow.looks import Looks, SubjectT

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

log = logging.getLogger(__name__)

LOOKS_PER_SECOND = 50
"""Looks by id that the waits of one stream may begin, so that several stay below what Toloka allows."""
WOKEN_AT_ONCE = 20
"""How many waits are woken in one go, so that the event loop comes round to others in between."""
NO_ANSWER = 15.0
"""Seconds after which lists that do not answer are not waited for any longer."""
LONGEST_TRUST = 600.0
"""Seconds after which a wait asks by id even if the lists say that what it waits for goes on."""
LONGEST_GAP = 300.0
"""Seconds without lists after which they begin anew, as what ended meanwhile may be many pages."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
"""How far a list of finished operations reaches back if that takes no further page."""
OVERLAP = timedelta(seconds=3)
"""How far it reaches back in any case, as ends may become visible in another order than they happened."""


@dataclass(frozen=True)
class Lists(Generic[SubjectT]):
    """
    What lists said.

    :param subjects: What they named, by id.
    :param going_on: Ids of what goes on, of which no more needs to be known.
    """

    subjects: Mapping[str, SubjectT] = field(default_factory=dict)
    going_on: Collection[str] = frozenset()


class Watch:
    """
    One who waits for news of a subject, within a ``with``.

    There are thousands of them, and Python's garbage collection goes through every object that one is made of.

    :param others: All who wait, to join.
    """

    __slots__ = ("_has_news", "_others", "_waiting", "subject_id")

    def __init__(self, subject_id: str, others: set[Watch]) -> None:
        self.subject_id = subject_id
        self._others = others
        self._has_news = False
        self._waiting: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._others.add(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._others.discard(self)

    def wake(self) -> None:
        """Tell that there is something to see."""
        self._has_news = True
        self._go_on()

    async def news(self, patience: float) -> None:
        """Wait until there is something to see, or for so many seconds."""
        if not self._has_news:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            time_is_up = loop.call_later(patience, self._go_on)
            try:
                await self._waiting
            finally:
                time_is_up.cancel()
                self._waiting = None
        self._has_news = False

    def _go_on(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class SharedLooks(Looks[SubjectT]):
    """
    Ask for everybody at once through lists, and by id for what they do not name.

    Subclasses say which lists. A list that fails names nothing.

    :param poll_interval: Seconds between two looks at the lists.
    """

    is_shared = True
    per_second = LOOKS_PER_SECOND

    def __init__(self, toloka_conn_id: str, poll_interval: float) -> None:
        super().__init__(toloka_conn_id)
        self.poll_interval = poll_interval
        self.lists: Lists[SubjectT] | None = None
        """What the lists said last; ``None`` before that."""
        self._before: Lists[SubjectT] = Lists()
        self._watches: set[Watch] = set()
        self._not_listed = 0
        self._listed_at = time.monotonic()
        self._failures = 0
        self.ends = 0
        """How often nobody looked at the lists any more."""
        self._kept_up = 0

    @classmethod
    def key(cls, toloka_conn_id: str, poll_interval: float) -> tuple[str, str, float]:
        """Return what is equal for all who share these looks."""
        return cls.__name__, toloka_conn_id, poll_interval

    @property
    def is_kept_up(self) -> bool:
        """Whether somebody looks at the lists."""
        return self._kept_up > 0

    def watch(self, subject_id: str) -> Watch:
        """Let somebody be woken when there is news of a subject, or when it is not listed."""
        watch = Watch(subject_id, self._watches)
        if self.lists is not None and subject_id not in self.lists.going_on:
            watch.wake()
        return watch

    async def see(self, subject_id: str, ask: Callable[[TolokaClient], SubjectT]) -> SubjectT | None:
        """Return what is listed, ``None`` if it goes on; ask if it is not listed, not even when its turn has come."""
        if not self.names(subject_id):
            async with self._place(subject_id):
                if not self.names(subject_id):
                    await self._turn()
                if not self.names(subject_id):
                    self._not_listed += 1
                    return await self._ask(ask)
        return self.lists.subjects.get(subject_id) if self.lists else None

    @asynccontextmanager
    async def _place(self, subject_id: str) -> AsyncIterator[None]:
        """Wait in line until there is a place to ask by id, or no need to."""
        place = asyncio.create_task(self._places.acquire())
        try:
            while not (place.done() or self.names(subject_id)):
                await asyncio.wait({place}, timeout=self.poll_interval)
            yield
        finally:
            if not place.cancel():
                self._places.release()

    def names(self, subject_id: str) -> bool:
        """Return whether something is listed."""
        return self.lists is not None and (subject_id in self.lists.subjects or subject_id in self.lists.going_on)

    async def keep_up(self) -> None:
        """
        Look at the lists at every interval, for ever, whether or not they answer.

        The interval is up to a tenth shorter now and then, so that several triggerers do not ask in step.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="toloka-lists")
        reading: asyncio.Task[None] | None = None
        self._kept_up += 1
        try:
            while True:
                end = time.monotonic() + self.poll_interval * random.uniform(0.9, 1.0)
                reading = reading or asyncio.create_task(self._read_lists(thread))
                await asyncio.wait({reading}, timeout=end - time.monotonic())
                if reading.done():
                    reading = None
                elif time.monotonic() - self._listed_at > max(NO_ANSWER, 2 * self.poll_interval):
                    self._failed("no answer yet")
                await self._tell()
                await asyncio.sleep(end - time.monotonic())
        finally:
            self._kept_up -= 1
            if not self._kept_up:  # whoever comes next must not take for news what is old
                self.ends += 1
                self.lists, self._before, self._listed_at = None, Lists(), time.monotonic()
            if reading is not None:
                reading.cancel()
            thread.shutdown(wait=False)
            for watch in self._watches:
                watch.wake()

    async def _read_lists(self, thread: Executor) -> None:
        not_listed, self._not_listed = self._not_listed, 0
        try:
            client = await self.connected()
            lists = await self._in_thread(thread, client, partial(self.read_lists, not_listed))
        except Exception as exc:  # whatever it is, nobody's wait may end because of it
            self._failed(str(exc) or repr(exc))
        else:
            if self._failures:
                log.info("The lists of connection %s answer again", self.toloka_conn_id)
            self.lists, self._listed_at, self._failures = lists, time.monotonic(), 0

    def _failed(self, why: str) -> None:
        self.lists = Lists()
        self._failures += 1
        if self._failures == 1:
            log.warning("Connection %s: looking by id, the lists fail: %s", self.toloka_conn_id, why)

    async def _tell(self) -> None:
        """Wake those for whom there is news, a few at a time: each takes Airflow a while."""
        if (lists := self.lists) is None:
            return
        before, self._before = self._before, lists
        concerned = [watch for watch in self._watches if self._is_news(watch.subject_id, lists, before)]
        for count, watch in enumerate(concerned, 1):
            watch.wake()
            if count % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _is_news(self, subject_id: str, lists: Lists[SubjectT], before: Lists[SubjectT]) -> bool:
        if (subject := lists.subjects.get(subject_id)) is None:
            return subject_id not in lists.going_on
        return (earlier := before.subjects.get(subject_id)) is None or self.differ(earlier, subject)

    @abstractmethod
    def read_lists(self, not_listed: int, client: TolokaClient) -> Lists[SubjectT]:
        """
        Return what need not be asked for.

        :param not_listed: How often somebody had to ask by id since the last look at the lists.
        """

    @abstractmethod
    def differ(self, earlier: SubjectT, subject: SubjectT) -> bool:
        """Return whether something happened to what is listed still."""


class OperationLooks(SharedLooks[Operation]):
    """
    List the operations that ended lately, and now and then those that did not.

    One that did not end goes on until it is seen to end. So what costs requests by id is an operation that began
    after the unfinished ones were listed; they are listed again as soon as that is cheaper.
    """

    def __init__(self, toloka_conn_id: str, poll_interval: float) -> None:
        super().__init__(toloka_conn_id, poll_interval)
        self._newest_end: datetime | None = None
        self._unfinished: frozenset[str] = frozenset()
        self._cost_of_unfinished = 0
        self._list_unfinished_at = 0.0

    def read_lists(self, not_listed: int, client: TolokaClient) -> Lists[Operation]:
        """Return unfinished and finished operations."""
        if time.monotonic() - self._listed_at > LONGEST_GAP:
            self._newest_end, self._list_unfinished_at = None, 0.0
        # What ends while the unfinished are listed may be more than a page.
        finished = self._finished(client) if self._newest_end is None else {}
        if not_listed >= self._cost_of_unfinished or time.monotonic() >= self._list_unfinished_at:
            self._list_unfinished(client)
        finished |= self._finished(client)
        self._unfinished -= finished.keys()
        return Lists(finished, going_on=self._unfinished)

    def differ(self, earlier: Operation, subject: Operation) -> bool:
        """Return ``False``: what has ended does not change."""
        return False

    def _list_unfinished(self, client: TolokaClient) -> None:
        self._list_unfinished_at = 0.0  # if it fails, everything is listed anew
        # PENDING first: one that starts between the two looks is seen by the second.
        pages = [
            [operation.id for operation in page]
            for status in (OperationStatus.PENDING, OperationStatus.RUNNING)
            for page in client.operation_pages(status=status)
        ]
        self._unfinished = frozenset(chain.from_iterable(pages))
        self._cost_of_unfinished = len(pages)
        self._list_unfinished_at = time.monotonic() + slow(self.poll_interval)

    def _finished(self, client: TolokaClient) -> dict[str, Operation]:
        known = self._newest_end
        newest = known or EARLIEST
        finished: dict[str, Operation] = {}
        for page in client.finished_operation_pages(max(EARLIEST, newest - WINDOW)):
            finished.update({operation.id: operation for operation in page if operation.is_done})
            ends = [operation.finished for operation in page if operation.finished]
            newest = max([newest, *ends])
            if known is None or not ends or ends[-1] < known - OVERLAP:
                break
        # Never in the future: until then no end would be listed.
        self._newest_end = min(newest, datetime.now(UTC))
        return finished


class PoolLooks(SharedLooks[Pool]):
    """List the open pools; one that is not among them has to be asked for."""

    def read_lists(self, not_listed: int, client: TolokaClient) -> Lists[Pool]:
        """Return the open pools."""
        pools = client.list_pools(status=PoolStatus.OPEN)
        # Whether one that is not open has stopped is known by id only: it may be about to open.
        return Lists({pool.id: pool for pool in pools if pool.status == PoolStatus.OPEN})

    def differ(self, earlier: Pool, subject: Pool) -> bool:
        """Return whether a pool was closed and opened again."""
        return (earlier.last_started, earlier.last_stopped) != (subject.last_started, subject.last_stopped)


def slow(poll_interval: float) -> float:
    """Return the seconds between two looks that are there only for what should not happen."""
    return max(60.0, poll_interval, min(10 * poll_interval, 600.0)) * random.uniform(0.9, 1.0)


def next_look() -> float:
    """Return the Unix time until which lists are believed; ten thousand waits that began together differ in it."""
    return time.time() + LONGEST_TRUST * random.uniform(0.5, 1.0)


class SharingTrigger(BaseEventTrigger):
    """
    Take part in shared looks, on Airflow 3.3; older ones know no shared streams.

    What a stream yields wakes everybody. So this one yields nothing, and only keeps the looks up while somebody waits.
    """

    shared_looks: ClassVar[type[SharedLooks[Any]]]
    toloka_conn_id: str
    poll_interval: float

    def shared_stream_key(self) -> Hashable:
        """Return what is equal for all triggers that can share their looks."""
        return self.shared_looks.key(self.toloka_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Keep the looks up."""
        await cls.shared_looks.of(kwargs["toloka_conn_id"], kwargs["poll_interval"]).keep_up()
        yield
