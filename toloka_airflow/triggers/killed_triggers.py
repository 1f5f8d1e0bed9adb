"""
A wait for a pool in the triggerer that closes it when the wait is killed, by what `close_on_kill` decides.

Invariant: a close that has begun is carried through, even if Airflow cancels the trigger again, as Airflow 3.3 does
every second until it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from toloka_airflow.api.models import Pool
from toloka_airflow.triggers.close_on_kill import IN_TRIGGERER, CloseOnKill, NewerAttempt
from toloka_airflow.triggers.poller import Poller
from toloka_airflow.triggers.waiting import WaitTrigger

_UNDER_WAY: set[asyncio.Task[None]] = set()


class _ClosePoller(Poller):
    """Closes do not queue behind polls that Toloka does not answer."""

    purpose = "closes"


class ClosesPoolOnKill(WaitTrigger[Pool]):
    """A wait for a pool that closes it when a person ends the wait; Airflow before 3.3 does not notify triggers."""

    close_limits = IN_TRIGGERER
    tracker: Any

    async def on_kill(self) -> None:
        """Close the pool, and its training, if that is wanted and nobody else needs them."""
        if self.wait.close_on_kill:
            await _carry_through(self._close())

    async def _close(self) -> None:
        newer = NewerAttempt(self.task_instance, self.log, timeout=self.close_limits.state_timeout)
        close = CloseOnKill(
            self.wait.pool_id,
            self.tracker.opening,
            training_id=self.wait.training_id,
            newer_attempt=newer,
            limits=self.close_limits,
            log=self.log,
        )
        poller = _ClosePoller.of(self.wait.toloka_conn_id)
        pause: float | None = 0.0
        try:
            while pause is not None:
                await asyncio.sleep(pause)
                try:
                    pause = await poller.fetch(close.step, self.close_limits.pause)
                except Exception as exc:  # whoever waited for this may have been cancelled
                    pause = close.failed(exc)
        except asyncio.CancelledError:  # not the trigger alone: the triggerer stops
            self.log.error("The triggerer stopped before %s was closed; close it by hand", close.left)
            raise


async def _carry_through(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _UNDER_WAY.add(task)  # the event loop itself does not keep it
    task.add_done_callback(_UNDER_WAY.discard)
    await asyncio.shield(task)
