"""
What happens to the pool, and to its training, when the wait for it is killed.

A wait may be killed long after another attempt took over. So the pool is not closed if

- it was opened again since, by another run or attempt (`toloka_airflow.api.pool_rules.PoolOpening`); or
- a newer attempt of the waiting task is under way: when it was cleared, the opening of the new attempt finds the pool
  open and does nothing, so ``last_started`` stays the same. Only Airflow knows, so nothing is closed before it has
  answered, or has been silent for longer than anything of it takes to come back;
- the supervisor of the worker's task has ended, too, as when all processes of a worker are ended: nobody has ended this
  wait but its worker, and the next attempt continues.

Whoever needs the pool needs its training, too. Otherwise the training is closed after the pool, unless another main
pool that requires it is open: several may share one.

Invariant: nothing raises, because nobody could do anything about it. What cannot be closed in time is logged as an
error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import ENDED, task_states
from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaNotSentError, is_transient
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import PoolOpening, why_not_closed, would_be_closed

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Training


@dataclass(frozen=True)
class CloseLimits:
    """
    How long to try to close a pool, in seconds.

    :param timeout: After which to give up, once it is known that nobody else needs the pool.
    :param state_timeout: After which the pool is closed though Airflow does not say whether anybody else needs it.
    :param pause: Between two tries; ten times as long after the first ``slow_after`` seconds.
    """

    timeout: float
    state_timeout: float
    pause: float = 1.0
    slow_after: float = 20.0


IN_WORKER = CloseLimits(timeout=20.0, state_timeout=2.0)
"""A worker is about to be ended."""
IN_TRIGGERER = CloseLimits(timeout=1200.0, state_timeout=1200.0)
"""A pool that is closed for update opens again within 15 minutes; an Airflow that is upgraded answers after minutes."""
ANSWER_TIMEOUT = 1.0
"""Seconds for which a thread waits for Airflow's answer, before it leaves its place to the next close."""


class _NotYetError(TolokaError):
    """A pool or training is in a state in which it cannot be closed, and that it will leave."""


