"""
Closing the pool of a wait that was killed, behind a fence.

Whoever waits for a pool may be killed long after another attempt took over. So the pool is left alone if

- it was opened again since this wait began: its ``last_started`` moved, though not because it was closed for update,
  after which Toloka opens it again; or
- the waiting task itself is being done again: when it was cleared, the opening of the new attempt finds the pool
  open and does nothing, so ``last_started`` says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import LOCKED, TolokaConflictError, TolokaError
from toloka_airflow.api.models import CloseReason, Operation, Pool, PoolStatus, Training
from toloka_airflow.hooks import MAY_PASS

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

PATIENCE = 20.0
"""Seconds for which a worker tries to close a pool, as it is about to be ended."""
TRIGGER_PATIENCE = 1200.0
"""The same in a triggerer; a pool that is closed for update opens again within 15 minutes."""
LOCK_PATIENCE = 60.0
PAUSE = 1.0
"""Seconds between two tries; ten times as long after the first few."""
STATE_PATIENCE = 20.0
"""Seconds to wait for the state of a task; a triggerer's first question takes several, as Airflow imports its API."""
WORKER_STATE_PATIENCE = 2.0
"""The same in a worker, which is about to be ended."""
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_UNDER_WAY: set[asyncio.Task[None]] = set()


@dataclass(frozen=True)
class Round:
    """
    One opening of a pool, the one that a wait is about.

    :param last_started: When the pool was opened, or opened again after an update; ``None`` if the wait has not seen it
        open.
    :param has_ended: Whether the wait has seen the pool open for somebody else.
    """

    pool_id: str
    last_started: datetime | None = None
    has_ended: bool = False

    def seen(self, pool: Pool) -> Round:
        """Return what is known of the round after a look at the pool; one at a list may be older than the last one."""
        started = pool.last_started
        if pool.status != PoolStatus.OPEN or started is None or (self.last_started and started < self.last_started):
            return self
        if self.is_over(pool):
            return replace(self, has_ended=True)
        return replace(self, last_started=started)

    def is_over(self, pool: Pool) -> bool:
        """Return whether the pool was opened again since."""
        if self.has_ended or self.last_started is None or pool.last_started is None:
            return self.has_ended
        return pool.last_started > self.last_started and pool.last_close_reason != CloseReason.FOR_UPDATE


class _NotYetError(TolokaError):
    """A pool is in a state in which it cannot be closed, and that it will leave."""


class Closing:
    """
    The closing of the pool of a killed wait, unless somebody else needs it; it logs what was done and why.

    :param newer: Returns the state of the task if it is being done again, else ``None``.
    :param patience: Seconds after which to give up.
    """

    def __init__(self, round: Round, *, newer: Callable[[], str | None], log: Any, patience: float) -> None:
        self._round, self._newer, self._log, self._patience = round, newer, log, patience
        self._began = time.monotonic()
        self._operation: Operation | None = None
        self._said = ""

    def go_on(self, client: TolokaClient) -> float | None:
        """Do what can be done now; return the seconds after which to go on, ``None`` if nothing is left to do."""
        if self._operation is None:
            outcome, self._operation = _try_to_close(client, self._round, self._newer)
            self._log.info("The wait for pool %s was killed. %s", self._round.pool_id, outcome)
        else:
            self._operation = client.get_operation(self._operation.id)
        if self._operation is None:
            return None
        if self._operation.is_done:
            client.ensure_success(self._operation)
            return None
        self._said = f"operation {self._operation.id}, which closes it, is not done"
        return self._pause(self._said)

    def failed(self, exc: Exception) -> float | None:
        """Take note of why it did not go on, and return the same."""
        if not isinstance(exc, MAY_PASS):
            self._operation = None
        is_final = isinstance(exc, TolokaConflictError) and exc.code != LOCKED
        return self._pause(str(exc) or repr(exc), getattr(exc, "retry_after", None), is_final=is_final)

    def _pause(self, why: str, least: float | None = None, *, is_final: bool = False) -> float | None:
        pool_id, elapsed = self._round.pool_id, time.monotonic() - self._began
        if is_final or elapsed + PAUSE > self._patience:
            self._log.error("The wait for pool %s was killed. It may stay OPEN, close it by hand: %s", pool_id, why)
            return None
        if why != self._said:
            self._log.warning("Could not close pool %s yet, trying for %.0f s: %s", pool_id, self._patience, why)
        self._said = why
        pause = PAUSE if elapsed < PATIENCE else 10 * PAUSE
        return max(pause, min(least or 0.0, self._patience - elapsed - PAUSE))


