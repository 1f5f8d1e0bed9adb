"""
What the state of a pool or training means: the rules that money depends on.

What a status, a close reason, ``last_started``, ``last_stopped`` or a close for update means is decided here and
nowhere else. All functions are pure; ``tests/unit/api/test_pool_rules.py`` has the same rules as one table of cases.
Trainings have the same states as pools, so what is said of a pool is true of a training.

- OPEN: people get its tasks. LOCKED: an operation is changing it. CLOSED: nobody gets its tasks. ARCHIVED: for ever.
- CLOSED with the reason FOR_UPDATE is a pause: Toloka opens the pool again by itself within 15 minutes, and answers a
  close with 204 until then. So it is not closed for good, and the opening that was paused continues afterwards.
- A status that this version does not know is neither open nor closed: it is nobody's success.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from toloka_airflow.api.models import CloseReason, PoolStatus, Project, ProjectStatus, Training

NOT_ARCHIVED = PoolStatus.OPEN, PoolStatus.CLOSED, PoolStatus.LOCKED
PoolT = TypeVar("PoolT", bound=Training)


def is_open(pool: Training) -> bool:
    """Return whether people get tasks of the pool."""
    return pool.status == PoolStatus.OPEN


def is_locked(pool: Training) -> bool:
    """Return whether an operation is changing the pool."""
    return pool.status == PoolStatus.LOCKED


def is_closed(pool: Training) -> bool:
    """Return whether the pool is CLOSED, for good or for update: it can be changed, opened and archived."""
    return pool.status == PoolStatus.CLOSED


def is_closed_for_update(pool: Training) -> bool:
    """Return whether Toloka will open the pool again by itself, and does not close it before."""
    return is_closed(pool) and pool.last_close_reason == CloseReason.FOR_UPDATE


def is_idle(pool: Training) -> bool:
    """Return whether nothing happens to the pool unless somebody opens it."""
    return is_closed(pool) or is_archived(pool)


def is_archived(pool: Training | Project) -> bool:
    """Return whether nothing about the pool, or project, can change any more; neither can its answers be reviewed."""
    return pool.status in (PoolStatus.ARCHIVED, ProjectStatus.ARCHIVED)


def was_never_open(pool: Training) -> bool:
    """Return whether the pool is as it was created, so that nobody can have worked in it."""
    return is_closed(pool) and pool.last_close_reason is None and pool.last_started is None


def would_be_opened(pool: Training) -> bool:
    """Return whether opening the pool would change it, so that what must hold before has to be checked."""
    return has_stopped(pool) and not is_archived(pool)


def would_be_closed(pool: Training) -> bool:
    """Return whether a close can change the pool now; one in an unknown state may be open."""
    return is_open(pool) or not pool.status.is_known


def as_opening(pool: PoolT) -> PoolT:
    """
    Return a CLOSED pool as LOCKED, because an operation that opens it is under way.

    Whether Toloka itself says LOCKED then is not documented; CLOSED would be the end of the opening before.
    """
    return replace(pool, status=PoolStatus.LOCKED)


def has_stopped(pool: Training, *, ignore_close_for_update: bool = False) -> bool:
    """
    Return whether waiting for the pool any longer makes no sense; `why_not_successful` says how to take its end.

    :param ignore_close_for_update: Whether to wait on while the pool is closed for update.
    """
    if ignore_close_for_update and is_closed_for_update(pool):
        return False
    return pool.status not in (PoolStatus.OPEN, PoolStatus.LOCKED)


def why_not_successful(pool: Training, expected_reasons: Collection[str]) -> str | None:
    """Return why a pool that stopped was not closed for an expected reason, as a sentence; ``None`` if it was."""
    reason = pool.last_close_reason
    if unknown := why_unknown(pool):
        return f"Pool {pool.id} is {unknown}"
    if not is_closed(pool):
        return f"Pool {pool.id} is {pool.status.value}, so it will not be completed any more; create another pool"
    if reason is None:
        return f"Pool {pool.id} is CLOSED and was never open; open it first"
    if reason in expected_reasons:
        return None
    return (
        f"Pool {pool.id} was closed for {reason.value}, expected was {' or '.join(expected_reasons)}. "
        "Open it again, or name the reason in expected_reasons"
    )


def was_cut_short(reason: str | None) -> bool:
    """Return whether a close for this reason came before all tasks were done; ``None`` is no close."""
    return reason is not None and CloseReason(reason) != CloseReason.COMPLETED


def why_not_closed(pool: Training) -> str | None:
    """Return what a pool is, in words, if it is not closed for good; ``None`` if it is CLOSED or ARCHIVED."""
    return None if is_idle(pool) and not is_closed_for_update(pool) else _in_words(pool)


def why_unknown(pool: Training) -> str | None:
    """Return what a pool is, in words, if this version does not know what that means."""
    if pool.status.is_known:
        return None
    return f"in the state {pool.status.value!r}, which this version of toloka_airflow does not know"


def has_closed_since(pool: Training, since: datetime) -> bool:
    """Return whether the pool was closed after a time, for whatever reason; it may be open again."""
    return pool.status != PoolStatus.LOCKED and pool.last_stopped is not None and pool.last_stopped > since


def may_have_been_opened_since(pool: Training, since: datetime) -> bool:
    """Return whether the pool may have been opened at a time or later; a LOCKED one does not say so yet."""
    return pool.status == PoolStatus.LOCKED or pool.last_started is None or pool.last_started >= since


def was_opened_and_closed_after(pool: Training, before: datetime) -> bool:
    """Return whether the pool was opened later than at a time, and is closed for good by now, for whatever reason."""
    return why_not_closed(pool) is None and pool.last_started is not None and pool.last_started > before


def last_close_was_for_update(pool: Training) -> bool:
    """Return whether the last close of the pool was a pause; it may be open again."""
    return pool.last_close_reason == CloseReason.FOR_UPDATE


def was_completed(pool: Training) -> bool:
    """Return whether the last close of the pool was because all its tasks had their answers; it may be open again."""
    return pool.last_close_reason == CloseReason.COMPLETED


@dataclass(frozen=True)
class PoolOpening:
    """
    One opening of a pool: the one that somebody began, waits for, or has to close.

    It lasts through closes for update. Whether the pool has been opened again since, by another run or attempt, follows
    from when it was ``started``, if that is known, else from when it ``began_before``.

    :param started: The latest ``last_started`` of this opening that is known; ``None`` if none is.
    :param began_before: A time before which this opening began; ``None`` if there is none.
    :param is_over: Whether a later opening is known.
    """

    started: datetime | None = None
    began_before: datetime | None = None
    is_over: bool = False

    def updated(self, pool: Training) -> PoolOpening:
        """Return what is known of this opening after an answer; one from a list may be older than the one before."""
        started = pool.last_started
        if not is_open(pool) or started is None or (self.started is not None and started < self.started):
            return self
        if self.was_followed_by(pool):
            return replace(self, is_over=True)
        return replace(self, started=started)

    def was_followed_by(self, pool: Training) -> bool:
        """
        Return whether the pool was opened again since, by another run or attempt, and is not closed by now.

        One that was closed for update and is open again is taken for this opening if ``started`` is known, as nothing
        distinguishes it from another one, or if it was closed before ``began_before``, when it was open in this one.
        """
        if self.is_over:
            return True
        started, stopped = pool.last_started, pool.last_stopped
        if started is None or why_not_closed(pool) is None:
            return False
        was_paused = last_close_was_for_update(pool)
        if self.started is not None:
            return started > self.started and not was_paused
        if self.began_before is None or started < self.began_before:
            return False
        return not (was_paused and stopped is not None and stopped < self.began_before)


def _in_words(pool: Training) -> str:
    if is_closed_for_update(pool):
        return "closed for update only: Toloka reopens it by itself within 15 minutes, and does not close it before"
    return why_unknown(pool) or f"{pool.status.value} by now"
