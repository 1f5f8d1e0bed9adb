"""What the collectors of quality control count of one person, by the keys of their conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow.emulator.world.clock import DAY, SECOND
from toloka_airflow.emulator.world.entities import AssignmentStatus, Json

if TYPE_CHECKING:
    from toloka_airflow.emulator.quality.marks import Mark
    from toloka_airflow.emulator.world.items import Assignment

Thing = TypeVar("Thing")
# None: nothing was counted yet, and no condition on it is met.
Statistics = dict[str, Any]
CHECKED = (AssignmentStatus.ACCEPTED, AssignmentStatus.REJECTED)


def _recent(things: Iterable[Thing], parameters: Json) -> list[Thing]:
    """Return the first `history_size` of things, which begin with the newest; all of them if there is no such size."""
    return list(islice(things, parameters.get("history_size")))


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _rates(right: int, wrong: int, prefix: str = "") -> Statistics:
    return {
        f"{prefix}correct_answers_rate": _percent(right, right + wrong),
        f"{prefix}incorrect_answers_rate": _percent(wrong, right + wrong),
    }


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


def golden_set(counts: Counter[Mark]) -> Statistics:
    """Return the statistics of answers to control and training tasks."""
    right, wrong = counts[True, True], counts[True, False]
    return {
        "total_answers_count": counts.total(),
        **_rates(right + counts[False, True], wrong + counts[False, False]),
        "golden_set_answers_count": right + wrong,
        **_rates(right, wrong, "golden_set_"),
    }


def income(history: Sequence[Assignment], parameters: Json, now: int) -> Statistics:
    """Count the rewards of the last 24 hours."""
    earned = sum(had.price for had in history if had.accepted is not None and had.accepted > now - DAY)
    return {"income_sum_for_last_24_hours": float(earned)}


def majority_vote(counts: Counter[Mark]) -> Statistics:
    """Return the statistics of answers to tasks of which the majority is known."""
    return {"total_answers_count": counts.total(), **_rates(counts[False, True], counts[False, False])}


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


# By collector: what makes its statistics another.
COUNTED_AFTER: dict[str, tuple[str, ...]] = {
    "ACCEPTANCE_RATE": ("accepted", "rejected"),
    "ANSWER_COUNT": ("accepted",),
    "ASSIGNMENT_SUBMIT_TIME": ("submitted",),
    "GOLDEN_SET": ("submitted",),
    "INCOME": ("accepted",),
    "MAJORITY_VOTE": ("submitted",),
    "SKIPPED_IN_ROW_ASSIGNMENTS": ("skipped",),
}
OF_HISTORIES: dict[str, Callable[[Sequence[Assignment], Json, int], Statistics]] = {
    "ACCEPTANCE_RATE": acceptance_rate,
    "ANSWER_COUNT": answer_count,
    "ASSIGNMENT_SUBMIT_TIME": submit_time,
    "INCOME": income,
    "SKIPPED_IN_ROW_ASSIGNMENTS": skipped_in_row,
}
OF_MARKS: dict[str, Callable[[Counter[Mark]], Statistics]] = {
    "GOLDEN_SET": golden_set,
    "MAJORITY_VOTE": majority_vote,
}
