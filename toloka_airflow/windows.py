"""A task group that keeps a pool open until a time, and closes it whatever happens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator, conf
from airflow.sdk import TaskGroup

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.checks.wording import did_you_mean, nearest
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.operators.lifecycle import OpenTrainingOperator
from toloka_airflow.operators.window_teardowns import CloseWindowPoolOperator, CloseWindowTrainingOperator
from toloka_airflow.operators.windows import CheckWindowOperator, OpenWindowPoolOperator, WindowResultOperator
from toloka_airflow.sensors import PoolSensor

if TYPE_CHECKING:
    from types import TracebackType

    from airflow.sdk import XComArg

__all__ = ["PoolWindow", "pool_window"]

OperatorT = TypeVar("OperatorT", bound=BaseOperator)

EXPECTED = ("COMPLETED", "EXPIRED", "MANUAL")
"""Why a window may be over: people were done, or somebody or the time has ended it."""
PERSISTENCE: dict[str, Any] = {"retries": 20, "retry_delay": timedelta(minutes=1)}
"""How long to retry closing: longer than an outage or the 15 minutes of a pool that is closed for update."""

RESILIENCE: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=30)}
"""How often to wait again after an accident, such as a worker that was lost; what Toloka answered is final."""

INHERITED = frozenset(
    {"owner", "email", "email_on_failure", "email_on_retry", "logger_name", "map_index_template"}
    | {f"on_{event}_callback" for event in ("execute", "failure", "retry", "skipped", "success")}
    | {"doc", "doc_json", "doc_md", "doc_rst", "doc_yaml"}
    | {"queue", "pool", "pool_slots", "priority_weight", "weight_rule", "executor", "executor_config", "resources"}
    | {"run_as_user", "start_date", "end_date"}
)
"""
Which of the ``default_args`` reach all tasks of a window: whom they concern, how they are shown, and where they run.

