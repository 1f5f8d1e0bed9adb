"""
What a process has ready for those that fork from it: a scheduler, a triggerer, a worker of Celery.

With the LocalExecutor, tasks run in processes that fork from the scheduler. With the CeleryExecutor, they fork from a
worker, which loads no plugins and is prepared by `toloka_airflow.preload`. Triggers run in a process that forks from
the triggerer.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from toloka_airflow._internal.airflow_internals import (
    celery_settings,
    configured_executors,
    is_celery_executor,
    is_scheduler,
    is_triggerer,
)

PRELOAD = "toloka_airflow.preload"
"""The module that a worker of Celery is to import."""

log = logging.getLogger(__name__)


@cache  # also for the processes that fork from this one and load plugins again
def prepare() -> None:
    """
    Import what tasks and triggers of Toloka need, and let collections in the triggerer pass over it.

    So no task spends more CPU on imports than on all else that it does for Toloka. And in the triggerer, a garbage
    collection does not block the event loop for as long as it takes to go through all that Airflow has imported.

    A scheduler from which no task forks imports nothing. If its workers of Celery are not configured to import
    `toloka_airflow.preload`, as far as it knows, it logs so: from here it is logged once, and not by each task.

    Elsewhere this does nothing, as plugins are loaded by the tasks of all DAGs; nor with ``[core] lazy_load_plugins =
    False``, with which they are loaded before a process is known to be either.
    """
    with _unprepared_at_worst():
        if is_scheduler():
            _prepare_scheduler()
        if is_triggerer():
            _import_for_triggers()
            gc.collect()  # what is garbage by now would otherwise stay
            gc.freeze()


def prepare_worker() -> None:
    """Import in a worker of Celery what tasks need, before its processes fork."""
    with _unprepared_at_worst():
        _import_for_tasks()


def _prepare_scheduler() -> None:
    executors = configured_executors()
    if any(executor.is_local for executor, _ in executors) and multiprocessing.get_start_method() == "fork":
        _import_for_tasks()
    if any(is_celery_executor(executor) and not imports_preload(team) for executor, team in executors):
        log.info(
            "Each task of Toloka in a worker of Celery spends about 0.1 s of CPU on imports, unless its worker did "
            'them: set [celery] extra_celery_config = {"imports": ["%s"]} for workers and schedulers. If the workers '
            "have it already, all is well; this is not said any more if the schedulers have it, too",
            PRELOAD,
        )


def imports_preload(team: str | None) -> bool:
    """Return whether the workers of Celery import what they need before their processes fork, as far as is known."""
    return PRELOAD in celery_settings(team) or PRELOAD in sys.modules


def _import_for_triggers() -> None:
    import requests  # noqa: F401

    import toloka_airflow.api.client
    import toloka_airflow.triggers.pool_closed
    import toloka_airflow.triggers.shared_waits  # noqa: F401


def _import_for_tasks() -> None:
    """Import what talks to Toloka, and all that the file of a DAG may import; 8 MB, most of it `requests`."""
    import toloka_airflow.checks.checking
    import toloka_airflow.operators.aggregation
    import toloka_airflow.operators.assignments
    import toloka_airflow.operators.attachments
    import toloka_airflow.operators.bonuses
    import toloka_airflow.operators.calls
    import toloka_airflow.operators.overlap
    import toloka_airflow.operators.pools
    import toloka_airflow.operators.projects
    import toloka_airflow.operators.restrictions
    import toloka_airflow.operators.skills
    import toloka_airflow.operators.tasks
    import toloka_airflow.operators.updates
    import toloka_airflow.windows  # noqa: F401
    from toloka_airflow.api.timed_session import warm_up

    warm_up()
    _import_for_triggers()


@contextmanager
def _unprepared_at_worst() -> Iterator[None]:
    """It only saves time, and neither a plugin nor a worker may fail for that."""
    try:
        yield
    except Exception:
        log.exception(
            "This process is not prepared, so tasks of Toloka that fork from it import what they need themselves"
        )