class _NoAnswerError(TolokaError):
    """Airflow has not said yet whether a newer attempt is under way; ``retry_after`` says when it is tried again."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CloseOnKill:
    """
    Close the pool of a killed wait, and then its training, unless they are needed, and log what was done and why.

    :param opening: What the wait knows of the opening of its pool.
    :param training_id: The training to close after the pool, if there is one.
    :param newer_attempt: Whether a newer attempt of the task is under way.
    """

    def __init__(
        self,
        pool_id: str,
        opening: PoolOpening,
        *,
        training_id: str | None,
        newer_attempt: NewerAttempt,
        limits: CloseLimits,
        log: Any,
    ) -> None:
        self._pool_id, self._opening, self._newer_attempt = pool_id, opening, newer_attempt
        self._training_id, self._pool_is_done = training_id, False
        self._limits, self._log = limits, log
        self._began = time.monotonic()
        self._operation: Operation | None = None
        self._logged = ""

    @property
    def timeout(self) -> float:
        """After how many seconds it gives up."""
        return self._limits.timeout

    def step(self, client: TolokaClient) -> float | None:
        """Do what can be done now; return the seconds until the next step, ``None`` if nothing is left to do."""
        if self._operation is None:
            self._operation = self._close(client)
        else:
            self._operation = client.get_operation(self._operation.id)
        if self._operation is not None and not self._operation.is_done:
            self._logged = f"operation {self._operation.id}, which closes it, is not done"
            return self._pause(self._logged)
        if self._operation is not None:
            client.ensure_success(self._operation)
            self._operation = None
        if self._pool_is_done or self._training_id is None:
            return None
        self._pool_is_done = True
        return 0.0

    def failed(self, exc: Exception) -> float | None:
        """Take note of why a step failed, and return the same."""
        if isinstance(exc, TolokaNotSentError):
            self._log_not_closed(str(exc))
            return None
        if not is_transient(exc):
            self._operation = None
        if isinstance(exc, _NoAnswerError):
            self._began = time.monotonic()
        return self._pause(
            str(exc) or repr(exc), getattr(exc, "retry_after", None), is_final=isinstance(exc, TolokaConflictError)
        )

    def _close(self, client: TolokaClient) -> Operation | None:
        """Return the operation that closes what is next; ``None`` if it is not to be closed, and why is logged."""
        close: Callable[[str], Operation | None]
        if self._training_id is not None and self._pool_is_done:
            subject, close = client.get_training(self._training_id), client.close_training
            needed = partial(self._why_training_is_needed, client)
        else:
            subject, close = client.get_settled_pool(self._pool_id), client.close_pool
            needed = partial(self._why_pool_is_needed, subject)
        if (why := why_not_closed(subject)) is None:
            self._log_not_closed(f"it is {subject.status.value} already")
        elif reason := needed():
            self._log_not_closed(reason)
            self._training_id = None  # who needs the pool needs its training
        elif not would_be_closed(subject):
            raise _NotYetError(f"it is {why}")
        else:
            operation = send_if_free(partial(close, subject.id))
            if operation is None:
                raise _NotYetError(f"Toloka says that there is nothing to close, but it was {subject.status.value}")
            if isinstance(operation, Blocked):
                raise _NotYetError(str(operation.refusal))
            self._log.info(
                "The wait for pool %s was killed: operation %s closes %s", *(self._pool_id, operation.id, self._name)
            )
            return operation
        return None

    def _why_pool_is_needed(self, pool: Training) -> str | None:
        if self._opening.was_followed_by(pool):
            return f"it was opened again by another run, at {pool.last_started}"
        return self._why_newer_attempt()

    def _why_training_is_needed(self, client: TolokaClient) -> str | None:
        if pool := client.find_open_pool_requiring(str(self._training_id)):
            return f"pool {pool.id}, which requires it, is {pool.status.value}"
        return self._why_newer_attempt()

    def _why_newer_attempt(self) -> str | None:
        state = self._newer_attempt.state()
        return f"a newer attempt of this task is {state}" if state else None

    @property
    def _name(self) -> str:
        return f"training {self._training_id}" if self._pool_is_done else f"pool {self._pool_id}"

    @property
    def left(self) -> str:
        """What is not closed yet, in words."""
        both = self._training_id is not None and not self._pool_is_done
        return f"{self._name} with training {self._training_id}" if both else self._name

    def _log_not_closed(self, why: str) -> None:
        name = self._name.capitalize()
        self._log.info("The wait for pool %s was killed. %s was not closed: %s", self._pool_id, name, why)

    def _pause(self, why: str, least: float | None = None, *, is_final: bool = False) -> float | None:
        limits, elapsed = self._limits, time.monotonic() - self._began
        if is_final or elapsed + limits.pause > limits.timeout:
            self._log.error(
                "The wait for pool %s was killed. %s may stay OPEN, close it by hand: %s",
                *(self._pool_id, self.left.capitalize(), why),
            )
            return None
        if why != self._logged:
            self._log.warning(
                "%s could not be closed yet, trying for %.0f s: %s", self._name.capitalize(), limits.timeout, why
            )
        self._logged = why
        pause = limits.pause if elapsed < limits.slow_after else 10 * limits.pause
        return max(pause, min(least or 0.0, limits.timeout - elapsed - limits.pause))


def close_in_worker(client: TolokaClient, close: CloseOnKill) -> None:
    """Take all steps of a close."""
    client = client.without_retries(timeout=close.timeout)
    pause: float | None = 0.0
    while pause is not None:
        time.sleep(pause)
        try:
            pause = close.step(client)
        except Exception as exc:
            pause = close.failed(exc)


class NewerAttempt:
    """
    Find out from Airflow whether a newer attempt of a task is under way.

    :param timeout: Seconds to wait for its answer. After that there is none: a pool that is closed once too often makes
        a task fail, one that stays open costs money.
    :param own: States in which it may be this very attempt; a worker has such, a trigger has none.
    """

    def __init__(self, ti: Any, log: Any, *, timeout: float, own: Collection[str] = ()) -> None:
        self._ti, self._log, self._timeout, self._own = ti, log, timeout, own
        self._answers: SimpleQueue[str | Exception | None] = SimpleQueue()
        self._began: float | None = None
        self._is_pending = False

    def state(self) -> str | None:
        """
        Return the state of the newer attempt, ``None`` if there is none or if the run is gone.

        :raises _NoAnswerError: If Airflow has not said so yet.
        """
        began = self._began = time.monotonic() if self._began is None else self._began
        if not self._is_pending:
            # In a thread of its own: a signal handler may have interrupted a call to Airflow, which holds a lock.
            # And no second one while Airflow does not answer: it would wait for the first.
            Thread(target=lambda: self._answers.put(_state(self._ti)), daemon=True).start()
            self._is_pending = True
        try:
            left = max(0.0, began + self._timeout - time.monotonic())
            state = self._answers.get(timeout=min(ANSWER_TIMEOUT, left))
            self._is_pending = False
        except Empty as exc:
            state = exc
        if not isinstance(state, Exception):
            self._began = None
            return None if state is None or state in ENDED or state in self._own else state
        why = f"Airflow does not say whether a newer attempt of this task is under way: {state!r}"
        elapsed = time.monotonic() - began
        if elapsed >= self._timeout:
            self._log.warning("%s. After %.0f s it is taken for none", why, elapsed)
            return None
        raise _NoAnswerError(why, retry_after=min(elapsed / 4, self._timeout - elapsed))


def _state(ti: Any) -> str | Exception | None:
    """Return the state of a task instance, ``None`` if there is none; one that was cleared is ``cleared``."""
    try:
        states = task_states(ti, [ti.task_id])
    except Exception as exc:
        return exc
    return states[ti.task_id] or "cleared" if ti.task_id in states else None
