"""
The outputs of tasks, and the arguments that take them, for type checkers; when it runs, it is nothing.

An output stands for a value that is there when the DAG runs: it goes into arguments of that type, and ``[...]`` takes a
single value of a dict. Airflow types ``.output`` as an `XComArg`, which no function of a ``@task`` takes, and which
has no ``[...]``. The arguments of operators take an `XComArg` as well, as that is what a ``@task`` is typed to return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat import sdk

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Collection
    from os import PathLike

    RowsOrPath = str | PathLike[str] | sdk.ObjectStoragePath | Collection[Any] | sdk.XComArg
    """Rows, such as those of a file: the path of one, a list or a mapping of them, or what a task returns of that."""

    class BaseOperator(sdk.BaseOperator):
        """Airflow's."""

        @property
        def output(self) -> Any:
            """What stands for the value that the task will return."""

    class BaseSensorOperator(sdk.BaseSensorOperator):
        """Airflow's."""

        @property
        def output(self) -> Any:
            """What stands for the value that the task will return."""
else:
    BaseOperator = sdk.BaseOperator
    BaseSensorOperator = sdk.BaseSensorOperator


def as_rendered(argument: T | sdk.XComArg) -> T:
    """Return a templated argument as it is, typed as what it is when the task runs: no output, but its value."""
    return argument  # type: ignore[return-value]
