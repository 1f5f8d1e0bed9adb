"""Calls that another operation of the pool may block: Toloka carries out one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from toloka_airflow.api.errors import TolokaConflictError, TolokaError, TolokaTimeoutError
from toloka_airflow.api.pool_rules import why_not_closed

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.api.pool_rules import PoolOpening

CLOSE_TIMEOUT = 60.0
"""Seconds to wait until no other operation blocks a close, and again until the close is done."""
PAUSE = 1.0
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Blocked:
    """
    A call that was refused because another operation of the pool or training is under way (409).

    Which one that is costs further requests: `TolokaClient.find_unfinished_operation`.

    :param refusal: What Toloka answered.
    """

    refusal: TolokaConflictError


def send_if_free(send: Callable[[], AnswerT]) -> AnswerT | Blocked:
    """Send a call and return its answer, or that another operation blocks it."""
    try:
        return send()
    except TolokaConflictError as exc:
        if not exc.is_blocked:
            raise
        return Blocked(exc)


def close_and_wait(client: TolokaClient, pool_id: str, opening: PoolOpening) -> Pool:
    """
    Close a pool, unless it was opened again by another run, and return it as it is then.

    :param opening: The opening that is to end.
    :raises TolokaTimeoutError: If other operations block it, or its own is not done, for a minute.
    :raises TolokaError: If it is not closed, or closed for update only.
    """
    give_up = time.monotonic() + CLOSE_TIMEOUT
    # Before each try, as what blocks the close may be the operation with which another run opens the pool.
    while not opening.was_followed_by(pool := client.get_pool(pool_id)):
        answer = send_if_free(partial(client.close_pool, pool_id))
        if not isinstance(answer, Blocked):
            if answer is not None:
                client.ensure_success(client.wait_operation(answer, timeout=CLOSE_TIMEOUT))
            pool = client.get_pool(pool_id)
            break
        if time.monotonic() > give_up:
            raise TolokaTimeoutError(f"Pool {pool_id} was still locked after {CLOSE_TIMEOUT:.0f} s: {answer.refusal}")
        time.sleep(PAUSE)
    if (why := why_not_closed(pool)) and not opening.was_followed_by(pool):
        raise PoolNotClosedError(f"Pool {pool_id} was closed, but it is {why}")
    return pool


class PoolNotClosedError(TolokaError):
    """Report a pool that is open, or will be, although Toloka has carried out the close."""

    topic = "pool-not-closed"
