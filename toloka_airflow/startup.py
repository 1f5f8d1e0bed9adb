"""
What Airflow's long-lived processes do as they begin, for those that fork from them; a listener of the plugin.

The scheduler is what tasks fork from with the LocalExecutor, and the triggerer forks the process of the triggers.
"""

from __future__ import annotations

import gc

from airflow.listeners import hookimpl


@hookimpl
def on_starting(component: object) -> None:
    """
    Import what every task and trigger that talks to Toloka needs, and let garbage collection pass over it.

    So a task that submits takes a third of the CPU. And in the triggerer, a collection does not block the event loop
    for as long as it takes to go through all that Airflow has imported.
    """
    if type(component).__name__ != "Job":  # a task process begins, too, and may belong to any DAG
        return
    import requests  # noqa: F401

    import toloka_airflow.triggers  # noqa: F401

    gc.collect()  # what is garbage by now would otherwise stay
    gc.freeze()
