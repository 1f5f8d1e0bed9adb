"""When a wait is over: one decision for a task that polls and for the triggerer."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import time_machine

from tests.support import operation, pool
from toloka_airflow.api.models import Operation, Pool
from toloka_airflow.triggers.events import FINISHED, SPENT, TIME_IS_UP
from toloka_airflow.triggers.waits import OperationWait, PoolWait, poll_timeout

COMMON: dict[str, Any] = {"toloka_conn_id": "toloka_default", "poll_interval": 5.0, "deadline": 1e9}
LOG = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("PENDING", None), ("RUNNING", None), ("SUCCESS", FINISHED), ("FAIL", FINISHED), ("TELEPORTED", FINISHED)],
)
def test_an_operation(status: str, kind: str | None) -> None:
    wait = OperationWait(operation_id="op-1", **COMMON)
    assert wait.decide(Operation.from_api(operation(status)), 2e9) == kind


@pytest.mark.parametrize(
    ("status", "reason", "requested_at", "cost", "kind"),
    [
        # Neither is the time up, nor the money spent.
        ("OPEN", "-", 99.9, None, None),
        ("OPEN", "-", 99.9, 4.99, None),
        ("OPEN", "FOR_UPDATE", 99.9, 4.99, None),
        ("LOCKED", "COMPLETED", 99.9, 4.99, None),
        # What has stopped is finished, whatever else is the case.
        ("CLOSED", "COMPLETED", 99.9, None, FINISHED),
        ("CLOSED", "COMPLETED", 100.0, 5.0, FINISHED),
        ("CLOSED", "MANUAL", 99.9, 5.0, FINISHED),
        ("ARCHIVED", "MANUAL", 99.9, None, FINISHED),
        ("FROZEN", "MANUAL", 100.0, 5.0, FINISHED),
        # Money comes before time: the pool has to be closed.
        ("OPEN", "-", 99.9, 5.0, SPENT),
        ("OPEN", "-", 99.9, 5.01, SPENT),
        ("OPEN", "-", 100.0, 5.0, SPENT),
        ("LOCKED", "-", 99.9, 5.0, SPENT),
        # The time is up when it is reached, by the time of the request.
        ("OPEN", "-", 100.0, None, TIME_IS_UP),
        ("OPEN", "-", 100.1, 4.99, TIME_IS_UP),
        ("LOCKED", "-", 100.0, None, TIME_IS_UP),
    ],
)
def test_a_pool(status: str, reason: str, requested_at: float, cost: float | None, kind: str | None) -> None:
    answer = Pool.from_api(pool(status, None if reason == "-" else reason))
    wait = PoolWait(pool_id="21", until=100.0, max_spend=5.0, **COMMON)
    assert wait.decide(answer, requested_at=requested_at, cost=cost) == kind


@pytest.mark.parametrize("requested_at", [0.0, 1e9])
@pytest.mark.parametrize("cost", [None, 0.0, 1e9])
def test_a_pool_without_limits_is_waited_for_until_it_stops(requested_at: float, cost: float | None) -> None:
    wait = PoolWait(pool_id="21", **COMMON)
    answers = {status: Pool.from_api(pool(status, "COMPLETED")) for status in ("OPEN", "LOCKED", "CLOSED")}
    kinds = {status: wait.decide(answer, requested_at=requested_at, cost=cost) for status, answer in answers.items()}
    assert kinds == {"OPEN": None, "LOCKED": None, "CLOSED": FINISHED}


def test_nothing_spent_is_a_limit_too() -> None:
    wait = PoolWait(pool_id="21", max_spend=0.0, **COMMON)
    answer = Pool.from_api(pool("OPEN", None))
    assert wait.decide(answer, requested_at=0.0, cost=None) is None
    assert wait.decide(answer, requested_at=0.0, cost=0.0) == SPENT


@pytest.mark.parametrize(("ignores", "kind"), [(False, FINISHED), (True, None)])
def test_a_close_for_update(ignores: bool, kind: str | None) -> None:
    wait = PoolWait(pool_id="21", ignore_close_for_update=ignores, until=100.0, max_spend=5.0, **COMMON)
    answer = Pool.from_api(pool("CLOSED", "FOR_UPDATE"))
    assert wait.decide(answer, requested_at=0.0, cost=None) == kind
    assert wait.decide(answer, requested_at=0.0, cost=5.0) == (kind or SPENT)
    assert wait.decide(answer, requested_at=100.0, cost=None) == (kind or TIME_IS_UP)


def test_a_tracker_learns_which_opening_it_is_about() -> None:
    wait = PoolWait(pool_id="21", close_on_kill=True, **COMMON)
    tracker = wait.tracker(LOG)
    assert not tracker.trusts_lists()
    tracker.decide(Pool.from_api(pool("OPEN", None, last_started="2026-01-31T09:00:00")), 0.0)
    assert tracker.opening.started is not None
    assert tracker.trusts_lists()


@pytest.mark.parametrize(
    ("closes", "matters"), [({"close_on_kill": True}, True), ({"max_spend": 0.0}, True), ({}, False)]
)
def test_the_opening_matters_only_to_who_closes_the_pool(closes: dict[str, Any], matters: bool) -> None:
    assert PoolWait(pool_id="21", **closes, **COMMON).tracker(LOG).trusts_lists() != matters


def test_a_stored_opening_is_known_from_the_beginning() -> None:
    wait = PoolWait(pool_id="21", close_on_kill=True, last_started="2026-01-31T09:00:00", **COMMON)
    assert wait.tracker(LOG).trusts_lists()


@pytest.mark.parametrize("measures", [True, False])
def test_only_who_measures_has_something_to_fetch(measures: bool) -> None:
    tracker = PoolWait(pool_id="21", progress_interval=60.0, **COMMON).tracker(LOG, measures=measures)
    assert tracker.measures_in() == (0.0 if measures else float("inf"))


@pytest.mark.parametrize(
    ("now", "seconds"), [(0.0, 100.0), (90.0, 10.0), (97.0, 5.0), (100.0, 900.0), (999.0, 5.0), (1001.0, 5.0)]
)
def test_a_poll_has_until_the_wait_may_end(now: float, seconds: float) -> None:
    """Another poll decides then; a last one has a little time in any case."""
    wait = PoolWait(pool_id="21", until=100.0, **{**COMMON, "deadline": 1000.0})
    with time_machine.travel(now, tick=False):
        assert poll_timeout(wait) == seconds
        assert poll_timeout(OperationWait(operation_id="op-1", **{**COMMON, "deadline": 100.0})) == max(5, 100 - now)
