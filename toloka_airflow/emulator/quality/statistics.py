"""What the collectors of quality control count of one person, by the keys of their conditions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow.emulator.world.clock import DAY, SECOND
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json
from toloka_airflow.emulator.world.items import Part

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.items import Assignment, Task

Thing = TypeVar("Thing")
# None: nothing was counted yet, and no condition on it is met.
Statistics = dict[str, Any]
CHECKED = (AssignmentStatus.ACCEPTED, AssignmentStatus.REJECTED)
COUNTS_AS_A_VOTE = (AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED)


def _recent(things: Iterable[Thing], parameters: Json) -> list[Thing]:
    """Return the first `history_size` of things, which begin with the newest; all of them if there is no such size."""
    return list(islice(things, parameters.get("history_size")))


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _rates(right: Sequence[bool], prefix: str = "") -> Statistics:
    return {
        f"{prefix}correct_answers_rate": _percent(sum(right), len(right)),
        f"{prefix}incorrect_answers_rate": _percent(len(right) - sum(right), len(right)),
    }


def _answers(history: Sequence[Assignment]) -> Iterator[tuple[Assignment, Task, Json]]:
    """Return all answers to single tasks, the newest first."""
    for assignment in reversed(history):
        if assignment.solutions is not None:
            pairs = zip(reversed(assignment.tasks), reversed(assignment.solutions), strict=True)
            yield from ((assignment, task, values) for task, values in pairs)


def acceptance_rate(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the suites that were accepted and rejected."""
    checked = _recent((had.status for had in reversed(history) if had.status in CHECKED), parameters)
    accepted = checked.count(AssignmentStatus.ACCEPTED)
    return {
        "total_assignments_count": len(checked),
        "accepted_assignments_rate": _percent(accepted, len(checked)),
        "rejected_assignments_rate": _percent(len(checked) - accepted, len(checked)),
    }


def answer_count(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the suites that were accepted."""
    return {"assignments_accepted_count": sum(had.status is AssignmentStatus.ACCEPTED for had in history)}


def submit_time(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the suites that were answered, and those of them that were answered too fast."""
    limit = parameters["fast_submit_threshold_seconds"] * SECOND
    submitted = ((had.created, had.submitted) for had in reversed(history) if had.submitted is not None)
    times = _recent((end - begin for begin, end in submitted), parameters)
    return {"total_submitted_count": len(times), "fast_submitted_count": sum(time < limit for time in times)}


def golden_set(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the answers to control and training tasks, and those of them that are right."""
    known = _recent(((task, values) for _, task, values in _answers(history) if not task.is_real), parameters)
    right = [_is_right(task, values) for task, values in known]
    golden = [ok for (task, _), ok in zip(known, right, strict=True) if task.shelf == Part.GOLDEN]
    return {
        "total_answers_count": len(right),
        **_rates(right),
        "golden_set_answers_count": len(golden),
        **_rates(golden, "golden_set_"),
    }


def _is_right(task: Task, values: Json) -> bool:
    return any(values.items() >= solution["output_values"].items() for solution in task.body["known_solutions"])


def income(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the rewards of the last 24 hours."""
    earned = sum(had.price for had in history if had.accepted is not None and had.accepted > now - DAY)
    return {"income_sum_for_last_24_hours": float(earned)}


def majority_vote(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the answers to tasks of which the majority is known, and those that are the majority's."""
    threshold = parameters["answer_threshold"]
    compared = (
        _label(values) == majority
        for had, task, values in _answers(history)
        if had.status in COUNTS_AS_A_VOTE and task.is_real and (majority := _majority(task, threshold)) is not None
    )
    right = _recent(compared, parameters)
    return {"total_answers_count": len(right), **_rates(right)}


def _majority(task: Task, threshold: int) -> str | None:
    """Return the answer that at least so many people gave, and more than any other answer."""
    votes = Counter(
        _label(had.solutions[had.tasks.index(task)])
        for had in task.assignments
        if had.status in COUNTS_AS_A_VOTE and had.solutions is not None
    )
    (best, count), (_, second) = [*votes.most_common(2), ("", 0), ("", 0)][:2]
    return best if count >= threshold and count > second else None


def _label(values: Json) -> str:
    return json.dumps(values, sort_keys=True)


def skipped_in_row(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the suites that were skipped since the last answer."""
    skipped = 0
    for had in reversed(history):
        if had.submitted is not None:
            break
        skipped += had.status is AssignmentStatus.SKIPPED
    return {"skipped_in_row_count": skipped}


def assessment(assignment: Assignment) -> Statistics:
    """Count the decisions on a suite, of which the assignment got the last one."""
    statuses = Counter(had.status for had in assignment.suite.assignments)
    events = {
        AssignmentStatus.ACCEPTED: "ACCEPT" if assignment.rejected is None else "ACCEPT_AFTER_REJECT",
        AssignmentStatus.REJECTED: "REJECT",
    }
    return {
        "pending_assignments_count": statuses[AssignmentStatus.SUBMITTED],
        "accepted_assignments_count": statuses[AssignmentStatus.ACCEPTED],
        "rejected_assignments_count": statuses[AssignmentStatus.REJECTED],
        "assessment_event": events.get(assignment.status),
    }


# By collector: what makes its statistics another, and the statistics of a person.
OF_PEOPLE: dict[str, tuple[tuple[str, ...], Callable[[Sequence[Assignment], Json, int], Statistics]]] = {
    "ACCEPTANCE_RATE": (("accepted", "rejected"), acceptance_rate),
    "ANSWER_COUNT": (("accepted",), answer_count),
    "ASSIGNMENT_SUBMIT_TIME": (("submitted",), submit_time),
    "GOLDEN_SET": (("submitted",), golden_set),
    "INCOME": (("accepted",), income),
    "MAJORITY_VOTE": (("submitted",), majority_vote),
    "SKIPPED_IN_ROW_ASSIGNMENTS": (("skipped",), skipped_in_row),
}
