"""
One poll for all waits of a connection, through lists. An addition to the plain wait, which works without it.

Airflow 3.3 lets triggers with an equal key share a stream. Ours yields nothing, as whatever a stream yields goes to all
its waits: it only keeps a `SharedPoller` running for as long as somebody waits. Airflow before 3.3 knows no streams;
there, every wait polls by id.

Invariants:

- **A list only ever saves requests.** What it omits, and everything while it fails, is requested by id, and that answer
  decides. No list so far: nobody is notified, nothing is requested by id yet. An empty list: nothing is listed, so all
  are requested by id. A failed list is as good as an empty one.
- **Who notifies whom.** After each list the poller notifies the subscribers of a subject that is listed and has changed
  since the list before, or that is neither listed nor known to be unfinished; and it notifies all of them when it ends.
  A notified subscriber fetches, which gives the cached answer if there is one. It fetches unnotified, too, when it is
  time for its progress. At the latest after ``MAX_TRUST`` seconds it requests by id, so that no list is believed for
  ever.
- **Which clock.** The waits' deadlines and ``until`` are wall-clock times; close to them, each wait leaves the stream
  and polls by id by its own clock. All else (intervals, ages of lists, pauses) is monotonic.
- **What a restart loses:** nothing but the lists, which are fetched anew. A poller that nobody keeps running forgets
  its lists, so that whoever comes next does not take what is old for new; how often that happened is ``ends``.
- **A list is of the connection as it is.** When that has changed, which is noticed before a list is fetched, the lists
  of before are forgotten, and so is one that arrives late: they may be of another account. Subscriptions stay.
- All of it belongs to one event loop; only the requests themselves run in threads.
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
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from toloka_airflow.triggers.poller import LEAST_PAUSE, Poller
from toloka_airflow.triggers.waiting import WaitTrigger
from toloka_airflow.triggers.waits import SubjectT

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.triggers.events import WaitEvent

log = logging.getLogger(__name__)

REQUESTS_PER_SECOND = 50
"""Polls by id that the waits of one stream may begin, so that several stay below what Toloka allows."""
NOTIFIED_AT_ONCE = 10
"""How many waits are notified in one go, so that the event loop comes round to others in between."""
LIST_TIMEOUT = 15.0
"""Seconds after which lists that do not answer are not waited for any longer."""
MAX_TRUST = 600.0
"""Seconds after which a wait polls by id even if the lists say that what it waits for is unfinished."""
STREAM_START_TIMEOUT = 60.0
"""Seconds until a shared stream has begun; Airflow can be set to wait for more who want to share it."""


@dataclass(frozen=True)
class Snapshot(Generic[SubjectT]):
    """
    What lists said at one time.

    :param subjects: What they named, by id.
    :param unfinished: Ids of what is not done, of which no more needs to be known.
    """

    subjects: Mapping[str, SubjectT] = field(default_factory=dict)
    unfinished: Collection[str] = frozenset()


class Subscription:
    """
    One wait that is notified of its subject, within a ``with``.

    There are thousands of them, and Python's garbage collection goes through every object that one is made of.

    :param others: All subscriptions, to join.
    """

    __slots__ = ("_is_pending", "_others", "_waiting", "subject_id")

    def __init__(self, subject_id: str, others: set[Subscription]) -> None:
        self.subject_id = subject_id
        self._others = others
        self._is_pending = False
        self._waiting: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._others.add(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._others.discard(self)

    def notify(self) -> None:
        """End the present `notified`, or the next one."""
        self._is_pending = True
        self._end_waiting()

    async def notified(self, timeout: float) -> None:
        """Wait for a notification, or for so many seconds."""
        if not self._is_pending:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(timeout, self._end_waiting)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        self._is_pending = False

    def _end_waiting(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class SharedPoller(Poller, Generic[SubjectT]):
    """
    Poll lists for everybody at once, and by id what they do not name. Subclasses say which lists.

    :param poll_interval: Seconds between two polls of the lists.
    """

    per_second = REQUESTS_PER_SECOND

    def __init__(self, toloka_conn_id: str, poll_interval: float) -> None:
        super().__init__(toloka_conn_id)
        self.poll_interval = poll_interval
        self.ends = 0
        """How often nobody polled the lists any more."""
        self._snapshot: Snapshot[SubjectT] | None = None
        self._before: Snapshot[SubjectT] = Snapshot()
        self._subscriptions: set[Subscription] = set()
        self._not_listed = 0
        self._listed_at = time.monotonic()
        self._requested_at = float("inf")
        self._failures = 0
        self._running = 0

    @classmethod
    def key(cls, toloka_conn_id: str, poll_interval: float) -> tuple[str, str, float]:
        """Return what is equal for all who share a poller."""
        return cls.__name__, toloka_conn_id, poll_interval

    @property
    def is_running(self) -> bool:
        """Whether somebody polls the lists."""
        return self._running > 0

    def subscribe(self, subject_id: str) -> Subscription:
        """Return a subscription to a subject; it is notified at once if the subject is not known to be unfinished."""
        subscription = Subscription(subject_id, self._subscriptions)
        if self._snapshot is not None and subject_id not in self._snapshot.unfinished:
            subscription.notify()
        return subscription

    def is_listed(self, subject_id: str) -> bool:
        """Return whether the lists named a subject."""
        snapshot = self._snapshot
        return snapshot is not None and (subject_id in snapshot.subjects or subject_id in snapshot.unfinished)

    async def cached(self, subject_id: str, request: Callable[[TolokaClient], SubjectT]) -> SubjectT | None:
        """
        Return what is listed, ``None`` if it is unfinished; send a request by id if it is not listed.

        It may become listed while the request waits for its turn, which is then not needed.
        """
        if not self.is_listed(subject_id):
            async with self._slot(subject_id):
                if not self.is_listed(subject_id):
                    await self._turn()
                if not self.is_listed(subject_id):
                    self._not_listed += 1
                    return await self._send(request, await self._connected(self.poll_interval))
        return self._snapshot.subjects.get(subject_id) if self._snapshot else None

    @asynccontextmanager
    async def _slot(self, subject_id: str) -> AsyncIterator[None]:
        """Wait until a request by id may be sent, or is not needed."""
        slot = asyncio.create_task(self._slots.acquire())
        try:
            while not (slot.done() or self.is_listed(subject_id)):
                await asyncio.wait({slot}, timeout=self.poll_interval)
            yield
        finally:
            if not slot.cancel():
                self._slots.release()

    async def run(self) -> None:
        """
        Poll the lists at every interval, for ever, whether or not they answer.

        The interval is up to a tenth shorter now and then, so that several triggerers do not poll in step.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="toloka-lists")
        reading: asyncio.Task[None] | None = None
        self._running += 1
        try:
            while True:
                end = time.monotonic() + self.poll_interval * random.uniform(LEAST_PAUSE, 1.0)
                reading = reading or asyncio.create_task(self._read_lists(thread))
                await asyncio.wait({reading}, timeout=end - time.monotonic())
                if reading.done():
                    reading = None
                elif time.monotonic() - self._requested_at > max(LIST_TIMEOUT, 2 * self.poll_interval):
                    self._failed("no answer yet")
                await self._notify()
                await asyncio.sleep(end - time.monotonic())
        finally:
            self._running -= 1
            if not self._running:
                self.ends += 1
                self._listed_at = time.monotonic()
                self._forget()
            if reading is not None:
                reading.cancel()
            thread.shutdown(wait=False)
            for subscription in self._subscriptions:
                subscription.notify()

    async def _read_lists(self, thread: Executor) -> None:
        not_listed, self._not_listed = self._not_listed, 0
        # Airflow may take long to read the connection, most of all when a triggerer asks for the first time. Meanwhile
        # nothing can be requested by id either.
        self._requested_at = float("inf")
        try:
            client = await self._connected(self.poll_interval)
            self._requested_at = time.monotonic()
            snapshot = await self._send(partial(self.fetch_lists, not_listed), client, thread)
        except Exception as exc:  # whatever it is, nobody's wait may end because of it
            self._failed(str(exc) or repr(exc))
        else:
            if self._failures:
                log.info("The lists of connection %s answer again", self.toloka_conn_id)
            if client is await self._connected(self.poll_interval):
                self._snapshot, self._listed_at, self._failures = snapshot, time.monotonic(), 0

    def _forget(self) -> None:
        self._snapshot, self._before = None, Snapshot()

    def _failed(self, why: str) -> None:
        self._snapshot = Snapshot()
        self._failures += 1
        if self._failures == 1:
            log.warning("The lists of connection %s fail, so all is polled by id: %s", self.toloka_conn_id, why)

    async def _notify(self) -> None:
        """Notify those whom it concerns, a few at a time: each takes Airflow a while."""
        if (snapshot := self._snapshot) is None:
            return
        before, self._before = self._before, snapshot
        concerned = [one for one in self._subscriptions if self._concerns(one.subject_id, snapshot, before)]
        for count, subscription in enumerate(concerned, 1):
            subscription.notify()
            if count % NOTIFIED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _concerns(self, subject_id: str, snapshot: Snapshot[SubjectT], before: Snapshot[SubjectT]) -> bool:
        if (subject := snapshot.subjects.get(subject_id)) is None:
            return subject_id not in snapshot.unfinished
        return (former := before.subjects.get(subject_id)) is None or self.has_changed(former, subject)

    @abstractmethod
    def fetch_lists(self, not_listed: int, client: TolokaClient) -> Snapshot[SubjectT]:
        """
        Return what need not be requested by id.

        :param not_listed: How often something had to be requested by id since the last poll of the lists.
        """

    @abstractmethod
    def has_changed(self, former: SubjectT, subject: SubjectT) -> bool:
        """Return whether something happened to what was listed before and still is."""


