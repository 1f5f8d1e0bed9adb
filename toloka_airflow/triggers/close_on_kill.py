"""
What happens to the pool when the wait for it is killed.

A wait may be killed long after another attempt took over. So the pool is not closed if

- it was opened again since, by another run or attempt (`toloka_airflow.api.pool_rules.PoolOpening`); or
- a newer attempt of the waiting task is under way: when it was cleared, the opening of the new attempt finds the pool
  open and does nothing, so ``last_started`` stays the same.

Invariants: a close that has begun is carried through, even if Airflow cancels the trigger again, as Airflow 3.3 does
every second until it ends; and nothing raises, because nobody could do anything about it. What cannot be closed in
time is logged as an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import task_states
from toloka_airflow.api.errors import TolokaConflictError, TolokaError, is_transient
from toloka_airflow.api.models import Operation, Pool
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import PoolOpening, why_not_closed, would_be_closed
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.waiting import WaitTrigger

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_UNDER_WAY: set[asyncio.Task[None]] = set()


@dataclass(frozen=True)
class CloseLimits:
    """
    How long to try to close a pool, in seconds.

    :param timeout: After which to give up.
    :param state_timeout: To wait for the state of the task.
    :param pause: Between two tries; ten times as long after the first ``slow_after`` seconds.
    """

    timeout: float
    state_timeout: float
    pause: float = 1.0
    slow_after: float = 20.0


IN_WORKER = CloseLimits(timeout=20.0, state_timeout=2.0)
"""A worker is about to be ended."""
IN_TRIGGERER = CloseLimits(timeout=1200.0, state_timeout=20.0)
"""A pool that is closed for update opens again within 15 minutes; Airflow's first answer takes seconds."""


class _NotYetError(TolokaError):
    """A pool is in a state in which it cannot be closed, and that it will leave."""


class CloseOnKill:
    """
    Close the pool of a killed wait, unless another run or attempt needs it, and log what was done and why.

    :param opening: What the wait knows of the opening of its pool.
    :param newer_attempt: Returns the state of a newer attempt of the task, ``None`` if there is none.
    """

    def __init__(
        self,
        pool_id: str,
        opening: PoolOpening,
        *,
        newer_attempt: Callable[[], str | None],
        limits: CloseLimits,
        log: Any,
    ) -> None:
        self._pool_id, self._opening, self._newer_attempt = pool_id, opening, newer_attempt
        self._limits, self._log = limits, log
        self._began = time.monotonic()
        self._operation: Operation | None = None
        self._logged = ""

    def step(self, client: TolokaClient) -> float | None:
        """Do what can be done now; return the seconds until the next step, ``None`` if nothing is left to do."""
        if self._operation is None:
            self._operation = self._close(client)
        else:
            self._operation = client.get_operation(self._operation.id)
        if self._operation is None:
            return None
        if self._operation.is_done:
            client.ensure_success(self._operation)
            return None
        self._logged = f"operation {self._operation.id}, which closes it, is not done"
        return self._pause(self._logged)

    def failed(self, exc: Exception) -> float | None:
        """Take note of why a step failed, and return the same."""
        if not is_transient(exc):
            self._operation = None
        return self._pause(
            str(exc) or repr(exc), getattr(exc, "retry_after", None), is_final=isinstance(exc, TolokaConflictError)
        )

    def _close(self, client: TolokaClient) -> Operation | None:
        """Return the operation that closes the pool; ``None`` if it is not to be closed, and why is logged."""
        pool = client.get_settled_pool(self._pool_id)
        if (why := why_not_closed(pool)) is None:
            self._log_not_closed(f"it is {pool.status.value} already")
        elif self._opening.was_followed_by(pool):
            self._log_not_closed(f"it was opened again by another run, at {pool.last_started}")
        elif state := self._newer_attempt():
            self._log_not_closed(f"a newer attempt of this task is {state}")
        elif not would_be_closed(pool):
            raise _NotYetError(f"it is {why}")
        else:
            operation = send_if_free(partial(client.close_pool, pool.id))
            if operation is None:
                raise _NotYetError(f"Toloka says that there is nothing to close, but it was {pool.status.value}")
            if isinstance(operation, Blocked):
                raise _NotYetError(str(operation.refusal))
            self._log.info("The wait for pool %s was killed: operation %s closes it", pool.id, operation.id)
            return operation
        return None

    def _log_not_closed(self, why: str) -> None:
        self._log.info("The wait for pool %s was killed. Pool %s was not closed: %s", self._pool_id, self._pool_id, why)

    def _pause(self, why: str, least: float | None = None, *, is_final: bool = False) -> float | None:
        limits, elapsed = self._limits, time.monotonic() - self._began
        if is_final or elapsed + limits.pause > limits.timeout:
            self._log.error(
                "The wait for pool %s was killed. The pool may stay OPEN, close it by hand: %s", self._pool_id, why
            )
            return None
        if why != self._logged:
            self._log.warning(
                "Pool %s could not be closed yet, trying for %.0f s: %s", self._pool_id, limits.timeout, why
            )
        self._logged = why
        pause = limits.pause if elapsed < limits.slow_after else 10 * limits.pause
        return max(pause, min(least or 0.0, limits.timeout - elapsed - limits.pause))


