"""
Closing the pool of a wait that was killed, behind a fence.

Whoever waits for a pool may be killed long after another attempt took over. So the pool is left alone if

- it was opened again since this wait began (its ``last_started`` moved, and not because of an update), or
- the waiting task itself is being done again: when it was cleared, the opening of the new attempt finds the pool
  open and does nothing, so ``last_started`` says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import (
    LOCKED,
    TolokaConflictError,
    TolokaConnectionError,
    TolokaError,
    TolokaRetryableError,
)
from toloka_airflow.api.models import CloseReason, Operation, Pool, PoolStatus

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

    :param last_started: When the pool was opened; ``None`` if the wait has not seen it open.
    """

    pool_id: str
    last_started: datetime | None = None

    def seen(self, pool: Pool) -> Round:
        """Return what is known of the round after a look at the pool; the first opening that is seen counts."""
        if self.last_started is None and pool.status == PoolStatus.OPEN:
            return Round(self.pool_id, pool.last_started)
        return self

    def is_over(self, pool: Pool) -> bool:
        """Return whether the pool was opened again since; an update, after which Toloka reopens it, is no end."""
        started, is_update = pool.last_started, pool.last_close_reason == CloseReason.FOR_UPDATE
        return not is_update and None not in (started, self.last_started) and started > self.last_started  # type: ignore[operator]


class _NotYetError(TolokaError):
    """A pool is in a state in which it cannot be closed, and that it will leave."""


def close_after_kill(
    client: TolokaClient, round: Round, *, newer: Callable[[], str | None], log: Any, patience: float
) -> Iterator[float]:
    """
    Close the pool of a killed wait unless somebody else needs it, and log what was done and why.

    It yields seconds to wait before it is to be continued, until nothing is left to do. It raises nothing: nobody
    could do anything about it.

    :param newer: Returns the state of the task if it is being done again, else ``None``.
    :param patience: Seconds after which to give up.
    """
    client, began = client.without_retries(), time.monotonic()
    closing: Operation | None = None
    said = ""
    while True:
        is_final = False
        try:
            if closing is None:
                outcome, closing = _try_to_close(client, round, newer)
                log.info("The wait for pool %s was killed. %s", round.pool_id, outcome)
            else:
                closing = client.get_operation(closing.id)
            if closing is None:
                return
            if closing.is_done:
                client.ensure_success(closing)
                return
            why = said = f"operation {closing.id}, which closes it, is not done"
        except (TolokaError, ValueError) as exc:
            why, is_final = str(exc), not _may_pass(exc)
            if not isinstance(exc, TolokaConnectionError | TolokaRetryableError):
                closing = None
        if is_final or time.monotonic() + PAUSE > began + patience:
            log.error("The wait for pool %s was killed. It may stay OPEN, close it by hand: %s", round.pool_id, why)
            return
        if said != (said := why):
            log.warning("Could not close pool %s, trying again: %s", round.pool_id, why)
        yield PAUSE if time.monotonic() < began + PATIENCE else 10 * PAUSE


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
            if not _may_pass(exc) or time.monotonic() > give_up:
                raise
            time.sleep(PAUSE)
    if operation is not None:
        client.ensure_success(client.wait_operation(operation, timeout=LOCK_PATIENCE))
    pool = client.get_pool(pool_id)
    if pool.is_closed_for_update:
        raise _NotYetError(f"Pool {pool_id} is closed for update, so Toloka will open it again within 15 minutes")
    return pool


def _try_to_close(client: TolokaClient, round: Round, newer: Callable[[], str | None]) -> tuple[str, Operation | None]:
    """Return what was done, and the operation that closes the pool, if there is one."""
    pool = client.get_settled_pool(round.pool_id)
    if pool.status not in (PoolStatus.OPEN, PoolStatus.LOCKED) and not pool.is_closed_for_update:
        return f"It is {pool.status.value}, so there is nothing to close", None
    if round.is_over(pool):
        return f"It is left alone: it was opened again at {pool.last_started}, for somebody else", None
    if state := newer():
        return f"It is left alone: the task is being done again, it is {state}", None
    if pool.status == PoolStatus.LOCKED:
        raise _NotYetError("an operation that is under way holds it")
    if pool.is_closed_for_update:
        raise _NotYetError("it is closed for update, so Toloka will open it again within 15 minutes")
    operation = client.close_pool(pool.id)
    if operation is None:
        return "It was closed already", None
    return f"It is being closed by operation {operation.id}", operation


def _may_pass(trouble: Exception) -> bool:
    return not isinstance(trouble, TolokaConflictError) or trouble.code == LOCKED


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
