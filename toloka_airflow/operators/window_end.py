"""How a window ended, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.airflow_internals import task_states
from toloka_airflow.triggers.progress import measure

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

PERSON = "person"
_IN_WORDS = {
    "closed": "the pool was closed before the time was up",
    "until": "the time was up",
    "max_spend": "max_spend was spent",
    PERSON: "a person ended the wait",
}


def pull(ti: Any, task_id: str, key: str = "return_value") -> Any:
    """Return what another task of the window has left, in a mapped group that with the same map index."""
    return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=ti.map_index)


def stopped_by(
    ti: Any, open_task_id: str, wait_task_id: str, waited: Mapping[str, Any] | None
) -> tuple[str | None, str | None]:
    """
    Return what ended the window, and the state of its wait; the first is ``None`` if the wait was no success.

    A person can make it a success, or have it skipped although the pool was opened.

    :param waited: What the wait returned.
    """
    if waited is not None:
        return waited["stopped_by"], "success"
    states = task_states(ti, [open_task_id, wait_task_id])
    state = states.get(wait_task_id)
    is_ended_by_person = state == "success" or (state == "skipped" and states.get(open_task_id) == "success")
    return PERSON if is_ended_by_person else None, state


def window_cost(
    ti: Any,
    connect: Callable[[], TolokaClient],
    pool_id: str,
    *,
    check_task_id: str,
    waited: Mapping[str, Any] | None,
    log: Any,
) -> dict[str, float | None]:
    """
    Return ``spent`` and ``committed`` of a window, in the currency of the account; ``None`` for what is not known.

    They are the differences between its beginning and the end of its wait, or now if a person ended that.
    """
    before = {key: pull(ti, check_task_id, key) for key in ("spent", "committed")}
    if before["spent"] is None:
        return dict.fromkeys(before)
    after = (waited or {}).get("progress") or measure(connect().without_retries(), pool_id, log) or {}
    return {key: _difference(after.get(key), value) for key, value in before.items()}


def log_end(log: Any, pool_id: str, ended: tuple[str | None, str | None], cost: Mapping[str, float | None]) -> None:
    """Log how a window ended, and what it cost."""
    reason, state = ended
    how = f"its wait is {state}" if reason is None else f"{_IN_WORDS.get(reason, reason)} (stopped_by is {reason})"
    if cost["spent"] is None:
        money = "What it cost is not known; it is measured with max_spend or progress_interval"
    else:
        committed = "an unknown sum" if cost["committed"] is None else str(cost["committed"])
        money = f"It cost {cost['spent']} for accepted assignments, and {committed} for those not yet decided"
    log.info("The window of pool %s has ended: %s. %s", pool_id, how, money)


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else round(float(after) - float(before), 6)