class SharedPollingTrigger(BaseEventTrigger):
    """Take part in a shared poller, on Airflow 3.3."""

    poller_type: ClassVar[type[SharedPoller[Any]]]

    @abstractmethod
    def shared_by(self) -> tuple[str, float]:
        """Return the connection and the interval that all who share a poller have in common."""

    def shared_stream_key(self) -> Hashable:
        """Return what is equal for all triggers that can share a poller."""
        return self.poller_type.key(*self.shared_by())

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Keep the poller running."""
        await cls.poller_type.of(kwargs["toloka_conn_id"], kwargs["poll_interval"]).run()
        yield


class SharedWaitTrigger(SharedPollingTrigger, WaitTrigger[SubjectT]):
    """A plain wait that takes part in a shared poller, until that ends or its own end is near."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fetch_at = next_fetch()

    def shared_by(self) -> tuple[str, float]:
        """Return connection and interval of the wait."""
        return self.wait.toloka_conn_id, self.wait.poll_interval

    async def filter_shared_stream(self, shared_stream: AsyncIterator[None]) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that says how the wait ended, polling when it is notified."""
        poller: SharedPoller[SubjectT] = self.poller_type.of(*self.shared_by())
        give_up, ends = time.monotonic() + STREAM_START_TIMEOUT, poller.ends
        with poller.subscribe(self.wait.subject_id) as subscription:
            while self._time_to_share() > 0:
                await subscription.notified(self._notification_timeout())
                if not poller.is_running and (poller.ends > ends or time.monotonic() > give_up):
                    self.log.warning("The lists are not polled any more, so %s is polled by id", self.wait.name)
                    break
                if event := await self._poll_shared(poller):
                    yield TriggerEvent(event.payload())
                    return
        async for trigger_event in self.run():
            yield trigger_event

    def _time_to_share(self) -> float:
        """Return for how many seconds the clock of others will do."""
        end = min(self.wait.deadline, self.wait.until or self.wait.deadline)
        return float(end - 2 * self.wait.poll_interval - time.time())

    def _notification_timeout(self) -> float:
        """Return for how many seconds to wait for a notification."""
        interval = self.wait.poll_interval
        trust = max(interval, self._fetch_at - time.monotonic())
        return float(min(self._time_to_share(), idle_interval(interval), trust, self.tracker.measures_in()))

    async def _poll_shared(self, poller: SharedPoller[SubjectT]) -> WaitEvent | None:
        """Poll while the clock of others will do, unless it is too soon and nothing is listed."""
        if time.monotonic() < self._not_before and not poller.is_listed(self.wait.subject_id):
            return None
        try:
            async with asyncio.timeout(self._time_to_share()):
                return await self._poll(partial(self._fetch_shared, poller))
        except TimeoutError:
            return None

    async def _fetch_shared(self, poller: SharedPoller[SubjectT]) -> SubjectT | None:
        """Return what is cached or requested by id; ``None`` if it is known to be unfinished."""
        now = time.monotonic()
        if now < self._not_before or (now < self._fetch_at and self.tracker.trusts_lists()):
            return await poller.cached(self.wait.subject_id, self._fetch)
        self._fetch_at = next_fetch()
        return await poller.fetch(self._fetch, self.wait.poll_interval)


def idle_interval(poll_interval: float) -> float:
    """Return the seconds between two polls that are there only for what should not happen."""
    return max(60.0, poll_interval, min(10 * poll_interval, 600.0)) * random.uniform(0.9, 1.0)


def next_fetch() -> float:
    """Return the monotonic time until which lists are believed; ten thousand waits that began together differ in it."""
    return time.monotonic() + MAX_TRUST * random.uniform(0.5, 1.0)
