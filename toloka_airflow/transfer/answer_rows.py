"""Rows of a table from assignments as the API answers them; made for millions, so without a model of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import Raw, shape

_FACTS = {
    "id": "assignment_id",
    "task_suite_id": "task_suite_id",
    "pool_id": "pool_id",
    "user_id": "user_id",
    "status": "status",
    "reward": "assignment_reward",
    "submitted": "submitted",
    "accepted": "accepted",
    "rejected": "rejected",
    "public_comment": "public_comment",
}
"""What every answer of an assignment has in common, and what it is called in a row."""

_MORE_FACTS, _MORE_OF_TASK = {"created": "created"}, ("message_on_unknown_solution",)
"""What Toloka's own results have besides."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def answer_rows(assignment: Raw, *, with_more: bool = False) -> Iterator[bytes]:
    """
    Iterate over the answers of an assignment, each as a JSON object: one per task.

    :param with_more: Whether there is ``created`` and ``message_on_unknown_solution``, too.
    :raises TolokaError: If it does not say which answer belongs to which task.
    """
    try:
        tasks, solutions = assignment["tasks"], assignment["solutions"]
        if len(tasks) != len(solutions):
            raise _odd(assignment, f"has {len(tasks)} tasks but {len(solutions)} solutions")
        names = {**_FACTS, **_MORE_FACTS} if with_more else _FACTS
        facts = {name: assignment[key] for key, name in names.items() if key in assignment}
        # Once for all its answers: encoding is what a download takes its time for.
        start = _encode(facts)[:-1] + ","
        for task, solution in zip(tasks, solutions, strict=True):
            row = {
                "task_id": task["id"],
                "input_values": task["input_values"],
                "output_values": solution["output_values"],
            }
            if task.get("known_solutions"):
                row["known_solutions"] = task["known_solutions"]
            if with_more:
                row.update((name, task[name]) for name in _MORE_OF_TASK if name in task)
            yield to_bytes(start + _encode(row)[1:])
    except (AttributeError, KeyError, TypeError) as exc:
        raise _odd(
            assignment, f"is not as documented ({type(exc).__name__}: {exc}); it is {shape(assignment)}"
        ) from exc


def raw_row(raw: Raw) -> bytes:
    """Return what the API answered as one line of JSON."""
    return to_bytes(_encode(raw))


def to_bytes(text: str) -> bytes:
    """Return JSON text as UTF-8, also if there are halves of characters in it, which people do send."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text)).encode()


def _odd(assignment: Raw, problem: str) -> TolokaError:
    name = assignment.get("id") if isinstance(assignment, dict) else None
    return TolokaError(
        f"Assignment {name} {problem}, so it is not known which answer belongs to which task. "
        "rows='assignments' writes it as it is"
    )


def count_answers(page: list[Any]) -> int:
    """Return how many answers the assignments of a page hold."""
    return sum(len(assignment.get("solutions") or ()) for assignment in page)
