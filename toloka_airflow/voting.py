"""Ready decisions for `ReviewAssignmentsOperator`, made of what other people answered."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.transfer.review.decisions import check_comment
from toloka_airflow.transfer.values import comparable

if TYPE_CHECKING:
    from toloka_airflow.api.models import Assignment, Task

__all__ = ["MajorityVote"]

log = logging.getLogger(__name__)

DIGEST_BYTES = 8


@dataclass(frozen=True)
class MajorityVote:
    """
    Accept who mostly answers like the majority, and reject who mostly does not.

    The label of a task is what more than half of its answers say. It has none if that many do not agree, as in a tie,
    or if there are fewer than ``min_answers``. All answers of the pool count that are SUBMITTED, ACCEPTED or REJECTED,
    the own one too, so a further attempt decides as the first; of a person who answered a task several times, the last.

    Toloka accepts or rejects an assignment as a whole. It is accepted if at least ``min_share`` of its tasks are
    answered with their label. It is rejected if that would be missed even if all tasks of which that cannot be said
    were right: those without a label, and those where this person has not answered the field. Otherwise it is left as
    it is, for a person to decide; Toloka accepts it at the end of the review period. Control tasks are not counted:
    their answers are known, so the majority says nothing about them.

    Decide when the pool is closed: what is answered later has not voted. The answers are read twice. Their votes take
    about 300 bytes of memory for each task.

    :param field: The output field; its values are compared as they are, so it should be a choice, not free text. Only
        3 and 3.0 are the same.
    :param min_share: More than 0, up to 1. At 1, one wrong answer rejects all of an assignment.
    :param comment: What people read who are rejected: up to 2048 characters that say why.
    :param accept_comment: What people read who are accepted.
    :param min_answers: How many people must have answered a task, at least 2.
    :raises ValueError: If an argument cannot be used; when it decides, if no answer has the field.
    """

    field: str
    min_share: float
    comment: str
    accept_comment: str | None = None
    min_answers: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.field, str) or not self.field:
            raise argument_error(f"field is {self.field!r}; it must be the name of an output field", "decisions")
        if (
            isinstance(self.min_share, bool)
            or not isinstance(self.min_share, int | float)
            or not 0 < self.min_share <= 1
        ):
            raise argument_error(f"min_share is {self.min_share!r}; it must be a number above 0, up to 1", "decisions")
        check_comment("comment", self.comment)
        if self.accept_comment is not None:
            check_comment("accept_comment", self.accept_comment)
        if isinstance(self.min_answers, bool) or not isinstance(self.min_answers, int) or self.min_answers < 2:
            raise argument_error(
                f"min_answers is {self.min_answers!r}; it must be a whole number of 2 or more", "decisions"
            )

    def from_answers(self, answers: Iterable[Assignment]) -> Callable[[Assignment], dict[str, Any] | None]:
        """Return the function that decides about each of some answers, once all of them were counted."""
        labels = self._labels(answers)

        def decide(assignment: Assignment) -> dict[str, Any] | None:
            right, unknown, total = 0, 0, 0
            for task, value in self._values(assignment):
                label = labels.get(task.id)
                total += 1
                right += value is not None and value == label
                unknown += value is None or label is None
            if not total:
                return None
            if right / total >= self.min_share:
                return {"status": "ACCEPTED", "public_comment": self.accept_comment}
            if (right + unknown) / total < self.min_share:
                return {"status": "REJECTED", "public_comment": self.comment}
            return None

        return decide

    def _labels(self, answers: Iterable[Assignment]) -> dict[str, bytes]:
        """Return the label of each task that has one."""
        votes: dict[str, bytes] = {}
        other_fields: set[str] = set()
        for assignment in answers:
            person = _digest(assignment.user_id or assignment.id)
            for task, value in self._values(assignment):
                if value is not None:
                    votes[task.id] = votes.get(task.id, b"") + person + value
            if not votes and len(other_fields) < 100:
                other_fields.update(*assignment.solutions)
        if not votes and other_fields:
            raise ValueError(
                f"decide: field is {self.field!r}, and no answer to a task that is no control task has it; there are "
                f"{', '.join(sorted(other_fields)):.500}"
            )
        labels = {task_id: label for task_id, given in votes.items() if (label := self._label(given))}
        log.info(
            "By majority vote on %s, labels of %d of %s", self.field, len(labels), counted(len(votes), "answered task")
        )
        return labels

    def _label(self, votes: bytes) -> bytes | None:
        size = DIGEST_BYTES
        by_person = {votes[i : i + size]: votes[i + size : i + 2 * size] for i in range(0, len(votes), 2 * size)}
        [(label, number)] = Counter(by_person.values()).most_common(1)
        return label if len(by_person) >= self.min_answers and 2 * number > len(by_person) else None

    def _values(self, assignment: Assignment) -> Iterator[tuple[Task, bytes | None]]:
        """Iterate over what was answered to the tasks that are no control tasks; ``None`` is no answer."""
        if len(assignment.tasks) != len(assignment.solutions):
            raise TolokaError(
                f"Assignment {assignment.id} has {counted(len(assignment.tasks), 'task')} but "
                f"{counted(len(assignment.solutions), 'solution')}, so it is not known which answer belongs to which "
                "task"
            )
        for task, solution in zip(assignment.tasks, assignment.solutions, strict=True):
            if not task.raw.get("known_solutions"):
                value = solution.get(self.field)
                yield task, None if value is None else _digest(json.dumps(comparable(value), sort_keys=True))


def _digest(text: str) -> bytes:
    """Return few bytes that stand for text of any length."""
    return blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
