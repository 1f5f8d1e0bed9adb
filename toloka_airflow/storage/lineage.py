"""
Report to Airflow's lineage which files a task reads and writes.

Airflow 3.3 itself notices `ObjectStoragePath.open` and ``copy`` only, not what is read and written by the path's file
system, as here. It forgets all when a task is deferred: what was read before is to be reported again after the resume.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from toloka_airflow.storage.replacing import LOCAL, StoragePath

log = logging.getLogger(__name__)

_contexts: dict[str, Any] = {}


def report_read(path: StoragePath) -> None:
    """Report a file as an input of the task that runs in this process."""
    report_input(file_uri(path), path)


def report_written(path: StoragePath) -> None:
    """Report a file as an output of the task that runs in this process."""
    report_output(file_uri(path), path)


def report_input(uri: str, context: Any) -> None:
    """
    Report an asset that a task reads.

    :param context: The path or hook that it was read by.
    """
    _report("add_input_asset", uri, context)


def report_output(uri: str, context: Any) -> None:
    """Report an asset that a task writes; as `report_input`."""
    _report("add_output_asset", uri, context)


def _report(method: str, uri: str, context: Any) -> None:
    if "airflow" not in sys.modules:
        return  # nobody collects it
    try:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        # With the first context, as an asset counts again with each.
        getattr(get_hook_lineage_collector(), method)(context=_contexts.setdefault(uri, context), uri=uri)
    except Exception as exc:
        log.warning("%s is not in the lineage of this task, as Airflow does not take it: %s", uri, exc)


def file_uri(path: StoragePath) -> str:
    """Return the URI that Airflow itself gives the path; but a local one has no scheme there, and would be dropped."""
    return f"file://{os.path.abspath(path.path)}" if path.protocol in LOCAL else str(path)