Any other could make a window do what it must not, such as ``wait_for_completion`` or ``depends_on_past``.
"""
RETRIES = frozenset({"retries", "retry_delay", "retry_exponential_backoff", "max_retry_delay", "retry_policy"})
"""Which reach those tasks, too, that may be tried as often as others of their DAG."""
LONGEST = timedelta(days=366)
"""How long a wait lasts at the most, if no ``default_args`` say how long."""
OF_OPENING = RETRIES | {"execution_timeout", "deferrable"}
"""Which reach the openings, too: what they begin, and do not finish, is closed."""


class PoolWindow(TaskGroup):
    """
    The task group that `pool_window` returns.

    What comes before the group comes before all of it; what comes after the group waits for its result, not for the
    tasks that were put inside.
    """

    result: Any
    """How and when the window ended."""
    _parts: dict[str, BaseOperator] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)  # type: ignore[no-untyped-call]
        if kind is None and self._parts is not None:
            own, ids = set(map(id, self._parts.values())), {task.task_id for task in self}
            for task in self:
                if id(task) not in own and task.upstream_task_ids.isdisjoint(ids):
                    self._parts["open"] >> task

    def get_roots(self) -> Generator[BaseOperator, None, None]:
        """Return what begins when all that is before the group is done."""
        yield from [self._parts["check"]] if self._parts else super().get_roots()

    def get_leaves(self) -> Generator[BaseOperator, None, None]:
        """Return what must be done before anything behind the group begins."""
        yield from [self._parts["result"]] if self._parts else super().get_leaves()


def pool_window(
    *,
    pool_id: str | XComArg,
    closes_at: datetime | str | XComArg = "{{ data_interval_end }}",
    training_id: str | XComArg | None = None,
    group_id: str = "window",
    min_open: timedelta = timedelta(minutes=5),
    grace: timedelta = timedelta(minutes=15),
    move_expiry: bool = True,
    expected_reasons: Iterable[str] = EXPECTED,
    min_balance: float | str | XComArg | None = None,
    check_budget: bool = False,
    fee: float = 0.3,
    on_low_balance: Literal["fail", "skip"] = "fail",
    max_spend: float | str | XComArg | None = None,
    progress_interval: float | timedelta | None = None,
    poll_interval: float | timedelta = 60.0,
    toloka_conn_id: str | None = None,
    **kwargs: Any,
) -> PoolWindow:
    """
    Open a pool, wait until people are done or the time is up, and close it: a task group.

    Tasks that are put inside begin when the pool is open. The closing does not wait for them, nor does it depend on how
    they end::

        with pool_window(pool_id="123", closes_at="{{ data_interval_end }}") as window:
            watch_quality()
        window >> download()

    The pool is closed by a teardown, which runs if the waiting failed, was ended by a person, or the run was marked as
    failed, and it is closed at Toloka by its expiry date if Airflow does not run at that hour. A pool that was opened
    more than ``grace`` after ``closes_at`` is not closed: another run opened it. So there must be more time than that
    between two windows of a pool.

    A run that comes too late is skipped, with all that is behind it. If the pool is open then, such as when the waiting
    was cleared at the end of the day, it is not opened but closed.

    ``window.result`` is ``{"pool_id", "status", "close_reason", "opened_at", "closed_at", "stopped_by", "spent",
    "committed", "has_answers"}``. ``stopped_by`` is ``closed`` (``close_reason`` says why), ``until`` if the time was
    up, ``max_spend``, or ``person`` if the waiting was marked as a success. If ``progress_interval`` or ``max_spend``
    is given, ``spent`` is what was paid for answers in the window, and ``committed`` what is to be paid for those that
    are neither accepted nor rejected yet; otherwise they are ``None``. See `PoolSensor` for how they are measured. Both
    are differences to the beginning of the window: answers of before that are accepted in it move from one to the
    other. ``has_answers`` is ``False`` if nobody answered in the window, which is logged as a warning, too. If another
    run has opened the pool since, ``opened_at``, ``closed_at`` and ``close_reason`` are ``None``.

    :param pool_id: The pool (templated).
    :param closes_at: When to close the pool, a time with a zone (templated). ``data_interval_end`` is there in a run
        that was started without a date, too: the timetable of the DAG infers it from when the run was due.
    :param training_id: A training to open after the pool and to close after it (templated). Several windows may share
        one: it is not closed while a main pool that requires it is open.
    :param group_id: The name of the group, and the beginning of the names of its tasks.
    :param min_open: How much time must be left for the pool to be opened.
    :param grace: How long after ``closes_at`` the pool expires.
    :param move_expiry: Whether to change the expiry date of the pool. Each window changes it, and the last one leaves
        it behind: to open the pool by other means then, set a later date. An open pool cannot be changed.
    :param expected_reasons: Close reasons that are no failure. For others, such as NOT_ENOUGH_BALANCE, the run fails.
    :param min_balance: See `OpenPoolOperator` (templated); so for ``check_budget``, ``fee`` and ``on_low_balance``.
    :param max_spend: Money that this window may spend, see `PoolSensor` (templated). A window that is cleared
        begins anew.
    :param progress_interval: Seconds between two lines of progress in the log, see `PoolSensor`.
    :param poll_interval: Seconds between two polls of the pool.
    :param toloka_conn_id: The Airflow connection to Toloka (templated); by default that of the ``default_args``, which
        the tasks around the window have, or ``toloka_default``.

    Further arguments are those of `airflow.sdk.TaskGroup`. Of its ``default_args``, and those of the DAG, what a window
    relies on does not reach it; see `INHERITED`.
    """
    refuse_unknown(pool_window, kwargs)
    window = PoolWindow(group_id=group_id, **kwargs)
    shared: dict[str, Any] = {"task_group": window, "toloka_conn_id": conn_id_of(window, toloka_conn_id)}
    check = own_task(
        CheckWindowOperator,
        *RETRIES,
        task_id="check",
        pool_id=pool_id,
        closes_at=closes_at,
        min_open=min_open,
        grace=grace,
        measure_spending=progress_interval is not None or max_spend is not None,
        **shared,
    )
    # Of the own map index: without it, Airflow pulls the values of all that are there at that moment.
    not_after, until, over_at, spent_before = (
        f"ti.xcom_pull(task_ids='{check.task_id}', key='{key}', map_indexes=ti.map_index)"
        for key in ("not_after", "closes_at", "over_at", "spent_before")
    )
    open_pool = own_task(
        OpenWindowPoolOperator,
        *OF_OPENING,
        task_id="open",
        pool_id=pool_id,
        min_open=min_open,
        check_task_id=check.task_id,
        not_after=f"{{{{ {not_after} }}}}",
        will_expire=f"{{{{ {over_at} }}}}" if move_expiry else None,
        min_balance=min_balance,
        check_budget=check_budget,
        fee=fee,
        on_low_balance=on_low_balance,
        **shared,
    )
    wait: PoolSensor = own_task(
        PoolSensor,
        "timeout",
        task_id="wait",
        pool_id=pool_id,
        # Nothing would be no limit.
        until=f"{{{{ {until} or 'unknown' }}}}",
        max_spend=max_spend,
        spent_before=None if max_spend is None else f"{{{{ {spent_before} }}}}",
        expected_reasons=expected_reasons,
        close_on_kill=True,
        training_id=training_id,
        ignore_close_for_update=True,
        progress_interval=progress_interval,
        poke_interval=poll_interval,
        deferrable=True,
        multiple_outputs=True,
        **RESILIENCE,
        **shared,
    )
    if wait.timeout == conf.getfloat("sensors", "default_timeout"):
        # A sensor fails after a week, unless told otherwise. A window may last longer: it ends by its own time.
        wait.timeout = LONGEST.total_seconds()
    # In a worker, so that it needs no triggerer. Not on_failure_fail_dagrun: see below.
    close_arguments = {
        "closes_at": closes_at,
        "grace": grace,
        "check_task_id": check.task_id,
        "open_task_id": open_pool.task_id,
        "wait_task_id": wait.task_id,
        "deferrable": False,
        **PERSISTENCE,
        **shared,
    }
    close = own_task(CloseWindowPoolOperator, task_id="close", pool_id=pool_id, **close_arguments)
    result = own_task(
        WindowResultOperator,
        *RETRIES,
        task_id="result",
        pool_id=pool_id,
        check_task_id=check.task_id,
        open_task_id=open_pool.task_id,
        wait_task_id=wait.task_id,
        multiple_outputs=True,
        **shared,
    )
    make_persistent(check, result)
    _make_setups(check, open_pool)
    # One of both setups is enough for the teardown to run: an opening that failed here may have succeeded at Toloka.
    check >> open_pool >> wait >> close.as_teardown(setups=[check, open_pool]) >> result
    # The result does not depend on the wait: behind the wait is only a teardown that does not count, which makes it one
    # of the tasks that decide the run. Marking a run as failed marks the running wait as failed and skips the result;
    # without that, the run would end as a success.
    if training_id is not None:
        open_training = own_task(
            OpenTrainingOperator,
            *OF_OPENING,
            task_id="open_training",
            training_id=training_id,
            not_after=f"{{{{ {until} }}}}",
            **shared,
        )
        _make_setups(open_training)
        close_training = own_task(
            CloseWindowTrainingOperator, task_id="close_training", training_id=training_id, **close_arguments
        )
        # Behind the opening of the pool: whoever closes a training that is shared finds the pool open from then on.
        open_pool >> open_training >> wait
        close >> close_training.as_teardown(setups=[check, open_training]) >> result
    window.result = result.output
    window._parts = {"check": check, "open": open_pool, "result": result} | {task.task_id: task for task in window}
    return window


def refuse_unknown(make_group: Callable[..., TaskGroup], further: Iterable[str]) -> None:
    """
    Refuse arguments that neither a function which makes a task group has, nor `airflow.sdk.TaskGroup`.

    :param further: The names of those that `TaskGroup` gets, which would refuse them as its own.
    :raises TypeError: If there is one.
    """
    own = [each.name for each in inspect.signature(make_group).parameters.values() if each.kind is each.KEYWORD_ONLY]
    of_group = [name for name in inspect.signature(TaskGroup).parameters if name not in own]
    if unknown := [name for name in further if name not in of_group]:
        near = did_you_mean(nearest(unknown[0], [*own, *of_group]))
        raise TypeError(
            with_link(
                f"{make_group.__name__} has no argument {unknown[0]!r}{near or '.'} There are {', '.join(own)}, and "
                f"those of TaskGroup: {', '.join(of_group)}",
                "arguments",
            )
        )


def conn_id_of(group: TaskGroup, toloka_conn_id: str | None) -> str:
    """
    Return the connection of a group's tasks: one that was given, or that of the tasks around it.

    Any other would lead to another account, where a pool with the same id may be somebody else's.
    """
    if toloka_conn_id is not None:
        return toloka_conn_id
    default_args = {**(group.dag.default_args if group.dag else {}), **group.default_args}
    return default_args.get("toloka_conn_id") or TolokaHook.default_conn_name


def own_task(operator: type[OperatorT], *inherited: str, **arguments: Any) -> OperatorT:
    """
    Make a task that the ``default_args`` of DAG and group reach with what is `INHERITED` only.

    All else is set explicitly: to the arguments, or to what the operator has by default.

    :param inherited: What reaches this task, too.
    """
    own = {name: value for name, value in _defaults(operator).items() if name not in INHERITED.union(inherited)}
    return operator(**{**own, **arguments})


def _defaults(operator: type[BaseOperator]) -> dict[str, Any]:
    """Return what the optional arguments of an operator, and of all that it is derived from, are by default."""
    defaults: dict[str, Any] = {}
    for cls in reversed(operator.__mro__):
        if issubclass(cls, BaseOperator) and "__init__" in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters.values()
            defaults |= {each.name: each.default for each in parameters if each.default is not each.empty}
    return defaults


def make_persistent(*tasks: BaseOperator) -> None:
    """Have tasks be tried again for as long as the closing, unless the ``default_args`` say longer."""
    own = PERSISTENCE["retries"] * PERSISTENCE["retry_delay"]
    for task in tasks:
        if (task.retries or 0) * task.retry_delay < own:
            defaults = _defaults(type(task))
            for name in RETRIES.intersection(defaults):
                setattr(task, name, PERSISTENCE.get(name, defaults[name]))


def _make_setups(*tasks: BaseOperator) -> None:
    for task in tasks:
        task.as_setup()
