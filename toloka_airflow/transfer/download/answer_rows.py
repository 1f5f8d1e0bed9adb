"""
Rows of a file from pages of assignments, made for millions: values are copied as the bytes that the API answered.

So a number keeps its digits, and a text its escapes. White space between values is taken out first: a line break would
end the row. A page that msgspec refuses goes the slow way through `json`, which takes half of a character (people do
send such), ``NaN``, and whatever else an answer may be by the rules of the API's other calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import Raw, shape
from toloka_airflow.api.pages import Page, read_page
from toloka_airflow.api.transport import parse_json
from toloka_airflow.storage.json_text import compact_json

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
_ABSENT = msgspec.Raw()
_MORE_FACTS, _MORE_OF_TASK = {"created": "created"}, ("message_on_unknown_solution",)
"""What Toloka's own results have besides."""

_STARTS = [(key, f'{"{" if key == "id" else ","}"{name}":'.encode()) for key, name in {**_FACTS, **_MORE_FACTS}.items()]


@dataclass(frozen=True, slots=True)
class AssignmentRows:
    """
    What is written of an assignment.

    :param lines: Its rows, with line ends in between; nothing if it has none.
    :param answers: How many answers it holds.
    """

    lines: bytes
    answers: int


class _Task(msgspec.Struct, gc=False):
    id: msgspec.Raw
    input_values: msgspec.Raw
    known_solutions: list[msgspec.Raw] | None = None
    message_on_unknown_solution: msgspec.Raw = _ABSENT


class _Solution(msgspec.Struct, gc=False):
    output_values: msgspec.Raw


class _Assignment(msgspec.Struct, gc=False):
    id: msgspec.Raw
    tasks: list[_Task]
    solutions: list[_Solution]
    task_suite_id: msgspec.Raw = _ABSENT
    pool_id: msgspec.Raw = _ABSENT
    user_id: msgspec.Raw = _ABSENT
    status: msgspec.Raw = _ABSENT
    reward: msgspec.Raw = _ABSENT
    submitted: msgspec.Raw = _ABSENT
    accepted: msgspec.Raw = _ABSENT
    rejected: msgspec.Raw = _ABSENT
    public_comment: msgspec.Raw = _ABSENT
    created: msgspec.Raw = _ABSENT


class _Answers(msgspec.Struct, gc=False):
    items: list[_Assignment]
    has_more: bool


class _Whole(msgspec.Struct, gc=False):
    items: list[msgspec.Raw]
    has_more: bool


class _Head(msgspec.Struct, gc=False):
    id: str
    solutions: list[msgspec.Raw] | None = None


_answers = msgspec.json.Decoder(_Answers)
_whole = msgspec.json.Decoder(_Whole)
_head = msgspec.json.Decoder(_Head)
_text = msgspec.json.Decoder(str)


def read_answers(content: bytes, *, with_more: bool = False) -> Page[AssignmentRows]:
    """
    Return a page of assignments as rows: one for each answer.

    :param with_more: Whether there is ``created`` and ``message_on_unknown_solution``, too.
    :raises TolokaError: If an assignment does not say which answer belongs to which task.
    :raises ValueError: If the page is no JSON.
    """

    def fast(content: bytes) -> Page[AssignmentRows]:
        page = _answers.decode(content)
        rows = [_answers_of(assignment, with_more) for assignment in page.items]
        return Page(rows, [_text.decode(assignment.id) for assignment in page.items], page.has_more)

    def slow(assignment: Raw) -> AssignmentRows:
        rows = list(answer_rows(assignment, with_more=with_more))
        return AssignmentRows(b"\n".join(rows), len(rows))

    return _read(content, fast, slow)


def read_assignments(content: bytes) -> Page[AssignmentRows]:
    """
    Return a page of assignments as rows: each as the API answered it.

    :raises ValueError: If the page is no JSON.
    """

    def fast(content: bytes) -> Page[AssignmentRows]:
        page = _whole.decode(content)
        heads = [_head.decode(assignment) for assignment in page.items]
        rows = [
            AssignmentRows(bytes(assignment), len(head.solutions or ()))
            for assignment, head in zip(page.items, heads, strict=True)
        ]
        return Page(rows, [head.id for head in heads], page.has_more)

    def slow(assignment: Raw) -> AssignmentRows:
        return AssignmentRows(compact_json(assignment).encode(), len(assignment.get("solutions") or ()))

    return _read(content, fast, slow)


def _read(
    content: bytes, fast: Callable[[bytes], Page[AssignmentRows]], slow: Callable[[Raw], AssignmentRows]
) -> Page[AssignmentRows]:
    try:
        # msgspec copies values that are no UTF-8 as they are.
        content.isascii() or content.decode()
        return fast(msgspec.json.format(content, indent=-1))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _UnevenError):
        page = read_page("/assignments", parse_json(content), "id")
        return Page([slow(assignment) for assignment in page.items], page.keys, page.has_more)


class _UnevenError(Exception):
    """An assignment has more or less tasks than solutions."""


def _answers_of(assignment: _Assignment, with_more: bool) -> AssignmentRows:
    if len(assignment.tasks) != len(assignment.solutions):
        raise _UnevenError
    # Once for all its answers.
    starts = _STARTS if with_more else _STARTS[: len(_FACTS)]
    facts = [part for key, start in starts if (value := getattr(assignment, key)) for part in (start, value)]
    start = b"".join([*facts, b',"task_id":'])
    parts: list[bytes | msgspec.Raw] = []
    for task, solution in zip(assignment.tasks, assignment.solutions, strict=True):
        parts += (start, task.id, b',"input_values":', task.input_values, b',"output_values":', solution.output_values)
        if task.known_solutions:
            parts += (b',"known_solutions":[', b",".join(task.known_solutions), b"]")
        if with_more and task.message_on_unknown_solution:
            parts += (b',"message_on_unknown_solution":', task.message_on_unknown_solution)
        parts.append(b"}\n")
    return AssignmentRows(b"".join(parts)[:-1], len(assignment.tasks))


def answer_rows(assignment: Raw, *, with_more: bool = False) -> Iterator[bytes]:
    """
    Iterate over the answers of an assignment, each as a JSON object: one per task.

    :param with_more: Whether there is ``created`` and ``message_on_unknown_solution``, too.
    :raises TolokaError: If it does not say which answer belongs to which task.
    """
    try:
        tasks, solutions = assignment["tasks"], assignment["solutions"]
        if len(tasks) != len(solutions):
            raise _odd(assignment, f"has {counted(len(tasks), 'task')} but {counted(len(solutions), 'solution')}")
        names = {**_FACTS, **_MORE_FACTS} if with_more else _FACTS
        facts = {name: assignment[key] for key, name in names.items() if key in assignment}
        for task, solution in zip(tasks, solutions, strict=True):
            row = {
                **facts,
                "task_id": task["id"],
                "input_values": task["input_values"],
                "output_values": solution["output_values"],
            }
            if task.get("known_solutions"):
                row["known_solutions"] = task["known_solutions"]
            if with_more:
                row.update((name, task[name]) for name in _MORE_OF_TASK if name in task)
            yield compact_json(row).encode()
    except (AttributeError, KeyError, TypeError) as exc:
        raise _odd(
            assignment, f"is not as documented ({type(exc).__name__}: {exc}); it is {shape(assignment)}"
        ) from exc


def _odd(assignment: Raw, problem: str) -> TolokaError:
    name = assignment.get("id") if isinstance(assignment, dict) else None
    return TolokaError(
        f"Assignment {name} {problem}, so it is not known which answer belongs to which task. "
        "rows='assignments' writes it as it is"
    )