def close_after_kill(client: TolokaClient, closing: Closing) -> None:
    """Close a pool. It raises nothing: nobody could do anything about it."""
    impatient = client.without_retries()
    pause: float | None = 0.0
    while pause is not None:
        time.sleep(pause)
        try:
            pause = closing.go_on(impatient)
        except Exception as exc:
            pause = closing.failed(exc)


def close_at_once(client: TolokaClient, pool_id: str) -> Pool:
    """
    Close a pool that must not go on, whoever opened it, and return it.

    :raises TolokaError: If it is not closed in a minute or so, or closed for update only.
    """
    give_up = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            operation = client.close_pool(pool_id)
            break
        except TolokaConflictError as exc:
            if exc.code != LOCKED or time.monotonic() > give_up:
                raise
            time.sleep(PAUSE)
    if operation is not None:
        client.ensure_success(client.wait_operation(operation, timeout=LOCK_PATIENCE))
    pool = client.get_pool(pool_id)
    if why := why_not_closed(pool):
        raise _NotYetError(f"Pool {pool_id} was closed, but it is {why}")
    return pool


def why_not_closed(pool: Training) -> str | None:
    """Return what a pool is, in words, if it is not closed, or will not stay so."""
    if pool.is_closed_for_update:
        return "closed for update only: Toloka reopens it by itself within 15 minutes, and does not close it before"
    return f"{pool.status.value} by now" if pool.status in (PoolStatus.OPEN, PoolStatus.LOCKED) else None


def _try_to_close(client: TolokaClient, round: Round, newer: Callable[[], str | None]) -> tuple[str, Operation | None]:
    """Return what was done, and the operation that closes the pool, if there is one."""
    pool = client.get_settled_pool(round.pool_id)
    if (why := why_not_closed(pool)) is None:
        return f"It is {pool.status.value}, so there is nothing to close", None
    if round.is_over(pool):
        return f"It is left alone: it was opened again at {pool.last_started}, for somebody else", None
    if state := newer():
        return f"It is left alone: the task is being done again, it is {state}", None
    if pool.status == PoolStatus.LOCKED:
        raise _NotYetError("an operation that is under way holds it")
    if pool.is_closed_for_update:
        raise _NotYetError(f"it is {why}")
    operation = client.close_pool(pool.id)
    if operation is None:
        raise _NotYetError("it was closed a moment ago, perhaps for update only")
    return f"It is being closed by operation {operation.id}", operation


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """
    Do what must be done even if its caller is cancelled meanwhile.

    Airflow 3.3 cancels a killed trigger again every second until it ends, and so interrupts its ``on_kill``.
    """
    task = asyncio.create_task(work)
    _UNDER_WAY.add(task)  # the event loop itself does not keep it
    task.add_done_callback(_UNDER_WAY.discard)
    await asyncio.shield(task)


def newer_attempt(ti: Any, log: Any, *, own: Collection[str] = ()) -> str | None:
    """
    Return the state of a task instance if it is being done again, else ``None``.

    ``None`` as well if the run was deleted, or if Airflow does not answer: a pool that is closed once too often
    makes a task fail, one that stays open costs money.

    :param own: States in which it may be this very attempt; a worker has such, a trigger has none.
    """
    answers: SimpleQueue[str | Exception | None] = SimpleQueue()
    # In a thread of its own: a signal handler may have interrupted a call to Airflow, which holds a lock.
    Thread(target=lambda: answers.put(_state(ti)), daemon=True).start()
    try:
        state = answers.get(timeout=WORKER_STATE_PATIENCE if own else STATE_PATIENCE)
    except Empty as exc:
        state = exc
    if isinstance(state, Exception):
        log.warning("Airflow did not say whether the task is being done again: %r", state)
        return None
    return None if state is None or state in ENDED or state in own else state


def _state(ti: Any) -> str | Exception | None:
    """Return the state of a task instance, ``None`` if there is none; one that was cleared is ``cleared``."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        ).get(ti.run_id, {})
    except Exception as exc:
        return exc
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    return str(states[name] or "cleared") if name in states else None
