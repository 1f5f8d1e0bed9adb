"""
What a scheduler and a triggerer have ready for the processes that fork from them.

With the LocalExecutor, tasks run in processes that fork from the scheduler. Triggers run in one that forks from the
triggerer.
"""

from __future__ import annotations

import gc
from functools import cache

from toloka_airflow._internal.airflow_internals import is_scheduler, is_triggerer


@cache  # also for the processes that fork from this one and load plugins again
def prepare() -> None:
    """
    Import what every task and trigger that talks to Toloka needs, and let collections in the triggerer pass over it.

    So no task spends more CPU on imports than on all else that it does for Toloka. And in the triggerer, a garbage
    collection does not block the event loop for as long as it takes to go through all that Airflow has imported.

    Elsewhere this does nothing, as plugins are loaded by the tasks of all DAGs; nor with ``[core] lazy_load_plugins =
    False``, with which they are loaded before a process is known to be either.
    """
    if is_scheduler() or is_triggerer():
        import requests  # noqa: F401

        import toloka_airflow.triggers  # noqa: F401
    if is_triggerer():
        gc.collect()  # what is garbage by now would otherwise stay
        gc.freeze()
