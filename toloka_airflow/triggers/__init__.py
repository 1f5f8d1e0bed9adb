"""
Waiting in the triggerer.

`waiting` is the plain wait, and `waits` says what is waited for; `shared_polling` makes ten thousand waits cheap,
`measuring` those with a budget, `close_on_kill` makes a killed one safe, and `statistics` reports all of them. Their
class paths are stored in databases of Airflow.
"""

from __future__ import annotations

from toloka_airflow.api.models import Operation, Pool
from toloka_airflow.triggers.close_on_kill import ClosesPoolOnKill
from toloka_airflow.triggers.lists import OperationPoller, PoolPoller
from toloka_airflow.triggers.measuring import MeasuresWithOthers
from toloka_airflow.triggers.pool_closed import PoolClosedTrigger
from toloka_airflow.triggers.statistics import ReportedWait
from toloka_airflow.triggers.waits import OperationWait, PoolWait

__all__ = ["OperationTrigger", "PoolClosedTrigger", "PoolTrigger"]


class OperationTrigger(ReportedWait[Operation]):
    """Wait until an operation is done; the arguments are those of `toloka_airflow.triggers.waits.OperationWait`."""

    wait_type = OperationWait
    poller_type = OperationPoller


class PoolTrigger(ClosesPoolOnKill, MeasuresWithOthers, ReportedWait[Pool]):
    """Wait until a pool stops; the arguments are those of `toloka_airflow.triggers.waits.PoolWait`."""

    wait_type = PoolWait
    poller_type = PoolPoller
