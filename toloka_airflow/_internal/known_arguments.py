"""
Arguments of operators and sensors, checked when the DAG is parsed as far as they are known.

What comes from templates and other tasks is known when the task runs, which checks it again. A share of 95 or a file
name that nothing can write is better found before people are paid than behind it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from numbers import Number
from typing import Any

from airflow.sdk import get_current_context, get_parsing_context

from toloka_airflow._internal.airflow_internals import is_unmapped
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.models import AssignmentStatus

TEMPLATES = ("{{", "{%", "{#")
"""What begins a part of a text that Airflow replaces when the task runs."""
Check = Callable[[str, Any], object]
"""What raises `ValueError` for a value that cannot be used, by the name of its argument."""
_STATUSES = tuple(status.value for status in AssignmentStatus)


def check_known(task: Any, **checks: Check) -> None:
    """
    Check those arguments of an operator whose values are known, in its constructor.

    A task process, which parses the DAG too, leaves this out, as an edit of the DAG must not keep other tasks of a run,
    such as the one that closes the pool, from running.

    :param checks: By the name of the argument. None of them gets ``None``.
    :raises ValueError: If a value cannot be used.
    """
    if is_in_task_process() or is_unmapped(task):
        return
    for name, check in checks.items():
        value = getattr(task, name)
        if _is_known(value):
            try:
                check(name, value)
            except ValueError as exc:
                raise argument_error(str(exc)) from None


def check_ending(task: Any, **checks: Check) -> None:
    """
    Check how the paths of an operator end, as `check_known` does: also of one whose beginning is a template.

    :param checks: By the name of the argument; they must depend on nothing but the end of the path.
    :raises ValueError: If a path cannot end so.
    """
    if is_in_task_process() or is_unmapped(task):
        return
    for name, check in checks.items():
        value = getattr(task, name)
        is_literal = isinstance(value, str) and "." in re.split(r"[}%#]}", value)[-1]
        if _is_known(value) or is_literal:
            try:
                check(name, value)
            except ValueError as exc:
                raise argument_error(str(exc)) from None


def check_fields(name: str, value: Any) -> None:
    """
    Check the names of output fields.

    :raises ValueError: If they are no list of texts, or an empty one.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value or not all(map(_is_name, value)):
        raise ValueError(f"{name} is {value!r:.200}; it must be a list of output fields")


def check_statuses(name: str, value: Any) -> None:
    """
    Check statuses of assignments.

    :raises ValueError: If they are no list of such, or an empty one.
    """
    known = ", ".join(_STATUSES)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r:.200}; it must be a list of statuses, of {known}")
    if unknown := [status for status in value if str(status) not in _STATUSES]:
        raise ValueError(f"{name} has {unknown[0]!r:.100}; there are {known}")


def is_in_task_process() -> bool:
    """Return whether a task is about to run here, or runs, and makes the operator itself."""
    if get_parsing_context().task_id is not None:
        return True
    try:
        get_current_context()
    except RuntimeError:
        return False
    return True


def _is_known(value: Any) -> bool:
    if isinstance(value, str | os.PathLike):
        return not any(sign in str(value) for sign in TEMPLATES)
    if isinstance(value, list | tuple):
        return all(map(_is_known, value))
    return isinstance(value, Number | date | timedelta)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""
