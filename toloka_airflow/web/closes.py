"""
Close a pool now, because a person says so: through the calls that operators use, and with their fence.

What was shown to the person decides: if the pool was opened again since, by another run, it is not closed. That the
person has the right to it, and that the records of the DAG name the pool, was checked before.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import Operation, OperationStatus
from toloka_airflow.api.pool_actions import Blocked, send_if_free
from toloka_airflow.api.pool_rules import PoolOpening, is_closed_for_update, is_locked, why_not_closed
from toloka_airflow.web.errors import ConnectionUnusableError, in_words
from toloka_airflow.web.toloka import MAX_WAIT, client

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.records.pools import PoolKey

log = logging.getLogger(__name__)

EVENT = "toloka_close_pool"
"""What a close is called in Airflow's audit log."""
BEGUN, CLOSED, ALREADY = "closing", "closed", "already closed"


POLL_INTERVAL = 0.3
"""Seconds between two polls of the operation that closes it."""


class NotClosedError(Exception):
    """Report a pool that was not closed, as its state does not allow it or somebody needs it."""


class RefusedError(Exception):
    """Report a close that Toloka refused, or did not answer."""


def close_now(
    key: PoolKey, *, is_training: bool, opened: datetime | None, may_name: Callable[[str], bool]
) -> dict[str, Any]:
    """
    Close a pool or training, and return what became of it: ``{"result", "operation_id", "text"}``.

    It takes about 3 seconds at the most; a close that has begun by then continues at Toloka.

    :param opened: When the opening began that is to end; ``None`` for any.
    :param may_name: Whether the person may know the id of a pool, which is one that requires this training.
    :raises NotClosedError: If it was not closed.
    :raises RefusedError: If Toloka refuses it or does not answer, or the connection cannot be used.
    """
    noun = "training" if is_training else "pool"
    name = f"{noun.capitalize()} {key.pool_id}"
    try:
        toloka = client(key.conn_id, timeout=MAX_WAIT)
        pool = toloka.get_training(key.pool_id) if is_training else toloka.get_pool(key.pool_id)
    except (ConnectionUnusableError, TolokaError) as exc:
        raise RefusedError(f"{name} was not closed: {in_words(exc)}") from exc
    if (why := why_not_closed(pool)) is None:
        return _result(ALREADY, None, f"{name} is {pool.status.value} already")
    if PoolOpening(started=opened).was_followed_by(pool):
        raise NotClosedError(f"{name} was not closed: it was opened again since, at {pool.last_started}")
    if is_training and (other := _requiring(toloka, name, pool.id)):
        who = f"pool {other}" if may_name(other) else "a pool"
        raise NotClosedError(f"{name} was not closed: {who} that requires it is open")
    if is_closed_for_update(pool) or is_locked(pool):
        raise NotClosedError(f"{name} was not closed: it is {why}")
    try:
        answer = send_if_free(partial(toloka.close_training if is_training else toloka.close_pool, pool.id))
    except TolokaError as exc:
        doubt = ". Whether it is being closed will be known in a moment" if exc.may_have_been_received else ""
        raise RefusedError(f"{name} was not closed: {in_words(exc)}{doubt}") from exc
    if isinstance(answer, Blocked):
        raise NotClosedError(f"{name} was not closed: another operation is changing it; try again in a moment")
    if answer is None:
        return _result(ALREADY, None, f"{name} is closed")
    return _followed(toloka, name, answer)


def _requiring(toloka: TolokaClient, name: str, training_id: str) -> str | None:
    """Return the id of a pool that requires a training and is open by now: a list may have been made before."""
    try:
        found = toloka.find_open_pool_requiring(training_id)
    except TolokaError as exc:
        text = f"{name} was not closed, as it is not known whether an open pool requires it: {in_words(exc)}"
        raise RefusedError(text) from exc
    return found.id if found else None


def _followed(toloka: TolokaClient, name: str, operation: Operation) -> dict[str, Any]:
    """Return how a close that has begun is, as far as that becomes known in the time of the client."""
    give_up = time.monotonic() + MAX_WAIT / 2
    with suppress(TolokaError):  # how far it is, the next list says
        while not operation.is_done and time.monotonic() < give_up:
            time.sleep(POLL_INTERVAL)
            operation = toloka.get_operation(operation.id)
    if not operation.is_done:
        return _result(BEGUN, operation.id, f"{name} is being closed by the operation {operation.id}")
    if operation.status != OperationStatus.SUCCESS:
        raise NotClosedError(f"{name} was not closed: the operation {operation.id} ended as {operation.status.value}")
    return _result(CLOSED, operation.id, f"{name} is closed")


def _result(result: str, operation_id: str | None, text: str) -> dict[str, Any]:
    return {"result": result, "operation_id": operation_id, "text": text}


class Audit:
    """
    One entry in Airflow's audit log for a close: written before anything is sent, and then with what became of it.

    :param user: Who closes.
    :param reason: Why, in their words.
    """

    def __init__(self, user: Any, key: PoolKey, reason: str) -> None:
        self._user, self._key = user, key
        self._extra: dict[str, Any] = {"conn_id": key.conn_id, "pool_id": key.pool_id, "reason": reason}
        self._id: int | None = None

    def begun(self) -> None:
        """Write that somebody wants it."""
        from airflow.models.log import Log  # noqa: TID251, as only there is one
        from airflow.utils.session import create_session  # noqa: TID251, as only there is one

        with create_session(scoped=False) as session:
            entry = Log(
                event=EVENT,
                task_instance=None,
                owner=str(self._user.get_id()),
                owner_display_name=self._user.get_name(),
                extra=json.dumps({**self._extra, "result": "requested"}),
                dag_id=self._key.dag_id,
            )
            session.add(entry)
            session.flush()
            self._id = entry.id

    def ended(self, result: str, operation_id: str | None = None) -> None:
        """Write what became of it; if that fails, the answer to the person is none the less what became of it."""
        try:
            self._write(result, operation_id)
        except Exception:
            log.exception("The audit log does not say what became of a close: %s", result)

    def _write(self, result: str, operation_id: str | None) -> None:
        from airflow.models.log import Log  # noqa: TID251, as only there is one
        from airflow.utils.session import create_session  # noqa: TID251, as only there is one

        with create_session(scoped=False) as session:
            entry = session.get(Log, self._id)
            if entry is not None:
                entry.extra = json.dumps({**self._extra, "result": result, "operation_id": operation_id})
