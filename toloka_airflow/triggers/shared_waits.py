"""
The triggers of sensors and operators, put together of all that they can do.

Their class paths are stored in databases of Airflow: they are those of the package, which imports this when they are
needed.
"""

from __future__ import annotations

from toloka_airflow.api.models import Operation, Pool
from toloka_airflow.triggers.killed_triggers import ClosesPoolOnKill
from toloka_airflow.triggers.lists import OperationPoller, PoolPoller
from toloka_airflow.triggers.measuring import MeasuresWithOthers
from toloka_airflow.triggers.statistics import ReportedWait
from toloka_airflow.triggers.waits import OperationWait, PoolWait


class OperationTrigger(ReportedWait[Operation]):
    """Wait until an operation is done; the arguments are those of `toloka_airflow.triggers.waits.OperationWait`."""

    __module__ = "toloka_airflow.triggers"
    wait_type = OperationWait
    poller_type = OperationPoller


class PoolTrigger(ClosesPoolOnKill, MeasuresWithOthers, ReportedWait[Pool]):
    """Wait until a pool stops; the arguments are those of `toloka_airflow.triggers.waits.PoolWait`."""

    __module__ = "toloka_airflow.triggers"
    wait_type = PoolWait
    poller_type = PoolPoller
