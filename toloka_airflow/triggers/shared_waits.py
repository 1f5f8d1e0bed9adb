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
    """
    Wait until an operation is done. `OperationSensor` and the operators make it; Airflow stores its arguments.

    :param toloka_conn_id: The Airflow connection to Toloka.
    :param poll_interval: Seconds between two polls.
    :param deadline: Unix time at which to give up.
    :param operation_id: The operation.
    """

    __module__ = "toloka_airflow.triggers"
    wait_type = OperationWait
    poller_type = OperationPoller


class PoolTrigger(ClosesPoolOnKill, MeasuresWithOthers, ReportedWait[Pool]):
    """
    Wait until a pool stops, for a time, or until a sum is spent. `PoolSensor` makes it; Airflow stores its arguments.

    :param toloka_conn_id: The Airflow connection to Toloka.
    :param poll_interval: Seconds between two polls.
    :param deadline: Unix time at which to give up.
    :param pool_id: The pool.
    :param until: Unix time at which the wait ends with what there is.
    :param progress_interval: Seconds between two lines of progress in the log; ``None`` for none.
    :param max_spend: Money with which the wait ends, once the progress says that it is spent or committed.
    :param close_on_kill: Whether to close the pool if a person ends the wait: marks it failed or success, or deletes
        the run.
    :param ignore_close_for_update: Whether to wait on while the pool is closed for update.
    :param last_started: When the pool was opened, as the API says it, if that is known already.
    :param training_id: The training to close after the pool when the wait is killed.
    """

    __module__ = "toloka_airflow.triggers"
    wait_type = PoolWait
    poller_type = PoolPoller
