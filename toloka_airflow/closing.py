"""
Closing the pool of a wait that was killed, behind a fence.

Whoever waits for a pool may be killed long after another attempt took over. So the pool is left alone if

- it was opened again since this wait began (its ``last_started`` moved), or
- the waiting task itself is being done again: when it was cleared, the opening of the new attempt finds the pool
  open and does nothing, so ``last_started`` says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import LOCKED, TolokaConflictError, TolokaError
from toloka_airflow.api.models import Pool, PoolStatus

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

PATIENCE = 20.0
LOCK_PATIENCE = 60.0
PAUSE = 1.0
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
        """Return whether the pool was opened again since."""
        started = pool.last_started
        return None not in (started, self.last_started) and started > self.last_started  # type: ignore[operator]


def close_after_kill(client: TolokaClient, round: Round, *, newer: Callable[[], str | None], log: Any) -> None:
    """
    Close the pool of a killed wait unless somebody else needs it, and log what was done and why.

    It raises nothing: nobody could do anything about it.

    :param newer: Returns the state of the task if it is being done again, else ``None``.
    """
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            outcome, trouble = _try_to_close(client.without_retries(), round, newer), None
        except (TolokaError, ValueError) as exc:
            outcome, trouble = None, exc
        if outcome is not None:
            log.info("The wait for pool %s was killed. %s", round.pool_id, outcome)
            return
        why = trouble or "an operation that is under way holds it"
        if not _may_pass(trouble) or time.monotonic() + PAUSE > give_up:
            log.error("The wait for pool %s was killed. It may stay OPEN, close it by hand: %s", round.pool_id, why)
            return
        log.warning("Could not close pool %s, trying again: %s", round.pool_id, why)
        time.sleep(PAUSE)


def close_at_once(client: TolokaClient, pool_id: str) -> Pool:
    """
    Close a pool that must not go on, whoever opened it, and return it.

    :raises TolokaError: If it is not closed in a minute or so.
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
    return client.get_pool(pool_id)


def _try_to_close(client: TolokaClient, round: Round, newer: Callable[[], str | None]) -> str | None:
    """Return what was done; ``None`` if an operation that is under way, such as the opening, must end first."""
    pool = client.get_settled_pool(round.pool_id)
    if pool.status not in (PoolStatus.OPEN, PoolStatus.LOCKED):
        return f"It is {pool.status.value}, so there is nothing to close"
    if round.is_over(pool):
        return f"It is left alone: it was opened again at {pool.last_started}, for somebody else"
    if state := newer():
        return f"It is left alone: the task is being done again, it is {state}"
    if pool.status == PoolStatus.LOCKED:
        return None
    operation = client.close_pool(pool.id)
    return "It was closed already" if operation is None else f"It is being closed by operation {operation.id}"


def _may_pass(trouble: Exception | None) -> bool:
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