def close_in_worker(client: TolokaClient, close: CloseOnKill) -> None:
    """Take all steps of a close."""
    client = client.without_retries()
    pause: float | None = 0.0
    while pause is not None:
        time.sleep(pause)
        try:
            pause = close.step(client)
        except Exception as exc:
            pause = close.failed(exc)


class _ClosePoller(Poller):
    """Closes do not queue behind polls that Toloka does not answer."""

    purpose = "closes"


class ClosesPoolOnKill(WaitTrigger[Pool]):
    """A wait for a pool that closes it when a person ends the wait; Airflow before 3.3 does not notify triggers."""

    close_limits = IN_TRIGGERER
    tracker: Any

    async def on_kill(self) -> None:
        """Close the pool, if that is wanted and no other run or attempt needs it."""
        if self.wait.close_on_kill:
            await _carry_through(self._close())

    async def _close(self) -> None:
        newer = partial(newer_attempt, self.task_instance, self.log, timeout=self.close_limits.state_timeout)
        close = CloseOnKill(
            self.wait.pool_id, self.tracker.opening, newer_attempt=newer, limits=self.close_limits, log=self.log
        )
        poller = _ClosePoller.of(self.wait.toloka_conn_id)
        pause: float | None = 0.0
        try:
            while pause is not None:
                await asyncio.sleep(pause)
                try:
                    pause = await poller.fetch(close.step)
                except Exception as exc:  # whoever waited for this may have been cancelled
                    pause = close.failed(exc)
        except asyncio.CancelledError:  # not the trigger alone: the triggerer stops
            self.log.error("The triggerer stopped before pool %s was closed; close it by hand", self.wait.pool_id)
            raise


async def _carry_through(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _UNDER_WAY.add(task)  # the event loop itself does not keep it
    task.add_done_callback(_UNDER_WAY.discard)
    await asyncio.shield(task)


def newer_attempt(ti: Any, log: Any, *, timeout: float, own: Collection[str] = ()) -> str | None:
    """
    Return the state of a task instance if a newer attempt of it is under way, else ``None``.

    ``None`` as well if the run was deleted, or if Airflow does not answer: a pool that is closed once too often
    makes a task fail, one that stays open costs money.

    :param timeout: Seconds to wait for the answer.
    :param own: States in which it may be this very attempt; a worker has such, a trigger has none.
    """
    answers: SimpleQueue[str | Exception | None] = SimpleQueue()
    # In a thread of its own: a signal handler may have interrupted a call to Airflow, which holds a lock.
    Thread(target=lambda: answers.put(_state(ti)), daemon=True).start()
    try:
        state = answers.get(timeout=timeout)
    except Empty as exc:
        state = exc
    if isinstance(state, Exception):
        log.warning("Airflow did not say whether a newer attempt of this task is under way: %r", state)
        return None
    return None if state is None or state in ENDED or state in own else state


def _state(ti: Any) -> str | Exception | None:
    """Return the state of a task instance, ``None`` if there is none; one that was cleared is ``cleared``."""
    try:
        states = task_states(ti, [ti.task_id])
    except Exception as exc:
        return exc
    return states[ti.task_id] or "cleared" if ti.task_id in states else None
