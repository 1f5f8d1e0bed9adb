"""
Waiting in the triggerer.

`waiting` is the plain wait, and `waits` says what is waited for; `shared_polling` makes ten thousand waits cheap,
`measuring` those with a budget, `killed_triggers` makes a killed one safe, and `statistics` reports all of them. The
class paths of the triggers are stored in databases of Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toloka_airflow.triggers.pool_closed import PoolClosedTrigger
    from toloka_airflow.triggers.shared_waits import OperationTrigger, PoolTrigger

__all__ = ["OperationTrigger", "PoolClosedTrigger", "PoolTrigger"]


def __getattr__(name: str) -> Any:
    """Import the triggers when they are needed, which is not when a DAG is parsed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from toloka_airflow.triggers import pool_closed, shared_waits

    return getattr(pool_closed if name == "PoolClosedTrigger" else shared_waits, name)


def __dir__() -> list[str]:
    return __all__
