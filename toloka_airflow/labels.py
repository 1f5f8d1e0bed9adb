"""Labels from wherever they come, beside what was labelled."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.ids import checked_id
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.lines import read_lines
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.download.pool_tasks import PoolTasks

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

__all__ = ["add_inputs"]

log = logging.getLogger(__name__)

MAX_LINE = 16 * 1024 * 1024
AT_ONCE = 1000


def add_inputs(
    labels: str | os.PathLike[str] | ObjectStoragePath | Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str] | ObjectStoragePath,
    *,
    pool_id: str,
    only_real_tasks: bool = False,
    toloka_conn_id: str = TolokaHook.default_conn_name,
) -> dict[str, Any]:
    """
    Write labels of a pool's tasks to a file, each with the inputs of its task beside it. To be called in a task.

    It is for labels that were not made by Toloka, such as those of crowd-kit; `AggregateSolutionsOperator` writes its
    own so. A label is an object with a ``task_id``; in what order they come, and how many there are for a task, does
    not matter. It gets ``input_values``, ``is_control``, and ``known_solutions`` if it is a control task; what it has
    of these is replaced. All else stays as it is.

    All tasks of the pool are read, into a temporary file on the local disk that is as large as their input values.
    Memory is some 20 MB, however many tasks and labels there are.

    :param labels: The path of a file of JSON Lines, gzip if its name ends with ``.gz``; or an iterable of labels.
    :param path: The file of JSON Lines to write, gzip if its name ends with ``.gz``. It is there when it is complete;
        one that is there is replaced.
    :param pool_id: The pool or training.
    :param only_real_tasks: Whether to leave out the labels of control tasks.
    :param toloka_conn_id: The Airflow connection to Toloka.
    :return: ``{"pool_id", "path", "labels"}``, the last being how many were written.
    :raises ValueError: If an argument cannot be used, or at the first that is no label.
    :raises TolokaError: If the pool does not have one of the tasks.
    """
    with task_errors():
        pool_id = checked_id("pool_id", pool_id)
        target = storage_path("path", path)
        # What a killed call has left is removed, as its labels may have been others.
        file = RowFile(target, key="labels", max_age=-1)
        with PoolTasks(TolokaHook(toloka_conn_id).get_conn(), pool_id, log=log) as tasks:
            rows = _rows(_labels(labels), tasks, only_real_tasks=only_real_tasks)
            try:
                while some := list(islice(rows, AT_ONCE)):
                    file.append(some, cursor="", counts={"labels": len(some)})
            except BaseException:
                file.discard()
                raise
        return {"pool_id": pool_id, "path": str(path), "labels": 0, **file.finish()}


def _rows(labels: Iterable[tuple[str, Any]], tasks: PoolTasks, *, only_real_tasks: bool) -> Iterator[bytes]:
    for where, label in labels:
        if not isinstance(label, Mapping) or label.get("task_id") is None:
            raise ValueError(f"{where}: it is {label!r:.200}; a label is an object with a task_id")
        task = tasks.of(str(label["task_id"]))
        if only_real_tasks and task["is_control"]:
            continue
        try:
            kept = {name: label[name] for name in label if name != "known_solutions"}
            yield compact_json({**kept, **task}, allow_nan=False).encode()
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{where}: it holds what JSON does not have: {exc}") from None


def _labels(labels: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over labels, and where each is."""
    if isinstance(labels, Iterable) and not isinstance(labels, str | bytes | os.PathLike | Mapping):
        yield from ((f"labels: number {number}", label) for number, label in enumerate(labels, 1))
        return
    if isinstance(labels, Mapping):
        raise ValueError(f"labels is {labels!r:.100}; it must be a list of labels, or the path of a file with them")
    path = storage_path("labels", labels)
    for number, line in read_lines("labels", path, max_bytes=MAX_LINE):
        where = f"labels: {path}, line {number}"
        if line.strip():
            try:
                yield where, json.loads(line)
            except (ValueError, RecursionError) as exc:
                raise ValueError(f"{where}: it is not JSON: {exc}") from None
